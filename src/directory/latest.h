/* src/directory/latest.h: the step that a directory's state file calls the latest.
 *
 * As tf.train.latest_checkpoint, but a folder that was moved does no harm: what is named counts by its last
 * component, and only if that step is in this directory. As there, no other step takes its place if it is not. */
#pragma once
#include "directory/listing.h"
#include "message/state.h"

/* The symbolic link to it that a mount shows beside the steps. */
#define LATEST_NAME "latest"

/* What the state file STATE_NAME in DIRFD says. -EINVAL: nothing can be made of it; or of reading it. OUT is to be
 * released in any case. */
int latest_read(int dirfd, const char *state_name, struct state *out, struct err *e);

/* The item of L that S, what STATE_NAME says, leads to. -ENOENT: the step is not there. */
int latest_find(const struct listing *l, const char *state_name, const struct state *s,
		const struct listed **out, struct err *e);

/* The text of the state file NAME. -EINVAL: too large for one; or of reading. */
int state_file_read(int dirfd, const char *name, struct buf *text, struct err *e);

/* How a state file names the step P of its own folder: FOLDER, as it ends in '/', or as nothing for a relative
 * path; and NAME, or NAME-?????-of-00002. The caller frees it; NULL: no memory. */
char *state_path(struct bytes folder, const struct step_place *p);

/* The item of L that PATH, out of a state file, stands for; or NULL. */
const struct listed *latest_resolve(const struct listing *l, const char *path);

/* src/directory/latest.h: the step that a directory's state file calls the latest.
 *
 * As tf.train.latest_checkpoint, but also if the directory was moved: of a path only the last component counts, and
 * the step must be in this directory. If it is not there, no other step takes its place. */
#pragma once
#include "directory/listing.h"
#include "message/state.h"

/* The symbolic link to that step, which a mount shows beside the steps. */
#define LATEST_NAME "latest"

/* Reads and parses the state file STATE_NAME in DIRFD. -EINVAL: it is no state file; or what reading it returns.
 * OUT is released in any case. */
int latest_read(int dirfd, const char *state_name, struct state *out, struct err *e);

/* The item of L that S, which STATE_NAME says, calls the latest. -ENOENT: it is not there. */
int latest_find(const struct listing *l, const char *state_name, const struct state *s,
		const struct listed **out, struct err *e);

/* Appends the text of the state file NAME. -EINVAL: it is no file, or too large; or what reading it returns. */
int state_file_read(int dirfd, const char *name, struct buf *text, struct err *e);

/* The path by which a state file names the step P: FOLDER, which ends in '/' or is empty for a relative path, and
 * P's name, with "-?????-of-00002" for a V1 set. The caller frees it; NULL: no memory. */
char *state_path(struct bytes folder, const struct step_place *p);

/* The step of L that PATH, of a state file, stands for; NULL: there is none. */
const struct listed *latest_resolve(const struct listing *l, const char *path);

/* src/make/new_step.h: a new step, made as through a mount.
 *
 * It is there when it is whole: what was begun and not committed is discarded, after a kill by whoever writes there next
 * (commit/recover.h). Signals wait meanwhile (edit/writer.h). */
#pragma once
#include "edit/put.h"
#include "tool/place.h"

struct new_step {
	struct view view; /* of its directory, for writing */
	bool open; /* there is a view */
	bool committed;
	uint64_t id; /* of the step; 0: it is not begun, or committed */
	char *name;
	char *made; /* the directory, if that was made for it; else NULL */
	struct put put; /* what is put into it; the meta graph counts as one variable */
};

/* {0} has none. Discards what is not committed. */
void new_step_release(struct new_step *n);

/* Begins the step NAME in the directory DIRFD, which is taken. -EEXIST; -EBUSY: another process writes there; or of making it. */
int new_step_begin(struct new_step *n, int dirfd, const char *name, struct err *e);

/* The same of PATH, a directory, which is made if it is not there, and a name. */
int new_step_begin_at(struct new_step *n, const char *path, struct err *e);

/* The variable or text FROM, of whatever step, becomes the same of the new one. Its bytes are shared, if they lie in the same
 * filesystem. */
int new_step_copy(struct new_step *n, const struct place *from, struct err *e);

/* Commits it. */
int new_step_commit(struct new_step *n, struct err *e);

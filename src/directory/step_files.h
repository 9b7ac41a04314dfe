/* src/directory/step_files.h: a step's files as a whole: renamed, removed.
 *
 * The index is what makes a step one: it gets its new name last, and goes first. The state file is changed before the old names
 * go, so that TensorFlow is never led to what is not there. What is under way stands in .ckptfs/leaving, by which
 * whoever comes after a crash goes on:
 *
 *     from -> my-model-0
 *     to -> best                 absent: it is removed
 *     files/my-model-0.index -> "1234 56 1790000000.000000000"
 *                                of each file of it inode, size and time: one that a trainer saved since then is another */
#pragma once
#include "step/step.h"

#define STEP_LEAVING ".ckptfs/leaving"

struct step_files {
	int top; /* the checkpoint directory, in which .ckptfs is */
	const char *state_name;
	const char *meta; /* suffix of the meta graph */
};

/* Gives the step at FROM the prefix TO. -EEXIST: something of that name is there; or of the calls. If it fails all is as it was,
 * or what is left to do stands in .ckptfs/leaving. */
int step_rename(const struct step_files *f, const struct step_place *from, const char *to,
		struct err *e);

/* Removes it; shards that other steps have links to live on there. What is missing already is no error. Its draft has to be
 * ended between these two: a crash before the second ends it. */
int step_remove(const struct step_files *f, const struct step_place *place, struct err *e);
void step_removed(const struct step_files *f);

/* Finishes or takes back what stands in .ckptfs/leaving. Then DONE is a sentence of that, with its NUL; else it stays as it is. */
int step_files_resume(int top, const char *state_name, struct buf *done, struct err *e);

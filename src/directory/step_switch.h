/* src/directory/step_switch.h: a step gets another index, over other shards, and keeps its name and what is in it.
 *
 * The new index tells another number of shards than any file of that prefix does, so the new shards can be placed beside the old ones.
 * Then the new index is exchanged for the old one: from then on the step has the new files, and the old ones are removed. What comes out
 * in the exchange is looked at: if a trainer has saved there meanwhile it is exchanged once more, and nothing was done.
 *
 * What is under way is recorded in .ckptfs/switching, which is whole when it has this name:
 *
 *     step -> my-model-0
 *     index                      the new index; my-model-0.index is a hard link to it once they are exchanged
 *     old/my-model-0.index …     a stamp of each file that goes (directory/file_stamp.h)
 *     new/my-model-0.data-…      a stamp of each shard that comes
 *     swapped                    what is exchanged: the new index before, the old one afterwards
 *
 * The new files are made in .ckptfs/new-shards, where shards that are to be shared have one more name, while others go.
 *
 * A crash before the exchange takes the new shards back, one behind it removes the old ones. */
#pragma once
#include "step/step.h"

struct switch_shard {
	const char *name; /* in step_switch.from; it gets one more name */
	struct file_id id;
};

struct step_switch {
	int top; /* the checkpoint directory; .ckptfs is in it, and locked */
	const struct step *step; /* V2, as it is now */
	int from; /* of step_switch_begin */
	const char *index; /* the new index there, which is synced; num_shards is what it tells */
	const struct switch_shard *shards; /* [n]: their numbers are 0, 1, … */
	uint32_t n, num_shards;
};

/* A descriptor of .ckptfs/new-shards, empty. */
int step_switch_begin(int top, struct err *e);

/* Removes it, with what is in it. */
int step_switch_end(int top, struct err *e);

/* The next number of shards, from N on, that no shard in TOP with that prefix tells; or of reading. */
int64_t step_switch_count(int top, const char *prefix, uint32_t n, struct err *e);

/* -ESTALE: the step has been saved again; or of the calls. After an error all is as it was, or the record says what is left to do. */
int step_switch(const struct step_switch *w, struct err *e);

/* Goes on with what the record says, or takes it back, and removes .ckptfs/new-shards. If there was something to do, DONE gets a sentence that says so, with its NUL. */
int step_switch_resume(int top, struct buf *done, struct err *e);

/* src/commit/rescue.h: steps that were committed, so that a trainer which saves under the same name does not lose
 * them.
 *
 * A trainer's next step may have the number that a commit took. TensorFlow then renames its shards over those of the same
 * names. The index it renames too (tf.train.Saver), or writes anew in place (tf.train.Checkpoint). A commit over a base never
 * has just one shard, as most trainers' steps have, so its shards stay; of its index a copy without a name is kept for as
 * long as the directory is mounted. When another index is found in its place, the step is published again
 * under the next free name of its family.
 *
 * A V1 file (struct rescue: FORMAT) is renamed over, or hidden by an index of its name. It is kept open, and not copied before
 * it is needed. */
#pragma once
#include "step/step.h"

/* What recognises the step, and no more: a step may be large, and there may be many of them. */
struct rescue {
	char *name; /* prefix; NULL: none */
	enum step_format format;
	uint32_t num_shards;
	int fd; /* a copy of the index, which has MODE and SIZE bytes; or the V1 file: then SIZE is 0 */
	mode_t mode;
	uint64_t size;
	struct file_id index, meta; /* meta: zeros: it has none */
	struct file_id *shards; /* zeros: there is no such file */
};

void rescue_release(struct rescue *k);

/* Notes the step NAME of TOP, whose index, or V1 file, is open as INDEX. META: suffix of the meta graph. K is
 * empty. The copy is made in the folder ROOM, where a crash may leave it with a name. -ENOMEM, or of copying the index. */
int rescue_note(struct rescue *k, int top, int room, const char *name, enum step_format format,
		uint32_t num_shards, const char *meta, int index, struct err *e);

/* 0: it is there; -ENOENT: it was removed; 1: it was overwritten, and is there again, now as K's name says. Of
 * publishing it again; -ESTALE: its shards are gone too. */
int rescue_restore(struct rescue *k, int top, const char *meta, struct err *e);

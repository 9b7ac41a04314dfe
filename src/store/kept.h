/* src/store/kept.h: steps that were committed, so that a trainer which saves under the same name does not lose them.
 *
 * A trainer's next step may have the number that a commit took. TensorFlow then renames its own files over it: the index, and
 * the shards of those names. A commit over a base never has just one shard, as most trainers' steps have, so its shards stay; what
 * its index said is remembered here, for as long as the directory is mounted. When another index is found in its place, the step is
 * published again under the next free name of its family. */
#pragma once
#include "store/step.h"

struct kept {
	char *name; /* prefix */
	uint32_t num_shards;
	struct file_id index;
	struct buf bytes; /* of the index */
	struct buf shards; /* struct file_id: of each; zeros: it has none */
};

void kept_release(struct kept *k);

/* Notes the step NAME of TOP, whose index is the file INDEX of FROM too. -ENOMEM, or of reading. */
int kept_note(struct kept *k, int from, const char *index, int top, const char *name,
	      uint32_t num_shards, struct err *e);

/* 0: it is there; -ENOENT: it was removed; 1: it was overwritten, and is there again, now as K's name says. Of publishing it again; -ESTALE: its
 * shards are gone too. META: suffix of the meta graph. */
int kept_restore(struct kept *k, int top, const char *meta, struct err *e);

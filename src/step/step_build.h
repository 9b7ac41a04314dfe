/* src/step/step_build.h: how the two formats become a step. For step*.c alone.
 *
 * A reader of a format adds a variable for each tensor, and one of kind VAR_PART or VAR_WHOLE for each slice, under the
 * key of ordered_code.h; build_join then finds the slices of each partitioned variable, and checks that they make it up. */
#pragma once
#include "base/source.h"
#include "step/step.h"

struct builder {
	struct buf vars, parts, shards, dims, names, texts,
		strings; /* arrays of what struct step has */
	uint32_t overlap_checks; /* pairs of slices that were compared */
	int64_t num_shards;
	bool big_endian;
};

void builder_release(struct builder *b);

static inline struct var *builder_vars(const struct builder *b)
{
	return (struct var *)b->vars.p;
}

static inline uint32_t builder_n_vars(const struct builder *b)
{
	return (uint32_t)(b->vars.n / sizeof(struct var));
}

/* All below: -ENOMEM, or -E2BIG past what 32 bits can number. */

/* Adds V with its key and its RANK dimensions; a string gets its place in step->strings. */
int build_var(struct builder *b, struct var v, struct bytes key, const int64_t *dims);

/* Adds a partitioned variable, of N slices at EXTENTS (rank pairs each), whole dimensions as they are in the key. */
int build_sliced(struct builder *b, struct var v, struct bytes key, const int64_t *dims,
		 const int64_t *extents, uint32_t n);

/* Adds a variable that can't be read. */
int build_bad(struct builder *b, struct var v, struct bytes key, const int64_t *dims,
	      const char *why);

/* Looks at a shard's file and adds it; that it is not there is noted in it. INDEX stands in for what isn't known then. */
int build_shard(struct builder *b, int dirfd, const char *file, uint32_t number,
		const struct stat *index);

/* When all are added, sorted by key. */
int build_join(struct builder *b);

/* The readers: fill B from the step's file, which SRC is. */
int build_bundle(struct builder *b, struct source src, int dirfd, const struct step_place *where,
		 const struct stat *st, struct err *e);
int build_v1(struct builder *b, int dirfd, const struct step_place *where, const struct stat *st,
	     struct err *e);

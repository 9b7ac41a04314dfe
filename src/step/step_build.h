/* src/step/step_build.h: the two formats become a step. For step_*.c alone.
 *
 * A format's reader adds a variable for each tensor. It also adds one of kind VAR_PART or VAR_WHOLE for each slice,
 * under the slice's key (format/ordered_code.h). Then build_join finds the slices of each partitioned variable, and
 * checks that they fill it. */
#pragma once
#include "base/source.h"
#include "step/step.h"

enum { N_SHAPES = 64 };

struct builder {
	struct buf vars, parts, shards, dims, names, texts, strings; /* the arrays of struct step */
	/* By a digest of it, the last shape that was added to `dims`. */
	struct shape_at {
		uint32_t dims;
		uint8_t rank;
	} shapes[N_SHAPES];
	uint32_t overlap_checks; /* how many pairs of slices were compared */
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

/* All below return -ENOMEM, or -E2BIG if 32 bits can't number what is there. */

/* Adds V with its key and v.rank dimensions. A string variable gets a place in step->strings. */
int build_var(struct builder *b, struct var v, struct bytes key, const int64_t *dims);

/* Adds a partitioned variable of N slices. EXTENTS has v.rank pairs (start, length) for each, as they stand in its
 * key: a whole dimension is as format/slice.h says. */
int build_sliced(struct builder *b, struct var v, struct bytes key, const int64_t *dims,
		 const int64_t *extents, uint32_t n);

/* Adds a variable that can't be read, for the reason WHY. */
int build_bad(struct builder *b, struct var v, struct bytes key, const int64_t *dims,
	      const char *why);

/* Adds the shard in FILE. If it can't be looked at its status says why, and its owner, mode and times are INDEX's. */
int build_shard(struct builder *b, int dirfd, const char *file, uint32_t number,
		const struct stat *index);

/* Joins the slices. All variables have been added, and are sorted by key. */
int build_join(struct builder *b);

/* The readers fill B from the step's files. SRC is the index, ST what fstat says of the step's file. */
int build_bundle(struct builder *b, struct source src, int dirfd, const struct step_place *where,
		 const struct stat *st, struct err *e);
int build_v1(struct builder *b, int dirfd, const struct step_place *where, const struct stat *st,
	     struct err *e);

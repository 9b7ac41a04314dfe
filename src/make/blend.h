/* src/make/blend.h: the mean of variables, and a variable as another dtype, which is the mean of one. Both are read and written in
 * pieces, by all cores. */
#pragma once
#include "make/new_step.h"

/* Has DTYPE a mean: is it a float, or complex? */
bool blend_has_mean(int dtype);

/* The mean of N variables FROM, each a PLACE_VAR, of the shape of the first, becomes a variable of the first one's name in TO, with DTYPE:
 * a float, or if it is that of all, complex. It is summed in double, from the first to the last, and rounded to the nearest, of two the even
 * one (convert_to). SEEN counts the bytes that were read.
 * -EINTR, or of reading and writing. */
int blend(struct new_step *to, const struct place *from, size_t n, int dtype,
	  _Atomic uint64_t *seen, struct err *e);

/* Starts the step NAME beside the step BESIDE: in its directory. */
int blend_begin(struct new_step *to, const struct place *beside, const char *name, struct err *e);

/* The meta graph and debug info of the step FROM, those that it has, are in TO as well. */
int blend_copy_texts(struct new_step *to, const struct place *from, struct err *e);

/* N steps PATHS become OUT, all of names of one kind: object-based, or not. -EINVAL, or of place_find. */
int blend_find(struct places *ps, char **paths, size_t n, struct place *out, struct err *e);

/* File number FILE of the step IN. */
static inline struct place blend_var(const struct place *in, uint32_t file)
{
	struct place p = *in;

	p.kind = PLACE_VAR;
	p.at = file;
	return p;
}

/* Its path, without .npy. */
static inline struct bytes blend_stem(const struct place *in, uint32_t file)
{
	const struct tree_file *f = &in->loaded->tree.files[file];

	return bytes_of(f->stem, f->n);
}

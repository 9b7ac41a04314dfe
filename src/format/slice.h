/* src/format/slice.h: where the elements of a slice lie in the whole tensor.
 *
 * A tensor of shape DIMS[RANK] and its slices are stored row-major. A slice is RANK pairs (start, length),
 * whole dimensions spelled out. Elements of a slice keep their order in the whole, so those that fall into a
 * window of the whole are a run of the slice as it is stored. Nothing here allocates. */
#pragma once
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHAPE_MAX_RANK = 254 }; /* TensorFlow's TensorShape::MaxDimensions() */

/* The number of elements; false if it, or a dimension, is negative or beyond int64. Rank 0 has one. */
bool shape_count(unsigned rank, const int64_t *dims, uint64_t *count);

/* Spells out whole dimensions (start 0, length -1) in EXTENTS and checks that each lies within its dimension.
 * COUNT: the slice's elements. -EUCLEAN. */
int slice_resolve(unsigned rank, const int64_t *dims, int64_t *extents, uint64_t *count,
		  struct err *e);

/* Whether an element is in both. */
bool slices_overlap(unsigned rank, const int64_t *a, const int64_t *b);

/* How many elements of the slice come before element INDEX of the whole. */
uint64_t slice_before(unsigned rank, const int64_t *dims, const int64_t *extents, uint64_t index);

/* Where element FROM of the slice lies in the whole, and how many from there on lie side by side there (LEN > 0). */
uint64_t slice_run(unsigned rank, const int64_t *dims, const int64_t *extents, uint64_t from,
		   uint64_t *len);

/* Puts the slice's elements [from, from + n), of ITEM bytes and lying at SRC, in their places in a window of
 * the whole that starts with element WINDOW at DST. They must fall into the window. */
void slice_scatter(unsigned rank, const int64_t *dims, const int64_t *extents, size_t item,
		   uint64_t from, uint64_t n, const uint8_t *src, uint8_t *dst, uint64_t window);

/* The inverse: takes the slice's elements [from, from + n), of ITEM bytes, from their places in a window of the
 * whole that starts with element WINDOW at SRC, and puts them side by side at DST. They must lie in the window. */
void slice_gather(unsigned rank, const int64_t *dims, const int64_t *extents, size_t item,
		  uint64_t from, uint64_t n, const uint8_t *src, uint8_t *dst, uint64_t window);

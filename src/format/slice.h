/* src/format/slice.h: where the elements of a slice lie in the whole tensor.
 *
 * A tensor of shape DIMS[RANK] and its slices are stored row-major. A slice is RANK pairs (start, length),
 * also for a whole dimension. Elements of a slice keep their order in the whole, so those in a window of the whole
 * lie side by side in the slice. Nothing here allocates. */
#pragma once
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHAPE_MAX_RANK = 254 }; /* TensorFlow's TensorShape::MaxDimensions() */

/* COUNT: the number of elements, 1 for rank 0. False: a dimension is negative, or the number is beyond int64. */
bool shape_count(unsigned rank, const int64_t *dims, uint64_t *count);

/* Replaces the length -1 of whole dimensions in EXTENTS by that of the dimension, and checks that each pair lies within
 * its dimension. COUNT: the slice's elements. -EUCLEAN. */
int slice_resolve(unsigned rank, const int64_t *dims, int64_t *extents, uint64_t *count,
		  struct err *e);

/* Is any element in both slices? */
bool slices_overlap(unsigned rank, const int64_t *a, const int64_t *b);

/* How many elements of the slice come before element INDEX of the whole. */
uint64_t slice_before(unsigned rank, const int64_t *dims, const int64_t *extents, uint64_t index);

/* Where element FROM of the slice lies in the whole. LEN: how many from there on lie side by side there, > 0. */
uint64_t slice_run(unsigned rank, const int64_t *dims, const int64_t *extents, uint64_t from,
		   uint64_t *len);

/* Copies the slice's elements [from, from + n) from SRC, where they lie side by side, to their places in a window of the
 * whole. The window is at DST and starts with element WINDOW; they must lie in it. ITEM: bytes of an element. */
void slice_scatter(unsigned rank, const int64_t *dims, const int64_t *extents, size_t item,
		   uint64_t from, uint64_t n, const uint8_t *src, uint8_t *dst, uint64_t window);

/* The inverse: copies the elements from their places in a window at SRC, side by side to DST. */
void slice_gather(unsigned rank, const int64_t *dims, const int64_t *extents, size_t item,
		  uint64_t from, uint64_t n, const uint8_t *src, uint8_t *dst, uint64_t window);

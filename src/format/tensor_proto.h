/* src/format/tensor_proto.h: what V2 entries and V1 meta data have in common: shapes, slices, versions.
 *
 * Source: TensorFlow's framework/{tensor_shape,tensor_slice,versions}.proto. */
#pragma once
#include "base/buf.h"
#include "base/error.h"
#include "types.pb-c.h"

/* May a reader of version READER read a file with VERSION (NULL: it says nothing)? 0 or -ENOTSUP. */
int version_check(const Tensorflow__VersionDef *version, int reader, struct err *e);

/* Appends, as int64, the dimensions of SHAPE (NULL: a scalar), then a pair (start, length) for each dimension of each of
 * the N SLICES. A whole dimension is 0, -1. OUT has an address afterwards, even without a number. -EUCLEAN: a slice has
 * another rank; -ENOMEM. */
int shape_numbers(const Tensorflow__TensorShapeProto *shape,
		  Tensorflow__TensorSliceProto *const *slices, size_t n, struct buf *out,
		  struct err *e);

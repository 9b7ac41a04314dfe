/* src/format/tensor_proto.h: messages that an entry of a V2 index and the meta data of a V1 table have in common.
 *
 * Source: TensorFlow's framework/{tensor_shape,tensor_slice,versions}.proto. */
#pragma once
#include "base/buf.h"
#include "base/error.h"
#include "types.pb-c.h"

/* May a reader of version READER read what says VERSION of itself (NULL: nothing)? 0 or -ENOTSUP. */
int version_check(const Tensorflow__VersionDef *version, int reader, struct err *e);

/* Appends the dimensions of SHAPE (NULL: a scalar), and for each of the N SLICES a pair (start, length) for each
 * dimension, as int64. A whole dimension is 0, -1. OUT has memory afterwards though there be no number. -EUCLEAN: a slice
 * of another rank; -ENOMEM. */
int shape_numbers(const Tensorflow__TensorShapeProto *shape,
		  Tensorflow__TensorSliceProto *const *slices, size_t n, struct buf *out,
		  struct err *e);

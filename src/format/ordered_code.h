/* src/format/ordered_code.h: the keys under which slices of a partitioned tensor are stored.
 *
 *   key:   Num(0)  Str(name)  Num(rank)  { SNum(start) SNum(length) } * rank
 *   Num:   a byte n (0..8), then n bytes of the number, big-endian, without leading zeros
 *   Str:   its bytes, with 00 as 00 ff and ff as ff 00, then 00 01
 *   SNum:  the fewest n (1..10) with -2^(7n-1) <= v < 2^(7n-1): v in n bytes, big-endian two's complement,
 *          its leading bits xored with n ones and a zero
 * A whole dimension is start 0, length -1. Source: TensorFlow's lib/strings/ordered_code.cc and
 * util/saved_tensor_slice_util.cc. */
#pragma once
#include "base/buf.h"

/* Appends the key of a slice of NAME. EXTENTS: RANK pairs (start, length). -ENOMEM. */
int slice_key_encode(struct buf *out, struct bytes name, unsigned rank, const int64_t *extents);

/* KEY is that of a slice of the tensor FROM. Appends the key of the same slice of TO. -EINVAL: it is not; -ENOMEM. */
int slice_key_rename(struct buf *out, struct bytes key, struct bytes from, struct bytes to);

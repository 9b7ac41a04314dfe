/* src/format/bundle_entry.h: the message BundleEntryProto, read and changed as it lies in its bytes.
 *
 * An index has one for each tensor, up to millions. So this is not left to message/pb.h, which allocates for each message
 * in it. What the fields say is checked by bundle.h.
 * Source: TensorFlow's tensor_bundle.proto, tensor_shape.proto, tensor_slice.proto. */
#pragma once
#include "base/buf.h"
#include "base/error.h"

struct entry_fields {
	int32_t dtype; /* a number of DataType, known or not */
	int32_t shard;
	int64_t off, size;
	uint32_t crc; /* masked */
	bool unknown_rank;
	size_t rank, n_slices;
};

/* Reads VALUE into OUT. NUMBERS becomes the shape's dimensions, int64_t[rank], and behind them the slices, int64_t
 * [n_slices][rank][2]: start, length; a whole dimension is 0, -1. -EUCLEAN (malformed, or a slice has another rank than
 * the shape), -ENOMEM. */
int entry_read(struct bytes value, struct entry_fields *out, struct buf *numbers, struct err *e);

/* Appends the message to OUT, as TensorFlow writes it: the shape is always there. DIMS: [rank]; SLICES: [n_slices][rank][2], as
 * entry_read gives them. ROOM is for what is between. -ENOMEM. */
int entry_write(const struct entry_fields *f, const int64_t *dims, const int64_t *slices,
		struct buf *room, struct buf *out);

/* Adds VALUE to OUT with the shard, off, size and crc of F. All other fields stay as they are, unknown ones included.
 * -EUCLEAN (malformed), -ENOMEM. */
int entry_moved(struct bytes value, const struct entry_fields *f, struct buf *out, struct err *e);

/* src/format/v1.h: the old format, in which one table holds a shard's tensors, shapes and values alike.
 *
 * Key "" holds the meta data: name, shape, type and slices of each tensor in this file. Every other key is that of a
 * slice (ordered_code.h), a tensor that is not partitioned being one slice with whole dimensions; its value is a
 * TensorProto whose values stand in the field for its type. There is no checksum but the blocks'. Source:
 * TensorFlow's util/saved_tensor_slice.proto, tensor_slice_{writer,reader}.cc. */
#pragma once
#include "format/sstable.h"

struct v1 {
	struct sstable table;
	void *meta; /* the message under key "" */
	size_t n_tensors;
};

/* Names and numbers belong to the v1. */
struct v1_tensor {
	struct bytes name; /* may be empty */
	struct err why; /* code 0, or what is wrong with it: then there is nothing but the name */
	uint8_t dtype, rank;
	const int64_t *dims; /* [rank], none negative, their product fits int64 */
	uint32_t n_slices; /* in this file */
	const int64_t *slices; /* [n_slices][rank][2]: start, length; a whole dimension is 0, -1 */
};

/* 1: SRC is such a table, as far as its ends and its first entry tell; 0: it is none; -ENOMEM. */
int v1_probe(struct source src);

/* -EUCLEAN, -EBADMSG, -ENOTSUP, -ENOMEM, or of reading. SRC's descriptor stays the caller's. */
int v1_open(struct v1 *v, struct source src, struct err *e);
void v1_close(struct v1 *v);

/* Tensor I; the memory of `dims` and `slices` is SCRATCH's, which is reset. */
void v1_tensor(const struct v1 *v, size_t i, struct buf *scratch, struct v1_tensor *out);

/* Appends what a bundle would store for the slice whose record is VALUE (little-endian elements, or string_tensor.h), of
 * COUNT elements of DTYPE. -EUCLEAN, -EBADMSG, -EFBIG (more than OUT may hold), -ENOMEM, or of reading. */
int v1_decode(struct bytes value, int dtype, uint64_t count, struct buf *out, struct err *e);

/* The same of the record under KEY. The table alone is needed, not its meta data. */
int v1_read(const struct sstable *t, struct bytes key, int dtype, uint64_t count, struct buf *out,
	    struct err *e);

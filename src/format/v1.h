/* src/format/v1.h: the old format, where a shard is one table, with shapes and values.
 *
 * Key "" holds the meta data: name, shape, type and slices of each tensor in this file. Every other key is that of a
 * slice (ordered_code.h). A tensor that is not partitioned is one slice with whole dimensions. The value of a slice is a
 * TensorProto, whose values stand in the field for its type. Only the table's blocks have checksums. Source:
 * TensorFlow's util/saved_tensor_slice.proto, tensor_slice_{writer,reader}.cc. */
#pragma once
#include "format/npy.h"
#include "format/sstable.h"

enum { V1_VERSION = 1 }; /* TensorFlow's TF_CHECKPOINT_VERSION */

struct v1 {
	struct sstable table;
	void *meta; /* the message under key "" */
	size_t n_tensors;
};

/* Names and numbers belong to the v1. */
struct v1_tensor {
	struct bytes name; /* may be empty */
	struct err why; /* code 0, or what is wrong with it: then only the name is set */
	uint8_t dtype, rank;
	const int64_t *dims; /* [rank], none negative, their product fits int64 */
	uint32_t n_slices; /* in this file */
	const int64_t *slices; /* [n_slices][rank][2]: start, length; a whole dimension is 0, -1 */
};

/* 1: by its footer and its first entry SRC is such a table; 0: it is none; -ENOMEM, or of reading. */
int v1_probe(struct source src);

/* -EUCLEAN, -EBADMSG, -ENOTSUP, -ENOMEM, or of reading. SRC's descriptor stays the caller's. */
int v1_open(struct v1 *v, struct source src, struct err *e);
void v1_close(struct v1 *v);

/* Tensor I. `dims` and `slices` lie in SCRATCH, whose contents they replace. Returns the code of `why`. */
int v1_tensor(const struct v1 *v, size_t i, struct buf *scratch, struct v1_tensor *out);

/* Appends the COUNT elements of type DTYPE of a slice, as a little-endian bundle would store them (strings:
 * string_tensor.h). VALUE is what the table has under the slice's key. -EUCLEAN, -E2BIG as of pb_unpack, -EFBIG (more
 * than OUT may hold), -ENOMEM. */
int v1_decode(struct bytes value, int dtype, uint64_t count, struct buf *out, struct err *e);

/* The same of the slice with key KEY. Only the table is needed, not its meta data. -EUCLEAN: also if there is no such
 * key; -EBADMSG, or of reading. */
int v1_read(const struct sstable *t, struct bytes key, int dtype, uint64_t count, struct buf *out,
	    struct err *e);

/* Can V1 hold values of DTYPE? TensorFlow writes and reads no others. */
bool v1_has_type(int dtype);

/* Appends T, with all its slices, to META, which was empty before the first one. -ENOMEM. */
int v1_meta_add(struct buf *meta, const struct v1_tensor *t);

/* Makes of META what the table has under the empty key. -ENOMEM. */
int v1_meta_end(struct buf *meta);

/* Makes what the table has under the key of the first of T's slices. NPY and SRC are its elements alone, and T's type is one that V1
 * has. VALUE lies in ROOM, whose contents it replaces. -EINVAL (more than 2 GiB, or as npy_string), -ENOMEM, or of reading. */
int v1_encode(const struct v1_tensor *t, const struct source *src, const struct npy *npy,
	      struct buf *room, struct bytes *value, struct err *e);

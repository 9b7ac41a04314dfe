/* src/format/bundle.h: a V2 checkpoint's index.
 *
 * The index is a table: key "" holds the header, every other key an entry that says where in which shard the
 * tensor's bytes lie. A partitioned tensor has an entry with the full shape and a list of slices, and one
 * entry for each slice, under the key of ordered_code.h. Shards are PREFIX.data-00000-of-00001 and so on.
 * Source: TensorFlow's tensor_bundle.proto, tensor_bundle.cc, naming.cc. */
#pragma once
#include "format/sstable.h"

enum { BUNDLE_MAX_RANK = 254 };

struct bundle {
	struct sstable table;
	struct sstable_iter iter;
	struct buf numbers; /* of the current entry: int64_t */
	int32_t num_shards; /* > 0 */
	bool big_endian;
};

struct bundle_entry {
	struct bytes key;
	struct err
		why; /* code 0, or what is wrong with this entry; the rest is then only what could be read */
	uint8_t dtype; /* of dtype.h; 0 if it is none */
	uint8_t rank;
	int64_t *dims; /* [rank], none negative, their product fits int64 */
	uint32_t shard; /* < num_shards */
	uint64_t off, size;
	uint32_t crc; /* crc32c of the stored bytes, unmasked; see string_tensor.h for strings */
	uint32_t n_slices;
	int64_t *
		slices; /* [n_slices][rank][2]: start, length, as spelled: a whole dimension is 0, -1 */
};

/* Opens the table and reads the header. -EUCLEAN, -EBADMSG, -ENOTSUP (a version that we may not read), or of
 * reading. SRC's descriptor stays the caller's and must outlive the bundle. */
int bundle_open(struct bundle *b, struct source src, struct err *e);
void bundle_close(struct bundle *b);

/* 1: OUT is the next entry in key order, and valid until the next call; 0: there is none; -ENOMEM, or as for
 * sstable_next. An entry that makes no sense is given out with `why` set, since the others may be good. */
int bundle_next(struct bundle *b, struct bundle_entry *out, struct err *e);

/* "PREFIX.data-00003-of-00010" */
int bundle_shard_name(struct buf *out, struct bytes prefix, uint32_t shard, uint32_t num_shards);

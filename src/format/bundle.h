/* src/format/bundle.h: a V2 checkpoint's index.
 *
 * The index is a table: key "" holds the header, every other key an entry that says where in which shard the
 * tensor's bytes lie. A partitioned tensor has an entry with the full shape and a list of slices, and one
 * entry for each slice, under the key of ordered_code.h. Shards are PREFIX.data-00000-of-00001 and so on.
 * Source: TensorFlow's tensor_bundle.proto, tensor_bundle.cc, naming.cc. */
#pragma once
#include "format/sstable.h"

struct bundle {
	struct sstable table;
	struct sstable_iter iter;
	struct buf numbers; /* of the current entry: int64_t */
	int32_t num_shards; /* > 0 */
	bool big_endian;
};

struct bundle_entry {
	struct bytes key;
	struct bytes value; /* the entry as stored */
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

/* Writes an index. Entries are kept, encoded, until the end, and then sorted: they may come in any order. */
struct bundle_writer {
	uint32_t num_shards;
	bool big_endian;
	struct buf bytes; /* key and value of each entry, one behind the other */
	struct buf items; /* struct bundle_item: where */
};

/* NUM_SHARDS: 1 to INT32_MAX. */
void bundle_writer_init(struct bundle_writer *w, uint32_t num_shards, bool big_endian);
void bundle_writer_release(struct bundle_writer *w);

/* An entry as its fields say, but `why` and `value`. The key of a slice's is that of ordered_code.h. One that lists slices and has
 * no size of its own gets no checksum. -EINVAL (no key, or what bundle_next would find fault with), -ENOMEM. */
int bundle_writer_add(struct bundle_writer *w, const struct bundle_entry *entry, struct err *e);

/* One that bundle_next gave and whose key, shard, off, size and crc may have been changed since: all else is as in its `value`,
 * also fields that this program does not know. */
int bundle_writer_copy(struct bundle_writer *w, const struct bundle_entry *entry, struct err *e);

/* Hands out the whole file. -EEXIST (a key comes twice), -ENOMEM, or what the sink says. */
int bundle_writer_finish(struct bundle_writer *w, struct sink out, struct err *e);

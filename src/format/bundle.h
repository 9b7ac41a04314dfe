/* src/format/bundle.h: a V2 checkpoint's index.
 *
 * The index is a table. Key "" holds the header, every other key an entry that says where a tensor's bytes lie: in
 * which shard, and where in that. A partitioned tensor has an entry with the full shape and a list of slices, and one
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
	uint8_t dtype; /* of dtype.h; 0: unknown */
	uint8_t rank;
	int64_t *dims; /* [rank], none negative, their product fits int64 */
	uint32_t shard; /* < num_shards */
	uint64_t off, size;
	uint32_t crc; /* crc32c of the stored bytes, unmasked; see string_tensor.h for strings */
	uint32_t n_slices;
	/* [n_slices][rank][2]: start, length, as they are stored: a whole dimension is 0, -1. */
	int64_t *slices;
	/* Code 0, or what is wrong with this entry: then only what could be read is set. */
	struct err why;
};

/* Opens the table and reads the header. SRC's descriptor stays the caller's and must outlive the bundle. -EUCLEAN,
 * -EBADMSG (a checksum), -ENOTSUP (a version that this reader may not read), -ENOMEM, or of reading. */
int bundle_open(struct bundle *b, struct source src, struct err *e);
void bundle_close(struct bundle *b);

/* 1: OUT is the next entry in key order, and valid until the next call; 0: there is none; -ENOMEM, or as of
 * sstable_next. For an entry that makes no sense `why` is set; the others may be good. */
int bundle_next(struct bundle *b, struct bundle_entry *out, struct err *e);

/* 1: OUT is the entry under KEY, which must be greater than that of the entry before; 0: there is none; or as of bundle_next. Blocks of the
 * table in which KEY can't be are not read. */
int bundle_find(struct bundle *b, struct bytes key, struct bundle_entry *out, struct err *e);

/* "PREFIX.data-00003-of-00010" */
int bundle_shard_name(struct buf *out, struct bytes prefix, uint32_t shard, uint32_t num_shards);

/* Writes an index. Entries may come in any order: they are kept, encoded, and sorted at the end. */
struct bundle_writer {
	uint32_t num_shards;
	bool big_endian;
	struct buf bytes; /* key and value of each entry, one behind the other */
	struct buf items; /* struct bundle_item: where in `bytes` an entry is */
	struct buf room; /* for what is encoded */
};

/* NUM_SHARDS: 1 to INT32_MAX. */
void bundle_writer_init(struct bundle_writer *w, uint32_t num_shards, bool big_endian);
void bundle_writer_release(struct bundle_writer *w);

/* Adds an entry of ENTRY's fields; `why` and `value` do not count. A slice has the key of ordered_code.h. An entry with
 * a list of slices and no bytes gets no checksum. -EINVAL (no key, or what bundle_next would refuse), -ENOMEM. */
int bundle_writer_add(struct bundle_writer *w, const struct bundle_entry *entry, struct err *e);

/* Adds an entry that bundle_next gave, with the key, shard, off, size and crc that ENTRY has now. All else is as in its
 * `value`, fields that this program does not know included. -EINVAL, -EUCLEAN (`value` is no entry), -ENOMEM. */
int bundle_writer_copy(struct bundle_writer *w, const struct bundle_entry *entry, struct err *e);

/* For bundle_writer_finish_over: the entry of the old index under KEY goes, or has been added anew. -ENOMEM. */
int bundle_writer_leave(struct bundle_writer *w, struct bytes key, struct err *e);

/* Puts the whole file into OUT. -EEXIST (a key comes twice), -ENOMEM, or what the sink says. */
int bundle_writer_finish(struct bundle_writer *w, struct sink out, struct err *e);

/* The same, and all entries of the index OLD that were not left stay as they are: blocks of the table in which nothing changes
 * are copied (sstable_writer_merge). */
int bundle_writer_finish_over(struct bundle_writer *w, const struct bundle *old, struct sink out,
			      struct err *e);

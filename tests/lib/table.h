/* tests/lib/table.h: tables and bundle entries made in memory, sound or damaged.
 *
 * Nothing here calls src/format: it is the other side of what is tested. What has no memory aborts. */
#pragma once
#include "base/buf.h"

enum { TABLE_PLAIN = 0, TABLE_SNAPPY = 1, TABLE_TRAILER = 5, TABLE_FOOTER = 48 };

struct table_at {
	uint64_t off, len; /* of a block, without its trailer */
};

/* One block's contents. */
struct table_block {
	struct buf bytes, key;
};

/* An entry that shares with the key before it what it can. */
void block_entry(struct table_block *b, struct bytes key, struct bytes value);
/* One whose head says what it is told. */
void block_raw_entry(struct table_block *b, uint64_t shared, uint64_t unshared, uint64_t value_len,
		     struct bytes rest);
/* Ends it with one restart, and says that there are RESTARTS. */
void block_end(struct table_block *b, uint32_t restarts);
void block_free(struct table_block *b);

/* A whole table; {0} is one that has nothing yet. */
struct table {
	struct buf file;
	struct table_block data, index;
	int type; /* of the blocks, as the trailer has it */
};

void table_entry(struct table *t, struct bytes key, struct bytes value);
/* Ends the block under the key INDEX_KEY; table_cut takes its last key. */
void table_cut_at(struct table *t, struct bytes index_key);
void table_cut(struct table *t);
/* Writes CONTENTS as a block, compressed if the type says so. */
struct table_at table_block(struct table *t, struct bytes contents);
/* Adds to the index block. */
void table_index(struct table *t, struct bytes index_key, struct table_at at);
/* Index block and footer; cuts what is not yet cut. */
void table_end(struct table *t);
void table_footer(struct table *t, struct table_at index);
void table_free(struct table *t);

void add_varint(struct buf *out, uint64_t v);

/* Makes the checksums of the block that starts at AT good again; false if it is not in the file. */
bool table_reseal(uint8_t *file, size_t n, struct table_at at);
/* Where the index block is, as the footer says. */
bool table_find_index(const uint8_t *file, size_t n, struct table_at *at);

/* --- bundles ------------------------------------------------------------------------------------------- */

struct spec {
	int dtype;
	unsigned rank;
	const int64_t *dims;
	uint32_t shard;
	uint64_t off, size;
	uint32_t crc; /* masked */
	unsigned n_slices;
	const int64_t *slices; /* [n_slices][rank][2] */
};

void add_header(struct table *t, uint32_t num_shards, bool big_endian);
/* The bytes of a BundleEntryProto. */
void entry_encode(struct buf *out, const struct spec *s);

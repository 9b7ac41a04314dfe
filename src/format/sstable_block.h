/* src/format/sstable_block.h: one block of a table, read and verified or written, and the entries in it.
 *
 * On disk:   contents[len]  type[1]  crc32c[4, masked; of contents and type]
 * Contents, once uncompressed:
 *            entry*  restart[4] * n  n[4]
 *   entry:   varint32 shared  varint32 unshared  varint32 value_len  key[unshared]  value[value_len]
 * A key is the first `shared` bytes of the key before it, then its own `unshared` ones. Restarts serve searches from the
 * middle of a block. Here blocks are read from their start, so only the number of restarts is looked at.
 * Source: LevelDB's doc/table_format.md; TensorFlow's tsl/lib/io/{block,format}.cc. */
#pragma once
#include "base/source.h"

enum { BLOCK_TRAILER = 5, BLOCK_PLAIN = 0, BLOCK_SNAPPY = 1 };

struct extent {
	uint64_t off, len; /* len does not count the trailer */
};

/* A handle, as footer and index block have them. False: it is malformed. */
static inline bool handle_read(struct cursor *c, struct extent *out)
{
	return cursor_varint(c, &out->off) && cursor_varint(c, &out->len);
}

/* Reads and verifies the block at AT, and puts its contents, uncompressed, into OUT in place of what was there. If it
 * fails, OUT is as it was, and E says which block and why: -EUCLEAN (malformed), -EBADMSG (wrong checksum), or as of
 * source_read. */
int block_read(const struct source *src, struct extent at, struct buf *out, struct err *e);

/* The same, but OUT gets them as they are stored, with the type and the checksum, which is right. If it fails OUT has no
 * meaning. */
int block_read_stored(const struct source *src, struct extent at, struct buf *out, struct err *e);

struct block_iter {
	struct cursor at; /* the entries that are still to come */
	uint64_t start; /* of the block in its file, for messages */
	struct buf key; /* current, owned */
	struct bytes value;
};

/* An iterator before the first entry of CONTENTS, which it borrows. -EUCLEAN. */
int block_iter_init(struct block_iter *it, struct bytes contents, uint64_t start, struct err *e);
void block_iter_release(struct block_iter *it);

/* 1: key and value are those of the next entry; 0: there is none; -EUCLEAN: it is malformed, or its key is not greater
 * than the one before; -ENOMEM. */
int block_iter_next(struct block_iter *it, struct err *e);

/* Writes the contents of a block. Keys must ascend; each INTERVAL-th is written in full. */
struct block_writer {
	struct buf contents, key; /* the entries so far, the key of the last */
	struct buf restarts; /* as stored */
	unsigned interval, since; /* entries from one restart to the next, and since the last */
};

void block_writer_init(struct block_writer *w, unsigned interval);
void block_writer_release(struct block_writer *w);

/* Adds an entry. -ENOMEM. */
int block_writer_add(struct block_writer *w, struct bytes key, struct bytes value);

/* The size of the contents, if they ended here. */
size_t block_writer_size(const struct block_writer *w);

/* Adds the restarts behind the entries: `contents` are now complete. -ENOMEM. */
int block_writer_end(struct block_writer *w);

/* Empties the writer for the next block. */
void block_writer_reset(struct block_writer *w);

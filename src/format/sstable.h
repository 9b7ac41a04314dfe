/* src/format/sstable.h: a table of keys and values, which a V2 index and a V1 checkpoint are.
 *
 *   data block*  metaindex block (empty)  index block  footer[48]
 *   footer:      metaindex handle  index handle  zeros to 40 bytes  magic[8]
 *   handle:      varint64 offset  varint64 length
 *   index block: for each data block a key >= its last one and < the next one's first, and its handle
 *
 * Source: LevelDB's doc/table_format.md; TensorFlow's tsl/lib/io/{table,format}.cc. */
#pragma once
#include "base/sink.h"
#include "format/sstable_block.h"

enum { SSTABLE_FOOTER = 48 };
#define SSTABLE_MAGIC UINT64_C(0xdb4775248b80fb57)

struct sstable {
	struct source src; /* borrowed */
	struct buf index; /* contents of the index block */
	uint64_t index_at;
};

/* Does SRC end as a table does? */
bool sstable_probe(const struct source *src);

/* Reads footer and index block. -EUCLEAN (not a table, malformed), -EBADMSG (checksum), or of reading. */
int sstable_open(struct sstable *t, struct source src, struct err *e);
void sstable_close(struct sstable *t);

/* Walks forward through all entries. Every block is verified before its first entry is given out. Keys must strictly
 * ascend over the whole table, and lie where the index block says. */
struct sstable_iter {
	const struct sstable *t;
	struct block_iter index, data;
	struct buf block; /* contents of the current data block */
	struct buf last; /* the last key of the blocks before it */
	bool has_last;
	bool in_data; /* an error is that of a data block, not of the index block */
};

int sstable_iter_init(struct sstable_iter *it, const struct sstable *t, struct err *e);
void sstable_iter_release(struct sstable_iter *it);

/* 1: sstable_key and sstable_value are those of the next entry, until the next call; 0: the end; or as of block_read,
 * -ENOMEM. After an error the walk is over, unless sstable_skip is called. */
int sstable_next(struct sstable_iter *it, struct err *e);

/* After an error: the walk goes on behind the data block that failed, whose last key is at most it->index.key. False if
 * the index block failed, and it can't. */
bool sstable_skip(struct sstable_iter *it);

/* Moves on to the block in which KEY has to be, if it is there, without reading those before. KEY must not be less than the key that the
 * walk is at. sstable_next gives the entries of that block. 1; 0: no block can have KEY; or as of sstable_next. */
int sstable_seek(struct sstable_iter *it, struct bytes key, struct err *e);

/* Checks what neither walk nor search looks at: that the footer is as a writer makes it, the metaindex block, and that
 * all blocks lie behind one another in the order above. It does not read data blocks. UNUSED: how many bytes are in no
 * block; TensorFlow leaves none. -EUCLEAN, -EBADMSG, or of reading. */
int sstable_check(const struct sstable *t, uint64_t *unused, struct err *e);

static inline struct bytes sstable_key(const struct sstable_iter *it)
{
	return buf_bytes(&it->data.key);
}

static inline struct bytes sstable_value(const struct sstable_iter *it)
{
	return it->data.value;
}

/* Looks KEY up. 1: VALUE is its value, and lies in BLOCK; 0: there is none; or as of block_read. */
int sstable_get(const struct sstable *t, struct bytes key, struct buf *block, struct bytes *value,
		struct err *e);

/* Writes a table byte for byte as TensorFlow would, uncompressed, but for blocks that are copied. After an error the writer can only be released. */
struct sstable_writer {
	struct sink out;
	uint64_t at; /* how many bytes have gone out */
	struct block_writer data, index;
	struct extent block; /* the last one that went out */
	size_t full; /* a block ends when its contents are that large */
	bool pending; /* `block` is not in the index block yet */
	bool any; /* there was an entry */
	struct buf last; /* the last key, or */
	bool separates; /* what stood for it in the index block of the table that the block was copied from */
};

void sstable_writer_init(struct sstable_writer *w, struct sink out);
void sstable_writer_release(struct sstable_writer *w);

/* Keys must strictly ascend. -EINVAL (this one does not), -E2BIG (key or value beyond 4 GiB), -ENOMEM, or what the sink
 * says. */
int sstable_writer_add(struct sstable_writer *w, struct bytes key, struct bytes value,
		       struct err *e);

/* What becomes of KEY. */
struct sstable_change {
	struct bytes key, value;
	bool replaces; /* what OLD has under KEY goes; else it must have nothing */
	bool removes; /* and there is no value */
};

/* Adds what the table OLD (NULL: one without entries) has, with the N CHANGES, which are sorted by key. Blocks of OLD in which no
 * change lies are copied as they are, but for compressed ones; all checksums are compared. A block that is written ends where one of OLD
 * ended, unless it would be far too large or small. -EEXIST (a change replaces nothing, and its key is there), -EUCLEAN, -EBADMSG (OLD),
 * -EINVAL (a key of OLD would not be found by the index block), or as sstable_writer_add. */
int sstable_writer_merge(struct sstable_writer *w, const struct sstable *old,
			 const struct sstable_change *changes, size_t n, struct err *e);

/* Writes the index block and the footer. A table may have no entries. */
int sstable_writer_finish(struct sstable_writer *w, struct err *e);

/* Makes the footer of a table with these two blocks. */
void sstable_footer(uint8_t out[SSTABLE_FOOTER], struct extent metaindex, struct extent index);

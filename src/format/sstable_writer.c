/* The sizes, and where a block ends, are those of TensorFlow's tsl/lib/io/table_builder.cc. So a table of the same
 * entries has the same bytes. */
#include "base/crc32c.h"
#include "format/sstable.h"

enum {
	BLOCK_SIZE = 256 << 10,
	LARGE_ENTRY = 2 * BLOCK_SIZE, /* ends the block before it */
	DATA_INTERVAL = 16,
	INDEX_INTERVAL = 1,
};

void sstable_writer_init(struct sstable_writer *w, struct sink out)
{
	*w = (struct sstable_writer){.out = out};
	block_writer_init(&w->data, DATA_INTERVAL);
	block_writer_init(&w->index, INDEX_INTERVAL);
}

void sstable_writer_release(struct sstable_writer *w)
{
	block_writer_release(&w->data);
	block_writer_release(&w->index);
	buf_release(&w->last);
}

static int no_memory(struct err *e, int r)
{
	return r < 0 ? err_set(e, r, "no memory for a table's block") : 0;
}

static int put(struct sstable_writer *w, const void *p, size_t n, struct err *e)
{
	int r = sink_put(&w->out, p, n, e);

	w->at += n;
	return r;
}

static int put_block(struct sstable_writer *w, struct bytes contents, struct extent *at,
		     struct err *e)
{
	uint8_t trailer[BLOCK_TRAILER] = {BLOCK_PLAIN};
	uint32_t crc = crc32c_extend(crc32c(contents.p, contents.n), trailer, 1);
	int r;

	*at = (struct extent){w->at, contents.n};
	put_le32(trailer + 1, crc32c_mask(crc));
	r = put(w, contents.p, contents.n, e);
	return r < 0 ? r : put(w, trailer, sizeof trailer, e);
}

static int end_block(struct sstable_writer *w, struct block_writer *b, struct extent *at,
		     struct err *e)
{
	int r = no_memory(e, block_writer_end(b));

	if (r == 0)
		r = put_block(w, buf_bytes(&b->contents), at, e);
	block_writer_reset(b);
	return r;
}

static int flush(struct sstable_writer *w, struct err *e)
{
	if (!w->data.contents.n)
		return 0;
	w->pending = true;
	return end_block(w, &w->data, &w->block, e);
}

static size_t put_handle(uint8_t out[20], struct extent at)
{
	size_t n = put_varint(out, at.off);

	return n + put_varint(out + n, at.len);
}

/* Adds the last block to the index block, under the key in `last`. */
static int add_pending(struct sstable_writer *w, struct err *e)
{
	uint8_t handle[20];
	size_t n = put_handle(handle, w->block);

	w->pending = false;
	return no_memory(e, block_writer_add(&w->index, buf_bytes(&w->last), bytes_of(handle, n)));
}

/* Shortens LAST to a key that is not less than it, but less than NEXT. It ends at their first difference, with that byte
 * increased by one; where that is no such key LAST stays. */
static void shorten_to_separator(struct buf *last, struct bytes next)
{
	size_t i = 0;

	while (i < last->n && i < next.n && last->p[i] == next.p[i])
		i++;
	if (i == last->n || i == next.n || last->p[i] == 0xff || last->p[i] + 1 >= next.p[i])
		return;
	last->p[i]++;
	last->n = i + 1;
}

/* The same where no key follows: it ends at the first byte that can be increased. */
static void shorten_to_successor(struct buf *last)
{
	for (size_t i = 0; i < last->n; i++)
		if (last->p[i] != 0xff) {
			last->p[i]++;
			last->n = i + 1;
			return;
		}
}

static int check_entry(const struct sstable_writer *w, struct bytes key, struct bytes value,
		       struct err *e)
{
	if (w->any && bytes_cmp(key, buf_bytes(&w->last)) <= 0)
		return err_set(e, -EINVAL, "key \"%.*s\" does not come behind \"%.*s\"", (int)key.n,
			       (const char *)key.p, (int)w->last.n, (const char *)w->last.p);
	if (key.n > UINT32_MAX || value.n > UINT32_MAX)
		return err_set(e, -E2BIG, "a key of %zu bytes and a value of %zu", key.n, value.n);
	return 0;
}

int sstable_writer_add(struct sstable_writer *w, struct bytes key, struct bytes value,
		       struct err *e)
{
	int r = check_entry(w, key, value, e);

	if (r == 0 && key.n + value.n >= LARGE_ENTRY)
		r = flush(w, e);
	if (r == 0 && w->pending) {
		shorten_to_separator(&w->last, key);
		r = add_pending(w, e);
	}
	if (r < 0)
		return r;
	w->any = true;
	w->last.n = 0;
	r = buf_add(&w->last, key.p, key.n);
	if (r == 0)
		r = block_writer_add(&w->data, key, value);
	if (r < 0)
		return no_memory(e, r);
	return block_writer_size(&w->data) >= BLOCK_SIZE ? flush(w, e) : 0;
}

void sstable_footer(uint8_t out[SSTABLE_FOOTER], struct extent metaindex, struct extent index)
{
	size_t n = put_handle(out, metaindex);

	n += put_handle(out + n, index);
	memset(out + n, 0, SSTABLE_FOOTER - n);
	put_le64(out + SSTABLE_FOOTER - 8, SSTABLE_MAGIC);
}

int sstable_writer_finish(struct sstable_writer *w, struct err *e)
{
	uint8_t footer[SSTABLE_FOOTER];
	struct extent metaindex, index;
	int r = flush(w, e);

	if (r == 0) /* the metaindex block, without entries */
		r = end_block(w, &w->data, &metaindex, e);
	if (r == 0 && w->pending) {
		shorten_to_successor(&w->last);
		r = add_pending(w, e);
	}
	if (r == 0)
		r = end_block(w, &w->index, &index, e);
	if (r < 0)
		return r;
	sstable_footer(footer, metaindex, index);
	return put(w, footer, sizeof footer, e);
}

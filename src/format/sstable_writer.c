/* The sizes, and where a block ends, are those of TensorFlow's tsl/lib/io/table_builder.cc. So a table of the same
 * entries has the same bytes. */
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "format/sstable.h"
#include <inttypes.h>

enum {
	BLOCK_SIZE = 256 << 10,
	GROWN = BLOCK_SIZE + BLOCK_SIZE / 2, /* up to there a block that is changed stays one */
	SMALL = BLOCK_SIZE /
		4, /* one that has less is joined with the next, which is taken apart for it */
	LARGE_ENTRY = 2 * BLOCK_SIZE, /* ends the block before it */
	DATA_INTERVAL = 16,
	INDEX_INTERVAL = 1,
};

void sstable_writer_init(struct sstable_writer *w, struct sink out)
{
	*w = (struct sstable_writer){.out = out, .full = BLOCK_SIZE};
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

/* Adds the last block to the index block, under what is in `last`. */
static int add_pending(struct sstable_writer *w, struct err *e)
{
	uint8_t handle[20];
	size_t n = put_handle(handle, w->block);

	w->pending = false;
	w->separates = false;
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

/* The block that is pending ends before NEXT. */
static int separate(struct sstable_writer *w, struct bytes next, struct err *e)
{
	if (w->pending && !w->separates)
		shorten_to_separator(&w->last, next);
	return w->pending ? add_pending(w, e) : 0;
}

static int set_last(struct sstable_writer *w, struct bytes key, struct err *e)
{
	w->any = true;
	w->last.n = 0;
	return no_memory(e, buf_add(&w->last, key.p, key.n));
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
	if (r == 0)
		r = separate(w, key, e);
	if (r == 0)
		r = set_last(w, key, e);
	if (r == 0)
		r = no_memory(e, block_writer_add(&w->data, key, value));
	if (r < 0)
		return r;
	return block_writer_size(&w->data) >= w->full ? flush(w, e) : 0;
}

/* --- over another table -------------------------------------------------------------------------------------- */

struct merge {
	struct sstable_writer *w;
	const struct sstable *old;
	const struct sstable_change *next, *end; /* changes that are still to come */
	struct bytes up_to; /* the key of the block that is at hand, in the index block of OLD */
	bool last; /* it is the last one */
	struct buf block;
};

/* Adds the next change. */
static int add_change(struct merge *m, struct err *e)
{
	const struct sstable_change *c = m->next++;

	return c->removes ? 0 : sstable_writer_add(m->w, c->key, c->value, e);
}

/* Adds the changes to keys before KEY. */
static int add_changes_before(struct merge *m, struct bytes key, struct err *e)
{
	int r = 0;

	while (r == 0 && m->next < m->end && bytes_cmp(m->next->key, key) < 0)
		r = add_change(m, e);
	return r;
}

/* OLD has KEY and VALUE. */
static int add_old(struct merge *m, struct bytes key, struct bytes value, struct err *e)
{
	int r = add_changes_before(m, key, e);

	if (r < 0 || m->next == m->end || !bytes_eq(m->next->key, key))
		return r < 0 ? r : sstable_writer_add(m->w, key, value, e);
	return m->next->replaces ? add_change(m, e)
				 : err_set(e, -EEXIST, "key \"%.*s\" comes twice", (int)key.n,
					   (const char *)key.p);
}

/* The entries of the block at AT, and the changes among them. */
static int take_apart(struct merge *m, struct extent at, struct err *e)
{
	CLEANUP(block_iter_release) struct block_iter it = {0};
	int r = block_read(&m->old->src, at, &m->block, e);

	if (r == 0)
		r = block_iter_init(&it, buf_bytes(&m->block), at.off, e);
	while (r >= 0 && (r = block_iter_next(&it, e)) > 0) {
		if (bytes_cmp(buf_bytes(&it.key), m->up_to) > 0)
			return err_set(e, -EUCLEAN,
				       "block at %" PRIu64
				       ": has keys beyond its key in the index block",
				       at.off);
		r = add_old(m, buf_bytes(&it.key), it.value, e);
	}
	if (r == 0)
		r = add_changes_before(m, m->up_to, e);
	return r;
}

/* Copies the block in m->block, whose first key is FIRST. */
static int copy_block(struct merge *m, struct bytes first, struct err *e)
{
	struct sstable_writer *w = m->w;
	int r = flush(w, e);

	if (r == 0)
		r = check_entry(w, first, bytes_of(NULL, 0), e);
	if (r == 0)
		r = separate(w, first, e);
	if (r == 0)
		r = set_last(w, m->up_to, e);
	if (r < 0)
		return r;
	w->separates = w->pending = true;
	w->block = (struct extent){w->at, m->block.n - BLOCK_TRAILER};
	return put(w, m->block.p, m->block.n, e);
}

/* Copies the block at AT, or takes it apart if it is compressed. */
static int keep_block(struct merge *m, struct extent at, struct err *e)
{
	CLEANUP(block_iter_release) struct block_iter it = {0};
	int r = block_read_stored(&m->old->src, at, &m->block, e);

	if (r == 0 && m->block.p[at.len] != BLOCK_PLAIN)
		return take_apart(m, at, e);
	if (r == 0)
		r = block_iter_init(&it, bytes_of(m->block.p, at.len), at.off, e);
	if (r == 0)
		r = block_iter_next(&it, e);
	return r == 1 ? copy_block(m, buf_bytes(&it.key), e) : r;
}

/* Does a change lie in the block, or behind it if it is the last one? */
static bool is_changed(const struct merge *m)
{
	return m->next < m->end && (m->last || bytes_cmp(m->next->key, m->up_to) <= 0);
}

/* A block ends where one of OLD ends, but a small one. */
static int merge_block(struct merge *m, struct extent at, struct err *e)
{
	struct sstable_writer *w = m->w;
	int r = 0;

	if (at.len >= SMALL && block_writer_size(&w->data) >= SMALL)
		r = flush(w, e);
	if (r < 0)
		return r;
	return is_changed(m) || w->data.contents.n ? take_apart(m, at, e) : keep_block(m, at, e);
}

static int merge_blocks(struct merge *m, struct err *e)
{
	CLEANUP(block_iter_release) struct block_iter it = {0};
	int r = block_iter_init(&it, buf_bytes(&m->old->index), m->old->index_at, e);

	while (r >= 0 && (r = block_iter_next(&it, e)) > 0) {
		struct cursor handle = cursor_of(it.value);
		struct extent at;

		m->up_to = buf_bytes(&it.key);
		m->last = !cursor_left(&it.at);
		if (!handle_read(&handle, &at))
			return err_set(e, -EUCLEAN, "index block: malformed handle");
		r = merge_block(m, at, e);
	}
	return r;
}

int sstable_writer_merge(struct sstable_writer *w, const struct sstable *old,
			 const struct sstable_change *changes, size_t n, struct err *e)
{
	struct merge m = {.w = w, .old = old, .next = changes, .end = changes + n};
	int r = 0;

	w->full = old ? GROWN : BLOCK_SIZE;
	if (old)
		r = merge_blocks(&m, e);
	buf_release(&m.block);
	w->full = BLOCK_SIZE;
	while (r == 0 && m.next < m.end)
		r = add_change(&m, e);
	return r;
}

/* --- the end ------------------------------------------------------------------------------------------------- */

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
	if (r == 0 && w->pending && !w->separates)
		shorten_to_successor(&w->last);
	if (r == 0 && w->pending)
		r = add_pending(w, e);
	if (r == 0)
		r = end_block(w, &w->index, &index, e);
	if (r < 0)
		return r;
	sstable_footer(footer, metaindex, index);
	return put(w, footer, sizeof footer, e);
}

#include "base/cleanup.h"
#include "format/sstable.h"
#include <inttypes.h>

bool sstable_probe(const struct source *src)
{
	uint8_t end[8];

	return src->size >= SSTABLE_FOOTER &&
	       source_read_into(src, src->size - sizeof end, end, sizeof end, NULL) == 0 &&
	       get_le64(end) == SSTABLE_MAGIC;
}

static int read_footer(const struct source *src, uint8_t footer[SSTABLE_FOOTER],
		       struct extent *metaindex, struct extent *index, struct err *e)
{
	struct cursor c = cursor_of(bytes_of(footer, SSTABLE_FOOTER - 8));
	uint64_t magic;
	int r = source_read_into(src, src->size - SSTABLE_FOOTER, footer, SSTABLE_FOOTER, e);

	if (r < 0)
		return err_wrap(e, r, "footer");
	magic = get_le64(footer + SSTABLE_FOOTER - 8);
	if (magic != SSTABLE_MAGIC)
		return err_set(e, -EUCLEAN,
			       "not a table: it ends in %016" PRIx64 ", expected %016" PRIx64,
			       magic, SSTABLE_MAGIC);
	return handle_read(&c, metaindex) && handle_read(&c, index)
		       ? 0
		       : err_set(e, -EUCLEAN, "footer: malformed handles");
}

int sstable_open(struct sstable *t, struct source src, struct err *e)
{
	struct sstable new = {.src = src};
	struct extent metaindex, index;
	uint8_t footer[SSTABLE_FOOTER];
	int r;

	if (src.size < SSTABLE_FOOTER)
		return err_set(e, -EUCLEAN,
			       "%" PRIu64 " bytes are too few for a table, whose footer has %d",
			       src.size, SSTABLE_FOOTER);
	r = read_footer(&src, footer, &metaindex, &index, e);
	if (r < 0)
		return r;
	r = block_read(&src, index, &new.index, e);
	if (r < 0)
		return err_wrap(e, r, "index block");
	new.index_at = index.off;
	*t = new;
	return 0;
}

void sstable_close(struct sstable *t)
{
	buf_release(&t->index);
	*t = (struct sstable){0};
}

int sstable_iter_init(struct sstable_iter *it, const struct sstable *t, struct err *e)
{
	*it = (struct sstable_iter){.t = t};
	return block_iter_init(&it->index, buf_bytes(&t->index), t->index_at, e);
}

void sstable_iter_release(struct sstable_iter *it)
{
	block_iter_release(&it->index);
	block_iter_release(&it->data);
	buf_release(&it->block);
	buf_release(&it->last);
}

/* Checks that the block that is done ends at or before its key in the index block. Keeps its last key, since the next
 * block must begin behind it. */
static int finish_block(struct sstable_iter *it, struct err *e)
{
	if (!it->data.value.p) /* none yet, or one without entries */
		return 0;
	if (bytes_cmp(sstable_key(it), buf_bytes(&it->index.key)) > 0)
		return err_set(e, -EUCLEAN,
			       "block at %" PRIu64 ": has keys beyond its key in the index block",
			       it->data.start);
	it->has_last = true;
	it->last.n = 0;
	if (buf_add(&it->last, it->data.key.p, it->data.key.n) < 0)
		return err_set(e, -ENOMEM, "no memory for a key");
	return 0;
}

/* The block that it->index is at. */
static int open_block(struct sstable_iter *it, struct err *e)
{
	struct cursor c = cursor_of(it->index.value);
	struct extent at;
	int r;

	it->in_data = true;
	if (!handle_read(&c, &at))
		return err_set(e, -EUCLEAN, "index block: malformed handle");
	r = block_read(&it->t->src, at, &it->block, e);
	if (r < 0)
		return r;
	r = block_iter_init(&it->data, buf_bytes(&it->block), at.off, e);
	return r < 0 ? r : 1;
}

static int open_next_block(struct sstable_iter *it, struct err *e)
{
	int r = finish_block(it, e);

	it->in_data = false;
	if (r == 0)
		r = block_iter_next(&it->index, e);
	return r <= 0 ? r : open_block(it, e);
}

int sstable_seek(struct sstable_iter *it, struct bytes key, struct err *e)
{
	int r = 1;

	if (it->index.value.p && bytes_cmp(buf_bytes(&it->index.key), key) >= 0)
		return 1; /* it is in this one */
	it->in_data = false;
	it->has_last = false;
	while (r > 0 && (!it->index.value.p || bytes_cmp(buf_bytes(&it->index.key), key) < 0))
		r = block_iter_next(&it->index, e);
	return r <= 0 ? r : open_block(it, e);
}

int sstable_next(struct sstable_iter *it, struct err *e)
{
	bool first_of_block = false;
	int r;

	while ((r = block_iter_next(&it->data, e)) == 0) {
		r = open_next_block(it, e);
		if (r <= 0)
			return r;
		first_of_block = true;
	}
	if (r > 0 && first_of_block && it->has_last &&
	    bytes_cmp(sstable_key(it), buf_bytes(&it->last)) <= 0)
		return err_set(e, -EUCLEAN,
			       "block at %" PRIu64 ": starts before the block before it ends",
			       it->data.start);
	return r;
}

bool sstable_skip(struct sstable_iter *it)
{
	if (!it->in_data)
		return false;
	it->data.at = cursor_of(bytes_of(NULL, 0));
	it->data.value = bytes_of(NULL, 0); /* as of a block without entries */
	it->data.key.n = 0;
	return true;
}

/* --- checks of what is neither walked nor searched --------------------------------------------------------- */

static int check_footer(const struct sstable *t, struct extent *metaindex, struct extent *index,
			struct err *e)
{
	uint8_t footer[SSTABLE_FOOTER], canonical[SSTABLE_FOOTER];
	int r = read_footer(&t->src, footer, metaindex, index, e);

	if (r < 0)
		return r;
	sstable_footer(canonical, *metaindex, *index);
	for (size_t i = 0; i < SSTABLE_FOOTER; i++)
		if (footer[i] != canonical[i])
			return err_set(e, -EUCLEAN, "footer: byte %zu is %02x, expected %02x", i,
				       footer[i], canonical[i]);
	return 0;
}

/* AT is the next block behind END, which becomes its end. UNUSED grows by the gap before it. */
static int follow_block(struct extent at, uint64_t *end, uint64_t *unused, struct err *e)
{
	if (at.off < *end)
		return err_set(e, -EUCLEAN,
			       "block at %" PRIu64
			       ": overlaps the one before, which ends at %" PRIu64,
			       at.off, *end);
	*unused += at.off - *end;
	if (__builtin_add_overflow(at.off, at.len, end) ||
	    __builtin_add_overflow(*end, BLOCK_TRAILER, end))
		return err_set(e, -EUCLEAN, "block at %" PRIu64 ": length %" PRIu64, at.off,
			       at.len);
	return 0;
}

static int check_metaindex(const struct sstable *t, struct extent at, struct err *e)
{
	CLEANUP(buf_release) struct buf block = {0};
	CLEANUP(block_iter_release) struct block_iter it = {0};
	int r = block_read(&t->src, at, &block, e);

	if (r == 0)
		r = block_iter_init(&it, buf_bytes(&block), at.off, e);
	while (r >= 0 && (r = block_iter_next(&it, e)) > 0)
		;
	return r < 0 ? err_wrap(e, r, "metaindex block") : 0;
}

int sstable_check(const struct sstable *t, uint64_t *unused, struct err *e)
{
	CLEANUP(block_iter_release) struct block_iter it = {0};
	struct extent metaindex, index, at;
	uint64_t end = 0;
	int r = check_footer(t, &metaindex, &index, e);

	*unused = 0;
	if (r == 0)
		r = check_metaindex(t, metaindex, e);
	if (r == 0)
		r = block_iter_init(&it, buf_bytes(&t->index), t->index_at, e);
	while (r >= 0 && (r = block_iter_next(&it, e)) > 0) {
		struct cursor c = cursor_of(it.value);

		if (!handle_read(&c, &at))
			return err_set(e, -EUCLEAN, "index block: malformed handle");
		r = follow_block(at, &end, unused, e);
	}
	if (r == 0)
		r = follow_block(metaindex, &end, unused, e);
	if (r == 0)
		r = follow_block(index, &end, unused, e);
	if (r == 0 && end > t->src.size - SSTABLE_FOOTER)
		r = err_set(e, -EUCLEAN, "index block: overlaps the footer");
	if (r == 0)
		*unused += t->src.size - SSTABLE_FOOTER - end;
	return r;
}

/* AT: the only block in which KEY can be. 1, or 0 if there is none. */
static int find_block(const struct sstable *t, struct bytes key, struct extent *at, struct err *e)
{
	CLEANUP(block_iter_release) struct block_iter it = {0};
	int r = block_iter_init(&it, buf_bytes(&t->index), t->index_at, e);

	if (r < 0)
		return r;
	while ((r = block_iter_next(&it, e)) > 0) {
		struct cursor c = cursor_of(it.value);

		if (bytes_cmp(buf_bytes(&it.key), key) < 0)
			continue;
		if (!handle_read(&c, at))
			return err_set(e, -EUCLEAN, "index block: malformed handle");
		return 1;
	}
	return r;
}

int sstable_get(const struct sstable *t, struct bytes key, struct buf *block, struct bytes *value,
		struct err *e)
{
	CLEANUP(block_iter_release) struct block_iter it = {0};
	struct extent at;
	int r = find_block(t, key, &at, e);

	if (r <= 0)
		return r;
	r = block_read(&t->src, at, block, e);
	if (r == 0)
		r = block_iter_init(&it, buf_bytes(block), at.off, e);
	while (r >= 0 && (r = block_iter_next(&it, e)) > 0)
		if (bytes_eq(buf_bytes(&it.key), key)) {
			*value = it.value;
			return 1;
		}
	return r;
}

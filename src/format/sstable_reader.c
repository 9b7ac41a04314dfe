#include "base/cleanup.h"
#include "format/sstable.h"
#include <inttypes.h>

enum { FOOTER = 48 };

static const uint8_t magic[8] = {0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb};

static bool read_handle(struct cursor *c, struct extent *out)
{
	return cursor_varint(c, &out->off) && cursor_varint(c, &out->len);
}

int sstable_open(struct sstable *t, struct source src, struct err *e)
{
	struct sstable new = {.src = src};
	struct extent metaindex, index;
	uint8_t footer[FOOTER];
	int r;

	if (src.size < FOOTER)
		return err_set(e, -EUCLEAN,
			       "%" PRIu64 " bytes are too few for a table, whose footer has %d",
			       src.size, FOOTER);
	r = source_read_into(&src, src.size - FOOTER, footer, FOOTER, e);
	if (r < 0)
		return err_wrap(e, r, "footer");
	if (memcmp(footer + FOOTER - sizeof magic, magic, sizeof magic) != 0)
		return err_set(e, -EUCLEAN,
			       "not a table: it ends in %016" PRIx64 ", expected %016" PRIx64,
			       get_le64(footer + FOOTER - sizeof magic), get_le64(magic));

	struct cursor c = cursor_of(bytes_of(footer, FOOTER - sizeof magic));

	if (!read_handle(&c, &metaindex) || !read_handle(&c, &index))
		return err_set(e, -EUCLEAN, "footer: malformed handles");
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

/* The block that is done must end at or before its key in the index block; the next begins behind it. */
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

static int open_next_block(struct sstable_iter *it, struct err *e)
{
	struct extent at;
	int r = finish_block(it, e);

	if (r < 0)
		return r;
	r = block_iter_next(&it->index, e);
	if (r <= 0)
		return r;

	struct cursor c = cursor_of(it->index.value);

	if (!read_handle(&c, &at))
		return err_set(e, -EUCLEAN, "index block: malformed handle");
	r = block_read(&it->t->src, at, &it->block, e);
	if (r < 0)
		return r;
	r = block_iter_init(&it->data, buf_bytes(&it->block), at.off, e);
	return r < 0 ? r : 1;
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

/* The block in which KEY must be, if it is anywhere. */
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
		if (!read_handle(&c, at))
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

#include "format/sstable_block.h"
#include "base/cleanup.h"
#include "base/crc32c.h"
#include <inttypes.h>
#include <snappy-c.h>

/* A Snappy copy of 3 bytes yields at most 64, so no honest stream claims more than this of its size. */
enum { SNAPPY_MAX_RATIO = 22 };

static int uncompress(struct bytes in, struct buf *out, struct err *e)
{
	CLEANUP(buf_release) struct buf plain = {0};
	size_t n;

	if (snappy_uncompressed_length((const char *)in.p, in.n, &n) != SNAPPY_OK)
		return err_set(e, -EUCLEAN, "snappy: no length at its start");
	if (n / SNAPPY_MAX_RATIO > in.n)
		return err_set(e, -EUCLEAN, "snappy: %zu bytes claim to hold %zu", in.n, n);
	if (buf_reserve(&plain, n ? n : 1) < 0)
		return err_set(e, -ENOMEM, "no memory for %zu bytes", n);
	if (snappy_uncompress((const char *)in.p, in.n, (char *)plain.p, &n) != SNAPPY_OK)
		return err_set(e, -EUCLEAN, "snappy: malformed");
	plain.n = n;
	buf_swap(out, &plain);
	return 0;
}

/* As block_read_stored, but E does not say which block. */
static int read_stored(const struct source *src, struct extent at, struct buf *out, struct err *e)
{
	uint32_t want, have;
	uint64_t size;
	int r;

	if (__builtin_add_overflow(at.len, BLOCK_TRAILER, &size))
		return err_set(e, -EUCLEAN, "length %" PRIu64, at.len);
	r = source_read(src, at.off, size, out, e); /* checks the bounds before it allocates */
	if (r < 0)
		return r;
	want = crc32c_unmask(get_le32(out->p + at.len + 1));
	have = crc32c(out->p, at.len + 1);
	return have == want ? 0
			    : err_set(e, -EBADMSG, "crc32c is %08" PRIx32 ", recorded %08" PRIx32,
				      have, want);
}

int block_read_stored(const struct source *src, struct extent at, struct buf *out, struct err *e)
{
	int r = read_stored(src, at, out, e);

	return r < 0 ? err_wrap(e, r, "block at %" PRIu64, at.off) : 0;
}

int block_read(const struct source *src, struct extent at, struct buf *out, struct err *e)
{
	CLEANUP(buf_release) struct buf raw = {0};
	int r = read_stored(src, at, &raw, e);
	uint8_t type = r == 0 ? raw.p[at.len] : BLOCK_PLAIN;

	/* Checksum first: a damaged type byte must not be reported as an unknown compression. */
	if (r == 0 && type == BLOCK_SNAPPY)
		r = uncompress(bytes_of(raw.p, at.len), out, e);
	else if (r == 0 && type != BLOCK_PLAIN)
		r = err_set(e, -EUCLEAN, "compression type %u", type);
	if (r < 0)
		return err_wrap(e, r, "block at %" PRIu64, at.off);
	if (type == BLOCK_PLAIN) {
		raw.n = at.len;
		buf_swap(out, &raw);
	}
	return 0;
}

int block_iter_init(struct block_iter *it, struct bytes contents, uint64_t start, struct err *e)
{
	uint64_t tail = 4;

	if (contents.n >= 4)
		tail += 4 * (uint64_t)get_le32(contents.p + contents.n - 4);
	if (contents.n < tail)
		return err_set(e, -EUCLEAN,
			       "block at %" PRIu64
			       ": %zu bytes can't hold a restart array of %" PRIu64,
			       start, contents.n, tail);
	contents.n -= tail;
	it->at = cursor_of(contents);
	it->start = start;
	it->key.n = 0;
	it->value = bytes_of(NULL, 0);
	return 0;
}

void block_iter_release(struct block_iter *it)
{
	buf_release(&it->key);
	*it = (struct block_iter){0};
}

/* Makes KEY its first SHARED bytes and OWN. GREATER: is it greater than it was? */
static int set_key(struct buf *key, uint32_t shared, struct bytes own, bool *greater)
{
	*greater = bytes_cmp(own, key->p ? bytes_of(key->p + shared, key->n - shared)
					 : bytes_of(NULL, 0)) > 0;
	key->n = shared;
	return buf_add(key, own.p, own.n);
}

int block_iter_next(struct block_iter *it, struct err *e)
{
	bool first = !it->value.p;
	uint32_t shared, unshared, value_len;
	struct bytes own;
	bool greater;

	if (!cursor_left(&it->at))
		return 0;
	if (!cursor_varint32(&it->at, &shared) || !cursor_varint32(&it->at, &unshared) ||
	    !cursor_varint32(&it->at, &value_len) || shared > it->key.n ||
	    !cursor_take(&it->at, unshared, &own) || !cursor_take(&it->at, value_len, &it->value))
		return err_set(e, -EUCLEAN, "block at %" PRIu64 ": malformed entry", it->start);
	if (set_key(&it->key, shared, own, &greater) < 0)
		return err_set(e, -ENOMEM, "no memory for a key of %" PRIu32 " bytes", unshared);
	if (!greater && !first)
		return err_set(e, -EUCLEAN,
			       "block at %" PRIu64 ": keys are not in order at \"%.*s\"", it->start,
			       (int)it->key.n, (const char *)it->key.p);
	return 1;
}

/* --- writing ----------------------------------------------------------------------------------------------- */

void block_writer_init(struct block_writer *w, unsigned interval)
{
	*w = (struct block_writer){.interval = interval};
}

void block_writer_release(struct block_writer *w)
{
	buf_release(&w->contents);
	buf_release(&w->key);
	buf_release(&w->restarts);
}

void block_writer_reset(struct block_writer *w)
{
	w->contents.n = w->key.n = w->restarts.n = w->since = 0;
}

/* A block has a restart at 0, even without entries. */
static int add_restart(struct block_writer *w)
{
	uint8_t at[4];

	put_le32(at, (uint32_t)w->contents.n);
	w->since = 0;
	return buf_add(&w->restarts, at, sizeof at);
}

static int add_entry(struct block_writer *w, size_t shared, struct bytes own, struct bytes value)
{
	uint8_t head[30];
	size_t n = put_varint(head, shared);
	int r;

	n += put_varint(head + n, own.n);
	n += put_varint(head + n, value.n);
	r = buf_add(&w->contents, head, n);
	if (r == 0)
		r = buf_add(&w->contents, own.p, own.n);
	return r < 0 ? r : buf_add(&w->contents, value.p, value.n);
}

int block_writer_add(struct block_writer *w, struct bytes key, struct bytes value)
{
	size_t shared = 0;
	int r = 0;

	if (!w->restarts.n || w->since == w->interval)
		r = add_restart(w);
	else
		while (shared < key.n && shared < w->key.n && key.p[shared] == w->key.p[shared])
			shared++;
	if (r < 0)
		return r;

	struct bytes own = key.n ? bytes_of(key.p + shared, key.n - shared) : key;

	r = add_entry(w, shared, own, value);
	w->since++;
	w->key.n = shared;
	return r < 0 ? r : buf_add(&w->key, own.p, own.n);
}

size_t block_writer_size(const struct block_writer *w)
{
	return w->contents.n + (w->restarts.n ? w->restarts.n : 4) + 4;
}

int block_writer_end(struct block_writer *w)
{
	uint8_t n[4];
	int r = w->restarts.n ? 0 : add_restart(w);

	if (r < 0)
		return r;
	put_le32(n, (uint32_t)(w->restarts.n / 4));
	r = buf_add(&w->contents, w->restarts.p, w->restarts.n);
	return r < 0 ? r : buf_add(&w->contents, n, sizeof n);
}

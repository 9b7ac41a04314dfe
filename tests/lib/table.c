#include "lib/table.h"
#include "base/cleanup.h"
#include "base/crc32c.h"
#include <snappy-c.h>

static const uint8_t magic[8] = {0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb};

static void must(int r)
{
	if (r < 0)
		abort();
}

void add_varint(struct buf *out, uint64_t v)
{
	for (; v > 127; v >>= 7)
		must(buf_add_byte(out, (uint8_t)(v | 128)));
	must(buf_add_byte(out, (uint8_t)v));
}

/* --- blocks -------------------------------------------------------------------------------------------- */

void block_raw_entry(struct table_block *b, uint64_t shared, uint64_t unshared, uint64_t value_len,
		     struct bytes rest)
{
	add_varint(&b->bytes, shared);
	add_varint(&b->bytes, unshared);
	add_varint(&b->bytes, value_len);
	must(buf_add(&b->bytes, rest.p, rest.n));
}

void block_entry(struct table_block *b, struct bytes key, struct bytes value)
{
	size_t shared = 0;

	while (shared < key.n && shared < b->key.n && key.p[shared] == b->key.p[shared])
		shared++;
	if (shared)
		key = bytes_of(key.p + shared, key.n - shared);
	block_raw_entry(b, shared, key.n, value.n, key);
	must(buf_add(&b->bytes, value.p, value.n));
	b->key.n = shared;
	must(buf_add(&b->key, key.p, key.n));
}

void block_end(struct table_block *b, uint32_t restarts)
{
	uint8_t tail[8];

	put_le32(tail, 0);
	put_le32(tail + 4, restarts);
	must(buf_add(&b->bytes, tail, sizeof tail));
}

void block_free(struct table_block *b)
{
	buf_release(&b->bytes);
	buf_release(&b->key);
}

/* --- tables -------------------------------------------------------------------------------------------- */

struct table_at table_block(struct table *t, struct bytes contents)
{
	struct table_at at = {t->file.n, contents.n};
	uint8_t trailer[TABLE_TRAILER] = {(uint8_t)t->type};

	if (t->type == TABLE_SNAPPY) {
		size_t n = snappy_max_compressed_length(contents.n);

		must(buf_reserve(&t->file, n));
		must(snappy_compress((const char *)contents.p, contents.n,
				     (char *)t->file.p + at.off, &n) == SNAPPY_OK
			     ? 0
			     : -1);
		t->file.n += at.len = n;
	} else {
		must(buf_add(&t->file, contents.p, contents.n));
	}
	must(buf_add(&t->file, trailer, sizeof trailer));
	table_reseal(t->file.p, t->file.n, at);
	return at;
}

void table_index(struct table *t, struct bytes index_key, struct table_at at)
{
	CLEANUP(buf_release)
	struct buf handle = {0};

	add_varint(&handle, at.off);
	add_varint(&handle, at.len);
	block_entry(&t->index, index_key, buf_bytes(&handle));
}

void table_entry(struct table *t, struct bytes key, struct bytes value)
{
	block_entry(&t->data, key, value);
}

void table_cut_at(struct table *t, struct bytes index_key)
{
	block_end(&t->data, 1);
	table_index(t, index_key, table_block(t, buf_bytes(&t->data.bytes)));
	t->data.bytes.n = t->data.key.n = 0;
}

void table_cut(struct table *t)
{
	CLEANUP(buf_release)
	struct buf key = {0};

	must(buf_add(&key, t->data.key.p, t->data.key.n));
	table_cut_at(t, buf_bytes(&key));
}

void table_footer(struct table *t, struct table_at index)
{
	uint8_t zeros[TABLE_FOOTER] = {0};
	size_t start = t->file.n;

	add_varint(&t->file, 0); /* the metaindex block is never read */
	add_varint(&t->file, 0);
	add_varint(&t->file, index.off);
	add_varint(&t->file, index.len);
	must(buf_add(&t->file, zeros, TABLE_FOOTER - sizeof magic - (t->file.n - start)));
	must(buf_add(&t->file, magic, sizeof magic));
}

void table_end(struct table *t)
{
	if (t->data.bytes.n)
		table_cut(t);
	block_end(&t->index, 1);
	table_footer(t, table_block(t, buf_bytes(&t->index.bytes)));
}

void table_free(struct table *t)
{
	buf_release(&t->file);
	block_free(&t->data);
	block_free(&t->index);
}

/* --- damage -------------------------------------------------------------------------------------------- */

bool table_reseal(uint8_t *file, size_t n, struct table_at at)
{
	if (at.off > n || at.len > n - at.off || n - at.off - at.len < TABLE_TRAILER)
		return false;
	put_le32(file + at.off + at.len + 1, crc32c_mask(crc32c(file + at.off, at.len + 1)));
	return true;
}

bool table_find_index(const uint8_t *file, size_t n, struct table_at *at)
{
	struct cursor c;
	uint64_t meta;

	if (n < TABLE_FOOTER)
		return false;
	c = cursor_of(bytes_of(file + n - TABLE_FOOTER, TABLE_FOOTER));
	return cursor_varint(&c, &meta) && cursor_varint(&c, &meta) &&
	       cursor_varint(&c, &at->off) && cursor_varint(&c, &at->len);
}

/* --- bundles ------------------------------------------------------------------------------------------- */

static void add_field(struct buf *out, int number, uint64_t v)
{
	if (!v)
		return;
	add_varint(out, (uint64_t)number << 3);
	add_varint(out, v);
}

static void add_message(struct buf *out, int number, struct buf *message)
{
	add_varint(out, (uint64_t)number << 3 | 2);
	add_varint(out, message->n);
	must(buf_add(out, message->p, message->n));
	buf_release(message);
}

void add_header(struct table *t, uint32_t num_shards, bool big_endian)
{
	CLEANUP(buf_release)
	struct buf header = {0};
	struct buf version = {0};

	add_field(&header, 1, num_shards);
	add_field(&header, 2, big_endian);
	add_field(&version, 1, 1);
	add_message(&header, 3, &version);
	table_entry(t, bytes_str(""), buf_bytes(&header));
}

static void add_slice(struct buf *out, unsigned rank, const int64_t *extents)
{
	struct buf slice = {0};

	for (unsigned i = 0; i < rank; i++) {
		struct buf extent = {0};

		if (extents[2 * i + 1] >= 0) {
			add_field(&extent, 1, (uint64_t)extents[2 * i]);
			add_varint(&extent, 2 << 3); /* present even when it is 0 */
			add_varint(&extent, (uint64_t)extents[2 * i + 1]);
		}
		add_message(&slice, 1, &extent);
	}
	add_message(out, 7, &slice);
}

void entry_encode(struct buf *out, const struct spec *s)
{
	struct buf shape = {0};
	uint8_t crc[5] = {6 << 3 | 5};

	add_field(out, 1, (uint64_t)s->dtype);
	for (unsigned i = 0; i < s->rank; i++) {
		struct buf dim = {0};

		add_field(&dim, 1, (uint64_t)s->dims[i]);
		add_message(&shape, 2, &dim);
	}
	add_message(out, 2, &shape);
	add_field(out, 3, s->shard);
	add_field(out, 4, s->off);
	add_field(out, 5, s->size);
	put_le32(crc + 1, s->crc);
	must(buf_add(out, crc, sizeof crc));
	for (unsigned i = 0; i < s->n_slices; i++)
		add_slice(out, s->rank, s->slices + 2 * (size_t)s->rank * i);
}

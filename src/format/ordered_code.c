#include "format/ordered_code.h"
#include "base/cleanup.h"

static int add_num(struct buf *out, uint64_t v)
{
	uint8_t bytes[9];
	unsigned n = 0;

	while (n < 8 && v >> 8 * n)
		n++;
	bytes[0] = (uint8_t)n;
	for (unsigned i = 0; i < n; i++)
		bytes[1 + i] = (uint8_t)(v >> 8 * (n - 1 - i));
	return buf_add(out, bytes, n + 1);
}

static int add_str(struct buf *out, struct bytes s)
{
	int r = 0;

	for (size_t i = 0; i < s.n && r == 0; i++) {
		r = buf_add_byte(out, s.p[i]);
		if (r == 0 && (s.p[i] == 0x00 || s.p[i] == 0xff))
			r = buf_add_byte(out, (uint8_t)~s.p[i]);
	}
	return r < 0 ? r : buf_add(out, "\0\1", 2);
}

static int add_snum(struct buf *out, int64_t v)
{
	uint64_t magnitude = (uint64_t)(v < 0 ? ~v : v);
	uint8_t bytes[10];
	unsigned n = 1;

	while (n < 10 && magnitude >> (7 * n - 1))
		n++;
	for (unsigned i = 0; i < n; i++) {
		unsigned shift = 8 * (n - 1 - i);

		bytes[i] = (uint8_t)(shift < 64 ? v >> shift : v >> 63);
	}
	/* n ones from the top bit on. The zero behind them leaves a bit that is V's sign. */
	bytes[0] ^= (uint8_t)(n < 8 ? 0xff << (8 - n) : 0xff);
	if (n > 8)
		bytes[1] ^= (uint8_t)(0xff << (16 - n));
	return buf_add(out, bytes, n);
}

static int add_start(struct buf *out, struct bytes name)
{
	int r = add_num(out, 0);

	return r == 0 ? add_str(out, name) : r;
}

int slice_key_rename(struct buf *out, struct bytes key, struct bytes from, struct bytes to)
{
	CLEANUP(buf_release) struct buf start = {0};
	int r = add_start(&start, from);

	if (r == 0 && !bytes_starts(key, buf_bytes(&start)))
		r = -EINVAL;
	if (r == 0)
		r = add_start(out, to);
	return r == 0 ? buf_add(out, key.p + start.n, key.n - start.n) : r;
}

int slice_key_encode(struct buf *out, struct bytes name, unsigned rank, const int64_t *extents)
{
	int r = add_start(out, name);

	if (r == 0)
		r = add_num(out, rank);
	for (unsigned i = 0; i < 2 * rank && r == 0; i++)
		r = add_snum(out, extents[i]);
	return r;
}

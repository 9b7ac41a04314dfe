#include "base/bytes.h"

int bytes_cmp(struct bytes a, struct bytes b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int r = n ? memcmp(a.p, b.p, n) : 0;

	return r ? r : (a.n > b.n) - (a.n < b.n);
}

bool bytes_eq(struct bytes a, struct bytes b)
{
	return a.n == b.n && (!a.n || !memcmp(a.p, b.p, a.n));
}

bool bytes_starts(struct bytes a, struct bytes prefix)
{
	return a.n >= prefix.n && (!prefix.n || !memcmp(a.p, prefix.p, prefix.n));
}

bool bytes_ends(struct bytes a, struct bytes suffix)
{
	return a.n >= suffix.n && (!suffix.n || !memcmp(a.p + a.n - suffix.n, suffix.p, suffix.n));
}

bool bytes_next_line(struct bytes *rest, struct bytes *line)
{
	const uint8_t *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
	size_t n = end ? (size_t)(end - rest->p) : rest->n, taken = n + (end != NULL);

	*line = bytes_of(rest->p, n);
	*rest = bytes_of(rest->p + taken, rest->n - taken);
	return taken != 0;
}

size_t bytes_search(const void *items, size_t n, size_t size, struct bytes key)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct bytes *item = (const void *)((const char *)items + mid * size);

		if (bytes_cmp(*item, key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool cursor_long_varint(struct cursor *c, uint64_t *out)
{
	uint64_t v = 0;

	for (size_t i = 0; i < 10 && i < cursor_left(c); i++) {
		uint8_t b = c->p[i];

		if (i == 9 && b > 1)
			return false;
		v |= (uint64_t)(b & 0x7f) << 7 * i;
		if (b < 0x80) {
			c->p += i + 1;
			*out = v;
			return true;
		}
	}
	return false;
}

size_t decimal_size(uint64_t v)
{
	size_t n = 1;

	for (; v >= 10; v /= 10)
		n++;
	return n;
}

size_t put_decimal(uint8_t *p, uint64_t v)
{
	size_t n = decimal_size(v);

	for (size_t i = n; i-- > 0; v /= 10)
		p[i] = (uint8_t)('0' + v % 10);
	return n;
}

#include "base/utf8.h"

size_t utf8_length(struct bytes b)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint8_t first = b.n ? b.p[0] : 0x80;
	size_t n = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	uint32_t c = first & 0x7fu >> n;

	if (n < 2)
		return n;
	if (b.n < n || first >= 0xf8)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((b.p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (b.p[i] & 0x3f);
	}
	return c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : n;
}

bool utf8_valid(struct bytes b)
{
	size_t n;

	for (; b.n; b = bytes_of(b.p + n, b.n - n)) {
		n = utf8_length(b);
		if (!n)
			return false;
	}
	return true;
}

struct bytes utf8_take(struct bytes *b)
{
	size_t n = utf8_length(*b);
	struct bytes c = bytes_of(b->p, n ? n : 1);

	*b = bytes_of(b->p + c.n, b->n - c.n);
	return c;
}

bool utf8_is_control(struct bytes c)
{
	uint8_t last = c.p[c.n - 1];

	if (c.n == 1)
		return last < 0x20 || (last >= 0x7f && last < 0xa0);
	return c.n == 2 && c.p[0] == 0xc2 && last < 0xa0;
}

size_t utf8_encode(uint32_t c, uint8_t out[4])
{
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (size_t i = n; i-- > 1; c >>= 6)
		out[i] = 0x80 | (c & 0x3f);
	out[0] = (uint8_t)(n == 1 ? c : (0xf00u >> n & 0xff) | c);
	return n;
}

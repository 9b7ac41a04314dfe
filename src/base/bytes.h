/* src/base/bytes.h: borrowed bytes, the bounded cursor over them, and integers in them.
 *
 * Integers in checkpoints are little-endian, varints are base 128 with the low group first. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const uint8_t *p;
	size_t n;
};

static inline struct bytes bytes_of(const void *p, size_t n)
{
	return (struct bytes){p, n};
}

static inline struct bytes bytes_str(const char *s)
{
	return bytes_of(s, strlen(s));
}

/* Unsigned bytes, a prefix first: the order of keys in a table. */
int bytes_cmp(struct bytes a, struct bytes b);
bool bytes_eq(struct bytes a, struct bytes b);
bool bytes_starts(struct bytes a, struct bytes prefix);
bool bytes_ends(struct bytes a, struct bytes suffix);

/* Takes a line from REST; LINE is without its end. False: nothing is left. */
bool bytes_next_line(struct bytes *rest, struct bytes *line);

/* ITEMS: N items of SIZE bytes, each of which begins with a struct bytes, sorted by that. How many are less than KEY. */
size_t bytes_search(const void *items, size_t n, size_t size, struct bytes key);

/* Reads forward through bytes and cannot pass their end. Each call returns false, and leaves the cursor
 * where it was, if the bytes that are left do not hold the value. */
struct cursor {
	const uint8_t *p, *end;
};

static inline struct cursor cursor_of(struct bytes b)
{
	return (struct cursor){b.p, b.n ? b.p + b.n : b.p}; /* nothing is added to NULL */
}

static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->p);
}

/* At most 10 bytes; no bits beyond 64. */
bool cursor_long_varint(struct cursor *c, uint64_t *out);

/* Inline, and without a copy of the struct: an index needs about twenty of these for each entry. */
static inline bool cursor_take(struct cursor *c, uint64_t n, struct bytes *out)
{
	if (n > cursor_left(c))
		return false;
	*out = bytes_of(c->p, (size_t)n);
	if (n)
		c->p += n;
	return true;
}

static inline bool cursor_u8(struct cursor *c, uint8_t *out)
{
	if (c->p == c->end)
		return false;
	*out = *c->p++;
	return true;
}

static inline bool cursor_varint(struct cursor *c, uint64_t *out)
{
	if (c->p == c->end || *c->p >= 0x80)
		return cursor_long_varint(c, out);
	*out = *c->p++;
	return true;
}

/* The same, and its value fits. */
static inline bool cursor_varint32(struct cursor *c, uint32_t *out)
{
	const uint8_t *start = c->p;
	uint64_t v;

	if (!cursor_varint(c, &v))
		return false;
	if (v > UINT32_MAX) {
		c->p = start;
		return false;
	}
	*out = (uint32_t)v;
	return true;
}

static inline uint32_t get_le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t get_le64(const uint8_t *p)
{
	return get_le32(p) | (uint64_t)get_le32(p + 4) << 32;
}

static inline void put_le32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static inline void put_le64(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* Writes V to P, which has room for 10 bytes. Returns how many it takes. */
static inline size_t put_varint(uint8_t *p, uint64_t v)
{
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		p[n++] = (uint8_t)v | 0x80;
	p[n++] = (uint8_t)v;
	return n;
}

/* Writes V in decimal to P, which has room for 20 bytes. Returns how many it takes. */
size_t put_decimal(uint8_t *p, uint64_t v);
size_t decimal_size(uint64_t v); /* how many that are */

static inline void put_be32(uint8_t *p, uint32_t v)
{
	put_le32(p, __builtin_bswap32(v));
}

static inline void put_be64(uint8_t *p, uint64_t v)
{
	put_le64(p, __builtin_bswap64(v));
}

/* tests/lib/hex.h: bytes from their hex digits, and numbers in a row, as the files in tests/assets have them. */
#pragma once
#include "base/buf.h"
#include <stdio.h>
#include <stdlib.h>

/* Appends what TEXT has up to its first character that is no hex digit. */
static inline void add_hex(struct buf *out, const char *text)
{
	unsigned byte;

	for (; sscanf(text, "%2x", &byte) == 1 && text[1]; text += 2)
		if (buf_add_byte(out, (uint8_t)byte) < 0)
			abort();
}

/* Reads "1,2,3", or "-" for none, into OUT, which has room for MAX; says how many. */
static inline unsigned parse_numbers(const char *text, int64_t *out, unsigned max)
{
	unsigned n = 0;
	char *end;

	for (; n < max && strcmp(text, "-") != 0; text = end + 1) {
		out[n++] = strtoll(text, &end, 10);
		if (*end != ',')
			break;
	}
	return n;
}

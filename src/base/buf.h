/* src/base/buf.h: a growable buffer with a stated maximum.
 *
 * {0} is a valid empty buffer, which only memory limits. A call that fails leaves the contents as they were and
 * returns -ENOMEM, or -E2BIG where `max` would be passed. */
#pragma once
#include "base/bytes.h"
#include <errno.h>

struct buf {
	uint8_t *p;
	size_t n, cap;
	size_t max; /* 0: none */
};

void buf_release(struct buf *b);
void buf_swap(struct buf *a, struct buf *b);

int buf_reserve(struct buf *b, size_t more); /* room for MORE bytes behind the contents */
int buf_add(struct buf *b, const void *p, size_t n);
int buf_add_byte(struct buf *b, uint8_t c);
int buf_add_str(struct buf *b, const char *s);
int buf_add_decimal(struct buf *b, uint64_t v);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline struct bytes buf_bytes(const struct buf *b)
{
	return bytes_of(b->p, b->n);
}

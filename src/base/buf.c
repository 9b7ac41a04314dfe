#include "base/buf.h"
#include "base/sink.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf_release(struct buf *b)
{
	free(b->p);
	*b = (struct buf){.max = b->max};
}

void buf_swap(struct buf *a, struct buf *b)
{
	struct buf t = *a;

	*a = *b;
	*b = t;
}

/* Makes room for MORE bytes behind the contents. The last UNCOUNTED of them do not count for the maximum. */
static int reserve(struct buf *b, size_t more, size_t uncounted)
{
	size_t need, cap;
	uint8_t *p;

	if (__builtin_add_overflow(b->n, more, &need))
		return -ENOMEM;
	if (b->max && need - uncounted > b->max)
		return -E2BIG;
	if (need <= b->cap)
		return 0;
	cap = b->cap + b->cap / 2; /* a first reservation is exact: most buffers know their size */
	if (cap < need)
		cap = need;
	p = realloc(b->p, cap);
	if (!p)
		return -ENOMEM;
	b->p = p;
	b->cap = cap;
	return 0;
}

int buf_reserve(struct buf *b, size_t more)
{
	return reserve(b, more, 0);
}

int buf_add(struct buf *b, const void *p, size_t n)
{
	int r = buf_reserve(b, n);

	if (r < 0)
		return r;
	if (n)
		memcpy(b->p + b->n, p, n);
	b->n += n;
	return 0;
}

int buf_add_byte(struct buf *b, uint8_t c)
{
	return buf_add(b, &c, 1);
}

int buf_add_str(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

int buf_add_decimal(struct buf *b, uint64_t v)
{
	uint8_t digits[20];

	return buf_add(b, digits, put_decimal(digits, v));
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n, r;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -EINVAL;
	r = reserve(b, (size_t)n + 1, 1); /* with the NUL of vsnprintf, which is not kept */
	if (r < 0)
		return r;
	va_start(ap, fmt);
	vsnprintf((char *)b->p + b->n, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->n += (size_t)n;
	return 0;
}

static int put_in_buf(void *to, struct bytes b, struct err *e)
{
	struct buf *out = to;
	int r = buf_add(out, b.p, b.n);

	if (r == -E2BIG)
		return err_set(e, r, "more than %zu bytes", out->max);
	return r < 0 ? err_set(e, r, "no memory for %zu bytes", b.n) : 0;
}

struct sink sink_of_buf(struct buf *b)
{
	return (struct sink){put_in_buf, b};
}

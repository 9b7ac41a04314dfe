/* src/base/sink.h: takes bytes, one piece after the other.
 *
 * A piece may be as small as a byte, so a sink that writes to a file has to gather them. */
#pragma once
#include "base/buf.h"
#include "base/error.h"

struct sink {
	int (*put)(void *to, struct bytes b, struct err *e); /* 0, or a negative errno */
	void *to;
};

/* A sink that appends to B. -ENOMEM, or -E2BIG where `max` would be passed. */
struct sink sink_of_buf(struct buf *b);

static inline int sink_put(const struct sink *s, const void *p, size_t n, struct err *e)
{
	return n ? s->put(s->to, bytes_of(p, n), e) : 0;
}

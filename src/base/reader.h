/* src/base/reader.h: reads forward through a part of a source, a piece at a time. */
#pragma once
#include "base/source.h"

struct reader {
	const struct source *src;
	uint64_t off, end; /* what is not yet in the piece */
	struct buf piece;
	struct cursor at; /* what is in it and not yet passed */
};

/* A reader of [off, end) of SRC, which must lie in it. */
static inline struct reader reader_of(const struct source *src, uint64_t off, uint64_t end)
{
	return (struct reader){.src = src, .off = off, .end = end};
}

void reader_release(struct reader *r);

/* Makes the cursor hold at least N bytes (N <= 64), or all that are left if those are fewer. -ENOMEM, or of reading. */
int reader_need(struct reader *r, size_t n, struct err *e);

/* Where in the source the cursor is. */
static inline uint64_t reader_pos(const struct reader *r)
{
	return r->off - cursor_left(&r->at);
}

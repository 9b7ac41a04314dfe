#include "base/reader.h"

enum { PIECE = 256 << 10 };

void reader_release(struct reader *r)
{
	buf_release(&r->piece);
	*r = (struct reader){0};
}

int reader_need(struct reader *r, size_t n, struct err *e)
{
	size_t left = cursor_left(&r->at);
	uint64_t more = r->end - r->off;
	int err;

	if (left >= n || !more)
		return 0;
	if (buf_reserve(&r->piece, PIECE) < 0)
		return err_set(e, -ENOMEM, "no memory for %d bytes", PIECE);
	if (left)
		memmove(r->piece.p, r->at.p, left);
	if (more > PIECE - left)
		more = PIECE - left;
	err = source_read_into(r->src, r->off, r->piece.p + left, more, e);
	if (err < 0)
		return err;
	r->off += more;
	r->at = cursor_of(bytes_of(r->piece.p, left + more));
	return 0;
}

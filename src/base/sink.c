#include "base/sink.h"

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

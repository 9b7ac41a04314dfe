#include "base/append.h"
#include "base/cleanup.h"
#include "base/io.h"

enum {
	GATHERED = 1 << 20, /* what is larger is not gathered */
};

struct append append_of(int fd, uint64_t at)
{
	return (struct append){.fd = fd, .at = at};
}

void append_release(struct append *a)
{
	closep(&a->fd);
	buf_release(&a->gathered);
}

uint64_t append_end(const struct append *a)
{
	return a->at + a->gathered.n;
}

static void grew(struct append *a, uint64_t n)
{
	io_write_out(a->fd, a->at, n);
	a->at += n;
}

static int write_at_end(struct append *a, struct bytes b, struct err *e)
{
	int r = io_write_at(a->fd, b, a->at, e);

	if (r == 0)
		grew(a, b.n);
	return r;
}

int append_flush(struct append *a, struct err *e)
{
	int r = write_at_end(a, buf_bytes(&a->gathered), e);

	a->gathered.n = 0;
	return r;
}

int append_put(struct append *a, struct bytes b, struct err *e)
{
	int r = 0;

	if (a->gathered.n + b.n > GATHERED)
		r = append_flush(a, e);
	if (r == 0 && b.n >= GATHERED)
		return write_at_end(a, b, e);
	if (r == 0 && buf_add(&a->gathered, b.p, b.n) < 0)
		r = err_set(e, -ENOMEM, "no memory");
	return r;
}

static int put(void *to, struct bytes b, struct err *e)
{
	return append_put(to, b, e);
}

struct sink append_sink(struct append *a)
{
	return (struct sink){put, a};
}

int append_copy(struct append *a, int from, uint64_t off, uint64_t len, struct err *e)
{
	int r = append_flush(a, e);

	if (r == 0)
		r = io_copy_range(from, off, a->fd, a->at, len, e);
	if (r == 0)
		grew(a, len);
	return r;
}

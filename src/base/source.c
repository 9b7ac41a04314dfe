#include "base/source.h"
#include "base/cleanup.h"
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

struct source source_of_memory(struct bytes b)
{
	return (struct source){.fd = -1, .mem = b.p, .size = b.n};
}

static int check_type(const struct stat *st, struct err *e)
{
	if (S_ISDIR(st->st_mode))
		return err_set(e, -EISDIR, "is a directory, expected a file");
	return S_ISREG(st->st_mode) ? 0 : err_set(e, -EINVAL, "is not a regular file");
}

int source_of_fd(int fd, struct source *out, struct err *e)
{
	struct stat st;
	int r = fstat(fd, &st) < 0 ? err_sys(e, -errno, "fstat") : check_type(&st, e);

	if (r < 0)
		return r;
	*out = (struct source){.fd = fd, .size = (uint64_t)st.st_size};
	return 0;
}

int source_open(int dirfd, const char *name, struct source *out, struct err *e)
{
	CLEANUP(closep) int fd = -1;
	struct stat st;
	int r = fstatat(dirfd, name, &st, 0) < 0 ? err_sys(e, -errno, "open") : check_type(&st, e);

	if (r < 0)
		return r;
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	r = fd < 0 ? err_sys(e, -errno, "open") : source_of_fd(fd, out, e);
	return r < 0 ? r : TAKE(fd, -1);
}

static int check_range(const struct source *s, uint64_t off, uint64_t len, struct err *e)
{
	if (off <= s->size && len <= s->size - off)
		return 0;
	return err_set(e, -EUCLEAN,
		       "%" PRIu64 " bytes at %" PRIu64 " are beyond the file's %" PRIu64 " bytes",
		       len, off, s->size);
}

int source_read_into(const struct source *s, uint64_t off, void *dst, size_t len, struct err *e)
{
	uint8_t *p = dst;
	int r = check_range(s, off, len, e);

	if (r < 0)
		return r;
	if (s->fd < 0) {
		if (len)
			memcpy(p, s->mem + off, len);
		return 0;
	}
	while (len) {
		ssize_t n = pread(s->fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, -errno, "reading at %" PRIu64, off);
		if (n == 0)
			return err_set(e, -EIO,
				       "the file ends at %" PRIu64 ", it had %" PRIu64 " bytes",
				       off, s->size);
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int source_read(const struct source *s, uint64_t off, uint64_t len, struct buf *out, struct err *e)
{
	CLEANUP(buf_release) struct buf b = {.max = out->max};
	int r = check_range(s, off, len, e);

	if (r < 0)
		return r;
	r = buf_reserve(&b, len ? len : 1);
	if (r == -E2BIG)
		return err_set(e, r, "%" PRIu64 " bytes, at most %zu are taken", len, out->max);
	if (r < 0)
		return err_set(e, r, "no memory for %" PRIu64 " bytes", len);
	r = source_read_into(s, off, b.p, len, e);
	if (r < 0)
		return r;
	b.n = len;
	buf_swap(out, &b);
	return 0;
}

enum { PIECE = 1 << 20 }; /* bytes that are compared at once */

int source_same(const struct source *a, const struct source *b, struct err *e)
{
	CLEANUP(buf_release) struct buf x = {0}, y = {0};
	int r = a->size == b->size;

	for (uint64_t off = 0; off < a->size && r == 1; off += PIECE) {
		size_t n = a->size - off < PIECE ? a->size - off : PIECE;

		r = source_read(a, off, n, &x, e);
		if (r == 0)
			r = source_read(b, off, n, &y, e);
		r = r < 0 ? r : bytes_eq(buf_bytes(&x), buf_bytes(&y));
	}
	return r;
}

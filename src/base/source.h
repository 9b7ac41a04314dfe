/* src/base/source.h: read-only random access to a file or to memory.
 *
 * The size is fixed when the source is made. If the file has become shorter since, reading is an error, never a
 * signal, as nothing maps a file. A source borrows its descriptor or memory. Many threads may read from one. */
#pragma once
#include "base/buf.h"
#include "base/error.h"

struct source {
	int fd; /* -1: memory */
	const uint8_t *mem;
	uint64_t size;
};

struct source source_of_memory(struct bytes b);

/* Makes OUT a source over the regular file that FD has open. -EISDIR, -EINVAL (neither file nor folder), or of fstat. */
int source_of_fd(int fd, struct source *out, struct err *e);

/* Opens the regular file NAME in the directory DIRFD, and makes OUT a source over it. Returns the descriptor, which the
 * caller closes. FIFOs and devices are not opened, for that alone can set a device going. As source_of_fd, or of
 * opening. */
int source_open(int dirfd, const char *name, struct source *out, struct err *e);

/* Reads LEN bytes at OFF into DST. -EUCLEAN: they lie beyond the size; -EIO: the file has become shorter; or what pread
 * says. */
int source_read_into(const struct source *s, uint64_t off, void *dst, size_t len, struct err *e);

/* The same into OUT, whose contents they replace. Nothing is allocated for bytes that are not in the file. -E2BIG: OUT
 * may not hold that many. */
int source_read(const struct source *s, uint64_t off, uint64_t len, struct buf *out, struct err *e);

/* Have A and B the same bytes? 1, 0, or of reading. */
int source_same(const struct source *a, const struct source *b, struct err *e);

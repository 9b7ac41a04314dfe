/* src/base/source.h: read-only random access to a file or to memory.
 *
 * The size is fixed when the source is made. Bytes that the file has lost since are an error, never a
 * signal: nothing here maps a file. A source borrows its descriptor or memory. Safe from many threads. */
#pragma once
#include "base/buf.h"
#include "base/error.h"

struct source {
	int fd; /* -1: memory */
	const uint8_t *mem;
	uint64_t size;
};

struct source source_of_memory(struct bytes b);

/* A source over the regular file that FD has open. -EISDIR, -EINVAL (neither file nor folder), or of fstat. */
int source_of_fd(int fd, struct source *out, struct err *e);

/* Opens the regular file NAME in the directory DIRFD, and makes OUT a source over it. Returns the descriptor, which the
 * caller closes. FIFOs and devices are not opened, for that alone can set a device going. As source_of_fd, or of
 * opening. */
int source_open(int dirfd, const char *name, struct source *out, struct err *e);

/* LEN bytes at OFF into DST. -EUCLEAN if they lie beyond the size, -EIO if the file has become shorter, or
 * what pread says. */
int source_read_into(const struct source *s, uint64_t off, void *dst, size_t len, struct err *e);

/* The same into OUT in place of what was there; nothing is allocated for bytes that are not in the file.
 * -E2BIG if OUT may not hold that many. */
int source_read(const struct source *s, uint64_t off, uint64_t len, struct buf *out, struct err *e);

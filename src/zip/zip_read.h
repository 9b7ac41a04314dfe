/* src/zip/zip_read.h: the members of a zip archive, as its directory at the end lists them, in the order in which they lie. They may be
 * compressed. Archives are hostile: nothing is allocated or made on the word of a length in one. */
#pragma once
#include "base/source.h"

struct zip_reader;

/* SRC stays the caller's. -EINVAL: it is no zip archive, or its end is missing; -ENOMEM, or of reading. */
int zip_read_open(const struct source *src, struct zip_reader **out, struct err *e);

struct zip_member {
	const char *name; /* UTF-8; until the next call */
	uint64_t size; /* as the archive says */
};

/* The next member that is a file. 1, or 0 at the end. -EINVAL: something is wrong with it; E names it, if it has a name. */
int zip_read_next(struct zip_reader *z, struct zip_member *out, struct err *e);

/* The next bytes of it, up to LEN. How many; 0 at the end, when its size and checksum were right. -EINVAL: they are not, or it is
 * damaged. */
int64_t zip_read(struct zip_reader *z, size_t len, uint8_t *dst, struct err *e);

/* NULL is none. */
void zip_read_close(struct zip_reader *z);

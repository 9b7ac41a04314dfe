/* src/step/verify.h: compares stored bytes with their checksums in the index.
 *
 * A stored range is the bytes of a variable, or of a slice, in a shard. Whoever reads of one shows the bytes here, in
 * any order and from many threads. When all of them have been seen their checksum is compared, and what was found
 * stays known.
 *
 * Bytes are followed in chunks of 1 MiB. Of a chunk that was seen whole 4 bytes are kept; of another the intervals
 * that were seen, each with its checksum. Neighbours become one (crc32c_combine). */
#pragma once
#include "base/source.h"

enum verify_mode {
	VERIFY_READ, /* as data passes */
	VERIFY_OPEN, /* all of a variable before its first byte is given out */
	VERIFY_OFF,
};

struct stored {
	uint32_t number; /* below the N that verify_new was told */
	uint32_t crc; /* the recorded checksum: crc32c, unmasked */
	uint64_t off, size; /* in bytes, in its shard */
};

struct verify;

/* For N stored ranges. NULL: no memory. */
struct verify *verify_new(uint32_t n);
void verify_free(struct verify *v);

/* -EBADMSG if the range NUMBER is known to be damaged; else 0. */
int verify_check(const struct verify *v, uint32_t number, struct err *e);

/* LEN bytes of S were read, from OFF of the range on, and are at P. -EBADMSG if all of it was seen now and is
 * damaged, or was known to be. What there is no memory to remember counts as not seen. */
int verify_saw(struct verify *v, const struct stored *s, uint64_t off, const uint8_t *p, size_t len,
	       struct err *e);

/* Reads all of S from SRC, its shard, unless it is known to be good or damaged. -EBADMSG if it is damaged, or of
 * reading. */
int verify_all(struct verify *v, const struct stored *s, const struct source *src, struct err *e);

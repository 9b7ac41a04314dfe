/* src/base/crc_pieces.h: the checksum of a file, kept while it is written.
 *
 * The file is followed in pieces of 1 MiB, of 8 bytes each. Of a piece the checksum of its first bytes is known, as far as they were written
 * one behind the other. So a change in one place leaves all other pieces known. */
#pragma once
#include "base/buf.h"
#include "base/source.h"

/* Zeros: nothing is known. */
struct crc_pieces {
	struct buf list; /* struct crc_piece */
};

void crc_pieces_release(struct crc_pieces *c);

/* N bytes at P were written at OFF, and nothing else was meanwhile. A piece that comes before those in front of it is not
 * followed, so the list is no longer than the file; nor is one for which there is no memory. */
void crc_pieces_saw(struct crc_pieces *c, uint64_t off, const uint8_t *p, size_t n);

/* N bytes at OFF have changed; into what is not known. */
void crc_pieces_forget(struct crc_pieces *c, uint64_t off, uint64_t n);

/* The file has SIZE bytes now: it was cut, or has zeros at its end. */
void crc_pieces_cut(struct crc_pieces *c, uint64_t size);

/* OUT, which is empty, becomes the same as C. -ENOMEM. */
int crc_pieces_copy(const struct crc_pieces *c, struct crc_pieces *out);

/* The checksum of SRC, the file. What is not known of it is read. -ENOMEM, or of reading. */
int crc_pieces_sum(const struct crc_pieces *c, const struct source *src, uint32_t *out,
		   struct err *e);

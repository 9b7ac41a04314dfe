/* src/step/tensor.h: a variable's bytes as an array.
 *
 * A tensor is read as the row-major array that NumPy would hold, in the byte order of the step. A type of fixed size
 * is read from one range of a shard. Of a partitioned variable only those ranges of slices are read that the caller
 * asks for (format/slice.h). Strings are padded with NULs to the longest. If some string ends in NUL, each has its
 * length in front (8 bytes, little-endian). A variant is read as its stored record.
 *
 * An open tensor has each shard open that it uses, with others or alone, and 24 bytes for each string. A read takes about
 * as much memory as it returns, at the most. A V1 variable is decoded as a whole, and in memory while it is open. */
#pragma once
#include "step/step.h"

/* How a variable looks as an array. */
struct tensor_shape {
	uint64_t size; /* bytes of the array */
	uint64_t item; /* bytes of an element; strings: padded, with the length in front */
	uint64_t longest; /* strings: bytes of the longest, at least 1 */
	bool lengths; /* strings: each has its length in front */
	bool record; /* variants: one dimension of `size` bytes, whatever the variable's shape */
};

/* Strings are read for this the first time. Errors of tensor_open. */
int tensor_shape(struct step *s, const struct var *v, int dirfd, struct tensor_shape *out,
		 struct err *e);

struct tensor;

/* Opens V of S. DIRFD is the directory of S, and is not needed afterwards; -1 fails where a shard is not open yet. S is held until the close. -EUCLEAN,
 * -EBADMSG (known to be damaged), -ESTALE, -EFBIG, -ENOMEM, or of opening. */
int tensor_open(struct step *s, const struct var *v, int dirfd, struct tensor **out, struct err *e);
void tensor_close(struct tensor *t);

/* The same with the shards in HELD, which stays at least as long as the tensor. */
int tensor_open_held(struct step *s, const struct var *v, const struct held_shards *held,
		     struct tensor **out, struct err *e);

/* Reads all of V's stored bytes from SRC, its shard, unless they are known to be good or damaged. V is no partitioned
 * one. -EBADMSG if they are damaged, or of reading. */
int tensor_verify(const struct step *s, const struct var *v, const struct source *src,
		  struct err *e);

/* Reads LEN bytes at OFF, all of which must lie in the array, into DST. Many threads may read. -EIO if a shard has
 * become shorter, -EBADMSG if V is found to be damaged (verify.h), or of pread. */
int tensor_read(const struct tensor *t, uint64_t off, size_t len, uint8_t *dst, struct err *e);

/* src/step/tensor.h: a variable's bytes, from wherever they lie.
 *
 * A tensor is read as the row-major array that NumPy would hold, in the byte order of the step. Fixed-size types
 * come from one range of a shard, partitioned ones from the ranges of their slices that fall into what is asked
 * for (format/slice.h): nothing is put together as a whole. Strings are padded with NULs to the longest, each
 * behind its length (8 bytes, little-endian) if some string ends in NUL. Of variants it is the stored record.
 *
 * Memory: one descriptor for each shard used, 24 bytes a string, and at most what one call asks for. */
#pragma once
#include "step/step.h"

/* How a variable looks as an array. */
struct tensor_shape {
	uint64_t size; /* bytes of the whole */
	uint64_t item; /* of an element; strings: of the padded one with its length */
	uint64_t longest; /* strings: at least 1 */
	bool lengths; /* strings: each has its length in front */
	bool record; /* variants: `size` bytes, one dimension, whatever the variable's own shape */
};

/* Strings are read once for this, and then fail as tensor_open would. */
int tensor_shape(struct step *s, const struct var *v, int dirfd, struct tensor_shape *out,
		 struct err *e);

struct tensor;

/* Opens V of S, in whose directory DIRFD is; DIRFD is not needed afterwards. -EUCLEAN, -EBADMSG (known to be damaged),
 * -ESTALE, -ENOMEM, or of opening. S is held until the close. */
int tensor_open(struct step *s, const struct var *v, int dirfd, struct tensor **out, struct err *e);
void tensor_close(struct tensor *t);

/* Reads all of V's stored bytes from SRC, its shard, unless they are known to be good or damaged. V is no partitioned one.
 * -EBADMSG if they are damaged, or of reading. */
int tensor_verify(const struct step *s, const struct var *v, const struct source *src,
		  struct err *e);

/* Reads LEN bytes at OFF, all of which must lie in the array, into DST. Safe from many threads. -EIO if a shard
 * has become shorter, -EBADMSG if what was read is damaged (verify.h), or of pread. */
int tensor_read(const struct tensor *t, uint64_t off, size_t len, uint8_t *dst, struct err *e);

/* src/view/xattr.h: the extended attributes user.ckptfs.*.
 *
 *   key, dtype, shape, crc32c, shard   what the index has of a variable; of a partitioned one crc32c and shard are those of
 *                                      its slices, with commas. V1 has no crc32c
 *   collections                        those of the meta graph that hold it, with commas
 *   full_name                          what the object graph calls the variable
 * and, worked out when asked for and not listed:
 *   stats                              count, mean, std, min, max, norm, zeros, nans, infs
 *   error                              why this variable, or step, can't be read */
#pragma once
#include "step/stats.h"
#include "view/text.h"

/* Appends key, dtype, shape, crc32c or shard. -ENODATA if V has none, or there is no such NAME. */
int xattr_of_var(const struct step *s, const struct var *v, struct bytes name, struct buf *out);

/* Whether NAME is that of a listed one, which cp -a and rsync -X bring along. */
bool xattr_is_derived(const char *name);

/* Appends the value of NAME (without "user.ckptfs."), whichever it is; the same, or of reading. DIRFD: the
 * step's. STOP: step/stats.h. */
int xattr_get(struct step *s, const struct var *v, struct texts *texts, int dirfd,
	      struct bytes name, const struct stop *stop, struct buf *out, struct err *e);

/* Appends the names of those that V has and that are listed, each with its NUL. */
int xattr_list(struct step *s, const struct var *v, struct texts *texts, int dirfd,
	       struct buf *out);

/* Appends key, dtype, shape or stats of a variable that was written and not committed yet: the .npy file SRC.
 * -ENODATA. */
int xattr_of_file(const struct source *src, struct bytes key, struct bytes name,
		  const struct stop *stop, struct buf *out, struct err *e);

/* src/step/verify.h: are stored bytes those of which the index has the checksum?
 *
 * Whoever reads stored bytes shows them here, in any order and from many threads; when all of a variable's (or a
 * slice's) have been seen, once each, their checksum is compared. What is known then stays known as long as the step is
 * in memory. Bytes are followed in chunks of 1 MiB: of a chunk that is done 4 bytes are kept, of one that is not the
 * intervals that were seen, each with its checksum; neighbours become one (crc32c_combine). */
#pragma once
#include "base/source.h"
#include "step/step.h"

struct verify;

/* N_VARS: those of the step; they are told apart by their number in step->vars. NULL: no memory. */
struct verify *verify_new(uint32_t n_vars);
void verify_free(struct verify *v);

/* -EBADMSG, and why, if V is known to be damaged. */
int verify_check(const struct step *s, const struct var *v, struct err *e);

/* LEN bytes of V, from OFF of it on, were read and are at P. -EBADMSG if with these all are known, and wrong. With no
 * memory left it forgets what it was shown. */
int verify_saw(const struct step *s, const struct var *v, uint64_t off, const uint8_t *p,
	       size_t len, struct err *e);

/* Reads all of V from SRC, its shard, unless it is known to be good. -EBADMSG, or of reading. */
int verify_all(const struct step *s, const struct var *v, const struct source *src, struct err *e);

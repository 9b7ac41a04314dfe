/* src/check/check.h: everything that can be wrong with one saved step, found by reading all of it.
 *
 * The index with all its blocks, each entry, all stored bytes against their checksums (of V1: each record decoded), the
 * meta graph and the object graph. Bytes are read once, in the order in which they lie, by several threads. */
#pragma once
#include "step/step.h"

enum finding {
	FOUND_PROBLEM,
	FOUND_NOTE, /* worth telling, but TensorFlow restores the step all the same */
};

struct check {
	unsigned threads; /* at least 1 */
	_Atomic uint64_t *seen; /* counts the bytes that were read */
	const atomic_bool *stop; /* true: end soon, with -ECANCELED */
	/* Called for each finding, by the thread that called check_step. KEY: of the variable, or of no bytes if it is the
	 * step's; TEXT: a sentence without it. Neither outlives the call. */
	void (*found)(void *arg, enum finding kind, struct bytes key, const char *text);
	void *arg;
};

struct checked {
	uint32_t variables;
	uint32_t num_shards; /* of a V2 step; 0 if its index can't be read */
	uint64_t bytes; /* that were verified */
};

/* 0: all was looked at, whatever was found. Else what was found means nothing: -ENOENT: the step is gone; -ESTALE: it was
 * replaced meanwhile; -ECANCELED; -EACCES, -ENOMEM, -EMFILE, -ENFILE: it could not be looked at, and E says why. */
int check_step(int dirfd, const struct step_place *where, const struct check *c,
	       struct checked *out, struct err *e);

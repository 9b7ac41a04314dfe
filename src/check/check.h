/* src/check/check.h: finds everything that is wrong with one saved step, by reading all of it.
 *
 * The index is read with all its blocks, and each entry is checked. All stored bytes are compared with their
 * checksums (of V1: each record is decoded), and the meta graph and the object graph with what is stored. Several
 * threads read the bytes, once, in the order in which they lie. */
#pragma once
#include "step/step.h"

enum finding {
	FOUND_PROBLEM,
	FOUND_NOTE, /* worth to be known, but TensorFlow restores the step all the same */
};

struct check {
	unsigned threads; /* at least 1 */
	_Atomic uint64_t *seen; /* counts the bytes that were read */
	const atomic_bool *stop; /* once true, check_step soon returns -ECANCELED */
	/* Called for each finding, by the thread that called check_step. KEY: the variable, or no bytes if it is found of the
	 * step; TEXT: a sentence that does not name KEY. Both end with the call. */
	void (*found)(void *arg, enum finding kind, struct bytes key, const char *text);
	void *arg;
};

struct checked {
	uint32_t variables;
	uint32_t num_shards; /* of a V2 step; 0: its index can't be read */
	bool lone_shard; /* of two by its name, and the other never was: a commit makes such steps */
	uint64_t bytes; /* that were verified */
};

/* 0: all was read, whatever was found. Else what was found means nothing, and E says why: -ENOENT: the step is
 * gone; -ESTALE: it was replaced meanwhile; -ECANCELED; -EACCES, -ENOMEM, -EMFILE, -ENFILE: it could not be read. */
int check_step(int dirfd, const struct step_place *where, const struct check *c,
	       struct checked *out, struct err *e);

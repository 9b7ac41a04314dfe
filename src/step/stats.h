/* src/step/stats.h: counts, extremes, mean and deviation of a variable's numbers. */
#pragma once
#include "format/npy.h"
#include "step/tensor.h"

struct stats {
	uint64_t count, zeros, nans, infs;
	double mean, std, min, max, norm; /* of the finite ones; 0 if there are none */
};

/* What takes long can be ended, and watched. ASKED, if not NULL, is called now and then, from several threads; true ends it. SEEN, if not
 * NULL, counts the bytes that were read. */
struct stop {
	bool (*asked)(void *arg);
	void *arg;
	_Atomic uint64_t *seen;
};

/* Reads all of V, on all cores; what is found does not depend on how many there are. STOP may be NULL. -ENODATA: its elements are no
 * real numbers; -EINTR: STOP ended it; or of tensor_open and tensor_read. */
int stats_of(struct step *s, const struct var *v, int dirfd, const struct stop *stop,
	     struct stats *out, struct err *e);

/* The same for the array in the .npy file SRC, whose header NPY is. -EUCLEAN if the file is too short. */
int stats_of_file(const struct source *src, const struct npy *npy, const struct stop *stop,
		  struct stats *out, struct err *e);

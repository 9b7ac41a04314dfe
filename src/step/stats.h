/* src/step/stats.h: what a variable's numbers are like. */
#pragma once
#include "format/npy.h"
#include "step/tensor.h"

struct stats {
	uint64_t count, zeros, nans, infs;
	double mean, std, min, max,
		norm; /* of those that are neither NaN nor infinite; 0 where there are none */
};

/* Asked now and then, from several threads, by what takes long: is it to end? */
struct stop {
	bool (*asked)(void *arg);
	void *arg;
};

/* Reads all of V, on all cores. STOP may be NULL. -ENODATA: its elements are no real numbers; -EINTR: STOP
 * said so; or of tensor_open and tensor_read. */
int stats_of(struct step *s, const struct var *v, int dirfd, const struct stop *stop,
	     struct stats *out, struct err *e);

/* The same of the array that the .npy file SRC holds. -EUCLEAN if it holds less. */
int stats_of_file(const struct source *src, const struct npy *npy, const struct stop *stop,
		  struct stats *out, struct err *e);

/* src/store/stats.h: what a variable's numbers are like. */
#pragma once
#include "format/npy.h"
#include "store/tensor.h"

struct stats {
	uint64_t count, zeros, nans, infs;
	double mean, std, min, max,
		norm; /* of those that are neither NaN nor infinite; 0 where there are none */
};

/* Reads all of V. -ENODATA: its elements are no real numbers; or of tensor_open and tensor_read. */
int stats_of(struct step *s, const struct var *v, int dirfd, struct stats *out, struct err *e);

/* The same of the array that the .npy file SRC holds. -EUCLEAN if it holds less. */
int stats_of_file(const struct source *src, const struct npy *npy, struct stats *out,
		  struct err *e);

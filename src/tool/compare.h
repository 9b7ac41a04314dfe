/* src/tool/compare.h: how far two variables of one dtype and shape are apart. */
#pragma once
#include "tool/place.h"

struct change {
	uint64_t elements; /* of each */
	uint64_t
		differ; /* of them. Two NaN do not differ, nor do numbers that are no more than the tolerance apart */
	bool numbers; /* they are real numbers: what follows is known, of the pairs of finite ones */
	double max, mean; /* of the absolute differences */
	double relative; /* norm of the difference, divided by A's; infinite if A is zero and B is not */
	double cosine; /* of the angle between A and B; NaN if one is zero */
};

/* Are A and B, each a PLACE_VAR, of one dtype and shape? */
bool compare_is_like(const struct place *a, const struct place *b);

/* Do A and B, each a PLACE_VAR, lead to the same stored bytes? Then nothing need be read. */
bool compare_shares(const struct place *a, const struct place *b);

struct comparing {
	double tolerance;
	bool only_whether; /* the first difference ends it, and of OUT only `elements` is known, and whether `differ` is 0 */
	_Atomic uint64_t *seen; /* counts the bytes of A that were compared; or NULL */
};

/* Reads both, on all cores. 0: they have the same bytes, whatever the byte order; 1: they differ, and OUT says how far, which does not depend on
 * the number of cores; or of reading. */
int compare_arrays(const struct place *a, const struct place *b, const struct comparing *how,
		   struct change *out, struct err *e);

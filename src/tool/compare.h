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

/* Do A and B, each a PLACE_VAR, lead to the same stored bytes? Then nothing need be read. */
bool compare_shares(const struct place *a, const struct place *b);

/* Reads both. 0: they have the same bytes, whatever the byte order; 1: they differ, and OUT says how far; or of reading. */
int compare_arrays(const struct place *a, const struct place *b, double tolerance,
		   struct change *out, struct err *e);

/* src/tool/histogram.h: how the numbers of a variable lie between the smallest and the largest one. */
#pragma once
#include "tool/array.h"

enum { HISTOGRAM_BINS = 40 };

/* Reads the PLACE_VAR P, which has real numbers, on all cores, and counts its finite numbers in bins of the same width between MIN and
 * MAX. SEEN counts the bytes that were read. */
int histogram_count(const struct place *p, double min, double max, _Atomic uint64_t *seen,
		    uint64_t bins[HISTOGRAM_BINS], struct err *e);

/* Appends a block character for each bin, as high as its count; a space for none. -ENOMEM. */
int histogram_text(const uint64_t bins[HISTOGRAM_BINS], struct buf *out);

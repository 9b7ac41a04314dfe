/* src/step/sums.h: what the numbers of an array add up to, of which parts are summed apart. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sums {
	uint64_t count, zeros, nans, infs;
	uint64_t n; /* of those that are finite; the rest is of these */
	double min, max, mean;
	double m2; /* squared differences from the mean, which lose nothing to large numbers */
	double squares;
};

/* Adds what MORE has. */
void sums_add(struct sums *s, const struct sums *more);

/* Adds N times the value V. */
void sums_add_value(struct sums *s, double v, uint64_t n);

/* Adds N elements of DTYPE, of ITEM bytes, 4 or 8. What is at P is changed. */
void sums_add_elements(struct sums *s, int dtype, size_t item, bool big_endian, uint8_t *p,
		       size_t n);

/* The value of an element of a type of ITEM bytes, 1 or 2, that are CODE: there are so few that they are
 * better counted. */
double sums_value(int dtype, size_t item, bool big_endian, uint16_t code);

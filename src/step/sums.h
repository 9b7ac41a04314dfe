/* src/step/sums.h: counts, extremes and moments of an array's numbers. Its parts are summed apart, then put together. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sums {
	uint64_t count, zeros, nans, infs; /* of all numbers */
	uint64_t n; /* how many are finite; what follows is of these */
	double min, max, mean;
	double m2; /* sum of the squared differences from the mean */
	double squares; /* sum of the squares */
};

/* Adds MORE to S. */
void sums_add(struct sums *s, const struct sums *more);

/* Adds N times the value V. */
void sums_add_value(struct sums *s, double v, uint64_t n);

/* Adds N elements of DTYPE, which has real numbers. */
void sums_add_elements(struct sums *s, int dtype, bool big_endian, const uint8_t *p, size_t n);

/* The values of N elements of DTYPE, which has real numbers. Integers of 64 bits lose what a double does not hold. */
void sums_values(int dtype, bool big_endian, const uint8_t *p, size_t n, double *out);

/* The value of an element of DTYPE, which has real numbers of 1 or 2 bytes. CODE is its bytes: one is the low byte,
 * two are as they lie in memory. There are so few values that it is faster to count each code of many. */
double sums_value(int dtype, bool big_endian, uint16_t code);

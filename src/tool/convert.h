/* src/tool/convert.h: doubles become elements of another type. The other way is sums_values (step/sums.h). */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* N doubles become elements of DTYPE, which is a float, at P, little-endian: the nearest value, of two the even one. What is too large becomes
 * an infinity, where there is none NaN, and where there is none either the largest value. So does NumPy with ml_dtypes. */
void convert_to(int dtype, const double *in, size_t n, uint8_t *p);

/* src/make/convert.h: many elements as doubles, and back; element for element as number_value and number_store. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* N elements at P. DTYPE is a float. */
void convert_from(int dtype, bool big_endian, const uint8_t *p, size_t n, double *out);

/* They become little-endian. */
void convert_to(int dtype, const double *in, size_t n, uint8_t *p);

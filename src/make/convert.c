#include "make/convert.h"
#include "base/bytes.h"
#include "format/dtype.h"
#include "tool/number.h"
#include <math.h>

static const bool is_little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

static void from_floats(const uint8_t *p, size_t n, double *out)
{
	float v;

	for (size_t i = 0; i < n; i++) {
		memcpy(&v, p + i * sizeof v, sizeof v);
		out[i] = (double)v;
	}
}

/* The upper half of a float. */
static void from_bfloats(const uint8_t *p, size_t n, double *out)
{
	uint16_t half;
	uint32_t bits;
	float v;

	for (size_t i = 0; i < n; i++) {
		memcpy(&half, p + i * sizeof half, sizeof half);
		bits = (uint32_t)half << 16;
		memcpy(&v, &bits, sizeof v);
		out[i] = (double)v;
	}
}

void convert_from(int dtype, bool big_endian, const uint8_t *p, size_t n, double *out)
{
	size_t item = dtype_info(dtype)->item;

	if (big_endian == is_little || (item <= 2 && dtype != DTYPE_BFLOAT16))
		for (size_t i = 0; i < n; i++)
			out[i] = number_value(dtype, big_endian, p + i * item);
	else if (dtype == DTYPE_DOUBLE)
		memcpy(out, p, n * sizeof *out);
	else if (dtype == DTYPE_FLOAT)
		from_floats(p, n, out);
	else
		from_bfloats(p, n, out);
}

static void to_floats(const double *in, size_t n, uint8_t *p)
{
	float v;

	for (size_t i = 0; i < n; i++) {
		v = (float)in[i];
		memcpy(p + i * sizeof v, &v, sizeof v);
	}
}

/* V, no NaN, is rounded to the nearest bfloat16, of two to the even one. As a float it could have been rounded already, so what it lost
 * then counts as a last bit. */
static uint16_t bfloat_of(double v)
{
	float f = (float)v;
	uint32_t bits;

	memcpy(&bits, &f, sizeof bits);
	if ((double)f < v || (double)f > v) {
		bits -= fabs((double)f) > fabs(v);
		bits |= 1;
	}
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static void to_bfloats(const double *in, size_t n, uint8_t *p)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t v = bfloat_of(in[i]);

		if (isnan(in[i]))
			number_store(DTYPE_BFLOAT16, false, in[i], p + 2 * i);
		else
			memcpy(p + 2 * i, &v, sizeof v);
	}
}

void convert_to(int dtype, const double *in, size_t n, uint8_t *p)
{
	size_t item = dtype_info(dtype)->item;

	if (is_little && dtype == DTYPE_DOUBLE)
		memcpy(p, in, n * sizeof *in);
	else if (is_little && dtype == DTYPE_FLOAT)
		to_floats(in, n, p);
	else if (is_little && dtype == DTYPE_BFLOAT16)
		to_bfloats(in, n, p);
	else
		for (size_t i = 0; i < n; i++)
			number_store(dtype, false, in[i], p + i * item);
}

#include "tool/convert.h"
#include "format/dtype.h"
#include <endian.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { DOUBLE_MANTISSA = 52, DOUBLE_BIAS = 1023 };

static uint64_t bits_of(double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof bits);
	return bits;
}

static double double_of(uint64_t bits)
{
	double v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

/* --- small floats ------------------------------------------------------------------------------------------------- */

/* The bits of a number that is not finite, or too large, without its sign. */
static unsigned special_bits(const struct real *f, bool is_nan)
{
	unsigned all_x = ((1u << f->exponent) - 1) << f->mantissa, all_m = (1u << f->mantissa) - 1;

	switch (f->specials) {
	case FLOAT_IEEE:
		return all_x | (is_nan ? 1u << (f->mantissa - 1) : 0);
	case FLOAT_FN:
		return all_x | all_m;
	case FLOAT_FNUZ:
		return 1u << (f->mantissa + f->exponent);
	case FLOAT_FINITE:
		break;
	}
	return is_nan ? 1u << (f->mantissa + f->exponent) : all_x | all_m;
}

/* The largest finite value as bits. */
static unsigned largest_bits(const struct real *f)
{
	unsigned all = (1u << (f->mantissa + f->exponent)) - 1;

	return f->specials == FLOAT_IEEE
		       ? ((all >> f->mantissa) - 1) << f->mantissa | ((1u << f->mantissa) - 1)
	       : f->specials == FLOAT_FN ? all - 1
					 : all;
}

/* The finite V >= 0 as bits; more than the largest ones if it is too large. */
static unsigned finite_bits(const struct real *f, double v)
{
	int drop = DOUBLE_MANTISSA - f->mantissa;
	uint64_t bits = bits_of(v), least = (uint64_t)(DOUBLE_BIAS + 1 - f->bias)
					    << DOUBLE_MANTISSA;
	double step;

	/* Below the smallest number that has all bits of a mantissa, numbers are a whole count of steps. The processor rounds to one
	 * when the sum is so large that the step is its last bit. */
	if (bits < least) {
		step = double_of(least + ((uint64_t)drop << DOUBLE_MANTISSA));
		return (unsigned)(bits_of(v + step) - bits_of(step));
	}
	/* The bits that are dropped round to the nearest, of two to the even one. A mantissa that is full carries into the exponent. */
	bits += ((uint64_t)1 << (drop - 1)) - 1 + (bits >> drop & 1);
	bits = (bits >> drop) - ((uint64_t)(DOUBLE_BIAS - f->bias) << f->mantissa);
	return bits < UINT32_MAX ? (unsigned)bits : UINT32_MAX;
}

static unsigned float_bits(const struct real *f, double v)
{
	unsigned sign = signbit(v) ? 1u << (f->mantissa + f->exponent) : 0, bits;

	if (isnan(v))
		return f->specials == FLOAT_FNUZ || f->specials == FLOAT_FINITE
			       ? special_bits(f, true)
			       : sign | special_bits(f, true);
	if (v == 0)
		return f->specials == FLOAT_FNUZ ? 0 : sign;
	bits = isinf(v) ? UINT32_MAX : finite_bits(f, fabs(v));
	if (bits > largest_bits(f))
		return f->specials == FLOAT_FNUZ ? special_bits(f, true)
						 : sign | special_bits(f, false);
	return f->specials == FLOAT_FNUZ && !bits ? 0 : sign | bits;
}

static void to_small(const struct dtype_info *type, const double *in, size_t n, uint8_t *p)
{
	for (size_t i = 0; i < n; i++) {
		unsigned bits = float_bits(&type->real, in[i]);

		p[i * type->item] = (uint8_t)bits;
		if (type->item == 2)
			p[2 * i + 1] = (uint8_t)(bits >> 8);
	}
}

/* --- bfloat16 and float --------------------------------------------------------------------------------------------- */

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

static void to_bfloats(const struct dtype_info *type, const double *in, size_t n, uint8_t *p)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t v = htole16(bfloat_of(in[i]));

		if (isnan(in[i]))
			to_small(type, &in[i], 1, p + 2 * i);
		else
			memcpy(p + 2 * i, &v, sizeof v);
	}
}

static void to_floats(const double *in, size_t n, uint8_t *p)
{
	for (size_t i = 0; i < n; i++) {
		float v = (float)in[i];
		uint32_t bits;

		memcpy(&bits, &v, sizeof bits);
		bits = htole32(bits);
		memcpy(p + i * sizeof bits, &bits, sizeof bits);
	}
}

static void to_doubles(const double *in, size_t n, uint8_t *p)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t bits = htole64(bits_of(in[i]));

		memcpy(p + i * sizeof bits, &bits, sizeof bits);
	}
}

void convert_to(int dtype, const double *in, size_t n, uint8_t *p)
{
	const struct dtype_info *type = dtype_info(dtype);

	if (dtype == DTYPE_DOUBLE)
		to_doubles(in, n, p);
	else if (dtype == DTYPE_FLOAT)
		to_floats(in, n, p);
	else if (dtype == DTYPE_BFLOAT16)
		to_bfloats(type, in, n, p);
	else
		to_small(type, in, n, p);
}

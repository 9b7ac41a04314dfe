#include "tool/number.h"
#include "format/dtype.h"
#include "message/repr.h"
#include "step/sums.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* --- bits ----------------------------------------------------------------------------------------------------- */

/* The N bytes at P, up to 8, as an integer. */
static uint64_t bits_of(const uint8_t *p, size_t n, bool big_endian)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < n; i++)
		bits |= (uint64_t)p[big_endian ? n - 1 - i : i] << 8 * i;
	return bits;
}

static void put_bits(uint64_t bits, size_t n, bool big_endian, uint8_t *p)
{
	for (size_t i = 0; i < n; i++)
		p[big_endian ? n - 1 - i : i] = (uint8_t)(bits >> 8 * i);
}

static double double_of(uint64_t bits)
{
	double v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

static float float_of(uint32_t bits)
{
	float v;

	memcpy(&v, &bits, sizeof v);
	return v;
}

static int64_t signed_of(uint64_t bits, size_t n)
{
	return (int64_t)(bits << (64 - 8 * n)) >> (64 - 8 * n);
}

/* --- values --------------------------------------------------------------------------------------------------- */

double number_value(int dtype, bool big_endian, const uint8_t *p)
{
	const struct dtype_info *type = dtype_info(dtype);
	uint64_t bits;
	uint16_t code = 0;

	if (type->real.kind == REAL_NONE)
		return (double)NAN;
	if (type->item <= 2) {
		memcpy(&code, p, type->item);
		return sums_value(dtype, big_endian, code);
	}
	bits = bits_of(p, type->item, big_endian);
	if (type->real.kind == REAL_FLOAT)
		return type->item == 4 ? (double)float_of((uint32_t)bits) : double_of(bits);
	return type->real.kind == REAL_SIGNED ? (double)signed_of(bits, type->item) : (double)bits;
}

int64_t number_signed(int dtype, bool big_endian, const uint8_t *p)
{
	size_t n = dtype_info(dtype)->item;

	return n > 2 ? signed_of(bits_of(p, n, big_endian), n)
		     : (int64_t)number_value(dtype, big_endian, p);
}

uint64_t number_unsigned(int dtype, bool big_endian, const uint8_t *p)
{
	size_t n = dtype_info(dtype)->item;

	return n > 2 ? bits_of(p, n, big_endian) : (uint64_t)number_value(dtype, big_endian, p);
}

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

/* The finite V > 0 as bits; more than the largest ones if it is too large. */
static unsigned finite_bits(const struct real *f, double v)
{
	int x = ilogb(v) + f->bias; /* with 1 the smallest numbers begin that have all bits */
	double steps;

	if (x < 1)
		x = 1;
	if (x > 1 << f->exponent)
		return UINT32_MAX;
	/* nearbyint rounds to even. A mantissa that is full carries into the exponent. */
	steps = nearbyint(ldexp(v, f->mantissa - (x - f->bias)));
	return ((unsigned)(x - 1) << f->mantissa) + (unsigned)steps;
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

void number_store(int dtype, bool big_endian, double v, uint8_t *p)
{
	const struct dtype_info *type = dtype_info(dtype);
	float single = (float)v;
	uint32_t word;
	uint64_t bits;

	if (type->item == 8) {
		memcpy(&bits, &v, sizeof bits);
	} else if (type->item == 4) {
		memcpy(&word, &single, sizeof word);
		bits = word;
	} else {
		bits = float_bits(&type->real, v);
	}
	put_bits(bits, type->item, big_endian, p);
}

/* --- text ----------------------------------------------------------------------------------------------------- */

/* V, a value of a float type of one or two bytes, with as many digits as tell it from its neighbours. */
static void small_text(int dtype, double v, char out[REPR_MAX])
{
	uint8_t bytes[2], back[2];

	number_store(dtype, false, v, bytes);
	for (int digits = 1; digits < 17; digits++) {
		snprintf(out, REPR_MAX, "%.*g", digits, v);
		number_store(dtype, false, strtod(out, NULL), back);
		if (!memcmp(bytes, back, dtype_info(dtype)->item))
			break;
	}
	repr_double(strtod(out, NULL), out);
}

static int float_text(int dtype, bool big_endian, const uint8_t *p, struct buf *out)
{
	double v = number_value(dtype, big_endian, p);
	char text[REPR_MAX];

	if (dtype_info(dtype)->item <= 2 && isfinite(v))
		small_text(dtype, v, text);
	else if (dtype_info(dtype)->item == 4)
		repr_float((float)v, text);
	else
		repr_double(v, text);
	return buf_add_str(out, text);
}

/* (1+2j). WORD bytes have the real part, as many the imaginary one. */
static int complex_text(size_t word, bool big_endian, const uint8_t *p, struct buf *out)
{
	int dtype = word == 4 ? DTYPE_FLOAT : DTYPE_DOUBLE;
	double imaginary = number_value(dtype, big_endian, p + word);
	int r = buf_add_byte(out, '(');

	if (r == 0)
		r = float_text(dtype, big_endian, p, out);
	if (r == 0 && (isnan(imaginary) || !signbit(imaginary)))
		r = buf_add_byte(out, '+');
	if (r == 0)
		r = float_text(dtype, big_endian, p + word, out);
	return r < 0 ? r : buf_add_str(out, "j)");
}

int number_text(int dtype, bool big_endian, const uint8_t *p, struct buf *out)
{
	const struct dtype_info *type = dtype_info(dtype);

	switch (type->real.kind) {
	case REAL_FLOAT:
		return float_text(dtype, big_endian, p, out);
	case REAL_BOOL:
		return buf_add_str(out, *p ? "True" : "False");
	case REAL_SIGNED:
		return buf_printf(out, "%" PRId64, number_signed(dtype, big_endian, p));
	case REAL_UNSIGNED:
		return buf_printf(out, "%" PRIu64, number_unsigned(dtype, big_endian, p));
	case REAL_NONE:
		break;
	}
	return complex_text(type->word, big_endian, p, out);
}

#include "tool/number.h"
#include "format/dtype.h"
#include "message/repr.h"
#include "step/sums.h"
#include "tool/convert.h"
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

static int64_t signed_of(uint64_t bits, size_t n)
{
	return (int64_t)(bits << (64 - 8 * n)) >> (64 - 8 * n);
}

/* --- values --------------------------------------------------------------------------------------------------- */

double number_value(int dtype, bool big_endian, const uint8_t *p)
{
	double v = (double)NAN;

	if (dtype_info(dtype)->real.kind != REAL_NONE)
		sums_values(dtype, big_endian, p, 1, &v);
	return v;
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

/* --- text ----------------------------------------------------------------------------------------------------- */

/* V, a value of a float type of one or two bytes, with as many digits as tell it from its neighbours. */
static void small_text(int dtype, double v, char out[REPR_MAX])
{
	uint8_t bytes[2], back[2];
	double shorter = v;

	convert_to(dtype, &v, 1, bytes);
	for (int digits = 1; digits < 17; digits++) {
		snprintf(out, REPR_MAX, "%.*g", digits, v);
		shorter = strtod(out, NULL);
		convert_to(dtype, &shorter, 1, back);
		if (!memcmp(bytes, back, dtype_info(dtype)->item))
			break;
	}
	repr_double(shorter, out);
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

#include "step/sums.h"
#include "base/cleanup.h"
#include "format/dtype.h"
#include <endian.h>
#include <math.h>
#include <string.h>

/* --- values ------------------------------------------------------------------------------------------------ */

/* A small float: a sign, EXPONENT bits, MANTISSA bits. */
struct small_float {
	int exponent, mantissa, bias;
	bool finite; /* no infinities: */
	bool nan_is_one; /* all ones is the NaN (fn), else, if finite, 0x80 is (fnuz) */
	bool no_nan;
};

static double small_float(struct small_float f, unsigned bits)
{
	unsigned m = bits & ((1u << f.mantissa) - 1), top = (1u << f.exponent) - 1;
	unsigned x = bits >> f.mantissa & top;
	bool negative = bits >> (f.mantissa + f.exponent) & 1;
	double v;

	if (!f.finite && x == top)
		v = m ? (double)NAN : (double)INFINITY;
	else if (f.finite && !f.no_nan && f.nan_is_one && x == top && m == (1u << f.mantissa) - 1)
		v = (double)NAN;
	else if (f.finite && !f.no_nan && !f.nan_is_one && negative && !x && !m)
		return (double)NAN;
	else
		v = ldexp(x ? m + (1u << f.mantissa) : m, (int)(x ? x : 1) - f.bias - f.mantissa);
	return negative ? -v : v;
}

static double sign_extended(unsigned bits, int n)
{
	return bits >> (n - 1) & 1 ? (double)(int)(bits - (1u << n)) : (double)bits;
}

static float float_of(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof f);
	return f;
}

static double value_of_16(int dtype, uint16_t bits)
{
	switch (dtype) {
	case DTYPE_HALF:
		return small_float((struct small_float){5, 10, 15, false, false, false}, bits);
	case DTYPE_BFLOAT16:
		return (double)float_of((uint32_t)bits << 16);
	case DTYPE_INT16:
	case DTYPE_QINT16:
		return (int16_t)bits;
	default:
		return bits;
	}
}

static double value_of_8(int dtype, uint8_t bits)
{
	switch (dtype) {
	case DTYPE_INT8:
	case DTYPE_QINT8:
		return (int8_t)bits;
	case DTYPE_BOOL:
		return bits != 0;
	case DTYPE_FLOAT8_E5M2:
		return small_float((struct small_float){5, 2, 15, false, false, false}, bits);
	case DTYPE_FLOAT8_E4M3FN:
		return small_float((struct small_float){4, 3, 7, true, true, false}, bits);
	case DTYPE_FLOAT8_E4M3FNUZ:
		return small_float((struct small_float){4, 3, 8, true, false, false}, bits);
	case DTYPE_FLOAT8_E4M3B11FNUZ:
		return small_float((struct small_float){4, 3, 11, true, false, false}, bits);
	case DTYPE_FLOAT8_E5M2FNUZ:
		return small_float((struct small_float){5, 2, 16, true, false, false}, bits);
	case DTYPE_FLOAT4_E2M1FN:
		return small_float((struct small_float){2, 1, 1, true, false, true}, bits & 0xf);
	case DTYPE_INT4:
		return sign_extended(bits & 0xf, 4);
	case DTYPE_INT2:
		return sign_extended(bits & 0x3, 2);
	case DTYPE_UINT4:
		return bits & 0xf;
	case DTYPE_UINT2:
		return bits & 0x3;
	default:
		return bits;
	}
}

/* The value of a type of one or two bytes, of which there are so few that they are counted. */
double sums_value(int dtype, size_t item, bool big_endian, uint16_t code)
{
	if (item == 1)
		return value_of_8(dtype, (uint8_t)code);
	return value_of_16(dtype, big_endian ? be16toh(code) : le16toh(code));
}

/* --- sums -------------------------------------------------------------------------------------------------- */

static void add_finite(struct sums *s, const struct sums *more)
{
	double n = (double)s->n + (double)more->n, delta = more->mean - s->mean;

	if (!more->n)
		return;
	if (!s->n) {
		s->mean =
			more->mean; /* exactly, and m2 without a difference that may be too large to square */
		s->min = more->min;
		s->max = more->max;
		delta = 0;
	}
	s->min = s->min < more->min ? s->min : more->min;
	s->max = s->max > more->max ? s->max : more->max;
	s->mean += delta * ((double)more->n / n);
	s->m2 += more->m2 + delta * delta * ((double)s->n * ((double)more->n / n));
	s->squares += more->squares;
	s->n += more->n;
}

void sums_add(struct sums *s, const struct sums *more)
{
	s->count += more->count;
	s->zeros += more->zeros;
	s->nans += more->nans;
	s->infs += more->infs;
	add_finite(s, more);
}

void sums_add_value(struct sums *s, double v, uint64_t n)
{
	struct sums one = {.n = n, .min = v, .max = v, .mean = v, .squares = v * v * (double)n};

	s->count += n;
	s->zeros += v == 0 ? n : 0;
	s->nans += isnan(v) ? n : 0;
	s->infs += isinf(v) ? n : 0;
	if (isfinite(v) && n)
		add_finite(s, &one);
}

enum { BLOCK = 2048 }; /* doubles that are looked at together, */
enum { LANES = 2 }; /* of them side by side */

/* The compiler makes of these what registers there are. */
typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));
typedef int64_t lanes_mask __attribute__((vector_size(LANES * sizeof(int64_t))));

static bool are_finite(const lanes *v, size_t n)
{
	lanes sum = {0};

	for (size_t i = 0; i < n; i++)
		sum += v[i] - v[i]; /* NaN for one that is not */
	return sum[0] + sum[1] == 0;
}

/* Takes those of N doubles out that are not finite, and counts them. */
static size_t keep_finite(double *v, size_t n, struct sums *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		s->nans += isnan(v[i]) != 0;
		s->infs += isinf(v[i]) != 0;
		if (isfinite(v[i]))
			v[kept++] = v[i];
	}
	return kept;
}

/* What N times LANES finite doubles add up to. */
static void sum_lanes(const lanes *v, size_t n, struct sums *s)
{
	double from = v[0][0]; /* differences from it lose nothing to large numbers */
	lanes min = v[0], max = v[0], sum = {0}, m2 = {0}, squares = {0};
	lanes_mask zeros = {0}; /* what holds is -1 */

	for (size_t i = 0; i < n; i++) {
		lanes_mask less = v[i]<min, more = v[i]> max;

		min = (lanes)(((lanes_mask)v[i] & less) | ((lanes_mask)min & ~less));
		max = (lanes)(((lanes_mask)v[i] & more) | ((lanes_mask)max & ~more));
		sum += v[i] - from;
		squares += v[i] * v[i];
		zeros -= v[i] == 0;
	}
	s->n = n * LANES;
	s->mean = from + (sum[0] + sum[1]) / (double)s->n;
	for (size_t i = 0; i < n; i++)
		m2 += (v[i] - s->mean) * (v[i] - s->mean);
	s->min = s->max = from;
	for (size_t k = 0; k < LANES; k++) {
		s->m2 += m2[k];
		s->squares += squares[k];
		s->zeros += (uint64_t)zeros[k];
		s->min = min[k] < s->min ? min[k] : s->min;
		s->max = max[k] > s->max ? max[k] : s->max;
	}
}

/* Adds N values, at most a BLOCK, which it changes. */
static void add_block(struct sums *s, lanes *block, size_t n)
{
	struct sums of_block = {0};
	double *v = (double *)block;
	size_t kept = n, done;

	if (n % LANES || !are_finite(block, n / LANES))
		kept = keep_finite(v, n, &of_block);
	if (kept >= LANES)
		sum_lanes(block, kept / LANES, &of_block);
	if (!isfinite(of_block.mean)) /* differences are too large for a double: one at a time */
		of_block.n = of_block.zeros = 0;
	done = of_block.n;
	of_block.count = n - kept + done;
	sums_add(s, &of_block);
	for (; done < kept; done++)
		sums_add_value(s, v[done], 1);
}

/* --- elements ---------------------------------------------------------------------------------------------- */

/* Turns N elements of 4 or 8 bytes around. */
static void swap_bytes(uint8_t *p, size_t n, size_t item)
{
	uint32_t half;
	uint64_t full;

	for (size_t i = 0; i < n && item == 4; i++) {
		memcpy(&half, p + i * sizeof half, sizeof half);
		half = __builtin_bswap32(half);
		memcpy(p + i * sizeof half, &half, sizeof half);
	}
	for (size_t i = 0; i < n && item == 8; i++) {
		memcpy(&full, p + i * sizeof full, sizeof full);
		full = __builtin_bswap64(full);
		memcpy(p + i * sizeof full, &full, sizeof full);
	}
}

#define EACH(type)                                                                                 \
	for (size_t i = 0; i < n; i++) {                                                           \
		type x;                                                                            \
                                                                                                   \
		memcpy(&x, p + i * sizeof x, sizeof x);                                            \
		out[i] = (double)x;                                                                \
	}

/* N elements, of this machine's byte order. */
static void to_doubles(int dtype, const uint8_t *p, size_t n, double *out)
{
	switch (dtype) {
	case DTYPE_FLOAT:
		EACH(float)
		break;
	case DTYPE_INT32:
	case DTYPE_QINT32:
		EACH(int32_t)
		break;
	case DTYPE_UINT32:
		EACH(uint32_t)
		break;
	case DTYPE_INT64:
		EACH(int64_t)
		break;
	case DTYPE_UINT64:
		EACH(uint64_t)
		break;
	default:
		EACH(double)
	}
}

void sums_add_elements(struct sums *s, int dtype, size_t item, bool big_endian, uint8_t *p,
		       size_t n)
{
	lanes block[BLOCK / LANES];

	if (big_endian != (BYTE_ORDER == BIG_ENDIAN))
		swap_bytes(p, n, item);
	for (size_t i = 0; i < n; i += BLOCK) {
		size_t count = n - i < BLOCK ? n - i : BLOCK;

		to_doubles(dtype, p + i * item, count, (double *)block);
		add_block(s, block, count);
	}
}

#include "step/sums.h"
#include "format/dtype.h"
#include "format/elements.h"
#include <endian.h>
#include <math.h>

/* --- values ------------------------------------------------------------------------------------------------ */

static double float_value(const struct real *f, unsigned bits)
{
	unsigned m = bits & ((1u << f->mantissa) - 1), all_m = (1u << f->mantissa) - 1;
	unsigned x = bits >> f->mantissa & ((1u << f->exponent) - 1),
		 all_x = (1u << f->exponent) - 1;
	bool negative = bits >> (f->mantissa + f->exponent) & 1;
	double v = ldexp(x ? m + (1u << f->mantissa) : m, (int)(x ? x : 1) - f->bias - f->mantissa);

	if (f->specials == FLOAT_IEEE && x == all_x)
		v = m ? (double)NAN : (double)INFINITY;
	if ((f->specials == FLOAT_FN && x == all_x && m == all_m) ||
	    (f->specials == FLOAT_FNUZ && negative && !x && !m))
		v = (double)NAN;
	return negative ? -v : v;
}

double sums_value(int dtype, bool big_endian, uint16_t code)
{
	const struct dtype_info *type = dtype_info(dtype);
	unsigned bits = code;

	if (type->item == 2)
		bits = big_endian ? be16toh(code) : le16toh(code);
	bits &= (1u << type->real.bits) - 1;
	switch (type->real.kind) {
	case REAL_SIGNED:
		return bits >> (type->real.bits - 1)
			       ? (double)bits - (double)(1u << type->real.bits)
			       : bits;
	case REAL_UNSIGNED:
		return bits;
	case REAL_BOOL:
		return bits != 0;
	case REAL_FLOAT:
		return float_value(&type->real, bits);
	case REAL_NONE:
		break;
	}
	return (double)NAN;
}

/* --- sums -------------------------------------------------------------------------------------------------- */

static void add_finite(struct sums *s, const struct sums *more)
{
	double n = (double)s->n + (double)more->n, delta = more->mean - s->mean;

	if (!more->n)
		return;
	if (!s->n) {
		/* The mean is exact, and m2 has no difference that may be too large to square. */
		s->mean = more->mean;
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

enum {
	BLOCK = 2048, /* how many doubles are summed at a time */
	STRIDE = 16, /* how many elements are read at a time */
	SWAPPED = 4096, /* bytes whose order is changed at a time */
	LANES = 2, /* how many of them in one vector */
};

/* The compiler puts these into vector registers. */
typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));
typedef int64_t lanes_mask __attribute__((vector_size(LANES * sizeof(int64_t))));

static bool are_finite(const lanes *v, size_t n)
{
	lanes sum = {0};

	for (size_t i = 0; i < n; i++)
		sum += v[i] - v[i]; /* 0, or NaN if it is not finite */
	return sum[0] + sum[1] == 0;
}

/* Takes out and counts those of N doubles that are not finite. How many are left. */
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

/* Sums N vectors of finite doubles into S, which has summed none yet. */
static void sum_lanes(const lanes *v, size_t n, struct sums *s)
{
	double from = v[0][0]; /* differences from it are small, so their sum is exact enough */
	lanes min = v[0], max = v[0], sum = {0}, m2 = {0}, squares = {0};
	lanes_mask zeros = {0}; /* a comparison that holds is -1 */

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

/* Adds N values, at most BLOCK. They are changed. */
static void add_block(struct sums *s, lanes *block, size_t n)
{
	struct sums of_block = {0};
	double *v = (double *)block;
	size_t kept = n, done;

	if (n % LANES || !are_finite(block, n / LANES))
		kept = keep_finite(v, n, &of_block);
	if (kept >= LANES)
		sum_lanes(block, kept / LANES, &of_block);
	/* A difference was too large for a double: values are added one at a time. */
	if (!isfinite(of_block.mean))
		of_block.n = of_block.zeros = 0;
	done = of_block.n;
	of_block.count = n - kept + done;
	sums_add(s, &of_block);
	for (; done < kept; done++)
		sums_add_value(s, v[done], 1);
}

/* --- elements ---------------------------------------------------------------------------------------------- */

/* The compiler puts a STRIDE of them into vector registers. */
#define EACH(type)                                                                                 \
	do {                                                                                       \
		size_t i = 0;                                                                      \
                                                                                                   \
		for (; i + STRIDE <= n; i += STRIDE)                                               \
			for (size_t k = i; k < i + STRIDE; k++)                                    \
				ONE(type, k);                                                      \
		for (; i < n; i++)                                                                 \
			ONE(type, i);                                                              \
	} while (0)

#define ONE(type, i)                                                                               \
	do {                                                                                       \
		type x;                                                                            \
                                                                                                   \
		memcpy(&x, p + (i) * sizeof x, sizeof x);                                          \
		out[i] = (double)x;                                                                \
	} while (0)

/* Of N elements of one byte. Their values stand in a table if it is worth to make one. */
static void of_bytes(int dtype, const uint8_t *p, size_t n, double *out)
{
	double values[256];

	if (n < 256) {
		for (size_t i = 0; i < n; i++)
			out[i] = sums_value(dtype, false, p[i]);
		return;
	}
	for (unsigned code = 0; code < 256; code++)
		values[code] = sums_value(dtype, false, (uint16_t)code);
	for (size_t i = 0; i < n; i++)
		out[i] = values[p[i]];
}

/* A bfloat16 is the upper half of a float. */
static void of_bfloats(const uint8_t *p, size_t n, double *out)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t code;
		uint32_t bits;
		float f;

		memcpy(&code, p + i * sizeof code, sizeof code);
		bits = (uint32_t)code << 16;
		memcpy(&f, &bits, sizeof f);
		out[i] = (double)f;
	}
}

/* As a float with the same bits the number would be 2^112 times smaller: their exponents begin at other places. */
static void of_halves(const uint8_t *p, size_t n, double *out)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t code;
		uint32_t bits, special;
		float f;

		memcpy(&code, p + i * sizeof code, sizeof code);
		bits = (code & 0x7fffu) << 13;
		memcpy(&f, &bits, sizeof f);
		f *= 0x1p112f;
		memcpy(&bits, &f, sizeof f);
		special = code & 0x3ff ? 0x7fc00000 : 0x7f800000; /* NaN, infinity */
		bits = (code & 0x7c00) == 0x7c00 ? special : bits;
		bits |= (code & 0x8000u) << 16;
		memcpy(&f, &bits, sizeof f);
		out[i] = (double)f;
	}
}

/* N elements in this machine's byte order. */
static void to_doubles(int dtype, const struct dtype_info *type, const uint8_t *restrict p,
		       size_t n, double *restrict out)
{
	enum real_kind kind = type->real.kind;

	if (type->item == 1)
		of_bytes(dtype, p, n, out);
	else if (dtype == DTYPE_BFLOAT16)
		of_bfloats(p, n, out);
	else if (type->item == 2 && kind == REAL_FLOAT)
		of_halves(p, n, out);
	else if (type->item == 2 && kind == REAL_SIGNED)
		EACH(int16_t);
	else if (type->item == 2)
		EACH(uint16_t);
	else if (type->item == 4 && kind == REAL_FLOAT)
		EACH(float);
	else if (type->item == 4 && kind == REAL_SIGNED)
		EACH(int32_t);
	else if (type->item == 4)
		EACH(uint32_t);
	else if (kind == REAL_FLOAT)
		EACH(double);
	else if (kind == REAL_SIGNED)
		EACH(int64_t);
	else
		EACH(uint64_t);
}

void sums_values(int dtype, bool big_endian, const uint8_t *p, size_t n, double *out)
{
	const struct dtype_info *type = dtype_info(dtype);
	uint8_t swapped[SWAPPED];
	size_t item = type->item, most = sizeof swapped / item;

	if (item == 1 || big_endian == (BYTE_ORDER == BIG_ENDIAN)) {
		to_doubles(dtype, type, p, n, out);
		return;
	}
	for (size_t i = 0; i < n; i += most) {
		size_t some = n - i < most ? n - i : most;

		memcpy(swapped, p + i * item, some * item);
		elements_swap(swapped, some * item, item);
		to_doubles(dtype, type, swapped, some, out + i);
	}
}

void sums_add_elements(struct sums *s, int dtype, bool big_endian, const uint8_t *p, size_t n)
{
	size_t item = dtype_info(dtype)->item;
	lanes block[BLOCK / LANES];

	for (size_t i = 0; i < n; i += BLOCK) {
		size_t count = n - i < BLOCK ? n - i : BLOCK;

		sums_values(dtype, big_endian, p + i * item, count, (double *)block);
		add_block(s, block, count);
	}
}

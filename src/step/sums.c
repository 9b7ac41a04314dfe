#include "step/sums.h"
#include "base/cleanup.h"
#include "format/dtype.h"
#include <endian.h>
#include <math.h>
#include <string.h>

/* --- types ------------------------------------------------------------------------------------------------- */

enum kind { NO_NUMBER, SIGNED, UNSIGNED, BOOLEAN, FLOAT };

/* What is special about a float's bits. */
enum specials {
	IEEE, /* all ones in the exponent: infinity, or NaN */
	NAN_ALL_ONES, /* no infinities; all ones is NaN ("fn") */
	NAN_MINUS_ZERO, /* no infinities, no minus zero: that is NaN ("fnuz") */
	NO_SPECIALS,
};

/* How an element's bits are a number. */
struct number {
	enum kind kind;
	int bits; /* how many low bits count; the element may have more */
	int exponent, mantissa; /* of a float: their bits */
	int bias;
	enum specials specials;
};

#define INTEGER(kind, bits) ((struct number){kind, bits, 0, 0, 0, IEEE})
#define REAL(exponent, mantissa, bias, specials)                                                   \
	((struct number){FLOAT, 1 + (exponent) + (mantissa), exponent, mantissa, bias, specials})

/* There is no default: the compiler asks for each new type. */
static struct number number_of(enum dtype dtype)
{
	switch (dtype) {
	case DTYPE_INT2:
		return INTEGER(SIGNED, 2);
	case DTYPE_INT4:
		return INTEGER(SIGNED, 4);
	case DTYPE_INT8:
	case DTYPE_QINT8:
		return INTEGER(SIGNED, 8);
	case DTYPE_INT16:
	case DTYPE_QINT16:
		return INTEGER(SIGNED, 16);
	case DTYPE_INT32:
	case DTYPE_QINT32:
		return INTEGER(SIGNED, 32);
	case DTYPE_INT64:
		return INTEGER(SIGNED, 64);
	case DTYPE_UINT2:
		return INTEGER(UNSIGNED, 2);
	case DTYPE_UINT4:
		return INTEGER(UNSIGNED, 4);
	case DTYPE_UINT8:
	case DTYPE_QUINT8:
		return INTEGER(UNSIGNED, 8);
	case DTYPE_UINT16:
	case DTYPE_QUINT16:
		return INTEGER(UNSIGNED, 16);
	case DTYPE_UINT32:
		return INTEGER(UNSIGNED, 32);
	case DTYPE_UINT64:
		return INTEGER(UNSIGNED, 64);
	case DTYPE_BOOL:
		return INTEGER(BOOLEAN, 8);
	case DTYPE_FLOAT4_E2M1FN:
		return REAL(2, 1, 1, NO_SPECIALS);
	case DTYPE_FLOAT8_E5M2:
		return REAL(5, 2, 15, IEEE);
	case DTYPE_FLOAT8_E4M3FN:
		return REAL(4, 3, 7, NAN_ALL_ONES);
	case DTYPE_FLOAT8_E4M3FNUZ:
		return REAL(4, 3, 8, NAN_MINUS_ZERO);
	case DTYPE_FLOAT8_E4M3B11FNUZ:
		return REAL(4, 3, 11, NAN_MINUS_ZERO);
	case DTYPE_FLOAT8_E5M2FNUZ:
		return REAL(5, 2, 16, NAN_MINUS_ZERO);
	case DTYPE_HALF:
		return REAL(5, 10, 15, IEEE);
	case DTYPE_BFLOAT16:
		return REAL(8, 7, 127, IEEE);
	case DTYPE_FLOAT:
		return REAL(8, 23, 127, IEEE);
	case DTYPE_DOUBLE:
		return REAL(11, 52, 1023, IEEE);
	case DTYPE_INVALID:
	case DTYPE_STRING:
	case DTYPE_COMPLEX64:
	case DTYPE_COMPLEX128:
	case DTYPE_RESOURCE:
	case DTYPE_VARIANT:
		break;
	}
	return INTEGER(NO_NUMBER, 0);
}

bool sums_has_numbers(int dtype)
{
	return number_of((enum dtype)dtype).kind != NO_NUMBER;
}

/* --- values ------------------------------------------------------------------------------------------------ */

static double float_value(const struct number *f, unsigned bits)
{
	unsigned m = bits & ((1u << f->mantissa) - 1), all_m = (1u << f->mantissa) - 1;
	unsigned x = bits >> f->mantissa & ((1u << f->exponent) - 1),
		 all_x = (1u << f->exponent) - 1;
	bool negative = bits >> (f->mantissa + f->exponent) & 1;
	double v = ldexp(x ? m + (1u << f->mantissa) : m, (int)(x ? x : 1) - f->bias - f->mantissa);

	switch (f->specials) {
	case IEEE:
		if (x == all_x)
			v = m ? (double)NAN : (double)INFINITY;
		break;
	case NAN_ALL_ONES:
		if (x == all_x && m == all_m)
			v = (double)NAN;
		break;
	case NAN_MINUS_ZERO:
		if (negative && !x && !m)
			v = (double)NAN;
		break;
	case NO_SPECIALS:
		break;
	}
	return negative ? -v : v;
}

double sums_value(int dtype, bool big_endian, uint16_t code)
{
	struct number number = number_of((enum dtype)dtype);
	unsigned bits = code;

	if (dtype_info(dtype)->item == 2)
		bits = big_endian ? be16toh(code) : le16toh(code);
	bits &= (1u << number.bits) - 1;
	switch (number.kind) {
	case SIGNED:
		return bits >> (number.bits - 1) ? (double)bits - (double)(1u << number.bits)
						 : bits;
	case UNSIGNED:
		return bits;
	case BOOLEAN:
		return bits != 0;
	case FLOAT:
		return float_value(&number, bits);
	case NO_NUMBER:
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

/* Swaps the bytes of N elements of 4 or 8 bytes. */
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

/* N elements of ITEM bytes, in this machine's byte order. */
static void to_doubles(enum kind kind, size_t item, const uint8_t *p, size_t n, double *out)
{
	switch (kind) {
	case SIGNED:
		if (item == 4)
			EACH(int32_t)
		else
			EACH(int64_t)
		break;
	case UNSIGNED:
		if (item == 4)
			EACH(uint32_t)
		else
			EACH(uint64_t)
		break;
	case FLOAT:
		if (item == 4)
			EACH(float)
		else
			EACH(double)
		break;
	case BOOLEAN:
	case NO_NUMBER:
		break;
	}
}

void sums_add_elements(struct sums *s, int dtype, bool big_endian, uint8_t *p, size_t n)
{
	size_t item = dtype_info(dtype)->item;
	enum kind kind = number_of((enum dtype)dtype).kind;
	lanes block[BLOCK / LANES];

	if (big_endian != (BYTE_ORDER == BIG_ENDIAN))
		swap_bytes(p, n, item);
	for (size_t i = 0; i < n; i += BLOCK) {
		size_t count = n - i < BLOCK ? n - i : BLOCK;

		to_doubles(kind, item, p + i * item, count, (double *)block);
		add_block(s, block, count);
	}
}

#include "store/stats.h"
#include "base/cleanup.h"
#include "format/dtype.h"
#include <math.h>

enum { PIECE = 1 << 20 };

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

static double value_of_64(int dtype, uint64_t bits)
{
	double d;

	if (dtype == DTYPE_INT64)
		return (double)(int64_t)bits;
	if (dtype == DTYPE_UINT64)
		return (double)bits;
	memcpy(&d, &bits, sizeof d);
	return d;
}

static double value_of_32(int dtype, uint32_t bits)
{
	float f;

	if (dtype == DTYPE_INT32 || dtype == DTYPE_QINT32)
		return (int32_t)bits;
	if (dtype == DTYPE_UINT32)
		return bits;
	memcpy(&f, &bits, sizeof f);
	return (double)f;
}

static double value_of_16(int dtype, uint16_t bits)
{
	switch (dtype) {
	case DTYPE_HALF:
		return small_float((struct small_float){5, 10, 15, false, false, false}, bits);
	case DTYPE_BFLOAT16:
		return value_of_32(DTYPE_FLOAT, (uint32_t)bits << 16);
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

static double value_at(int dtype, size_t item, bool big_endian, const uint8_t *p)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < item; i++)
		bits |= (uint64_t)p[big_endian ? item - 1 - i : i] << 8 * i;
	switch (item) {
	case 8:
		return value_of_64(dtype, bits);
	case 4:
		return value_of_32(dtype, (uint32_t)bits);
	case 2:
		return value_of_16(dtype, (uint16_t)bits);
	default:
		return value_of_8(dtype, (uint8_t)bits);
	}
}

/* Sums as they grow; the mean by Welford's recurrence, which loses nothing to large sums. */
struct sums {
	uint64_t n;
	double mean, m2, squares;
};

static void add_value(struct stats *s, struct sums *sums, double v)
{
	double delta;

	s->count++;
	s->zeros += v == 0;
	s->nans += isnan(v) != 0;
	s->infs += isinf(v) != 0;
	if (!isfinite(v))
		return;
	if (!sums->n || v < s->min)
		s->min = v;
	if (!sums->n || v > s->max)
		s->max = v;
	sums->n++;
	delta = v - sums->mean;
	sums->mean += delta / (double)sums->n;
	sums->m2 += delta * (v - sums->mean);
	sums->squares += v * v;
}

/* An array of numbers, from either of two places. */
struct values {
	const struct tensor *t;
	const struct source *src; /* from OFF on */
	uint64_t off, size;
	int dtype;
	bool big_endian;
};

static int read_values(const struct values *a, struct stats *out, struct err *e)
{
	CLEANUP(freep) uint8_t *piece = malloc(PIECE);
	size_t item = dtype_info(a->dtype)->item;
	struct sums sums = {0};
	int r = piece ? 0 : err_set(e, -ENOMEM, "no memory");

	for (uint64_t off = 0; off < a->size && r == 0; off += PIECE) {
		size_t n = a->size - off < PIECE ? (size_t)(a->size - off) : PIECE;

		r = a->t ? tensor_read(a->t, off, n, piece, e)
			 : source_read_into(a->src, a->off + off, piece, n, e);
		for (size_t i = 0; i < n && r == 0; i += item)
			add_value(out, &sums, value_at(a->dtype, item, a->big_endian, piece + i));
	}
	out->mean = sums.mean;
	out->std = sums.n ? sqrt(sums.m2 / (double)sums.n) : 0;
	out->norm = sqrt(sums.squares);
	return r;
}

/* Not strings, variants, complex numbers. */
static int check_numbers(int dtype, struct err *e)
{
	const struct dtype_info *type = dtype_info(dtype);

	return type->item && type->item == type->word
		       ? 0
		       : err_set(e, -ENODATA, "%s has no real numbers", type->name);
}

int stats_of(struct step *s, const struct var *v, int dirfd, struct stats *out, struct err *e)
{
	struct values a = {.dtype = v->dtype, .big_endian = s->big_endian};
	struct tensor_shape shape;
	struct stats stats = {0};
	struct tensor *t;
	int r;

	if (v->kind == VAR_BAD)
		return step_check(s, v, dirfd, e);
	r = check_numbers(v->dtype, e);
	if (r == 0)
		r = tensor_open(s, v, dirfd, &t, e);
	if (r < 0)
		return r;
	r = tensor_shape(s, v, dirfd, &shape, e);
	a.t = t;
	a.size = shape.size;
	if (r == 0)
		r = read_values(&a, &stats, e);
	tensor_close(t);
	if (r == 0)
		*out = stats;
	return r;
}

int stats_of_file(const struct source *src, const struct npy *npy, struct stats *out, struct err *e)
{
	const struct values a = {.src = src,
				 .off = npy->data,
				 .size = npy->size,
				 .dtype = npy->dtype,
				 .big_endian = npy->big_endian};
	struct stats stats = {0};
	int r = check_numbers(npy->dtype, e);

	if (r == 0)
		r = read_values(&a, &stats, e);
	if (r == 0)
		*out = stats;
	return r;
}

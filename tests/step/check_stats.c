/* Tests of src/step/stats.[ch]: arrays of several pieces, read by several threads, against sums that are made
 * one by one. */
#include "format/dtype.h"
#include "lib/random.h"
#include "step/check_step.h"
#include "step/stats.h"
#include "step/sums.h"
#include <endian.h>
#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { MIB = 1 << 20 };

struct array {
	int dtype;
	bool big_endian;
	size_t n, item;
	uint8_t *bytes;
	double *values;
};

static double one(int dtype, uint64_t bits)
{
	float f;
	double d;

	switch (dtype) {
	case DTYPE_FLOAT:
		memcpy(&f, &(uint32_t){(uint32_t)bits}, sizeof f);
		return (double)f;
	case DTYPE_BFLOAT16:
		memcpy(&f, &(uint32_t){(uint32_t)bits << 16}, sizeof f);
		return (double)f;
	case DTYPE_DOUBLE:
		memcpy(&d, &bits, sizeof d);
		return d;
	case DTYPE_INT8:
		return (int8_t)bits;
	case DTYPE_INT16:
		return (int16_t)bits;
	case DTYPE_INT32:
		return (int32_t)bits;
	case DTYPE_INT64:
		return (double)(int64_t)bits;
	default: /* unsigned */
		return (double)bits;
	}
}

/* Values that a sum of squares can hold, some of them nothing to be added. */
static uint64_t bits_of(int dtype, uint64_t random)
{
	double d = (double)(int32_t)random * 1.5 + 1e6;
	uint64_t bits;

	if (random % 11 == 0)
		return 0;
	if (dtype != DTYPE_DOUBLE)
		return random;
	if (random % 13 == 0)
		d = (double)(random % 2 ? NAN : INFINITY);
	memcpy(&bits, &d, sizeof bits);
	return bits;
}

static struct array array_of(int dtype, size_t item, size_t n, bool big_endian)
{
	struct array a = {.dtype = dtype, .big_endian = big_endian, .n = n, .item = item};
	uint64_t seed = (uint64_t)dtype * 1000 + n;

	a.bytes = malloc(n * item + 1);
	a.values = malloc((n + 1) * sizeof *a.values);
	ck_assert(a.bytes && a.values);
	for (size_t i = 0; i < n; i++) {
		uint64_t bits = bits_of(dtype, random_next(&seed));

		bits &= item == 8 ? UINT64_MAX : ((uint64_t)1 << 8 * item) - 1;
		a.values[i] = one(dtype, bits);
		bits = big_endian ? htobe64(bits << (64 - 8 * item)) : htole64(bits);
		memcpy(a.bytes + i * item, &bits, item);
	}
	return a;
}

static void release(struct array *a)
{
	free(a->bytes);
	free(a->values);
}

static int stats_of_array(const struct array *a, const struct stop *stop, struct stats *out)
{
	struct source src = source_of_memory(bytes_of(a->bytes, a->n * a->item));
	struct npy npy = {.dtype = (uint8_t)a->dtype,
			  .big_endian = a->big_endian,
			  .rank = 1,
			  .dims = {(int64_t)a->n},
			  .count = a->n,
			  .item = a->item,
			  .size = a->n * a->item,
			  .stored = a->n * a->item};

	return stats_of_file(&src, &npy, stop, out, NULL);
}

static void near(double have, long double want, long double scale)
{
	ck_assert_msg(fabsl(have - want) <= scale * 1e-11L, "%.17g, expected %.17Lg", have, want);
}

static void compare(const struct array *a)
{
	long double sum = 0, squares = 0, m2 = 0, mean, std, min = 0, max = 0;
	size_t n = 0, zeros = 0, nans = 0, infs = 0;
	struct stats have;

	for (size_t i = 0; i < a->n; i++) {
		long double v = (long double)a->values[i];

		zeros += v == 0;
		nans += isnan(v) != 0;
		infs += isinf(v) != 0;
		if (!isfinite(v))
			continue;
		min = n && min < v ? min : v;
		max = n && max > v ? max : v;
		sum += v;
		squares += v * v;
		n++;
	}
	mean = n ? sum / (long double)n : 0;
	for (size_t i = 0; i < a->n; i++)
		m2 += isfinite(a->values[i]) ? ((long double)a->values[i] - mean) *
						       ((long double)a->values[i] - mean)
					     : 0;
	std = n ? sqrtl(m2 / (long double)n) : 0;
	ck_assert_int_eq(stats_of_array(a, NULL, &have), 0);
	ck_assert_uint_eq(have.count, a->n);
	ck_assert_uint_eq(have.zeros, zeros);
	ck_assert_uint_eq(have.nans, nans);
	ck_assert_uint_eq(have.infs, infs);
	near(have.min, min, 0);
	near(have.max, max, 0);
	near(have.mean, mean, fabsl(mean) + std);
	near(have.std, std, fabsl(mean) + std);
	near(have.norm, sqrtl(squares), sqrtl(squares));
}

START_TEST(stats_of_pieces_are_those_of_the_whole)
{
	static const struct {
		int dtype;
		size_t item;
	} types[] = {
		{DTYPE_FLOAT, 4}, {DTYPE_DOUBLE, 8}, {DTYPE_INT8, 1},     {DTYPE_UINT8, 1},
		{DTYPE_INT16, 2}, {DTYPE_UINT16, 2}, {DTYPE_INT32, 4},    {DTYPE_UINT32, 4},
		{DTYPE_INT64, 8}, {DTYPE_UINT64, 8}, {DTYPE_BFLOAT16, 2},
	};
	size_t item = types[_i / 2].item;
	const size_t counts[] = {0, 1, 7, 2049, MIB / item, MIB / item + 1, 3 * MIB / item + 5};

	for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
		struct array a = array_of(types[_i / 2].dtype, item, counts[k], _i % 2);

		compare(&a);
		release(&a);
	}
}
END_TEST

/* Sums that are too large for a double, and differences that are lost in them. */
START_TEST(stats_of_large_numbers_are_exact)
{
	struct array a = array_of(DTYPE_DOUBLE, 8, 5000, false);
	struct stats have;
	double v = 1.7e308;

	for (size_t i = 0; i < a.n; i++)
		memcpy(a.bytes + 8 * i, &v, 8);
	ck_assert_int_eq(stats_of_array(&a, NULL, &have), 0);
	ck_assert(have.mean == v && have.std == 0 && have.min == v && isinf(have.norm));
	for (size_t i = 0; i < a.n; i++) {
		v = i % 2 ? 1e308 : 1.7e308;
		memcpy(a.bytes + 8 * i, &v, 8);
	}
	ck_assert_int_eq(stats_of_array(&a, NULL, &have), 0);
	near(have.mean, 1.35e308L, 1.35e308L);
	ck_assert(have.min == 1e308 && have.max == 1.7e308);
	for (size_t i = 0; i < a.n; i++) {
		v = 1e15 + (double)(i % 2);
		memcpy(a.bytes + 8 * i, &v, 8);
	}
	ck_assert_int_eq(stats_of_array(&a, NULL, &have), 0);
	ck_assert(have.mean == 1e15 + 0.5 && have.std == 0.5);
	release(&a);
}
END_TEST

/* The smallest and the largest finite number of each type, and how many of its codes are neither. */
START_TEST(small_types_have_their_values)
{
	static const struct {
		int dtype;
		double min, max;
		unsigned nans, infs;
	} types[] = {
		{DTYPE_INT2, -2, 1, 0, 0},
		{DTYPE_UINT2, 0, 3, 0, 0},
		{DTYPE_INT4, -8, 7, 0, 0},
		{DTYPE_UINT4, 0, 15, 0, 0},
		{DTYPE_QINT8, -128, 127, 0, 0},
		{DTYPE_QUINT8, 0, 255, 0, 0},
		{DTYPE_BOOL, 0, 1, 0, 0},
		{DTYPE_FLOAT4_E2M1FN, -6, 6, 0, 0},
		{DTYPE_FLOAT8_E5M2, -57344, 57344, 6, 2},
		{DTYPE_FLOAT8_E4M3FN, -448, 448, 2, 0},
		{DTYPE_FLOAT8_E4M3FNUZ, -240, 240, 1, 0},
		{DTYPE_FLOAT8_E4M3B11FNUZ, -30, 30, 1, 0},
		{DTYPE_FLOAT8_E5M2FNUZ, -57344, 57344, 1, 0},
		{DTYPE_QINT16, -32768, 32767, 0, 0},
		{DTYPE_QUINT16, 0, 65535, 0, 0},
		{DTYPE_HALF, -65504, 65504, 2046, 2},
	};

	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		struct sums s = {0};
		uint32_t codes = 1u << 8 * dtype_info(types[i].dtype)->item;

		for (uint32_t code = 0; code < codes; code++)
			sums_add_value(&s, sums_value(types[i].dtype, false, (uint16_t)code), 1);
		ck_assert_msg(s.min == types[i].min && s.max == types[i].max, "%s: %g to %g",
			      dtype_info(types[i].dtype)->name, s.min, s.max);
		ck_assert_uint_eq(s.count, codes);
		ck_assert_uint_eq(s.nans, types[i].nans);
		ck_assert_uint_eq(s.infs, types[i].infs);
	}
}
END_TEST

/* One by one a value is worked out from its bits, many at once by faster ways. */
START_TEST(values_of_many_are_those_of_each)
{
	static uint16_t codes[1 << 16];
	static double values[1 << 16];

	for (int dtype = 1; dtype <= DTYPE_FLOAT4_E2M1FN; dtype++) {
		const struct dtype_info *type = dtype_info(dtype);
		size_t n = type->item == 1 ? 1 << 8 : 1 << 16;

		if (type->item < 1 || type->item > 2)
			continue;
		for (int big = 0; big < 2; big++) {
			for (size_t i = 0; i < n; i++)
				memcpy((uint8_t *)codes + i * type->item, &(uint16_t){(uint16_t)i},
				       type->item);
			sums_values(dtype, big, (uint8_t *)codes, n, values);
			for (size_t i = 0; i < n; i++) {
				double v = sums_value(dtype, big, (uint16_t)i);

				ck_assert_msg(isnan(v) ? isnan(values[i]) : v == values[i],
					      "%s %zx: %g, not %g", type->name, i, values[i], v);
				ck_assert_int_eq(signbit(v), signbit(values[i]));
			}
		}
	}
}
END_TEST

START_TEST(stats_do_not_depend_on_the_number_of_threads)
{
	struct array a = array_of(DTYPE_DOUBLE, 8, (size_t)MIB, false);
	struct stats with_all, with_one;
	cpu_set_t all, one;
	int first = 0;

	ck_assert_int_eq(stats_of_array(&a, NULL, &with_all), 0);
	ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
	while (!CPU_ISSET(first, &all))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
	ck_assert_int_eq(stats_of_array(&a, NULL, &with_one), 0);
	ck_assert_int_eq(sched_setaffinity(0, sizeof all, &all), 0);
	ck_assert_mem_eq(&with_all, &with_one, sizeof with_all);
	release(&a);
}
END_TEST

START_TEST(the_bytes_that_were_read_are_counted)
{
	struct array a = array_of(DTYPE_HALF, 2, (size_t)3 * MIB + 5, false);
	_Atomic uint64_t seen = 0;
	struct stop stop = {.seen = &seen};
	struct stats have;

	ck_assert_int_eq(stats_of_array(&a, &stop, &have), 0);
	ck_assert_uint_eq(seen, 2 * a.n);
	release(&a);
}
END_TEST

START_TEST(types_without_numbers_are_refused)
{
	static const struct source none = {.fd = -1};
	static const int types[] = {DTYPE_STRING, DTYPE_VARIANT, DTYPE_RESOURCE, DTYPE_COMPLEX64,
				    DTYPE_COMPLEX128};
	struct stats have;

	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		const struct npy npy = {.dtype = (uint8_t)types[i]};

		ck_assert_int_eq(stats_of_file(&none, &npy, NULL, &have, NULL), -ENODATA);
	}
}
END_TEST

static bool after_three(void *asked)
{
	return atomic_fetch_add((atomic_int *)asked, 1) >= 3;
}

START_TEST(stats_end_when_they_are_to)
{
	struct array a = array_of(DTYPE_UINT8, 1, (size_t)16 * MIB, false);
	atomic_int asked = 0;
	struct stop stop = {.asked = after_three, .arg = &asked};
	struct stats have;

	ck_assert_int_eq(stats_of_array(&a, &stop, &have), -EINTR);
	asked = -100;
	ck_assert_int_eq(stats_of_array(&a, &stop, &have), 0);
	ck_assert_uint_eq(have.count, a.n);
	release(&a);
}
END_TEST

TCase *stats_tests(void)
{
	TCase *c = tcase_create("stats");

	tcase_add_loop_test(c, stats_of_pieces_are_those_of_the_whole, 0, 2 * 11);
	tcase_add_test(c, stats_of_large_numbers_are_exact);
	tcase_add_test(c, small_types_have_their_values);
	tcase_add_test(c, values_of_many_are_those_of_each);
	tcase_add_test(c, stats_do_not_depend_on_the_number_of_threads);
	tcase_add_test(c, the_bytes_that_were_read_are_counted);
	tcase_add_test(c, types_without_numbers_are_refused);
	tcase_add_test(c, stats_end_when_they_are_to);
	return c;
}

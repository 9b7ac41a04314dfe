/* Tests of src/format/ordered_code.[ch]. What TensorFlow makes of numbers was seen in keys that it wrote. */
#include "base/cleanup.h"
#include "format/check_format.h"
#include "format/ordered_code.h"
#include "lib/lit.h"

START_TEST(numbers_are_as_tensorflow_writes_them)
{
	static const struct {
		int64_t v;
		const char *bytes;
		size_t n;
	} numbers[] = {
		{0, "\x80", 1},
		{1, "\x81", 1},
		{-1, "\x7f", 1},
		{63, "\xbf", 1},
		{64, "\xc0\x40", 2},
		{-64, "\x40", 1},
		{255, "\xc0\xff", 2},
		{8191, "\xdf\xff", 2},
		{8192, "\xe0\x20\x00", 3},
		{1048575, "\xef\xff\xff", 3},
		{1 << 20, "\xf0\x10\x00\x00", 4},
		{1 << 27, "\xf8\x08\x00\x00\x00", 5},
		{1ll << 34, "\xfc\x04\x00\x00\x00\x00", 6},
		{1ll << 41, "\xfe\x02\x00\x00\x00\x00\x00", 7},
		{1ll << 48, "\xff\x01\x00\x00\x00\x00\x00\x00", 8},
		{(1ll << 55) - 1, "\xff\x7f\xff\xff\xff\xff\xff\xff", 8},
		{1ll << 55, "\xff\x80\x80\x00\x00\x00\x00\x00\x00", 9},
		{1ll << 62, "\xff\xc0\x40\x00\x00\x00\x00\x00\x00\x00", 10},
	};

	for (size_t i = 0; i < COUNT(numbers); i++) {
		CLEANUP(buf_release)
		struct buf key = {0};
		int64_t extent[2] = {numbers[i].v, 0};

		ck_assert_int_eq(slice_key_encode(&key, LIT("n"), 1, extent), 0);
		ck_assert_uint_eq(key.n, 6 + numbers[i].n + 1);
		ck_assert_mem_eq(key.p, "\0n\0\1\1\1", 6);
		ck_assert_mem_eq(key.p + 6, numbers[i].bytes, numbers[i].n);
		ck_assert_uint_eq(key.p[key.n - 1], 0x80);
	}
}
END_TEST

/* The definition, by the bits: numbers are in the order of their codes. */
START_TEST(codes_are_ordered_as_their_numbers)
{
	CLEANUP(buf_release)
	struct buf last = {0};
	int64_t values[4 * 63 + 1];
	size_t n = 0;

	for (int bit = 62; bit >= 0; bit--) {
		values[n++] = -(1ll << bit) - 1;
		values[n++] = -(1ll << bit);
	}
	for (int bit = 0; bit <= 62; bit++) {
		values[n++] = (1ll << bit) - 1;
		values[n++] = 1ll << bit;
	}
	values[n++] = INT64_MAX;
	for (size_t i = 0; i < n; i++) {
		CLEANUP(buf_release)
		struct buf key = {0};
		int64_t extent[2] = {values[i], -1};

		ck_assert_int_eq(slice_key_encode(&key, LIT(""), 1, extent), 0);
		if (i && values[i] > values[i - 1])
			ck_assert_int_lt(bytes_cmp(buf_bytes(&last), buf_bytes(&key)), 0);
		buf_swap(&last, &key);
	}
}
END_TEST

START_TEST(names_are_escaped_and_end)
{
	static const struct {
		struct bytes name, key;
	} names[] = {
		{LIT_INIT(""), LIT_INIT("\0\0\1\0")},
		{LIT_INIT("b"), LIT_INIT("\0b\0\1\0")},
		{LIT_INIT("a\0b\xff"
			  "c"),
		 LIT_INIT("\0a\0\xff"
			  "b\xff\0c\0\1\0")},
		{LIT_INIT("\0\0"), LIT_INIT("\0\0\xff\0\xff\0\1\0")},
	};

	for (size_t i = 0; i < COUNT(names); i++) {
		CLEANUP(buf_release)
		struct buf key = {0};

		ck_assert_int_eq(slice_key_encode(&key, names[i].name, 0, NULL), 0);
		ck_assert(bytes_eq(buf_bytes(&key), names[i].key));
	}
}
END_TEST

START_TEST(whole_dimensions_and_ranks_are_in_the_key)
{
	CLEANUP(buf_release)
	struct buf key = {0};
	int64_t many[2 * 254];

	ck_assert_int_eq(slice_key_encode(&key, LIT("k"), 2, (int64_t[]){0, 2, 0, -1}), 0);
	ck_assert(bytes_eq(buf_bytes(&key), LIT("\0k\0\1\1\2\x80\x82\x80\x7f")));
	for (size_t i = 0; i < COUNT(many); i++)
		many[i] = 1;
	key.n = 0;
	ck_assert_int_eq(slice_key_encode(&key, LIT("k"), 254, many), 0);
	ck_assert_uint_eq(key.n, 6 + COUNT(many));
	ck_assert_uint_eq(key.p[5], 254);
}
END_TEST

TCase *ordered_code_tests(void)
{
	TCase *t = tcase_create("ordered_code");

	tcase_add_test(t, numbers_are_as_tensorflow_writes_them);
	tcase_add_test(t, codes_are_ordered_as_their_numbers);
	tcase_add_test(t, names_are_escaped_and_end);
	tcase_add_test(t, whole_dimensions_and_ranks_are_in_the_key);
	return t;
}

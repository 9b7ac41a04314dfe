#include "base/bytes.h"
#include "base/check_base.h"
#include <inttypes.h>
#include <stdio.h>

#define LIT(s) bytes_of(s, sizeof(s) - 1) /* a literal, which may hold NUL */

START_TEST(bytes_are_ordered_unsigned_and_a_prefix_first)
{
	const struct bytes order[] = {bytes_of(NULL, 0), LIT("\0"),  LIT("\0\0"), LIT("a"),
				      LIT("a\0"),        LIT("aa"),  LIT("b"),    LIT("\x7f"),
				      LIT("\x80"),       LIT("\xff")};

	for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
		for (size_t j = 0; j < sizeof order / sizeof order[0]; j++) {
			int r = bytes_cmp(order[i], order[j]);

			ck_assert_int_eq((r > 0) - (r < 0), (i > j) - (i < j));
			ck_assert(bytes_eq(order[i], order[j]) == (i == j));
		}
	}
}
END_TEST

START_TEST(starts_and_ends_are_found)
{
	struct bytes none = bytes_of(NULL, 0);

	ck_assert(bytes_starts(LIT("abc"), LIT("ab")) && bytes_ends(LIT("abc"), LIT("bc")));
	ck_assert(bytes_starts(LIT("abc"), LIT("abc")) && bytes_ends(LIT("abc"), LIT("abc")));
	ck_assert(bytes_starts(LIT("abc"), none) && bytes_ends(LIT("abc"), none));
	ck_assert(bytes_starts(none, none) && bytes_ends(none, none));
	ck_assert(!bytes_starts(LIT("abc"), LIT("bc")) && !bytes_ends(LIT("abc"), LIT("ab")));
	ck_assert(!bytes_starts(LIT("abc"), LIT("abcd")) && !bytes_ends(LIT("abc"), LIT("zabc")));
	ck_assert(!bytes_starts(none, LIT("a")) && !bytes_ends(none, LIT("a")));
}
END_TEST

START_TEST(the_first_item_of_a_key_is_found)
{
	const struct item {
		struct bytes key;
		int value;
	} items[] = {{LIT("a"), 1}, {LIT("b"), 2}, {LIT("b"), 3}, {LIT("d"), 4}};
	static const struct {
		const char *key;
		size_t all, two; /* items less than it: of all, of the first two */
	} v[] = {{"", 0, 0},  {"a", 0, 0}, {"aa", 1, 1}, {"b", 1, 1},
		 {"c", 3, 2}, {"d", 3, 2}, {"e", 4, 2}};

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		struct bytes key = bytes_str(v[i].key);

		ck_assert_uint_eq(bytes_search(items, 4, sizeof items[0], key), v[i].all);
		ck_assert_uint_eq(bytes_search(items, 2, sizeof items[0], key), v[i].two);
		ck_assert_uint_eq(bytes_search(NULL, 0, sizeof items[0], key), 0);
	}
}
END_TEST

START_TEST(integers_are_little_and_big_endian)
{
	uint8_t b[8];

	put_le32(b, 0x81020384u);
	ck_assert_mem_eq(b, "\x84\x03\x02\x81", 4);
	ck_assert_uint_eq(get_le32(b), 0x81020384u);
	put_le64(b, 0x8102030405060788u);
	ck_assert_mem_eq(b, "\x88\x07\x06\x05\x04\x03\x02\x81", 8);
	ck_assert_uint_eq(get_le64(b), 0x8102030405060788u);
	put_be32(b, 0x81020384u);
	ck_assert_mem_eq(b, "\x81\x02\x03\x84", 4);
	put_be64(b, 0x8102030405060788u);
	ck_assert_mem_eq(b, "\x81\x02\x03\x04\x05\x06\x07\x88", 8);
}
END_TEST

START_TEST(a_cursor_reads_up_to_the_end_and_not_past_it)
{
	struct cursor c = cursor_of(LIT("\x01\x78\x56\x34\x12xyz"));
	struct bytes part;
	uint8_t u;

	ck_assert(cursor_u8(&c, &u) && u == 1);
	ck_assert(cursor_take(&c, 4, &part) && get_le32(part.p) == 0x12345678);
	ck_assert_uint_eq(cursor_left(&c), 3);
	ck_assert(!cursor_take(&c, 4, &part));
	ck_assert(!cursor_take(&c, UINT64_MAX, &part));
	ck_assert_uint_eq(cursor_left(&c), 3);
	ck_assert(cursor_take(&c, 3, &part) && bytes_eq(part, LIT("xyz")));
	ck_assert(!cursor_u8(&c, &u));
	ck_assert(cursor_take(&c, 0, &part) && part.n == 0);
}
END_TEST

START_TEST(a_cursor_over_nothing_has_nothing)
{
	struct cursor c = cursor_of(bytes_of(NULL, 0));
	struct bytes part;
	uint32_t v32;
	uint64_t v;
	uint8_t u;

	ck_assert_uint_eq(cursor_left(&c), 0);
	ck_assert(!cursor_u8(&c, &u));
	ck_assert(!cursor_varint(&c, &v) && !cursor_varint32(&c, &v32));
	ck_assert(!cursor_take(&c, 1, &part) && cursor_take(&c, 0, &part) && part.n == 0);
}
END_TEST

START_TEST(varints_are_read_whole_or_not_at_all)
{
	static const struct {
		const char *p;
		size_t n, used; /* 0: refused */
		uint64_t value;
	} v[] = {
		{"\x00", 1, 1, 0},
		{"\x7f\xff", 2, 1, 127},
		{"\x80\x01", 2, 2, 128},
		{"\xac\x02", 2, 2, 300},
		{"\x80\x00", 2, 2, 0}, /* longer than it need be, as protobuf allows */
		{"\xff\xff\xff\xff\x0f", 5, 5, UINT32_MAX},
		{"\x80\x80\x80\x80\x10", 5, 5, (uint64_t)UINT32_MAX + 1},
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, 10, UINT64_MAX},
		{"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 10, 10, 1ull << 63},
		{"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", 10, 0, 0},
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10, 0, 0},
		{"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11, 0, 0},
		{"", 0, 0, 0},
		{"\x80", 1, 0, 0},
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9, 0, 0},
	};

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
		struct cursor c = cursor_of(bytes_of(v[i].p, v[i].n)), d = c;
		uint64_t value = 0;
		uint32_t value32 = 0;
		bool fits = v[i].used && v[i].value <= UINT32_MAX;

		ck_assert(cursor_varint(&c, &value) == (v[i].used > 0));
		ck_assert_uint_eq(value, v[i].value);
		ck_assert_uint_eq(cursor_left(&c), v[i].n - v[i].used);
		ck_assert(cursor_varint32(&d, &value32) == fits);
		ck_assert_uint_eq(value32, fits ? v[i].value : 0);
		ck_assert_uint_eq(cursor_left(&d), v[i].n - (fits ? v[i].used : 0));
	}
}
END_TEST

static void check_decimal(uint64_t v)
{
	uint8_t have[20];
	char want[32];
	size_t n = put_decimal(have, v);

	ck_assert_uint_eq(n, (size_t)snprintf(want, sizeof want, "%" PRIu64, v));
	ck_assert_mem_eq(have, want, n);
	ck_assert_uint_eq(decimal_size(v), n);
}

START_TEST(numbers_are_printed_in_decimal)
{
	check_decimal(0);
	for (uint64_t v = 1, next; !__builtin_mul_overflow(v, 10, &next); v = next) {
		check_decimal(v - 1);
		check_decimal(v);
		check_decimal(v * 7 + 3);
	}
	check_decimal(INT64_MAX);
	check_decimal(UINT64_MAX);
}
END_TEST

TCase *bytes_tests(void)
{
	TCase *t = tcase_create("bytes");

	tcase_add_test(t, bytes_are_ordered_unsigned_and_a_prefix_first);
	tcase_add_test(t, starts_and_ends_are_found);
	tcase_add_test(t, the_first_item_of_a_key_is_found);
	tcase_add_test(t, integers_are_little_and_big_endian);
	tcase_add_test(t, a_cursor_reads_up_to_the_end_and_not_past_it);
	tcase_add_test(t, a_cursor_over_nothing_has_nothing);
	tcase_add_test(t, varints_are_read_whole_or_not_at_all);
	tcase_add_test(t, numbers_are_printed_in_decimal);
	return t;
}

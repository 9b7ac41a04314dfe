#include "base/buf.h"
#include "base/check_base.h"
#include "base/cleanup.h"

START_TEST(what_is_added_stands_there_in_order)
{
	CLEANUP(buf_release) struct buf b = {0};

	ck_assert_int_eq(buf_add(&b, "ab\0", 3), 0);
	ck_assert_int_eq(buf_add_byte(&b, 'c'), 0);
	ck_assert_int_eq(buf_add_str(&b, "de"), 0);
	ck_assert_int_eq(buf_printf(&b, "%d-%s", 42, "x"), 0);
	ck_assert_int_eq(buf_add(&b, NULL, 0), 0);
	ck_assert(bytes_eq(buf_bytes(&b), bytes_of("ab\0cde42-x", 10)));
}
END_TEST

START_TEST(an_empty_buffer_can_be_released_again_and_again)
{
	struct buf b = {.max = 8};

	buf_release(&b);
	ck_assert_int_eq(buf_add_str(&b, "abc"), 0);
	buf_release(&b);
	buf_release(&b);
	ck_assert(!b.p && !b.n && !b.cap);
	ck_assert_int_eq(buf_add_str(&b, "123456789"), -E2BIG); /* the maximum stays */
	ck_assert_int_eq(buf_add(&b, NULL, 0), 0);
	ck_assert_ptr_null(b.p);
}
END_TEST

START_TEST(a_buffer_that_grows_byte_by_byte_keeps_its_bytes)
{
	CLEANUP(buf_release) struct buf b = {0};
	size_t moves = 0, cap = 0;

	for (size_t i = 0; i < 100000; i++) {
		if (buf_add_byte(&b, (uint8_t)(i * 7)) < 0)
			ck_abort_msg("byte %zu", i);
		moves += b.cap != cap;
		cap = b.cap;
	}
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] != (uint8_t)(i * 7))
			ck_abort_msg("byte %zu", i);
	ck_assert_uint_eq(b.n, 100000);
	ck_assert_uint_lt(moves, 50);
}
END_TEST

START_TEST(room_that_is_reserved_is_not_moved)
{
	CLEANUP(buf_release) struct buf b = {0};
	const uint8_t *p;

	ck_assert_int_eq(buf_add_str(&b, "abc"), 0);
	ck_assert_int_eq(buf_reserve(&b, 1000), 0);
	ck_assert_uint_ge(b.cap, 1003);
	ck_assert_uint_eq(b.n, 3);
	p = b.p;
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(buf_add_byte(&b, 'x'), 0);
	ck_assert_ptr_eq(b.p, p);
}
END_TEST

START_TEST(the_maximum_can_be_reached_and_not_passed)
{
	CLEANUP(buf_release) struct buf b = {.max = 5};

	ck_assert_int_eq(buf_add_str(&b, "123456"), -E2BIG);
	ck_assert_int_eq(buf_add_str(&b, "1234"), 0);
	ck_assert_int_eq(buf_add_str(&b, "56"), -E2BIG);
	ck_assert_int_eq(buf_printf(&b, "%d", 56), -E2BIG);
	ck_assert_int_eq(buf_reserve(&b, 2), -E2BIG);
	ck_assert(bytes_eq(buf_bytes(&b), bytes_str("1234")));
	ck_assert_int_eq(buf_add_byte(&b, '5'), 0);
	ck_assert_int_eq(buf_add_byte(&b, '6'), -E2BIG);
	ck_assert(bytes_eq(buf_bytes(&b), bytes_str("12345")));
}
END_TEST

START_TEST(printed_text_can_reach_the_maximum)
{
	CLEANUP(buf_release) struct buf b = {.max = 5};

	ck_assert_int_eq(buf_printf(&b, "%d", 123), 0);
	ck_assert_int_eq(buf_printf(&b, "%d", 45), 0);
	ck_assert_int_eq(buf_printf(&b, "%s", ""), 0);
	ck_assert_int_eq(buf_printf(&b, "%d", 6), -E2BIG);
	ck_assert(bytes_eq(buf_bytes(&b), bytes_str("12345")));
}
END_TEST

START_TEST(a_size_that_overflows_is_no_memory)
{
	CLEANUP(buf_release) struct buf b = {0};

	ck_assert_int_eq(buf_add_str(&b, "abc"), 0);
	ck_assert_int_eq(buf_reserve(&b, SIZE_MAX), -ENOMEM);
	ck_assert_int_eq(buf_reserve(&b, SIZE_MAX - 2), -ENOMEM);
	ck_assert(bytes_eq(buf_bytes(&b), bytes_str("abc")));
}
END_TEST

START_TEST(two_buffers_are_swapped_whole)
{
	CLEANUP(buf_release) struct buf a = {0}, b = {.max = 9};

	ck_assert_int_eq(buf_add_str(&a, "aa"), 0);
	ck_assert_int_eq(buf_add_str(&b, "b"), 0);
	buf_swap(&a, &b);
	ck_assert(bytes_eq(buf_bytes(&a), bytes_str("b")) && a.max == 9);
	ck_assert(bytes_eq(buf_bytes(&b), bytes_str("aa")) && b.max == 0);
}
END_TEST

TCase *buf_tests(void)
{
	TCase *t = tcase_create("buf");

	tcase_add_test(t, what_is_added_stands_there_in_order);
	tcase_add_test(t, an_empty_buffer_can_be_released_again_and_again);
	tcase_add_test(t, a_buffer_that_grows_byte_by_byte_keeps_its_bytes);
	tcase_add_test(t, room_that_is_reserved_is_not_moved);
	tcase_add_test(t, the_maximum_can_be_reached_and_not_passed);
	tcase_add_test(t, printed_text_can_reach_the_maximum);
	tcase_add_test(t, a_size_that_overflows_is_no_memory);
	tcase_add_test(t, two_buffers_are_swapped_whole);
	return t;
}

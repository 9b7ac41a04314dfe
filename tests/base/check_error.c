#include "base/check_base.h"
#include "base/error.h"
#include <stdio.h>
#include <string.h>

START_TEST(a_failure_is_its_code_and_a_sentence)
{
	struct err e = {0};

	ck_assert_int_eq(err_set(&e, -EUCLEAN, "block at %d", 4096), -EUCLEAN);
	ck_assert_int_eq(e.code, -EUCLEAN);
	ck_assert_str_eq(e.text, "block at 4096");
}
END_TEST

START_TEST(each_caller_puts_the_place_in_front)
{
	struct err e = {0};

	err_set(&e, -EBADMSG, "crc32c is %08x", 0x1a2b3c4d);
	ck_assert_int_eq(err_wrap(&e, -EBADMSG, "block at %d", 4096), -EBADMSG);
	ck_assert_int_eq(err_wrap(&e, -EIO, "%s.index", "my-model-0"), -EIO);
	ck_assert_int_eq(e.code, -EIO);
	ck_assert_str_eq(e.text, "my-model-0.index: block at 4096: crc32c is 1a2b3c4d");
}
END_TEST

START_TEST(a_system_error_has_its_words_behind)
{
	struct err e = {0};
	char want[256];

	snprintf(want, sizeof want, "open x: %s", strerror(ENOENT));
	ck_assert_int_eq(err_sys(&e, -ENOENT, "open %s", "x"), -ENOENT);
	ck_assert_int_eq(e.code, -ENOENT);
	ck_assert_str_eq(e.text, want);
}
END_TEST

START_TEST(nobody_needs_to_listen)
{
	ck_assert_int_eq(err_set(NULL, -EIO, "%d", 1), -EIO);
	ck_assert_int_eq(err_wrap(NULL, -EIO, "%d", 1), -EIO);
	ck_assert_int_eq(err_sys(NULL, -EIO, "%d", 1), -EIO);
}
END_TEST

START_TEST(control_characters_are_shown_as_question_marks)
{
	struct err e = {0};

	err_set(&e, -EINVAL, "%s", "a\x1b[31m\nb\x7f \xc2\x9b caf\xc3\xa9 \x9b");
	ck_assert_str_eq(e.text, "a?[31m?b? ?? caf\xc3\xa9 ?");
	err_wrap(&e, -EINVAL, "%s", "x\ry");
	ck_assert_str_eq(e.text, "x?y: a?[31m?b? ?? caf\xc3\xa9 ?");
	err_sys(&e, -EIO, "%s", "\t");
	ck_assert_int_eq(e.text[0], '?');
}
END_TEST

/* What is wrong stands at the end, behind names of any length. */
START_TEST(a_long_sentence_loses_its_middle)
{
	char name[2 * sizeof((struct err *)0)->text];
	char ends[] = ": its path is too long";
	struct err e = {0};

	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = 0;
	for (int wraps = 0; wraps < 3; wraps++) {
		if (wraps == 0)
			err_set(&e, -EINVAL, "%s%s", name, ends);
		else
			err_wrap(&e, -EINVAL, "front: %s", name);
		ck_assert_uint_gt(strlen(e.text), sizeof e.text - 8);
		ck_assert_uint_lt(strlen(e.text), sizeof e.text);
		ck_assert(!strncmp(e.text, wraps ? "front: nnn" : "nnn", wraps ? 10 : 3));
		ck_assert_ptr_nonnull(strstr(e.text, "nnn ... nnn"));
		ck_assert_str_eq(e.text + strlen(e.text) - strlen(ends), ends);
	}
	err_sys(&e, -ENOENT, "%s", name);
	ck_assert_str_eq(e.text + strlen(e.text) - strlen(strerror(ENOENT)), strerror(ENOENT));
}
END_TEST

/* Of whatever bytes the name is: what is left of it is whole characters if it was. */
START_TEST(no_character_is_cut_in_its_middle)
{
	for (size_t shift = 0; shift < 4; shift++) {
		char name[2 * sizeof((struct err *)0)->text];
		struct err e = {0};
		size_t n = shift;

		memset(name, 'n', sizeof name);
		for (; n + 4 < sizeof name; n += 4)
			memcpy(name + n, "\xf0\x9f\x8e\x88", 4);
		name[n] = 0;
		err_set(&e, -EINVAL, "%s", name);
		ck_assert_uint_lt(strlen(e.text), sizeof e.text);
		for (const char *c = e.text; *c; c += *c & 0x80 ? 4 : 1)
			ck_assert(!(*c & 0x80) || !strncmp(c, "\xf0\x9f\x8e\x88", 4));
		memset(name, 0x80, sizeof name - 1);
		name[sizeof name - 1] = 0;
		err_set(&e, -EINVAL, "%s", name);
		ck_assert_uint_lt(strlen(e.text), sizeof e.text);
	}
}
END_TEST

TCase *error_tests(void)
{
	TCase *t = tcase_create("error");

	tcase_add_test(t, a_failure_is_its_code_and_a_sentence);
	tcase_add_test(t, each_caller_puts_the_place_in_front);
	tcase_add_test(t, a_system_error_has_its_words_behind);
	tcase_add_test(t, nobody_needs_to_listen);
	tcase_add_test(t, control_characters_are_shown_as_question_marks);
	tcase_add_test(t, a_long_sentence_loses_its_middle);
	tcase_add_test(t, no_character_is_cut_in_its_middle);
	return t;
}

/* Tests of src/draft/pin.[ch]: a step is pinned where there are no hard links. */
#include "base/cleanup.h"
#include "draft/check_draft.h"
#include "draft/held.h"
#include "draft/links.h"
#include "draft/model.h"
#include "lib/step.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static void setup(void)
{
	held_setup(ASSETS "/fixtures/linear", NAME);
}

START_TEST(without_links_a_link_to_the_directory_is_made)
{
	char target[64] = "";
	struct pin again = {0};
	struct file_id meta;
	struct err e = {0};
	struct stat st;

	held_make_loosely(&held.pin);
	ck_assert_str_eq(held.pin.name, NAME);
	held_assert_names(held.steps, ".ids " NAME);
	ck_assert_int_gt(readlinkat(held.steps, NAME, target, sizeof target - 1), 0);
	ck_assert_str_eq(target, "../../../..");
	held_assert_untouched();
	st = held_stat(held.top.fd, META);
	meta = file_id_of(&st);
	ck_assert(file_id_eq(&held.pin.sidecars[TEXT_META_GRAPH], &meta));
	ck_assert_uint_eq(held.pin.sidecars[TEXT_DEBUG_INFO].ino, 0);
	must(held_open(NAME, &again, &e), &e);
	ck_assert(again.loose);
	ck_assert(pin_is_of(&again, held.step));
	ck_assert(file_id_eq(&again.sidecars[TEXT_META_GRAPH], &meta));
	ck_assert(held_value(&again) == held_value(&held.pin));
	pin_release(&again);
}
END_TEST

/* The links that could be made are taken away again. */
START_TEST(where_links_end_half_way_none_stays)
{
	int error = EMLINK;

	links_ask(held_fail_at_shard, &error);
	held_make(&held.pin);
	ck_assert(held.pin.loose);
	held_assert_names(held.steps, ".ids " NAME);
	held_assert_untouched();
}
END_TEST

START_TEST(what_is_not_held_is_refused_when_it_was_replaced)
{
	struct err e = {0};
	float w;

	held_make_loosely(&held.pin);
	held_train();
	held_assert_fails(held_read(&held.pin, &w, &e), &e, -ESTALE, SHARD CHANGED);
	held_assert_not_opened(NAME, -ESTALE, INDEX LOST);
}
END_TEST

/* Also by the same bytes: it is another file. */
START_TEST(what_is_not_held_is_refused_when_it_was_saved_again)
{
	held_make_loosely(&held.pin);
	held_replace(INDEX, INDEX);
	held_assert_not_opened(NAME, -ESTALE, INDEX LOST);
}
END_TEST

START_TEST(what_is_not_held_is_refused_when_it_was_removed)
{
	static const char *const others[] = {"my-model-0.index", OTHER ".index"};
	struct err e = {0};
	float w;

	held_make_loosely(&held.pin);
	held_delete(SHARD);
	held_assert_fails(held_read(&held.pin, &w, &e), &e, -ESTALE, SHARD ": Stale file handle");
	held_delete(INDEX);
	for (size_t i = 0; i < 2; i++)
		held_delete(others[i]);
	held_assert_not_opened(NAME, -ENOENT,
			       NAME ": is gone, and could not be held by hard links");
}
END_TEST

/* Another step of the directory is never taken for the one that is gone. */
START_TEST(what_is_not_held_is_not_another_step)
{
	struct pin again = {0};

	held_make_loosely(&held.pin);
	held_delete(INDEX);
	ck_assert_int_lt(held_open(NAME, &again, NULL), 0);
}
END_TEST

/* A link to the directory is taken away, and not what is in it. */
START_TEST(without_links_a_step_that_was_changed_before_is_not_pinned)
{
	struct err e = {0};

	held_replace(INDEX, INDEX);
	links_ask(links_refused, NULL);
	held_assert_fails(held_try(&e), &e, -ESTALE, INDEX CHANGED);
	held_assert_gone(held.steps, NAME);
	held_assert_gone(held.steps, ".unfinished");
	held_assert_untouched();
}
END_TEST

START_TEST(without_links_a_step_that_is_gone_is_not_pinned)
{
	struct err e = {0};

	held_delete(INDEX);
	links_ask(links_refused, NULL);
	held_assert_fails(held_try(&e), &e, -ESTALE, INDEX ": is gone");
	held_assert_names(held.steps, "");
}
END_TEST

START_TEST(without_links_a_step_of_another_folder_is_not_pinned)
{
	CLEANUP(closep) int from = -1;
	struct err e = {0};

	held_folder("sub");
	ck_assert_int_eq(renameat(held.top.fd, INDEX, held.top.fd, "sub/" INDEX), 0);
	ck_assert_int_eq(renameat(held.top.fd, SHARD, held.top.fd, "sub/" SHARD), 0);
	held_replace(INDEX, INDEX); /* one of that name is here too */
	held_replace(SHARD, SHARD);
	from = openat(held.top.fd, "sub", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	links_ask(links_refused, NULL);
	held_assert_fails(pin_make(held.steps, held.top.fd, held.step, from, "meta", &held.pin, &e),
			  &e, -EXDEV, NAME ": no hard links to its files");
	held_assert_names(held.steps, "");
}
END_TEST

/* --- its stamp --------------------------------------------------------------------------------------------- */

START_TEST(the_stamp_is_of_the_index)
{
	char text[96] = "", expected[96];
	struct stat st = held_stat(held.top.fd, INDEX);

	held_make_loosely(&held.pin);
	ck_assert_int_gt(readlinkat(held.steps, ".ids/" NAME, text, sizeof text - 1), 0);
	snprintf(expected, sizeof expected, "%ju %jd %jd.%09ld", (uintmax_t)st.st_ino,
		 (intmax_t)st.st_size, (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	ck_assert_str_eq(text, expected);
}
END_TEST

/* That of an earlier pin of the name, which was taken away. */
START_TEST(an_old_stamp_is_replaced)
{
	struct pin again = {0};
	struct err e = {0};

	held_folder(".ckptfs/drafts/d/steps/.ids");
	ck_assert_int_eq(symlinkat("1 2 3.000000004", held.steps, ".ids/" NAME), 0);
	held_make_loosely(&held.pin);
	must(held_open(NAME, &again, &e), &e);
	pin_release(&again);
}
END_TEST

START_TEST(a_stamp_of_another_file_is_refused)
{
	held_make_loosely(&held.pin);
	ck_assert_int_eq(unlinkat(held.steps, ".ids/" NAME, 0), 0);
	ck_assert_int_eq(symlinkat("1 2 3.000000004", held.steps, ".ids/" NAME), 0);
	held_assert_not_opened(NAME, -ESTALE, INDEX LOST);
}
END_TEST

/* Earlier versions made none. */
START_TEST(without_a_stamp_it_is_taken_as_it_is)
{
	struct pin again = {0};
	struct err e = {0};

	held_make_loosely(&held.pin);
	ck_assert_int_eq(unlinkat(held.steps, ".ids/" NAME, 0), 0);
	must(held_open(NAME, &again, &e), &e);
	ck_assert(pin_is_of(&again, held.step));
	pin_release(&again);
}
END_TEST

TCase *pin_loose_tests(void)
{
	TCase *t = tcase_create("pin_loose");

	tcase_add_checked_fixture(t, setup, held_teardown);
	tcase_add_test(t, without_links_a_link_to_the_directory_is_made);
	tcase_add_test(t, where_links_end_half_way_none_stays);
	tcase_add_test(t, what_is_not_held_is_refused_when_it_was_replaced);
	tcase_add_test(t, what_is_not_held_is_refused_when_it_was_saved_again);
	tcase_add_test(t, what_is_not_held_is_refused_when_it_was_removed);
	tcase_add_test(t, what_is_not_held_is_not_another_step);
	tcase_add_test(t, without_links_a_step_that_was_changed_before_is_not_pinned);
	tcase_add_test(t, without_links_a_step_that_is_gone_is_not_pinned);
	tcase_add_test(t, without_links_a_step_of_another_folder_is_not_pinned);
	tcase_add_test(t, the_stamp_is_of_the_index);
	tcase_add_test(t, an_old_stamp_is_replaced);
	tcase_add_test(t, a_stamp_of_another_file_is_refused);
	tcase_add_test(t, without_a_stamp_it_is_taken_as_it_is);
	return t;
}

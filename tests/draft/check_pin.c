/* Tests of src/draft/pin.[ch]: a step is held by hard links. */
#include "base/cleanup.h"
#include "draft/check_draft.h"
#include "draft/held.h"
#include "draft/links.h"
#include "draft/model.h"
#include "lib/step.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define COPY "index.tempstate0"

static void setup(void)
{
	held_setup(ASSETS "/fixtures/linear", NAME);
}

START_TEST(all_files_of_a_step_are_held)
{
	static const char *const files[] = {INDEX, SHARD, META};
	CLEANUP(closep) int dir = -1;

	held_make(&held.pin);
	ck_assert(!held.pin.loose);
	ck_assert_str_eq(held.pin.name, NAME);
	held_assert_names(held.steps, NAME);
	dir = pin_dir(held.steps, NAME, NULL);
	held_assert_names(dir, COPY " " SHARD " " INDEX " " META);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_uint_eq(held_stat(dir, files[i]).st_ino,
				  held_stat(held.top.fd, files[i]).st_ino);
		ck_assert_uint_eq(held_stat(held.top.fd, files[i]).st_nlink, 2);
	}
}
END_TEST

START_TEST(a_sidecar_that_is_not_there_is_not_held)
{
	CLEANUP(closep) int dir = -1;

	held_delete(META);
	held_make(&held.pin);
	dir = pin_dir(held.steps, NAME, NULL);
	held_assert_names(dir, COPY " " SHARD " " INDEX);
}
END_TEST

START_TEST(a_held_step_is_there_when_the_trainer_has_removed_it)
{
	struct pin again = {0};
	struct err e = {0};
	float w;

	held_make(&held.pin);
	w = held_value(&held.pin);
	held_delete(INDEX);
	held_delete(SHARD);
	held_delete(META);
	ck_assert(held_value(&held.pin) == w);
	must(held_open(NAME, &again, &e), &e);
	ck_assert(!again.loose);
	ck_assert(pin_is_of(&again, held.step));
	ck_assert(held_value(&again) == w);
	pin_release(&again);
}
END_TEST

/* As tf.train.Checkpoint does. */
START_TEST(a_held_step_is_what_it_was_when_its_index_was_written_in_place)
{
	CLEANUP(closep) int dir = -1;
	CLEANUP(buf_release) struct buf before = {0}, after = {0};
	struct pin again = {0};
	struct file_id id;
	struct err e = {0};
	float w;

	held_make(&held.pin);
	w = held_value(&held.pin);
	dir = pin_dir(held.steps, NAME, NULL);
	read_whole(&before, "%s/" INDEX, held.top.path);
	folder_put(&held.top, bytes_str("another"), INDEX);
	for (int k = 0; k < 2; k++) {
		CLEANUP(closep) int fd = pin_open_index(k ? &again : &held.pin, dir, &id, &e);
		struct source src;

		ck_assert_int_ge(fd, 0);
		must(source_of_fd(fd, &src, &e), &e);
		must(source_read(&src, 0, src.size, &after, &e), &e);
		ck_assert(bytes_eq(buf_bytes(&before), buf_bytes(&after)));
		if (k)
			break;
		must(held_open(NAME, &again, &e), &e);
		ck_assert(held_value(&again) == w);
	}
	pin_release(&again);
}
END_TEST

START_TEST(a_held_step_is_what_it_was_when_the_trainer_has_replaced_it)
{
	struct pin again = {0}, other = {0};
	struct err e = {0};
	float w;

	held_make(&held.pin);
	w = held_value(&held.pin);
	held_train();
	ck_assert(held_value(&held.pin) == w);
	must(held_open(NAME, &again, &e), &e);
	ck_assert(pin_is_of(&again, held.step));
	ck_assert(held_value(&again) == w);
	pin_release(&again);

	/* What has the name now is another step, and is held beside it. */
	step_unref(held.step);
	must(step_open_v2(held.top.fd, NAME, VERIFY_READ, &held.step, &e), &e);
	ck_assert(!pin_is_of(&held.pin, held.step));
	held_make(&other);
	ck_assert_str_eq(other.name, NAME "~2");
	ck_assert(held_value(&other) != w);
	ck_assert(held_value(&held.pin) == w);
	must(held_open(NAME "~2", &again, &e), &e);
	ck_assert(pin_is_of(&again, held.step));
	pin_release(&again);
	pin_release(&other);
}
END_TEST

static const struct {
	const char *file;
	bool gone;
	const char *sentence;
} outdated[] = {
	{INDEX, true, INDEX ": is gone"},
	{INDEX, false, INDEX CHANGED},
	{SHARD, true, SHARD ": is gone"},
	{SHARD, false, SHARD CHANGED},
};

/* And of what was held nothing stays. */
START_TEST(a_step_that_was_changed_before_is_not_held)
{
	struct err e = {0};

	if (outdated[_i].gone)
		held_delete(outdated[_i].file);
	else
		held_replace(outdated[_i].file, outdated[_i].file);
	held_assert_fails(held_try(&e), &e, -ESTALE, outdated[_i].sentence);
	held_assert_names(held.steps, "");
	if (!outdated[_i].gone)
		held_assert_untouched();
}
END_TEST

static int train_at_meta(void *arg, const char *from)
{
	bool *done = arg;

	if (!strcmp(from, META) && !*done) {
		*done = true;
		held_train();
	}
	return 0;
}

START_TEST(a_step_that_is_replaced_while_it_is_held_is_not)
{
	struct err e = {0};
	bool done = false;

	links_ask(train_at_meta, &done);
	held_assert_fails(held_try(&e), &e, -ESTALE, INDEX CHANGED);
	ck_assert(done);
	held_assert_names(held.steps, "");
}
END_TEST

START_TEST(an_error_leaves_nothing_behind)
{
	struct err e = {0};
	int error = EIO;

	links_ask(held_fail_at_shard, &error);
	held_assert_fails(held_try(&e), &e, -EIO, SHARD ": Input/output error");
	held_assert_names(held.steps, "");
	held_assert_untouched();
}
END_TEST

START_TEST(what_a_crash_left_is_replaced)
{
	CLEANUP(closep) int dir = -1;

	held_folder(".ckptfs/drafts/d/steps/.unfinished");
	folder_put(&held.top, bytes_str("left"),
		   ".ckptfs/drafts/d/steps/.unfinished/" OTHER ".index");
	held_make(&held.pin);
	held_assert_names(held.steps, NAME);
	dir = pin_dir(held.steps, NAME, NULL);
	held_assert_names(dir, COPY " " SHARD " " INDEX " " META);
}
END_TEST

START_TEST(releasing_a_pin_leaves_all_files)
{
	held_make(&held.pin);
	ck_assert_uint_eq(atomic_load(&held.step->refs), 2);
	pin_release(&held.pin);
	ck_assert_uint_eq(atomic_load(&held.step->refs), 1);
	ck_assert_ptr_null(held.pin.name);
	held_assert_names(held.steps, NAME); /* it goes with the draft */
	ck_assert_uint_eq(held_stat(held.top.fd, INDEX).st_nlink, 2);
}
END_TEST

START_TEST(what_is_no_step_is_not_opened)
{
	held_folder(".ckptfs/drafts/d/steps/empty");
	held_assert_not_opened("empty", -ENOENT, "empty: no step in it");
	held_assert_not_opened("none", -ENOENT, "none: No such file or directory");
}
END_TEST

/* --- shards that come back --------------------------------------------------------------------------------- */

#define PARTS_INDEX "model-7.index"
#define PART(n)     "model-7.data-0000" n "-of-00003"

static void setup_parts(void)
{
	struct err e = {0};

	held_setup(ASSETS "/fixtures/sharded", "model-7");
	step_unref(held.step);
	ck_assert_int_eq(renameat(held.top.fd, PART("1"), held.top.fd, "away"), 0);
	must(step_open_v2(held.top.fd, "model-7", VERIFY_READ, &held.step, &e), &e);
	held_make(&held.pin);
	ck_assert(!held.pin.loose);
}

static void assert_parts(const char *expected)
{
	CLEANUP(closep) int dir = pin_dir(held.steps, "model-7", NULL);

	held_assert_names(dir, expected);
}

static int complete(struct err *e)
{
	CLEANUP(closep) int dir = pin_dir(held.steps, "model-7", NULL);

	return pin_complete(&held.pin, dir, held.top.fd, VERIFY_READ, e);
}

START_TEST(a_shard_that_comes_back_is_held_too)
{
	struct err e = {0};

	assert_parts(COPY " " PART("0") " " PART("2") " " PARTS_INDEX " model-7.meta");
	must(complete(&e), &e);
	ck_assert_ptr_null(held.pin.incomplete);
	ck_assert_int_eq(renameat(held.top.fd, "away", held.top.fd, PART("1")), 0);
	must(complete(&e), &e);
	assert_parts(COPY " " PART("0") " " PART("1") " " PART("2") " " PARTS_INDEX
								    " model-7.meta");
	ck_assert_ptr_eq(held.pin.incomplete, held.step);
	for (uint32_t i = 0; i < held.pin.step->n_shards; i++)
		ck_assert_int_eq(held.pin.step->shards[i].status, 0);
	must(complete(&e), &e); /* once is enough */
	ck_assert_ptr_eq(held.pin.incomplete, held.step);
}
END_TEST

START_TEST(a_shard_of_a_later_step_is_not_held)
{
	CLEANUP(buf_release) struct buf b = {0};
	struct err e = {0};

	read_whole(&b, "%s/" PARTS_INDEX, held.top.path);
	held_delete(PARTS_INDEX);
	folder_put(&held.top, buf_bytes(&b), PARTS_INDEX);
	ck_assert_int_eq(renameat(held.top.fd, "away", held.top.fd, PART("1")), 0);
	must(complete(&e), &e);
	ck_assert_ptr_null(held.pin.incomplete);
	assert_parts(COPY " " PART("0") " " PART("2") " " PARTS_INDEX " model-7.meta");
}
END_TEST

TCase *pin_tests(void)
{
	TCase *t = tcase_create("pin");

	tcase_add_checked_fixture(t, setup, held_teardown);
	tcase_add_test(t, all_files_of_a_step_are_held);
	tcase_add_test(t, a_sidecar_that_is_not_there_is_not_held);
	tcase_add_test(t, a_held_step_is_there_when_the_trainer_has_removed_it);
	tcase_add_test(t, a_held_step_is_what_it_was_when_its_index_was_written_in_place);
	tcase_add_test(t, a_held_step_is_what_it_was_when_the_trainer_has_replaced_it);
	tcase_add_loop_test(t, a_step_that_was_changed_before_is_not_held, 0,
			    sizeof outdated / sizeof *outdated);
	tcase_add_test(t, a_step_that_is_replaced_while_it_is_held_is_not);
	tcase_add_test(t, an_error_leaves_nothing_behind);
	tcase_add_test(t, what_a_crash_left_is_replaced);
	tcase_add_test(t, releasing_a_pin_leaves_all_files);
	tcase_add_test(t, what_is_no_step_is_not_opened);
	return t;
}

TCase *pin_complete_tests(void)
{
	TCase *t = tcase_create("pin_complete");

	tcase_add_checked_fixture(t, setup_parts, held_teardown);
	tcase_add_test(t, a_shard_that_comes_back_is_held_too);
	tcase_add_test(t, a_shard_of_a_later_step_is_not_held);
	return t;
}

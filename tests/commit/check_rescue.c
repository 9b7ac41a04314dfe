/* Tests of src/commit/rescue.[ch]: another step is saved under the name of one that was committed. */
#include "base/cleanup.h"
#include "commit/check_commit.h"
#include "commit/trial.h"
#include <stdio.h>

static struct trial trial;
static struct rescue rescue;

static void setup(void)
{
	struct commit_done done = {.result = COMMIT_NOTHING};
	struct err e = {0};

	trial_begin(&trial, false);
	must(trial_write(&trial, "hidden/new.npy", SMALL, 1, &e), &e);
	must(commit(trial.d, &trial_commit_config, &done, &e), &e);
	must(draft_sweep(trial.d, &e), &e);
	ck_assert_str_eq((char *)done.name.p, NEXT);
	rescue = done.rescue;
	buf_release(&done.name);
}

static void teardown(void)
{
	rescue_release(&rescue);
	trial_end(&trial);
}

static int restore(void)
{
	struct err e = {0};

	return rescue_restore(&rescue, trial.top.fd, "meta", &e);
}

/* As TensorFlow does: its files are renamed over those that are there. */
static void save(const char *suffix)
{
	CLEANUP(buf_release) struct buf b = {0}, to = {0};

	read_whole(&b, "%s/" BASE ".%s", trial.top.path, suffix);
	buf_printf(&to, NEXT ".%s", suffix);
	buf_add_byte(&to, 0);
	folder_put(&trial.top, buf_bytes(&b), "saved");
	ck_assert_int_eq(renameat(trial.top.fd, "saved", trial.top.fd, (char *)to.p), 0);
}

START_TEST(step_that_is_there_stays)
{
	ck_assert_int_eq(restore(), 0);
	ck_assert_str_eq(rescue.name, NEXT);
}
END_TEST

START_TEST(step_that_was_removed_is_not_brought_back)
{
	ck_assert_int_eq(unlinkat(trial.top.fd, NEXT ".index", 0), 0);
	ck_assert_int_eq(restore(), -ENOENT);
}
END_TEST

START_TEST(step_that_was_written_over_has_the_next_name)
{
	save("data-00000-of-00001");
	save("index");
	save("meta");
	ck_assert_int_eq(restore(), 1);
	ck_assert_str_eq(rescue.name, "my_net.ckpt-2");
	ck_assert(trial_saved(&trial, "my_net.ckpt-2", "hidden/new") == 1);
	ck_assert_uint_eq(trial_count(&trial, NEXT), 3); /* the trainer's alone */
	ck_assert_int_eq(restore(), 0);
}
END_TEST

/* As tf.train.Checkpoint does with the index. */
START_TEST(index_that_was_written_in_place_has_the_next_name)
{
	CLEANUP(buf_release) struct buf b = {0};
	struct stat before, after;

	read_whole(&b, "%s/" BASE ".index", trial.top.path);
	ck_assert_int_eq(fstatat(trial.top.fd, NEXT ".index", &before, 0), 0);
	folder_put(&trial.top, buf_bytes(&b), NEXT ".index");
	ck_assert_int_eq(fstatat(trial.top.fd, NEXT ".index", &after, 0), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	ck_assert_int_eq(restore(), 1);
	ck_assert_str_eq(rescue.name, "my_net.ckpt-2");
	ck_assert(trial_saved(&trial, "my_net.ckpt-2", "hidden/new") == 1);
	ck_assert_int_eq(fstatat(trial.top.fd, "my_net.ckpt-2.index", &after, 0), 0);
	ck_assert_uint_eq(before.st_mode, after.st_mode);
	ck_assert_int_eq(restore(), 0);
}
END_TEST

START_TEST(index_that_was_touched_stays)
{
	const struct timespec times[2] = {{.tv_sec = 7}, {.tv_sec = 7}};

	ck_assert_int_eq(utimensat(trial.top.fd, NEXT ".index", times, 0), 0);
	ck_assert_int_eq(restore(), 0);
	ck_assert_str_eq(rescue.name, NEXT);
}
END_TEST

START_TEST(step_without_its_shards_is_lost)
{
	save("index");
	for (uint32_t i = 0; i < rescue.num_shards; i++) {
		CLEANUP(buf_release) struct buf name = {0};
		const struct step_place p = {.name = rescue.name, .format = STEP_V2};

		ck_assert_int_eq(step_shard_name(&p, i, rescue.num_shards, &name), 0);
		unlinkat(trial.top.fd, (char *)name.p, 0);
	}
	ck_assert_int_lt(restore(), 0);
	ck_assert_uint_eq(trial_count(&trial, "my_net.ckpt-2"), 0);
}
END_TEST

TCase *rescue_tests(void)
{
	TCase *t = tcase_create("rescue");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, step_that_is_there_stays);
	tcase_add_test(t, step_that_was_removed_is_not_brought_back);
	tcase_add_test(t, step_that_was_written_over_has_the_next_name);
	tcase_add_test(t, index_that_was_written_in_place_has_the_next_name);
	tcase_add_test(t, index_that_was_touched_stays);
	tcase_add_test(t, step_without_its_shards_is_lost);
	return t;
}

/* Tests of commits over the step of a SavedModel (src/commit/in_place.[ch]). */
#include "base/cleanup.h"
#include "commit/check_commit.h"
#include "commit/trial.h"
#include "lib/step.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP "variables"
#define KEPT "variables-1"
#define KEY  "b/.ATTRIBUTES/VARIABLE_VALUE"

static struct folder export;
static struct trial trial;
static float before; /* what the variable was */

static void begin(void)
{
	struct draft_config c = trial_config(&trial);
	struct err e = {0};

	c.name = STEP;
	must(step_open_v2(trial.top.fd, STEP, VERIFY_READ, &trial.base, &e), &e);
	must(tree_init(&trial.tree, trial.base, &e), &e);
	must(draft_begin(&c, trial.base, &trial.tree, trial.top.fd, &trial.d, &e), &e);
}

static void setup(void)
{
	export = folder_new();
	trial = (struct trial){0};
	ck_assert_int_eq(mkdirat(export.fd, STEP, 0777), 0);
	ck_assert_int_lt(snprintf(trial.top.path, sizeof trial.top.path, "%s/" STEP, export.path),
			 sizeof trial.top.path);
	trial.top.fd = openat(export.fd, STEP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(trial.top.fd, 0);
	folder_copy(&trial.top, ASSETS "/cases/savedmodel/1/variables");
	folder_put(&export, bytes_str("model"), "saved_model.pb");
	before = trial_saved(&trial, STEP, KEY);
	begin();
}

static void teardown(void)
{
	trial_end(&trial);
	folder_remove(&export);
}

static void write_value(float value)
{
	struct err e = {0};

	must(trial_write(&trial, "b.npy", 2, value, &e), &e);
}

static void end(enum commit_result want)
{
	enum commit_result result;
	struct err e = {0};

	must(trial_commit(&trial, &result, &e), &e);
	ck_assert_int_eq(result, want);
	ck_assert(trial.d->ended);
}

static void publish(void)
{
	enum commit_result result;
	struct err e = {0};

	must(trial_publish(&trial, &result, &e), &e);
	ck_assert_int_eq(result, COMMIT_DONE);
	ck_assert(!trial.d->ended);
}

/* There are the step and the one that was kept, and no file more: each has an index and shards of one number. */
static void check_rest(float now)
{
	ck_assert(trial_saved(&trial, STEP, KEY) == now);
	ck_assert(trial_saved(&trial, KEPT, KEY) == before);
	ck_assert_uint_eq(trial_count(&trial, KEPT), 2);
	ck_assert(!trial_has(&trial, STEP ".data-00000-of-00001"));
	ck_assert(!trial_has(&trial, "variables-2.index"));
	ck_assert(!trial_has(&trial, "checkpoint"));
}

START_TEST(step_keeps_its_name)
{
	write_value(before + 1);
	end(COMMIT_DONE);
	check_rest(before + 1);
}
END_TEST

START_TEST(each_publication_has_the_name)
{
	write_value(before + 1);
	publish();
	check_rest(before + 1);
	write_value(before + 2);
	publish();
	check_rest(before + 2);
	write_value(before + 3);
	end(COMMIT_DONE);
	check_rest(before + 3);
}
END_TEST

START_TEST(what_was_published_is_not_made_again)
{
	write_value(before + 1);
	publish();
	end(COMMIT_SAME);
	check_rest(before + 1);
}
END_TEST

/* It was replaced by a file of the same bytes. */
START_TEST(other_model_stays)
{
	CLEANUP(buf_release) struct buf index = {0};

	write_value(before + 1);
	read_whole(&index, "%s/" STEP ".index", trial.top.path);
	ck_assert_int_eq(unlinkat(trial.top.fd, STEP ".index", 0), 0);
	folder_put(&trial.top, buf_bytes(&index), STEP ".index");
	end(COMMIT_DONE);
	ck_assert(trial_saved(&trial, STEP, KEY) == before);
	ck_assert(trial_saved(&trial, KEPT, KEY) == before + 1);
}
END_TEST

START_TEST(without_a_model_it_is_the_next_step)
{
	write_value(before + 1);
	ck_assert_int_eq(unlinkat(export.fd, "saved_model.pb", 0), 0);
	end(COMMIT_DONE);
	ck_assert(trial_saved(&trial, STEP, KEY) == before);
	ck_assert(trial_saved(&trial, KEPT, KEY) == before + 1);
}
END_TEST

TCase *in_place_tests(void)
{
	TCase *t = tcase_create("in_place");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, step_keeps_its_name);
	tcase_add_test(t, each_publication_has_the_name);
	tcase_add_test(t, what_was_published_is_not_made_again);
	tcase_add_test(t, other_model_stays);
	tcase_add_test(t, without_a_model_it_is_the_next_step);
	return t;
}

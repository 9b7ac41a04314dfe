/* A commit over a base whose files a trainer removes or replaces meanwhile, with hard links and without; and of files that are
 * no variables. */
#include "base/cleanup.h"
#include "commit/check_commit.h"
#include "commit/trial.h"
#include "draft/links.h"
#include "lib/step.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHARD BASE ".data-00000-of-00001"

static struct trial trial;

static void begin(bool links)
{
	struct err e = {0};

	links_ask(links ? NULL : links_refused, NULL);
	trial_begin(&trial, false);
	ck_assert_int_eq(trial.d->pins[0].loose, !links);
	must(trial_write(&trial, "hidden/new.npy", SMALL, 1, &e), &e);
}

static void teardown(void)
{
	links_ask(NULL, NULL);
	trial_end(&trial);
}

/* Another file with the same bytes. */
static void replace(const char *name)
{
	struct buf b = {0};

	read_whole(&b, "%s/%s", trial.top.path, name);
	folder_put(&trial.top, buf_bytes(&b), "temporary");
	buf_release(&b);
	ck_assert_int_eq(renameat(trial.top.fd, "temporary", trial.top.fd, name), 0);
}

static void delete_base(void)
{
	static const char *const files[] = {BASE ".index", SHARD, BASE ".meta"};

	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(unlinkat(trial.top.fd, files[i], 0), 0);
}

static void assert_commits(float biases)
{
	enum commit_result result;
	struct err e = {0};

	must(trial_commit(&trial, &result, &e), &e);
	ck_assert_int_eq(result, COMMIT_DONE);
	ck_assert(trial_saved(&trial, NEXT, "hidden/new") == 1);
	ck_assert(trial_saved(&trial, NEXT, "hidden/biases") == biases);
}

START_TEST(a_base_that_was_removed_is_in_the_step)
{
	float biases;

	begin(true);
	biases = trial_saved(&trial, BASE, "hidden/biases");
	delete_base();
	assert_commits(biases);
	ck_assert(!trial_has(&trial, BASE ".index"));
}
END_TEST

START_TEST(without_links_it_commits_all_the_same)
{
	begin(false);
	assert_commits(trial_saved(&trial, BASE, "hidden/biases"));
}
END_TEST

/* What was not held is compared with what it was, and is refused. */
static const struct {
	const char *file;
	bool removed;
	int code;
	const char *sentence;
} changed[] = {
	{BASE ".index", false, -ESTALE, BASE ".index: was replaced or changed meanwhile"},
	{SHARD, false, -ESTALE, SHARD ": was replaced or changed meanwhile"},
	{BASE ".meta", false, -ESTALE, BASE ".meta: was replaced or changed meanwhile"},
	{BASE ".index", true, -ENOENT, BASE ".index: open: No such file or directory"},
	{SHARD, true, -ENOENT, SHARD ": open: No such file or directory"},
	{BASE ".meta", true, -ENOENT, BASE ".meta: open: No such file or directory"},
};

START_TEST(without_links_a_base_that_was_changed_is_not_committed)
{
	enum commit_result result;
	struct err e = {0};

	begin(false);
	if (changed[_i].removed)
		ck_assert_int_eq(unlinkat(trial.top.fd, changed[_i].file, 0), 0);
	else
		replace(changed[_i].file);
	ck_assert_int_eq(trial_commit(&trial, &result, &e), changed[_i].code);
	ck_assert_str_eq(e.text, changed[_i].sentence);
	ck_assert_uint_eq(trial_count(&trial, NEXT), 0);
	ck_assert(!trial.d->ended);
	ck_assert(trial_read(&trial, "hidden/new.npy") == 1);
}
END_TEST

START_TEST(temporary_files_are_in_no_step)
{
	struct err e = {0};
	struct step *s;
	uint32_t n;

	begin(true);
	n = trial.base->n_vars;
	must(trial_write(&trial, ".x.npy", SMALL, 1, &e), &e);
	must(trial_write(&trial, "hidden/.y.npy.tmp", SMALL, 1, &e), &e);
	assert_commits(trial_saved(&trial, BASE, "hidden/biases"));
	must(step_open_v2(trial.top.fd, NEXT, VERIFY_READ, &s, &e), &e);
	ck_assert_uint_eq(s->n_vars, n + 1);
	step_unref(s);
}
END_TEST

START_TEST(with_temporary_files_alone_there_is_no_step)
{
	enum commit_result result;
	struct err e = {0};

	begin(true);
	must(draft_unlink(trial.d, trial_index(&trial, "hidden"), "new.npy", &e), &e);
	must(trial_write(&trial, ".x.npy", SMALL, 1, &e), &e);
	must(trial_commit(&trial, &result, &e), &e);
	ck_assert_int_eq(result, COMMIT_NOTHING);
	ck_assert_uint_eq(trial_count(&trial, NEXT), 0);
}
END_TEST

TCase *base_tests(void)
{
	TCase *t = tcase_create("base");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_base_that_was_removed_is_in_the_step);
	tcase_add_test(t, without_links_it_commits_all_the_same);
	tcase_add_loop_test(t, without_links_a_base_that_was_changed_is_not_committed, 0,
			    sizeof changed / sizeof *changed);
	tcase_add_test(t, temporary_files_are_in_no_step);
	tcase_add_test(t, with_temporary_files_alone_there_is_no_step);
	return t;
}

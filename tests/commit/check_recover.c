/* Tests of src/commit/record.[ch] and recover.[ch]: a process ends in the middle of a commit, and the next one
 * looks. */
#include "commit/check_commit.h"
#include "commit/hold.h"
#include "commit/record.h"
#include "commit/recover.h"
#include "commit/trial.h"
#include "draft/items.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct trial trial;

static void setup(void)
{
	trial_begin_written(&trial);
}

static void teardown(void)
{
	trial_end(&trial);
}

static int leave(void *arg)
{
	(void)arg;
	_exit(7);
}

/* Another process commits, and is gone where it syncs END for the N-th time. */
static void crash_at(const char *end, unsigned n)
{
	enum commit_result result;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		hold_at(end, n, leave, NULL);
		trial_commit(&trial, &result, NULL);
		_exit(1);
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	draft_unref(trial.d);
	trial.d = NULL;
}

static void found(void *arg, struct draft *d)
{
	struct draft **out = arg;

	ck_assert_ptr_null(*out);
	*out = d;
}

static void say(void *arg, const char *text)
{
	(void)arg;
	ck_assert_int_ne(*text, 0);
}

static void take_up(void)
{
	const struct draft_config c = trial_config(&trial);
	const struct recovery r = {found, say, &trial.d};
	struct err e = {0};

	must(recover(&c, &trial_commit_config, &r, &e), &e);
}

/* The draft is there as it was, and of the commit nothing is. */
static void assert_taken_back(void)
{
	enum commit_result result;
	struct err e = {0};

	take_up();
	ck_assert_ptr_nonnull(trial.d);
	ck_assert_uint_eq(trial_count(&trial, NEXT), 0);
	ck_assert(!trial_has(&trial, ".ckptfs/drafts/" BASE "/commit"));
	ck_assert(trial_read(&trial, "hidden/large.npy") == 3);
	must(trial_commit(&trial, &result, &e), &e);
	ck_assert(trial_saved(&trial, NEXT, "hidden/new") == 1);
}

START_TEST(crash_while_the_step_is_built)
{
	crash_at(SYNC_PACKED, 1);
	assert_taken_back();
}
END_TEST

START_TEST(crash_when_the_index_is_written)
{
	crash_at(SYNC_INDEX, 1);
	assert_taken_back();
}
END_TEST

START_TEST(crash_when_the_shards_have_been_linked)
{
	crash_at(trial.top.path, 1);
	ck_assert_uint_gt(trial_count(&trial, NEXT), 0);
	assert_taken_back();
}
END_TEST

/* Behind the commit point: the step is there. */
START_TEST(crash_when_the_index_has_been_linked)
{
	struct buf b = {0};

	crash_at(trial.top.path, 2);
	take_up();
	ck_assert_ptr_null(trial.d);
	ck_assert(!trial_has(&trial, ".ckptfs/drafts"));
	ck_assert(trial_saved(&trial, NEXT, "hidden/large") == 3);
	read_whole(&b, "%s/checkpoint", trial.top.path);
	ck_assert_ptr_nonnull(memmem(b.p, b.n, NEXT, strlen(NEXT)));
	buf_release(&b);
}
END_TEST

/* A trainer has saved under a name that the commit had taken: that file stays. */
START_TEST(what_is_another_s_is_not_taken_back)
{
	struct buf b = {0};

	crash_at(trial.top.path, 1);
	ck_assert_int_eq(unlinkat(trial.top.fd, NEXT ".meta", 0), 0);
	folder_put(&trial.top, bytes_str("trained"), NEXT ".meta");
	take_up();
	ck_assert_ptr_nonnull(trial.d);
	ck_assert_uint_eq(trial_count(&trial, NEXT), 1);
	read_whole(&b, "%s/" NEXT ".meta", trial.top.path);
	ck_assert(bytes_eq(buf_bytes(&b), bytes_str("trained")));
	buf_release(&b);
}
END_TEST

/* --- what can't be taken up ---------------------------------------------------------------------------------- */

static void say_why(void *arg, const char *text)
{
	struct err *e = arg;

	err_set(e, 0, "%s", text);
}

static void found_none(void *arg, struct draft *d)
{
	(void)arg;
	draft_unref(d);
	ck_abort_msg("it was taken up");
}

/* All is looked through, and what is there stays: nothing of it is committed. */
static void assert_not_taken_up(const char *why)
{
	const struct draft_config c = trial_config(&trial);
	struct err said = {0}, e = {0};
	const struct recovery r = {found_none, say_why, &said};

	draft_unref(trial.d);
	trial.d = NULL;
	must(recover(&c, &trial_commit_config, &r, &e), &e);
	ck_assert_str_eq(said.text, why);
	ck_assert(trial_has(&trial, ".ckptfs/drafts/" BASE "/tree/hidden/large.npy"));
	ck_assert_uint_eq(trial_count(&trial, NEXT), 0);
	ck_assert(trial_has(&trial, BASE ".index"));
}

static void put_link(const char *target, const char *name)
{
	unlinkat(trial.top.fd, name, 0);
	ck_assert_int_eq(symlinkat(target, trial.top.fd, name), 0);
}

START_TEST(a_draft_with_a_link_to_nothing_stays)
{
	put_link(BASE "/none.npy", ".ckptfs/drafts/" BASE "/tree/x.npy");
	assert_not_taken_up("a draft can't be taken up, and stays as it is: .ckptfs/drafts/" BASE
			    ": x.npy: leads to " BASE "/none.npy, which is not there");
}
END_TEST

START_TEST(a_draft_whose_base_is_none_stays)
{
	put_link("../../..", ".ckptfs/drafts/" BASE "/base");
	assert_not_taken_up("a draft can't be taken up, and stays as it is: .ckptfs/drafts/" BASE
			    ": base: leads to ../../.., expected a folder of steps");
}
END_TEST

/* Its variable must not get into a step of this one. */
START_TEST(a_draft_that_leads_to_another_directory_stays)
{
	struct folder out = folder_new();

	put_link(out.path, ".ckptfs/drafts/" BASE "/steps/another");
	put_link("another/w.npy", ".ckptfs/drafts/" BASE "/tree/x.npy");
	assert_not_taken_up("a draft can't be taken up, and stays as it is: .ckptfs/drafts/" BASE
			    ": x.npy: another: leads elsewhere than to ../../../..");
	folder_remove(&out);
}
END_TEST

/* One that is sound is taken up beside it. */
START_TEST(a_draft_beside_one_that_is_none_is_taken_up)
{
	ck_assert_int_eq(mkdirat(trial.top.fd, ".ckptfs/drafts/another", 0777), 0);
	draft_unref(trial.d);
	trial.d = NULL;
	take_up();
	ck_assert_ptr_nonnull(trial.d);
	ck_assert(trial_read(&trial, "hidden/large.npy") == 3);
	ck_assert(trial_has(&trial, ".ckptfs/drafts/another"));
}
END_TEST

START_TEST(a_pipe_in_a_draft_is_not_committed)
{
	enum commit_result result;
	struct err e = {0};

	ck_assert_int_eq(mkfifoat(trial.top.fd, ".ckptfs/drafts/" BASE "/tree/x.npy", 0666), 0);
	draft_unref(trial.d);
	trial.d = NULL;
	take_up();
	ck_assert_int_eq(trial_commit(&trial, &result, &e), -EINVAL);
	ck_assert_uint_eq(trial_count(&trial, NEXT), 0);
	ck_assert(!trial.d->ended);
}
END_TEST

/* --- the record ---------------------------------------------------------------------------------------------- */

START_TEST(record_is_read_as_it_was_written)
{
	struct draft *d = trial.d;
	char name[NAME_MAX + 1];
	struct err e = {0};
	int fd;

	ck_assert_int_eq(record_read_name(d->fd, name, &e), 0);
	fd = record_begin(d->top, d->fd, &e);
	must(fd, &e);
	must(record_name(fd, "first", false, &e), &e);
	must(record_name(fd, "", false, &e), &e); /* that of a step whose files begin with a dot */
	ck_assert_int_eq(record_read_name(d->fd, name, &e), 1);
	ck_assert_str_eq(name, "");
	must(record_name(fd, NEXT, false, &e), &e);
	ck_assert_int_eq(record_read_name(d->fd, name, &e), 1);
	ck_assert_str_eq(name, NEXT);
	ck_assert_int_eq(record_is_published(d->top, d->fd, NEXT, &e), 0);
	ck_assert_int_eq(record_take_back(d->top, d->fd, &e), 0);
	must(record_forget(d->fd, &e), &e);
	ck_assert_int_eq(record_read_name(d->fd, name, &e), 0);
	close(fd);
}
END_TEST

/* Without hard links: what was moved is known by its stamp. */
START_TEST(record_knows_what_was_moved)
{
	struct draft *d = trial.d;
	struct err e = {0};
	int fd = record_begin(d->top, d->fd, &e), own;

	must(fd, &e);
	must(record_name(fd, NEXT, false, &e), &e);
	own = openat(fd, "index", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	ck_assert_int_ge(own, 0);
	close(own);
	must(record_move(fd, "index", d->top, NEXT ".index", false, &e), &e);
	ck_assert_int_eq(record_is_published(d->top, d->fd, NEXT, &e), 1);
	ck_assert_int_eq(record_take_back(d->top, d->fd, &e), 1);
	ck_assert(!trial_has(&trial, NEXT ".index"));
	close(fd);
}
END_TEST

TCase *recover_tests(void)
{
	TCase *t = tcase_create("recover");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, crash_while_the_step_is_built);
	tcase_add_test(t, crash_when_the_index_is_written);
	tcase_add_test(t, crash_when_the_shards_have_been_linked);
	tcase_add_test(t, crash_when_the_index_has_been_linked);
	tcase_add_test(t, what_is_another_s_is_not_taken_back);
	tcase_add_test(t, a_draft_with_a_link_to_nothing_stays);
	tcase_add_test(t, a_draft_whose_base_is_none_stays);
	tcase_add_test(t, a_draft_that_leads_to_another_directory_stays);
	tcase_add_test(t, a_draft_beside_one_that_is_none_is_taken_up);
	tcase_add_test(t, a_pipe_in_a_draft_is_not_committed);
	tcase_add_test(t, record_is_read_as_it_was_written);
	tcase_add_test(t, record_knows_what_was_moved);
	return t;
}

/* A commit that fails, in each of its acts (src/commit/commit.h): what it leaves, and that it can be made again. */
#include "base/io.h"
#include "commit/check_commit.h"
#include "commit/hold.h"
#include "commit/trial.h"
#include "draft/items.h"
#include "step/sidecar.h"
#include <fcntl.h>
#include <sys/stat.h>
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

static void assert_commits(void)
{
	enum commit_result result;
	struct err e = {0};

	must(trial_commit(&trial, &result, &e), &e);
	ck_assert_int_eq(result, COMMIT_DONE);
	ck_assert(trial.d->ended);
	ck_assert(trial_saved(&trial, NEXT, "hidden/large") == 3);
	ck_assert(!trial_has(&trial, ".ckptfs/drafts"));
}

/* It is as it was, also for those who waited. */
static void assert_goes_on(void)
{
	struct err e = {0};

	ck_assert(!trial.d->ended);
	ck_assert_uint_eq(trial_count(&trial, NEXT), 0);
	ck_assert(!trial_has(&trial, ".ckptfs/drafts/" BASE "/commit"));
	must(trial_write(&trial, "hidden/new.npy", SMALL, 2, &e), &e);
	ck_assert(trial_read(&trial, "hidden/large.npy") == 3);
}

static void fail_at(const char *end, unsigned n)
{
	enum commit_result result;
	struct err e = {0};

	hold_at(end, n, hold_fail, NULL);
	ck_assert_int_eq(trial_commit(&trial, &result, &e), -EIO);
	ck_assert_ptr_nonnull(strstr(e.text, "syncing"));
	assert_goes_on();
	assert_commits();
}

START_TEST(when_the_packed_shard_is_written)
{
	fail_at(SYNC_PACKED, 1);
}
END_TEST

START_TEST(when_a_file_is_synced_that_becomes_a_shard)
{
	fail_at("/tree/hidden/large.npy", 1);
}
END_TEST

START_TEST(when_the_index_is_written)
{
	fail_at(SYNC_INDEX, 1);
}
END_TEST

START_TEST(when_the_shards_have_been_linked)
{
	fail_at(trial.top.path, 1);
}
END_TEST

START_TEST(when_the_index_has_been_linked)
{
	fail_at(trial.top.path, 2);
}
END_TEST

/* The step is there, and the draft waits: nothing can be changed in it. */
START_TEST(when_the_state_file_is_written)
{
	enum commit_result result;
	struct err e = {0};

	must(io_remove_all(trial.top.fd, "checkpoint", &e), &e);
	ck_assert_int_eq(mkdirat(trial.top.fd, "checkpoint", 0777), 0);
	ck_assert_int_lt(trial_commit(&trial, &result, &e), 0);
	ck_assert(trial_has(&trial, NEXT ".index"));
	ck_assert(!trial.d->ended);
	ck_assert_int_eq(trial_write(&trial, "hidden/new.npy", SMALL, 2, &e), -EBUSY);
	ck_assert(trial_read(&trial, "hidden/new.npy") == 1);
	ck_assert_int_eq(unlinkat(trial.top.fd, "checkpoint", AT_REMOVEDIR), 0);
	assert_commits();
	ck_assert_uint_eq(trial_count(&trial, "my_net.ckpt-2"), 0);
}
END_TEST

/* Somebody else's file has the name of a shard: the next one is taken, and nothing of it is touched. */
START_TEST(when_the_name_is_taken_meanwhile)
{
	enum commit_result result;
	struct err e = {0};
	struct buf b = {0};

	folder_put(&trial.top, bytes_str("mine"), NEXT ".meta");
	must(trial_commit(&trial, &result, &e), &e);
	ck_assert_int_eq(result, COMMIT_DONE);
	read_whole(&b, "%s/" NEXT ".meta", trial.top.path);
	ck_assert(bytes_eq(buf_bytes(&b), bytes_str("mine")));
	buf_release(&b);
	ck_assert(trial_saved(&trial, "my_net.ckpt-2", "hidden/new") == 1);
}
END_TEST

TCase *failures_tests(void)
{
	TCase *t = tcase_create("failures");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, when_the_packed_shard_is_written);
	tcase_add_test(t, when_a_file_is_synced_that_becomes_a_shard);
	tcase_add_test(t, when_the_index_is_written);
	tcase_add_test(t, when_the_shards_have_been_linked);
	tcase_add_test(t, when_the_index_has_been_linked);
	tcase_add_test(t, when_the_state_file_is_written);
	tcase_add_test(t, when_the_name_is_taken_meanwhile);
	return t;
}

/* A commit beside others (src/commit/commit.c, src/draft/seal.h): what goes on while it is held up, and what of
 * that is in the step. */
#include "base/cleanup.h"
#include "commit/check_commit.h"
#include "commit/hold.h"
#include "commit/trial.h"
#include "draft/items.h"
#include "draft/seal.h"
#include <fcntl.h>
#include <stdio.h>

static struct trial trial;
static struct commit_thread committer;

static void setup(void)
{
	struct err e = {0};

	trial_begin(&trial, false);
	must(trial_write(&trial, "hidden/new.npy", SMALL, 1, &e), &e);
}

static void teardown(void)
{
	trial_end(&trial);
}

/* A commit that waits where it syncs END for the N-th time. */
static void hold_commit(const char *end, unsigned n)
{
	hold_at(end, n, hold_here, NULL);
	trial_start(&trial, &committer);
	hold_await();
}

static void assert_committed(void)
{
	hold_release();
	must(trial_join(&committer), &committer.e);
	ck_assert_int_eq(committer.result, COMMIT_DONE);
}

static void look(void)
{
	struct draft_item *i = trial_item(&trial, "hidden/new.npy");
	struct err e = {0};
	struct stat st;

	pthread_mutex_lock(&trial.d->lock);
	must(draft_stat(trial.d, i, &st, &e), &e);
	ck_assert_ptr_nonnull(
		draft_find(trial.d, trial.d->root, "output", &(struct draft_glance){0}));
	pthread_mutex_unlock(&trial.d->lock);
	ck_assert_int_eq(st.st_size, 128 + SMALL * 4);
	ck_assert(trial_read(&trial, "hidden/new.npy") == 1);
	ck_assert_uint_eq(draft_count(trial.d), 1);
}

/* --- while the step is built --------------------------------------------------------------------------------- */

START_TEST(draft_is_looked_into_while_built)
{
	hold_commit(SYNC_PACKED, 1);
	look();
	hold_release();
	must(trial_join(&committer), &committer.e);
}
END_TEST

START_TEST(what_is_written_while_built_is_in_the_step)
{
	struct err e = {0};

	hold_commit(SYNC_PACKED, 1);
	must(trial_write(&trial, "hidden/new.npy", SMALL, 2, &e), &e);
	assert_committed();
	ck_assert(trial_saved(&trial, NEXT, "hidden/new") == 2);
}
END_TEST

START_TEST(names_that_change_while_built_are_those_of_the_step)
{
	struct draft *d = trial.d;
	struct err e = {0};
	struct step *s;
	const struct step_place place = {.name = (char *)NEXT, .file = (char *)NEXT ".index"};

	hold_commit(SYNC_INDEX, 1);
	must(draft_rename(d, trial_index(&trial, "hidden"), "new.npy",
			  trial_index(&trial, "output"), "moved.npy", 0, &e),
	     &e);
	must(draft_unlink(d, trial_index(&trial, "hidden"), "biases.npy", &e), &e);
	assert_committed();
	ck_assert(trial_saved(&trial, NEXT, "output/moved") == 1);
	must(step_open(trial.top.fd, &place, VERIFY_READ, &s, &e), &e);
	ck_assert_ptr_null(step_find(s, bytes_str("hidden/new")));
	ck_assert_ptr_null(step_find(s, bytes_str("hidden/biases")));
	step_unref(s);
}
END_TEST

START_TEST(file_that_is_refused_is_told_and_can_be_mended)
{
	CLEANUP(buf_release) struct buf why = {0};
	const struct draft_owner owner = {getuid(), getgid(), 0644};
	enum commit_result result;
	struct draft_item *i;
	struct err e = {0};

	must(draft_create(trial.d, trial_index(&trial, "hidden"), "bad.npy", &owner, false, &i, &e),
	     &e);
	pthread_mutex_lock(&trial.d->lock);
	draft_item_unref(trial.d, i);
	pthread_mutex_unlock(&trial.d->lock);
	ck_assert_int_eq(trial_commit(&trial, &result, &e), -EINVAL);
	ck_assert(!trial.d->ended);
	ck_assert_uint_eq(trial_count(&trial, NEXT), 0);
	must(draft_why(trial.d, &why), &e);
	ck_assert_uint_gt(why.n, 0);
	must(trial_write(&trial, "hidden/bad.npy", SMALL, 5, &e), &e);
	must(trial_commit(&trial, &result, &e), &e);
	ck_assert(trial_saved(&trial, NEXT, "hidden/bad") == 5);
}
END_TEST

/* Writes again each time, until it would have to wait. */
struct restless {
	unsigned built;
	float last;
};

static int write_again(void *arg)
{
	struct restless *r = arg;
	struct err e = {0};
	bool sealed;

	pthread_mutex_lock(&trial.d->lock);
	sealed = trial.d->sealed;
	pthread_mutex_unlock(&trial.d->lock);
	r->built++;
	if (!sealed)
		must(trial_write(&trial, "hidden/new.npy", SMALL, r->last = (float)r->built + 10,
				 &e),
		     &e);
	hold_at(SYNC_PACKED, 1, write_again, r);
	return 0;
}

START_TEST(commit_ends_though_changes_never_do)
{
	struct restless r = {0};
	enum commit_result result;
	struct err e = {0};

	hold_at(SYNC_PACKED, 1, write_again, &r);
	must(trial_commit(&trial, &result, &e), &e);
	ck_assert_uint_eq(r.built, 3);
	ck_assert(trial_saved(&trial, NEXT, "hidden/new") == r.last);
}
END_TEST

/* --- files that become shards -------------------------------------------------------------------------------- */

/* The file PATH of the draft has another name in the directory. */
static nlink_t links_of(const char *path)
{
	char full[256];
	struct stat st;

	snprintf(full, sizeof full, ".ckptfs/drafts/" BASE "/tree/%s", path);
	ck_assert_int_eq(fstatat(trial.top.fd, full, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_nlink;
}

static void *write_later(void *arg)
{
	int *r = arg;

	*r = trial_write(&trial, "hidden/large.npy", LARGE, 9, &(struct err){0});
	return NULL;
}

START_TEST(file_that_is_linked_is_read_and_not_written)
{
	struct err e = {0};
	pthread_t writer;
	unsigned waits;
	int r = 0;

	must(trial_write(&trial, "hidden/large.npy", LARGE, 3, &e), &e);
	hold_commit(trial.top.path, 1);
	ck_assert_uint_eq(links_of("hidden/large.npy"), 2);
	ck_assert(trial_read(&trial, "hidden/large.npy") == 3);
	waits = waits_count();
	ck_assert_int_eq(pthread_create(&writer, NULL, write_later, &r), 0);
	waits_await(waits + 1);
	ck_assert(trial_read(&trial, "hidden/large.npy") == 3);
	assert_committed();
	pthread_join(writer, NULL);
	ck_assert_int_eq(r, -ESTALE); /* the view then begins the next draft */
	ck_assert(trial_saved(&trial, NEXT, "hidden/large") == 3);
}
END_TEST

START_TEST(file_that_is_opened_for_writing_is_copied)
{
	struct draft_item *i;
	struct err e = {0};
	float value = 7;

	must(trial_write(&trial, "hidden/large.npy", LARGE, 3, &e), &e);
	hold_commit(SYNC_INDEX, 1);
	must(draft_open(trial.d, trial_index(&trial, "hidden/large.npy"), true, false, &i, &e), &e);
	assert_committed();
	ck_assert(!trial.d->ended);
	must(draft_write(trial.d, i, NULL, bytes_of(&value, sizeof value), 128, &e), &e);
	draft_close(trial.d, i, true);
	ck_assert(trial_saved(&trial, NEXT, "hidden/large") == 3);
	ck_assert(trial_read(&trial, "hidden/large.npy") == 7);
}
END_TEST

/* They cost one sync, and one name. */
START_TEST(small_files_are_packed_into_one_shard)
{
	enum { FILES = 100, COUNT = 75000 };
	enum commit_result result;
	struct err e = {0};
	unsigned syncs;
	char path[32];

	for (unsigned i = 0; i < FILES; i++) {
		snprintf(path, sizeof path, "hidden/n%u.npy", i);
		must(trial_write(&trial, path, COUNT, (float)i, &e), &e);
	}
	syncs = syncs_count();
	must(trial_commit(&trial, &result, &e), &e);
	/* Of three files, of the directory, and of its state file. */
	ck_assert_uint_eq(syncs_count() - syncs, 6);
	ck_assert_uint_eq(trial_count(&trial, NEXT), 4); /* with the base's shard */
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(path, sizeof path, "hidden/n%u", i);
		ck_assert(trial_saved(&trial, NEXT, path) == (float)i);
	}
}
END_TEST

TCase *acts_tests(void)
{
	TCase *t = tcase_create("acts");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, draft_is_looked_into_while_built);
	tcase_add_test(t, what_is_written_while_built_is_in_the_step);
	tcase_add_test(t, names_that_change_while_built_are_those_of_the_step);
	tcase_add_test(t, file_that_is_refused_is_told_and_can_be_mended);
	tcase_add_test(t, commit_ends_though_changes_never_do);
	tcase_add_test(t, file_that_is_linked_is_read_and_not_written);
	tcase_add_test(t, file_that_is_opened_for_writing_is_copied);
	tcase_add_test(t, small_files_are_packed_into_one_shard);
	return t;
}

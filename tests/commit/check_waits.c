/* Who waits for a commit that is under way (src/draft/seal.h). */
#include "commit/check_commit.h"
#include "commit/hold.h"
#include "commit/trial.h"
#include "draft/seal.h"

static struct trial trial;
static struct commit_thread first, second;

static void teardown(void)
{
	trial_end(&trial);
}

static void setup(void)
{
	struct err e = {0};

	trial_begin(&trial, false);
	must(trial_write(&trial, "hidden/new.npy", SMALL, 1, &e), &e);
}

static void hold_first(const char *end, unsigned n)
{
	hold_at(end, n, hold_here, NULL);
	trial_start(&trial, &first);
	hold_await();
}

START_TEST(second_commit_has_the_result_of_the_first)
{
	unsigned waits;

	hold_first(SYNC_PACKED, 1);
	waits = waits_count();
	trial_start(&trial, &second);
	waits_await(waits + 1);
	hold_release();
	must(trial_join(&first), &first.e);
	must(trial_join(&second), &second.e);
	ck_assert_int_eq(first.result, COMMIT_DONE);
	ck_assert_int_eq(second.result, COMMIT_LATE);
	ck_assert_uint_eq(trial_count(&trial, "my_net.ckpt-2"), 0);
}
END_TEST

START_TEST(second_commit_has_it_also_if_the_draft_goes_on)
{
	struct draft_item *i;
	struct err e = {0};
	unsigned waits;

	must(draft_open(trial.d, trial_index(&trial, "hidden/new.npy"), true, false, &i, &e), &e);
	hold_first(SYNC_PACKED, 1);
	waits = waits_count();
	trial_start(&trial, &second);
	waits_await(waits + 1);
	hold_release();
	must(trial_join(&first), &first.e);
	must(trial_join(&second), &second.e);
	ck_assert_int_eq(second.result, COMMIT_SHARED);
	ck_assert(!trial.d->ended);
	draft_close(trial.d, i, true);
}
END_TEST

START_TEST(second_commit_tries_itself_if_the_first_fails)
{
	unsigned waits;

	hold_first(SYNC_PACKED, 1);
	waits = waits_count();
	trial_start(&trial, &second);
	waits_await(waits + 1);
	hold_at(SYNC_INDEX, 1, hold_fail, NULL);
	hold_release();
	ck_assert_int_eq(trial_join(&first), -EIO);
	must(trial_join(&second), &second.e);
	ck_assert_int_eq(second.result, COMMIT_DONE);
}
END_TEST

static void *discard(void *arg)
{
	bool *was_there = arg;
	struct draft *d = trial.d;

	draft_lock_alone(d);
	*was_there = !d->ended;
	if (*was_there)
		draft_discard(d, NULL);
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

START_TEST(discard_waits)
{
	bool was_there = true;
	pthread_t thread;
	unsigned waits;

	hold_first(SYNC_PACKED, 1);
	waits = waits_count();
	ck_assert_int_eq(pthread_create(&thread, NULL, discard, &was_there), 0);
	waits_await(waits + 1);
	ck_assert(!trial.d->ended);
	hold_release();
	must(trial_join(&first), &first.e);
	pthread_join(thread, NULL);
	ck_assert(!was_there);
	ck_assert(trial_saved(&trial, NEXT, "hidden/new") == 1);
}
END_TEST

static void *rename_step(void *arg)
{
	int *r = arg;

	*r = draft_rename_step(trial.d, "other", NULL);
	return NULL;
}

START_TEST(step_is_renamed_after_it)
{
	struct err e = {0};
	pthread_t thread;
	unsigned waits;
	int r = 0;

	trial_end(&trial);
	trial_begin(&trial, true);
	must(trial_write(&trial, "a.npy", SMALL, 1, &e), &e);
	hold_first(SYNC_PACKED, 1);
	waits = waits_count();
	ck_assert_int_eq(pthread_create(&thread, NULL, rename_step, &r), 0);
	waits_await(waits + 1);
	hold_release();
	must(trial_join(&first), &first.e);
	pthread_join(thread, NULL);
	ck_assert_int_lt(r, 0); /* there is no draft any more */
	ck_assert(trial_saved(&trial, BASE, "a") == 1);
	ck_assert_uint_eq(trial_count(&trial, "other"), 0);
}
END_TEST

/* --- what a number stood for --------------------------------------------------------------------------------- */

struct removal {
	uint32_t dir;
	int r;
};

static void *remove_biases(void *arg)
{
	struct removal *removal = arg;

	removal->r = draft_unlink(trial.d, removal->dir, "biases.npy", NULL);
	return NULL;
}

/* What comes of a removal in FOLDER that is asked for while the commit is held. */
static int remove_meanwhile(const char *folder)
{
	struct removal removal = {.dir = trial_index(&trial, folder)};
	pthread_t thread;
	unsigned waits;

	hold_first(trial.top.path, 1);
	waits = waits_count();
	ck_assert_int_eq(pthread_create(&thread, NULL, remove_biases, &removal), 0);
	waits_await(waits + 1);
	hold_release();
	must(trial_join(&first), &first.e);
	pthread_join(thread, NULL);
	return removal.r;
}

static void move_output(void)
{
	struct draft *d = trial.d;
	struct err e = {0};

	must(draft_rename(d, d->root->index, "output", trial_index(&trial, "hidden"), "out", 0, &e),
	     &e);
}

/* After the commit the number leads to hidden of the base, where it did. */
START_TEST(change_in_a_folder_is_for_the_next_draft)
{
	ck_assert_int_eq(remove_meanwhile("hidden"), -ESTALE);
}
END_TEST

/* And here to output, where nobody asked for anything. */
START_TEST(change_in_a_folder_that_was_moved_is_looked_up_again)
{
	move_output();
	ck_assert_int_eq(remove_meanwhile("hidden/out"), DRAFT_LOOK_AGAIN);
}
END_TEST

START_TEST(change_in_a_folder_is_made_in_a_draft_that_goes_on)
{
	struct draft_item *i;
	struct err e = {0};

	must(draft_open(trial.d, trial_index(&trial, "hidden/new.npy"), true, false, &i, &e), &e);
	ck_assert_int_eq(remove_meanwhile("hidden"), 0);
	draft_close(trial.d, i, true);
}
END_TEST

START_TEST(change_in_a_folder_that_was_moved_is_not_made_in_one_that_goes_on)
{
	struct draft_item *i;
	struct err e = {0};

	must(draft_open(trial.d, trial_index(&trial, "hidden/new.npy"), true, false, &i, &e), &e);
	move_output();
	ck_assert_int_eq(remove_meanwhile("hidden/out"), DRAFT_LOOK_AGAIN);
	ck_assert(!trial.d->ended);
	trial_item(&trial, "output/biases.npy");
	draft_close(trial.d, i, true);
}
END_TEST

TCase *waits_tests(void)
{
	TCase *t = tcase_create("waits");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, second_commit_has_the_result_of_the_first);
	tcase_add_test(t, second_commit_has_it_also_if_the_draft_goes_on);
	tcase_add_test(t, second_commit_tries_itself_if_the_first_fails);
	tcase_add_test(t, discard_waits);
	tcase_add_test(t, step_is_renamed_after_it);
	tcase_add_test(t, change_in_a_folder_is_for_the_next_draft);
	tcase_add_test(t, change_in_a_folder_that_was_moved_is_looked_up_again);
	tcase_add_test(t, change_in_a_folder_is_made_in_a_draft_that_goes_on);
	tcase_add_test(t, change_in_a_folder_that_was_moved_is_not_made_in_one_that_goes_on);
	return t;
}

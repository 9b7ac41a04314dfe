/* Tests of commits after which the draft goes on as a whole (src/commit/commit.c, src/commit/noted.[ch]). */
#include "base/io.h"
#include "commit/check_commit.h"
#include "commit/noted.h"
#include "commit/trial.h"
#include "draft/items.h"
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define THIRD "my_net.ckpt-2"
#define NOTE  ".ckptfs/drafts/" BASE "/" DRAFT_NOTE

static struct trial trial;

static void setup(void)
{
	trial_begin_written(&trial);
}

static void teardown(void)
{
	trial_end(&trial);
}

static enum commit_result publish(void)
{
	enum commit_result result;
	struct err e = {0};

	must(trial_publish(&trial, &result, &e), &e);
	ck_assert(!trial.d->ended);
	return result;
}

static enum commit_result end(void)
{
	enum commit_result result;
	struct err e = {0};

	must(trial_commit(&trial, &result, &e), &e);
	return result;
}

static void rewrite(const char *path, unsigned count, float value)
{
	struct err e = {0};

	must(trial_write(&trial, path, count, value, &e), &e);
}

/* --- what there is afterwards -------------------------------------------------------------------------------- */

START_TEST(draft_shows_what_it_did)
{
	uint32_t small = trial_index(&trial, "hidden/new.npy");

	ck_assert_int_eq(publish(), COMMIT_DONE);
	ck_assert_uint_eq(trial_index(&trial, "hidden/new.npy"), small);
	ck_assert(trial_read(&trial, "hidden/new.npy") == 1);
	ck_assert(trial_read(&trial, "hidden/large.npy") == 3);
	ck_assert(trial_saved(&trial, NEXT, "hidden/large") == 3);
	ck_assert_uint_eq(draft_count(trial.d), 2);
	ck_assert(trial_has(&trial, NOTE));
	ck_assert(!trial_has(&trial, ".ckptfs/drafts/" BASE "/commit"));
}
END_TEST

START_TEST(later_step_has_all_changes)
{
	publish();
	rewrite("hidden/more.npy", SMALL, 5);
	ck_assert_int_eq(publish(), COMMIT_DONE);
	ck_assert(trial_saved(&trial, THIRD, "hidden/new") == 1);
	ck_assert(trial_saved(&trial, THIRD, "hidden/more") == 5);
}
END_TEST

START_TEST(shard_is_not_written_to)
{
	publish();
	rewrite("hidden/large.npy", LARGE, 4);
	ck_assert(trial_saved(&trial, NEXT, "hidden/large") == 3);
	publish();
	rewrite("hidden/large.npy", LARGE, 5);
	ck_assert_int_eq(end(), COMMIT_DONE);
	ck_assert(trial_saved(&trial, NEXT, "hidden/large") == 3);
	ck_assert(trial_saved(&trial, THIRD, "hidden/large") == 4);
	ck_assert(trial_saved(&trial, "my_net.ckpt-3", "hidden/large") == 5);
}
END_TEST

/* Also through a descriptor from before. */
START_TEST(open_file_is_not_the_shard)
{
	struct draft_item *reader, *writer;
	struct err e = {0};
	float value = 8, read = 0;
	uint32_t index = trial_index(&trial, "hidden/large.npy");

	must(draft_open(trial.d, index, false, false, &reader, &e), &e);
	publish();
	must(draft_open(trial.d, index, true, false, &writer, &e), &e);
	must(draft_write(trial.d, writer, NULL, bytes_of(&value, sizeof value), 128, &e), &e);
	ck_assert_int_eq(draft_read(trial.d, reader, NULL, 128, sizeof read, (uint8_t *)&read, &e),
			 sizeof read);
	ck_assert(read == 8);
	draft_close(trial.d, writer, true);
	draft_close(trial.d, reader, false);
	ck_assert(trial_saved(&trial, NEXT, "hidden/large") == 3);
}
END_TEST

/* --- nothing is published twice ------------------------------------------------------------------------------ */

START_TEST(nothing_new_is_no_step)
{
	int64_t wait;

	publish();
	ck_assert(!draft_is_due(trial.d, 0, &wait));
	ck_assert_int_eq(wait, -1);
	ck_assert_int_eq(publish(), COMMIT_SAME);
	ck_assert_int_eq(end(), COMMIT_SAME);
	ck_assert(trial.d->ended);
	ck_assert_uint_eq(trial_count(&trial, THIRD), 0);
}
END_TEST

START_TEST(same_bytes_are_no_step)
{
	int64_t wait;

	publish();
	rewrite("hidden/large.npy", LARGE, 9);
	rewrite("hidden/large.npy", LARGE, 3);
	ck_assert(draft_is_due(trial.d, 0, &wait));
	ck_assert_int_eq(publish(), COMMIT_SAME);
	ck_assert_uint_eq(trial_count(&trial, THIRD), 0);
}
END_TEST

/* A variable less, or one in another's place, makes another step. */
START_TEST(names_count)
{
	struct draft *d = trial.d;
	struct err e = {0};

	publish();
	must(draft_unlink(d, trial_index(&trial, "hidden"), "new.npy", &e), &e);
	ck_assert_int_eq(publish(), COMMIT_DONE);
	must(draft_rename(d, trial_index(&trial, "hidden"), "large.npy",
			  trial_index(&trial, "hidden"), "new.npy", 0, &e),
	     &e);
	ck_assert_int_eq(publish(), COMMIT_DONE);
	must(draft_rename(d, trial_index(&trial, "hidden"), "new.npy",
			  trial_index(&trial, "hidden"), "large.npy", 0, &e),
	     &e);
	ck_assert_int_eq(publish(), COMMIT_DONE);
	ck_assert_int_eq(end(), COMMIT_SAME);
}
END_TEST

START_TEST(draft_as_its_base_is_no_step)
{
	struct err e = {0};
	uint32_t hidden = trial_index(&trial, "hidden");

	must(draft_unlink(trial.d, hidden, "new.npy", &e), &e);
	must(draft_unlink(trial.d, hidden, "large.npy", &e), &e);
	ck_assert_int_eq(publish(), COMMIT_NOTHING);
	ck_assert(!trial_has(&trial, NOTE));
	ck_assert_int_eq(end(), COMMIT_NOTHING);
}
END_TEST

/* But it is one where a step with changes is the last. */
START_TEST(taking_all_back_is_a_step)
{
	struct err e = {0};
	uint32_t hidden = trial_index(&trial, "hidden");

	publish();
	must(draft_unlink(trial.d, hidden, "new.npy", &e), &e);
	must(draft_unlink(trial.d, hidden, "large.npy", &e), &e);
	ck_assert_int_eq(publish(), COMMIT_DONE);
	ck_assert_int_eq(end(), COMMIT_SAME);
}
END_TEST

/* --- the step that is noted ---------------------------------------------------------------------------------- */

static void rename_step(const char *from, const char *to)
{
	static const char *const suffixes[] = {"index", "meta", "data-00000-of-00003",
					       "data-00001-of-00003", "data-00002-of-00003"};

	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
		char a[64], b[64];

		snprintf(a, sizeof a, "%s.%s", from, suffixes[i]);
		snprintf(b, sizeof b, "%s.%s", to, suffixes[i]);
		ck_assert_int_eq(renameat(trial.top.fd, a, trial.top.fd, b), 0);
	}
}

START_TEST(step_may_have_another_name)
{
	publish();
	rename_step(NEXT, "best");
	ck_assert_int_eq(end(), COMMIT_SAME);
}
END_TEST

/* As after a rescue (commit/rescue.h). */
START_TEST(index_may_be_another_file)
{
	struct buf b = {0};
	struct err e = {0};

	publish();
	read_whole(&b, "%s/" NEXT ".index", trial.top.path);
	must(io_replace_file(trial.top.fd, trial.top.fd, NEXT ".index", buf_bytes(&b), 0644, &e),
	     &e);
	buf_release(&b);
	ck_assert_int_eq(end(), COMMIT_SAME);
}
END_TEST

/* A trainer saved in place, and what was there has another name by now. */
START_TEST(index_may_be_written_in_place)
{
	CLEANUP(buf_release) struct buf b = {0};
	struct err e = {0};

	publish();
	read_whole(&b, "%s/" NEXT ".index", trial.top.path);
	must(io_put_new(trial.top.fd, "best.index", buf_bytes(&b), 0644, &e), &e);
	ck_assert_int_eq(linkat(trial.top.fd, NEXT ".data-00000-of-00003", trial.top.fd,
				"best.data-00000-of-00003", 0),
			 0);
	ck_assert_int_eq(linkat(trial.top.fd, NEXT ".data-00001-of-00003", trial.top.fd,
				"best.data-00001-of-00003", 0),
			 0);
	ck_assert_int_eq(linkat(trial.top.fd, NEXT ".data-00002-of-00003", trial.top.fd,
				"best.data-00002-of-00003", 0),
			 0);
	ck_assert_int_eq(linkat(trial.top.fd, NEXT ".meta", trial.top.fd, "best.meta", 0), 0);
	b.n = 0;
	read_whole(&b, "%s/" BASE ".index", trial.top.path);
	folder_put(&trial.top, buf_bytes(&b), NEXT ".index");
	ck_assert_int_eq(end(), COMMIT_SAME);
}
END_TEST

START_TEST(step_that_is_gone_is_published_again)
{
	publish();
	ck_assert_int_eq(unlinkat(trial.top.fd, NEXT ".index", 0), 0);
	ck_assert_int_eq(end(), COMMIT_DONE);
	ck_assert(trial.d->ended);
}
END_TEST

START_TEST(step_without_its_shards_is_published_again)
{
	publish();
	ck_assert_int_eq(unlinkat(trial.top.fd, NEXT ".data-00001-of-00003", 0), 0);
	ck_assert_int_eq(end(), COMMIT_DONE);
	ck_assert(trial_saved(&trial, THIRD, "hidden/large") == 3);
}
END_TEST

/* --- its end ------------------------------------------------------------------------------------------------- */

START_TEST(open_file_keeps_it_from_ending)
{
	struct draft_item *i;
	struct err e = {0};

	publish();
	must(draft_open(trial.d, trial_index(&trial, "hidden/new.npy"), true, false, &i, &e), &e);
	ck_assert_int_eq(end(), COMMIT_SAME);
	ck_assert(!trial.d->ended);
	ck_assert(trial_read(&trial, "hidden/large.npy") == 3);
	draft_close(trial.d, i, true);
	ck_assert_int_eq(end(), COMMIT_SAME);
	ck_assert(trial.d->ended);
}
END_TEST

START_TEST(sync_with_open_files_forgets_the_note)
{
	struct draft_item *i;
	struct err e = {0};

	publish();
	rewrite("hidden/new.npy", SMALL, 6);
	must(draft_open(trial.d, trial_index(&trial, "hidden/large.npy"), true, false, &i, &e), &e);
	ck_assert_int_eq(end(), COMMIT_DONE);
	ck_assert(!trial.d->ended);
	ck_assert(!trial_has(&trial, NOTE));
	draft_close(trial.d, i, true);
	ck_assert_int_eq(end(), COMMIT_NOTHING);
}
END_TEST

START_TEST(discarding_keeps_the_step)
{
	struct err e = {0};

	publish();
	pthread_mutex_lock(&trial.d->lock);
	must(draft_discard(trial.d, &e), &e);
	pthread_mutex_unlock(&trial.d->lock);
	ck_assert(trial_saved(&trial, NEXT, "hidden/large") == 3);
	ck_assert(!trial_has(&trial, ".ckptfs/drafts"));
}
END_TEST

/* --- after a crash ------------------------------------------------------------------------------------------- */

static void take_up(void)
{
	const struct draft_config c = trial_config(&trial);
	struct err e = {0};

	draft_unref(trial.d);
	must(draft_take_up(&c, BASE, &trial.d, &e), &e);
}

START_TEST(note_is_taken_up)
{
	publish();
	take_up();
	ck_assert(trial_read(&trial, "hidden/large.npy") == 3);
	ck_assert_int_eq(publish(), COMMIT_SAME);
	take_up();
	rewrite("hidden/large.npy", LARGE, 7);
	ck_assert(trial_saved(&trial, NEXT, "hidden/large") == 3);
	ck_assert_int_eq(end(), COMMIT_DONE);
	ck_assert(trial_saved(&trial, THIRD, "hidden/large") == 7);
}
END_TEST

/* A draft of a new step ends: its folder is the step. */
START_TEST(new_step_ends)
{
	enum commit_result result;
	struct err e = {0};
	int64_t wait;
	struct draft_item *scope;

	trial_end(&trial);
	trial_begin(&trial, true);
	rewrite("new.npy", SMALL, 1);
	must(draft_mkdir(trial.d, TREE_ROOT, "scope", &scope, &e), &e);
	ck_assert(!draft_is_due(trial.d, 0, &wait));
	must(draft_rmdir(trial.d, TREE_ROOT, "scope", &e), &e);
	ck_assert(draft_is_due(trial.d, 0, &wait));
	must(trial_publish(&trial, &result, &e), &e);
	ck_assert_int_eq(result, COMMIT_DONE);
	ck_assert(trial.d->ended);
	pthread_mutex_lock(&trial.d->lock);
	draft_item_unref(trial.d, scope);
	pthread_mutex_unlock(&trial.d->lock);
}
END_TEST

TCase *goes_on_tests(void)
{
	TCase *t = tcase_create("goes_on");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, draft_shows_what_it_did);
	tcase_add_test(t, later_step_has_all_changes);
	tcase_add_test(t, shard_is_not_written_to);
	tcase_add_test(t, open_file_is_not_the_shard);
	tcase_add_test(t, nothing_new_is_no_step);
	tcase_add_test(t, same_bytes_are_no_step);
	tcase_add_test(t, names_count);
	tcase_add_test(t, draft_as_its_base_is_no_step);
	tcase_add_test(t, taking_all_back_is_a_step);
	tcase_add_test(t, step_may_have_another_name);
	tcase_add_test(t, index_may_be_another_file);
	tcase_add_test(t, index_may_be_written_in_place);
	tcase_add_test(t, step_that_is_gone_is_published_again);
	tcase_add_test(t, step_without_its_shards_is_published_again);
	tcase_add_test(t, open_file_keeps_it_from_ending);
	tcase_add_test(t, sync_with_open_files_forgets_the_note);
	tcase_add_test(t, discarding_keeps_the_step);
	tcase_add_test(t, note_is_taken_up);
	tcase_add_test(t, new_step_ends);
	return t;
}

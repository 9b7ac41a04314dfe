/* Tests of src/directory/step_files.[ch]. What a crash leaves is made by hand here; tests/faults breaks off at each
 * call. */
#include "base/cleanup.h"
#include "directory/check_directory.h"
#include "directory/file_stamp.h"
#include "directory/step_files.h"
#include "lib/lit.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE                                                                                      \
	"model_checkpoint_path: \"m-1\"\nall_model_checkpoint_paths: \"m-0\"\n"                    \
	"all_model_checkpoint_paths: \"m-1\"\n"

static const char *const suffixes[] = {".data-00000-of-00002", ".data-00001-of-00002", ".meta",
				       ".debug", ".index"};

static const struct step_place m_1 = {.name = "m-1", .file = "m-1.index", .format = STEP_V2};

static struct step_files files_of(const struct folder *f)
{
	return (struct step_files){.top = f->fd, .state_name = "checkpoint", .meta = "meta"};
}

/* The steps m-0 and m-1 with all their files, and .ckptfs. */
static struct folder folder_with_steps(void)
{
	struct folder f = folder_new();

	for (int i = 0; i < 2; i++)
		for (size_t k = 0; k < COUNT(suffixes); k++)
			folder_put(&f, bytes_str(suffixes[k]), "m-%d%s", i, suffixes[k]);
	folder_put(&f, LIT(STATE), "checkpoint");
	ck_assert_int_eq(mkdirat(f.fd, ".ckptfs", 0755), 0);
	return f;
}

/* How many files of the step there are. */
static unsigned count_files(const struct folder *f, const char *step)
{
	unsigned n = 0;

	for (size_t k = 0; k < COUNT(suffixes); k++) {
		char name[64];

		snprintf(name, sizeof name, "%s%s", step, suffixes[k]);
		n += is_there(f, name);
	}
	return n;
}

static void assert_step(const struct folder *f, const char *step)
{
	for (size_t k = 0; k < COUNT(suffixes); k++) {
		char name[64];

		snprintf(name, sizeof name, "%s%s", step, suffixes[k]);
		assert_content(f, name, suffixes[k]);
	}
}

/* --- renaming and removing --------------------------------------------------------------------------------- */

START_TEST(a_renamed_step_has_all_its_files_under_the_new_name)
{
	CLEANUP(folder_remove) struct folder f = folder_with_steps();
	const struct step_files files = files_of(&f);
	struct err e;

	ck_assert_int_eq(step_rename(&files, &m_1, "best", &e), 0);
	assert_step(&f, "best");
	assert_step(&f, "m-0");
	ck_assert_uint_eq(count_files(&f, "m-1"), 0);
	assert_content(&f, "checkpoint",
		       "model_checkpoint_path: \"best\"\nall_model_checkpoint_paths: \"m-0\"\n"
		       "all_model_checkpoint_paths: \"best\"\n");
	ck_assert(!is_there(&f, STEP_LEAVING));
}
END_TEST

START_TEST(a_name_that_is_taken_leaves_all_as_it_is)
{
	static const char *const taken[] = {"best.index/", "best.meta", "best.data-00000-of-00001",
					    "best/", "best"};

	for (size_t i = 0; i < COUNT(taken); i++) {
		CLEANUP(folder_remove) struct folder f = folder_with_steps();
		const struct step_files files = files_of(&f);
		struct err e;

		put_entry(&f, taken[i]);
		ck_assert_int_eq(step_rename(&files, &m_1, "best", &e), -EEXIST);
		assert_step(&f, "m-1");
		assert_content(&f, "checkpoint", STATE);
		ck_assert(!is_there(&f, STEP_LEAVING));
	}
}
END_TEST

START_TEST(what_can_t_get_its_new_name_is_taken_back)
{
	CLEANUP(folder_remove) struct folder f = folder_with_steps();
	const struct step_files files = files_of(&f);
	struct err e;

	/* The debug info's name is not looked at before. */
	folder_put(&f, LIT("theirs"), "best.debug");
	ck_assert_int_eq(step_rename(&files, &m_1, "best", &e), -EEXIST);
	assert_step(&f, "m-1");
	ck_assert_uint_eq(count_files(&f, "best"), 1);
	assert_content(&f, "best.debug", "theirs");
	assert_content(&f, "checkpoint", STATE);
	ck_assert(!is_there(&f, STEP_LEAVING));
}
END_TEST

START_TEST(a_removed_step_is_recorded_until_its_draft_has_ended)
{
	CLEANUP(folder_remove) struct folder f = folder_with_steps();
	const struct step_files files = files_of(&f);
	struct err e;

	ck_assert_int_eq(unlinkat(f.fd, "m-1.data-00000-of-00002", 0),
			 0); /* that one is missing is no error */
	ck_assert_int_eq(step_remove(&files, &m_1, &e), 0);
	ck_assert_uint_eq(count_files(&f, "m-1"), 0);
	assert_step(&f, "m-0");
	assert_content(&f, "checkpoint",
		       "model_checkpoint_path: \"m-0\"\nall_model_checkpoint_paths: \"m-0\"\n");
	ck_assert(is_there(&f, STEP_LEAVING));
	step_remove_end(&files);
	ck_assert(!is_there(&f, STEP_LEAVING) && !is_there(&f, STEP_LEAVING ".new"));
}
END_TEST

START_TEST(a_v1_set_is_renamed_as_a_whole)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	const struct step_files files = files_of(&f);
	const struct step_place place = {
		.name = "v", .file = "v-00000-of-00002", .format = STEP_V1, .shards = 2};
	static const char *const names[] = {"v-00000-of-00002", "v-00001-of-00002",
					    "v-00000-of-00003", "v.meta"};
	struct err e;

	ck_assert_int_eq(mkdirat(f.fd, ".ckptfs", 0755), 0);
	for (size_t i = 0; i < COUNT(names); i++)
		folder_put(&f, LIT("x"), "%s", names[i]);
	ck_assert_int_eq(step_rename(&files, &place, "w", &e), 0);
	ck_assert(is_there(&f, "w-00000-of-00002") && is_there(&f, "w-00001-of-00002") &&
		  is_there(&f, "w.meta"));
	ck_assert(!is_there(&f, "v-00000-of-00002") && !is_there(&f, "v-00001-of-00002") &&
		  !is_there(&f, "v.meta"));
	ck_assert(is_there(&f, "v-00000-of-00003")); /* of another set */
}
END_TEST

/* --- to another folder ------------------------------------------------------------------------------------- */

/* The folder `old` in F, with .ckptfs. */
static struct folder folder_beside(const struct folder *f)
{
	struct folder old = {.fd = -1};

	ck_assert_int_eq(mkdirat(f->fd, "old", 0755), 0);
	ck_assert_int_eq(mkdirat(f->fd, "old/.ckptfs", 0755), 0);
	old.fd = openat(f->fd, "old", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(old.fd, 0);
	snprintf(old.path, sizeof old.path, "%.50s/old", f->path);
	return old;
}

static bool has_records(const struct folder *f)
{
	return is_there(f, STEP_LEAVING) || is_there(f, STEP_LEAVING ".new");
}

START_TEST(a_moved_step_has_all_its_files_in_the_other_folder)
{
	CLEANUP(folder_remove) struct folder f = folder_with_steps();
	struct folder old = folder_beside(&f);
	const struct step_files files = files_of(&f);
	struct err e;

	folder_put(&old, LIT(STATE), "checkpoint");
	ck_assert_int_eq(step_move(&files, &m_1, old.fd, "best", &e), 0);
	assert_step(&old, "best");
	assert_step(&f, "m-0");
	ck_assert_uint_eq(count_files(&f, "m-1"), 0);
	assert_content(&f, "checkpoint",
		       "model_checkpoint_path: \"m-0\"\nall_model_checkpoint_paths: \"m-0\"\n");
	assert_content(&old, "checkpoint", STATE);
	ck_assert(!has_records(&f) && !has_records(&old));
	close(old.fd);
}
END_TEST

START_TEST(a_step_that_can_t_be_moved_stays)
{
	CLEANUP(folder_remove) struct folder f = folder_with_steps();
	struct folder old = folder_beside(&f);
	const struct step_files files = files_of(&f);
	struct err e;

	folder_put(&old, LIT("theirs"), "best.debug"); /* which is not looked at before */
	ck_assert_int_eq(step_move(&files, &m_1, old.fd, "best", &e), -EEXIST);
	ck_assert_int_eq(step_move(&files, &m_1, old.fd, "best.debug", &e), -EEXIST);
	assert_step(&f, "m-1");
	ck_assert_uint_eq(count_files(&old, "best"), 1);
	assert_content(&old, "best.debug", "theirs");
	assert_content(&f, "checkpoint", STATE);
	ck_assert(!has_records(&f) && !has_records(&old));
	close(old.fd);
}
END_TEST

/* What it leads to would be looked for in the other folder. */
START_TEST(a_step_of_relative_links_is_not_moved)
{
	CLEANUP(folder_remove) struct folder f = folder_with_steps();
	struct folder old = folder_beside(&f);
	const struct step_files files = files_of(&f);
	struct err e;

	ck_assert_int_eq(renameat(f.fd, "m-1.index", f.fd, "elsewhere"), 0);
	ck_assert_int_eq(symlinkat("elsewhere", f.fd, "m-1.index"), 0);
	ck_assert_int_eq(step_move(&files, &m_1, old.fd, "m-1", &e), -EXDEV);
	ck_assert_uint_eq(count_files(&f, "m-1"), COUNT(suffixes));
	ck_assert_uint_eq(count_files(&old, "m-1"), 0);
	assert_content(&f, "checkpoint", STATE);
	ck_assert(!has_records(&f) && !has_records(&old));
	close(old.fd);
}
END_TEST

/* --- after a crash ----------------------------------------------------------------------------------------- */

/* Records that m-1 is to be renamed to TO, or removed, or with the link AS instead of `to`. */
static void put_record_as(const struct folder *f, const char *as, const char *to)
{
	CLEANUP(closep) int stamps = -1;
	struct err e;

	ck_assert_int_eq(mkdirat(f->fd, STEP_LEAVING, 0755), 0);
	ck_assert_int_eq(symlinkat("m-1", f->fd, STEP_LEAVING "/from"), 0);
	if (to)
		ck_assert_int_eq(symlinkat(to, f->fd, as), 0);
	ck_assert_int_eq(mkdirat(f->fd, STEP_LEAVING "/files", 0755), 0);
	stamps = openat(f->fd, STEP_LEAVING "/files", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t k = 0; k < COUNT(suffixes); k++) {
		char name[64];

		snprintf(name, sizeof name, "m-1%s", suffixes[k]);
		ck_assert_int_eq(file_stamp_make(f->fd, name, stamps, name, &e), 0);
	}
}

static void put_record(const struct folder *f, const char *to)
{
	put_record_as(f, STEP_LEAVING "/to", to);
}

/* The first N files of m-1 have their new name, too. */
static void give_names(const struct folder *f, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		char from[64], to[64];

		snprintf(from, sizeof from, "m-1%s", suffixes[k]);
		snprintf(to, sizeof to, "best%s", suffixes[k]);
		ck_assert_int_eq(linkat(f->fd, from, f->fd, to, 0), 0);
	}
}

static void resume(const struct folder *f, const char *sentence)
{
	CLEANUP(buf_release) struct buf done = {0};
	struct err e;

	ck_assert_int_eq(step_files_resume(f->fd, "checkpoint", &done, &e), 0);
	ck_assert_str_eq(done.n ? (char *)done.p : "", sentence);
	ck_assert(!is_there(f, STEP_LEAVING) && !is_there(f, STEP_LEAVING ".new"));
}

START_TEST(a_renaming_that_did_not_get_to_the_index_is_taken_back)
{
	CLEANUP(folder_remove) struct folder f = folder_with_steps();

	put_record(&f, "best");
	give_names(&f, (size_t)_i);
	resume(&f, "m-1: renaming it to best was interrupted, and is taken back");
	assert_step(&f, "m-1");
	ck_assert_uint_eq(count_files(&f, "best"), 0);
	assert_content(&f, "checkpoint", STATE);
}
END_TEST

START_TEST(a_renaming_that_got_to_the_index_is_finished)
{
	CLEANUP(folder_remove) struct folder f = folder_with_steps();

	put_record(&f, "best");
	give_names(&f, COUNT(suffixes));
	ck_assert_int_eq(unlinkat(f.fd, "m-1.index", 0), 0);
	save_over(&f, "m-1.meta", "theirs");
	resume(&f, "m-1: renaming it to best was interrupted, and is finished");
	assert_step(&f, "best");
	ck_assert_uint_eq(count_files(&f, "m-1"), 1);
	assert_content(&f, "m-1.meta", "theirs");
	assert_content(&f, "checkpoint",
		       "model_checkpoint_path: \"best\"\nall_model_checkpoint_paths: \"m-0\"\n"
		       "all_model_checkpoint_paths: \"best\"\n");
}
END_TEST

START_TEST(a_removal_is_finished_and_takes_the_draft_along)
{
	CLEANUP(folder_remove) struct folder f = folder_with_steps();

	put_record(&f, NULL);
	save_over(&f, "m-1.data-00001-of-00002", "theirs");
	ck_assert_int_eq(mkdirat(f.fd, ".ckptfs/drafts", 0755), 0);
	ck_assert_int_eq(mkdirat(f.fd, ".ckptfs/drafts/m-1", 0755), 0);
	ck_assert_int_eq(mkdirat(f.fd, ".ckptfs/drafts/m-0", 0755), 0);
	resume(&f, "m-1: removing it was interrupted, and is finished");
	ck_assert_uint_eq(count_files(&f, "m-1"), 1);
	assert_content(&f, "m-1.data-00001-of-00002", "theirs");
	assert_step(&f, "m-0");
	ck_assert(!is_there(&f, ".ckptfs/drafts/m-1"));
	ck_assert(is_there(&f, ".ckptfs/drafts/m-0"));
}
END_TEST

START_TEST(an_arrival_is_taken_back)
{
	CLEANUP(folder_remove) struct folder f = folder_with_steps();

	put_record_as(&f, STEP_LEAVING "/arriving", "m-1");
	save_over(&f, "m-1.data-00001-of-00002", "theirs");
	resume(&f, "m-1: moving it here was interrupted, and is taken back");
	ck_assert_uint_eq(count_files(&f, "m-1"), 1);
	assert_content(&f, "m-1.data-00001-of-00002", "theirs");
	assert_step(&f, "m-0");
	assert_content(&f, "checkpoint", STATE);
}
END_TEST

START_TEST(what_was_not_yet_begun_is_forgotten)
{
	CLEANUP(folder_remove) struct folder f = folder_with_steps();

	resume(&f, "");
	ck_assert_int_eq(mkdirat(f.fd, STEP_LEAVING ".new", 0755), 0);
	ck_assert_int_eq(symlinkat("m-1", f.fd, STEP_LEAVING ".new/from"), 0);
	resume(&f, "");
	assert_step(&f, "m-1");
}
END_TEST

START_TEST(the_next_removal_begins_with_what_was_left)
{
	CLEANUP(folder_remove) struct folder f = folder_with_steps();
	const struct step_files files = files_of(&f);
	const struct step_place m_0 = {.name = "m-0", .file = "m-0.index", .format = STEP_V2};
	struct err e;

	put_record(&f, NULL);
	ck_assert_int_eq(mkdirat(f.fd, ".ckptfs/drafts", 0755), 0);
	ck_assert_int_eq(mkdirat(f.fd, ".ckptfs/drafts/m-1", 0755), 0);
	ck_assert_int_eq(step_remove(&files, &m_0, &e), 0);
	ck_assert_uint_eq(count_files(&f, "m-0") + count_files(&f, "m-1"), 0);
	ck_assert(!is_there(&f, "checkpoint"));
	ck_assert(is_there(&f, ".ckptfs/drafts/m-1")); /* somebody may be at work on it */
	step_remove_end(&files);
}
END_TEST

TCase *step_files_tests(void)
{
	TCase *t = tcase_create("step_files");

	tcase_add_test(t, a_renamed_step_has_all_its_files_under_the_new_name);
	tcase_add_test(t, a_name_that_is_taken_leaves_all_as_it_is);
	tcase_add_test(t, what_can_t_get_its_new_name_is_taken_back);
	tcase_add_test(t, a_removed_step_is_recorded_until_its_draft_has_ended);
	tcase_add_test(t, a_v1_set_is_renamed_as_a_whole);
	tcase_add_loop_test(t, a_renaming_that_did_not_get_to_the_index_is_taken_back, 0,
			    COUNT(suffixes));
	tcase_add_test(t, a_renaming_that_got_to_the_index_is_finished);
	tcase_add_test(t, a_removal_is_finished_and_takes_the_draft_along);
	tcase_add_test(t, a_moved_step_has_all_its_files_in_the_other_folder);
	tcase_add_test(t, a_step_that_can_t_be_moved_stays);
	tcase_add_test(t, a_step_of_relative_links_is_not_moved);
	tcase_add_test(t, an_arrival_is_taken_back);
	tcase_add_test(t, what_was_not_yet_begun_is_forgotten);
	tcase_add_test(t, the_next_removal_begins_with_what_was_left);
	return t;
}

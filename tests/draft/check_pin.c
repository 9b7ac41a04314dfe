/* Tests of src/draft/pin.[ch]: steps held against deletion, with hard links and without. */
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/io.h"
#include "draft/check_draft.h"
#include "draft/links.h"
#include "draft/model.h"
#include "draft/pin.h"
#include "lib/step.h"
#include "step/tensor.h"
#include <fcntl.h>
#include <stdio.h>

#define NAME    "my-model-1000"
#define OTHER   "my-model-2000"
#define INDEX   NAME ".index"
#define SHARD   NAME ".data-00000-of-00001"
#define META    NAME ".meta"
#define STEPS   ".ckptfs/drafts/d/steps"
#define CHANGED ": is not the file that it was"

static struct folder top;
static int steps; /* where pins are made */
static struct step *step;
static struct pin pin;

static void make_folder(const char *name)
{
	ck_assert_int_eq(mkdirat(top.fd, name, 0777), 0);
}

static void setup_with(const char *fixture, const char *name)
{
	struct err e = {0};

	links_ask(NULL, NULL);
	top = folder_new();
	folder_copy(&top, fixture);
	make_folder(".ckptfs");
	make_folder(".ckptfs/drafts");
	make_folder(".ckptfs/drafts/d");
	make_folder(STEPS);
	steps = openat(top.fd, STEPS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(steps, 0);
	must(step_open_v2(top.fd, name, VERIFY_READ, &step, &e), &e);
	pin = (struct pin){0};
}

static void setup(void)
{
	setup_with(ASSETS "/fixtures/linear", NAME);
}

static void teardown(void)
{
	links_ask(NULL, NULL);
	pin_release(&pin);
	step_unref(step);
	close(steps);
	folder_remove(&top);
}

static void hold(struct pin *out)
{
	struct err e = {0};

	must(pin_make(steps, top.fd, step, top.fd, "meta", out, &e), &e);
}

static void hold_loosely(struct pin *out)
{
	links_ask(links_refused, NULL);
	hold(out);
	links_ask(NULL, NULL);
	ck_assert(out->loose);
}

/* --- what there is ----------------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in the folder FD, sorted, are EXPECTED, with a blank between them. */
static void assert_names(int fd, const char *expected)
{
	CLEANUP(dir_closep) DIR *s = dir_open(fd, ".");
	CLEANUP(buf_release) struct buf text = {0};
	char *names[16];
	const struct dirent *de;
	size_t n = 0;

	ck_assert_ptr_nonnull(s);
	while (n < 16 && (de = dir_next(s)))
		names[n++] = strdup(de->d_name);
	qsort(names, n, sizeof *names, compare_names);
	for (size_t i = 0; i < n; i++) {
		buf_printf(&text, "%s%s", i ? " " : "", names[i]);
		free(names[i]);
	}
	buf_add_byte(&text, 0);
	ck_assert_str_eq((char *)text.p, expected);
}

static struct stat stat_of(int fd, const char *name)
{
	struct stat st;

	ck_assert_msg(fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0, "%s", name);
	return st;
}

static void assert_gone(int fd, const char *name)
{
	struct stat st;

	ck_assert_msg(fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0, "%s is there", name);
}

/* The step's files are as they were copied, and no folder has another name of them. */
static void assert_untouched(void)
{
	static const char *const files[] = {INDEX, SHARD, META};

	for (size_t i = 0; i < 3; i++) {
		CLEANUP(buf_release) struct buf have = {0}, want = {0};

		read_whole(&have, "%s/%s", top.path, files[i]);
		read_whole(&want, ASSETS "/fixtures/linear/%s", files[i]);
		ck_assert(bytes_eq(buf_bytes(&have), buf_bytes(&want)));
		ck_assert_uint_eq(stat_of(top.fd, files[i]).st_nlink, 1);
	}
}

static int read_w(const struct pin *p, float *out, struct err *e)
{
	CLEANUP(closep) int dir = pin_dir(steps, p->name, e);
	struct tensor *t;
	int r = dir < 0 ? dir
			: tensor_open(p->step, step_find(p->step, bytes_str("w")), dir, &t, e);

	if (r < 0)
		return r;
	r = tensor_read(t, 0, sizeof *out, (uint8_t *)out, e);
	tensor_close(t);
	return r;
}

static float value_of(const struct pin *p)
{
	struct err e = {0};
	float w = 0;

	must(read_w(p, &w, &e), &e);
	return w;
}

static void assert_fails(int r, const struct err *e, int code, const char *sentence)
{
	ck_assert_str_eq(e->text, sentence);
	ck_assert_int_eq(r, code);
	ck_assert_int_eq(e->code, code);
}

static void assert_not_opened(const char *name, int code, const char *sentence)
{
	struct pin again = {0};
	struct err e = {0};

	assert_fails(pin_open(steps, name, "meta", VERIFY_READ, &again, &e), &e, code, sentence);
}

/* --- what a trainer does ------------------------------------------------------------------------------------- */

static void delete (const char *name)
{
	ck_assert_int_eq(unlinkat(top.fd, name, 0), 0);
}

/* As TensorFlow does: another file gets the name. */
static void replace(const char *name, const char *by)
{
	CLEANUP(buf_release) struct buf b = {0};

	read_whole(&b, ASSETS "/fixtures/linear/%s", by);
	folder_put(&top, buf_bytes(&b), "temporary");
	ck_assert_int_eq(renameat(top.fd, "temporary", top.fd, name), 0);
}

static void train_again(void)
{
	replace(SHARD, OTHER ".data-00000-of-00001");
	replace(INDEX, OTHER ".index");
	replace(META, OTHER ".meta");
}

/* --- with hard links --------------------------------------------------------------------------------------- */

START_TEST(all_files_of_a_step_are_held)
{
	static const char *const files[] = {INDEX, SHARD, META};
	CLEANUP(closep) int dir = -1;

	hold(&pin);
	ck_assert(!pin.loose);
	ck_assert_str_eq(pin.name, NAME);
	assert_names(steps, NAME);
	dir = pin_dir(steps, NAME, NULL);
	assert_names(dir, SHARD " " INDEX " " META);
	for (size_t i = 0; i < 3; i++) {
		ck_assert_uint_eq(stat_of(dir, files[i]).st_ino, stat_of(top.fd, files[i]).st_ino);
		ck_assert_uint_eq(stat_of(top.fd, files[i]).st_nlink, 2);
	}
}
END_TEST

START_TEST(a_sidecar_that_is_not_there_is_not_held)
{
	CLEANUP(closep) int dir = -1;

	delete (META);
	hold(&pin);
	dir = pin_dir(steps, NAME, NULL);
	assert_names(dir, SHARD " " INDEX);
}
END_TEST

START_TEST(a_held_step_is_there_when_the_trainer_has_removed_it)
{
	struct pin again = {0};
	struct err e = {0};
	float w;

	hold(&pin);
	w = value_of(&pin);
	delete (INDEX);
	delete (SHARD);
	delete (META);
	ck_assert(value_of(&pin) == w);
	must(pin_open(steps, NAME, "meta", VERIFY_READ, &again, &e), &e);
	ck_assert(!again.loose);
	ck_assert(pin_is_of(&again, step));
	ck_assert(value_of(&again) == w);
	pin_release(&again);
}
END_TEST

START_TEST(a_held_step_is_what_it_was_when_the_trainer_has_replaced_it)
{
	struct pin again = {0}, other = {0};
	struct err e = {0};
	float w;

	hold(&pin);
	w = value_of(&pin);
	train_again();
	ck_assert(value_of(&pin) == w);
	must(pin_open(steps, NAME, "meta", VERIFY_READ, &again, &e), &e);
	ck_assert(pin_is_of(&again, step));
	ck_assert(value_of(&again) == w);
	pin_release(&again);

	/* What has the name now is another step, and is held beside it. */
	step_unref(step);
	must(step_open_v2(top.fd, NAME, VERIFY_READ, &step, &e), &e);
	ck_assert(!pin_is_of(&pin, step));
	hold(&other);
	ck_assert_str_eq(other.name, NAME "~2");
	ck_assert(value_of(&other) != w);
	ck_assert(value_of(&pin) == w);
	must(pin_open(steps, NAME "~2", "meta", VERIFY_READ, &again, &e), &e);
	ck_assert(pin_is_of(&again, step));
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
		delete (outdated[_i].file);
	else
		replace(outdated[_i].file, outdated[_i].file);
	assert_fails(pin_make(steps, top.fd, step, top.fd, "meta", &pin, &e), &e, -ESTALE,
		     outdated[_i].sentence);
	assert_names(steps, "");
	ck_assert_ptr_null(pin.name);
	if (!outdated[_i].gone)
		assert_untouched();
}
END_TEST

static int train_at_meta(void *arg, const char *from)
{
	bool *done = arg;

	if (!strcmp(from, META) && !*done) {
		*done = true;
		train_again();
	}
	return 0;
}

START_TEST(a_step_that_is_replaced_while_it_is_held_is_not)
{
	struct err e = {0};
	bool done = false;

	links_ask(train_at_meta, &done);
	assert_fails(pin_make(steps, top.fd, step, top.fd, "meta", &pin, &e), &e, -ESTALE,
		     INDEX CHANGED);
	ck_assert(done);
	assert_names(steps, "");
}
END_TEST

static int fail_at_shard(void *arg, const char *from)
{
	return strcmp(from, SHARD) != 0 ? 0 : *(int *)arg;
}

START_TEST(an_error_leaves_nothing_behind)
{
	struct err e = {0};
	int error = EIO;

	links_ask(fail_at_shard, &error);
	assert_fails(pin_make(steps, top.fd, step, top.fd, "meta", &pin, &e), &e, -EIO,
		     SHARD ": Input/output error");
	assert_names(steps, "");
	assert_untouched();
}
END_TEST

START_TEST(what_a_crash_left_is_replaced)
{
	CLEANUP(closep) int dir = -1;

	make_folder(STEPS "/.unfinished");
	folder_put(&top, bytes_str("left"), STEPS "/.unfinished/" OTHER ".index");
	hold(&pin);
	assert_names(steps, NAME);
	dir = pin_dir(steps, NAME, NULL);
	assert_names(dir, SHARD " " INDEX " " META);
}
END_TEST

START_TEST(releasing_a_pin_leaves_all_files)
{
	hold(&pin);
	ck_assert_uint_eq(atomic_load(&step->refs), 2);
	pin_release(&pin);
	ck_assert_uint_eq(atomic_load(&step->refs), 1);
	ck_assert_ptr_null(pin.name);
	assert_names(steps, NAME); /* it goes with the draft */
	ck_assert_uint_eq(stat_of(top.fd, INDEX).st_nlink, 2);
}
END_TEST

START_TEST(what_is_no_step_is_not_opened)
{
	make_folder(STEPS "/empty");
	assert_not_opened("empty", -ENOENT, "empty: no step in it");
	assert_not_opened("none", -ENOENT, "none: No such file or directory");
}
END_TEST

/* --- without ----------------------------------------------------------------------------------------------- */

START_TEST(without_links_a_link_to_the_directory_is_made)
{
	char target[64] = "";
	struct pin again = {0};
	struct file_id meta;
	struct err e = {0};
	struct stat st;

	hold_loosely(&pin);
	ck_assert_str_eq(pin.name, NAME);
	assert_names(steps, ".ids " NAME);
	ck_assert_int_gt(readlinkat(steps, NAME, target, sizeof target - 1), 0);
	ck_assert_str_eq(target, "../../../..");
	assert_untouched();
	st = stat_of(top.fd, META);
	meta = file_id_of(&st);
	ck_assert(file_id_eq(&pin.sidecars[TEXT_META_GRAPH], &meta));
	ck_assert_uint_eq(pin.sidecars[TEXT_DEBUG_INFO].ino, 0);
	must(pin_open(steps, NAME, "meta", VERIFY_READ, &again, &e), &e);
	ck_assert(again.loose);
	ck_assert(pin_is_of(&again, step));
	ck_assert(file_id_eq(&again.sidecars[TEXT_META_GRAPH], &meta));
	ck_assert(value_of(&again) == value_of(&pin));
	pin_release(&again);
}
END_TEST

/* The links that could be made are taken away again. */
START_TEST(where_links_end_half_way_none_stays)
{
	int error = EMLINK;

	links_ask(fail_at_shard, &error);
	hold(&pin);
	ck_assert(pin.loose);
	assert_names(steps, ".ids " NAME);
	assert_untouched();
}
END_TEST

START_TEST(what_is_not_held_is_refused_when_it_was_replaced)
{
	struct err e = {0};
	float w;

	hold_loosely(&pin);
	train_again();
	assert_fails(read_w(&pin, &w, &e), &e, -ESTALE, SHARD CHANGED);
	assert_not_opened(NAME, -ESTALE,
			  INDEX ": was replaced, and could not be held by hard links");
}
END_TEST

/* Also by the same bytes: it is another file. */
START_TEST(what_is_not_held_is_refused_when_it_was_saved_again)
{
	hold_loosely(&pin);
	replace(INDEX, INDEX);
	assert_not_opened(NAME, -ESTALE,
			  INDEX ": was replaced, and could not be held by hard links");
}
END_TEST

START_TEST(what_is_not_held_is_refused_when_it_was_removed)
{
	static const char *const others[] = {"my-model-0.index", OTHER ".index"};
	struct err e = {0};
	float w;

	hold_loosely(&pin);
	delete (SHARD);
	assert_fails(read_w(&pin, &w, &e), &e, -ESTALE, SHARD ": Stale file handle");
	delete (INDEX);
	for (size_t i = 0; i < 2; i++)
		delete (others[i]);
	assert_not_opened(NAME, -ENOENT, NAME ": no step in it");
}
END_TEST

/* Another step of the directory is never taken for the one that is gone. */
START_TEST(what_is_not_held_is_not_another_step)
{
	struct pin again = {0};

	hold_loosely(&pin);
	delete (INDEX);
	ck_assert_int_eq(pin_open(steps, NAME, "meta", VERIFY_READ, &again, NULL), -ESTALE);
}
END_TEST

/* A link to the directory is taken away, and not what is in it. */
START_TEST(without_links_a_step_that_was_changed_before_is_not_pinned)
{
	struct err e = {0};

	replace(INDEX, INDEX);
	links_ask(links_refused, NULL);
	assert_fails(pin_make(steps, top.fd, step, top.fd, "meta", &pin, &e), &e, -ESTALE,
		     INDEX CHANGED);
	assert_gone(steps, NAME);
	assert_gone(steps, ".unfinished");
	assert_untouched();
}
END_TEST

START_TEST(without_links_a_step_that_is_gone_is_not_pinned)
{
	struct err e = {0};

	delete (INDEX);
	links_ask(links_refused, NULL);
	assert_fails(pin_make(steps, top.fd, step, top.fd, "meta", &pin, &e), &e, -ESTALE,
		     INDEX ": is gone");
	assert_names(steps, "");
}
END_TEST

START_TEST(without_links_a_step_of_another_folder_is_not_pinned)
{
	CLEANUP(closep) int from = -1;
	struct err e = {0};

	make_folder("sub");
	ck_assert_int_eq(renameat(top.fd, INDEX, top.fd, "sub/" INDEX), 0);
	ck_assert_int_eq(renameat(top.fd, SHARD, top.fd, "sub/" SHARD), 0);
	from = openat(top.fd, "sub", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	links_ask(links_refused, NULL);
	assert_fails(pin_make(steps, top.fd, step, from, "meta", &pin, &e), &e, -EXDEV,
		     NAME ": no hard links to its files");
	assert_names(steps, "");
}
END_TEST

/* --- its stamp --------------------------------------------------------------------------------------------- */

START_TEST(the_stamp_is_of_the_index)
{
	char text[96] = "", expected[96];
	struct stat st = stat_of(top.fd, INDEX);

	hold_loosely(&pin);
	ck_assert_int_gt(readlinkat(steps, ".ids/" NAME, text, sizeof text - 1), 0);
	snprintf(expected, sizeof expected, "%ju %jd %jd.%09ld", (uintmax_t)st.st_ino,
		 (intmax_t)st.st_size, (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	ck_assert_str_eq(text, expected);
}
END_TEST

/* That of an earlier pin of the name, which was taken away. */
START_TEST(an_old_stamp_is_replaced)
{
	struct pin again = {0};
	struct err e = {0};

	make_folder(STEPS "/.ids");
	ck_assert_int_eq(symlinkat("1 2 3.000000004", steps, ".ids/" NAME), 0);
	hold_loosely(&pin);
	must(pin_open(steps, NAME, "meta", VERIFY_READ, &again, &e), &e);
	pin_release(&again);
}
END_TEST

START_TEST(a_stamp_of_another_file_is_refused)
{
	hold_loosely(&pin);
	ck_assert_int_eq(unlinkat(steps, ".ids/" NAME, 0), 0);
	ck_assert_int_eq(symlinkat("1 2 3.000000004", steps, ".ids/" NAME), 0);
	assert_not_opened(NAME, -ESTALE,
			  INDEX ": was replaced, and could not be held by hard links");
}
END_TEST

/* Earlier versions made none. */
START_TEST(without_a_stamp_it_is_taken_as_it_is)
{
	struct pin again = {0};
	struct err e = {0};

	hold_loosely(&pin);
	ck_assert_int_eq(unlinkat(steps, ".ids/" NAME, 0), 0);
	must(pin_open(steps, NAME, "meta", VERIFY_READ, &again, &e), &e);
	ck_assert(pin_is_of(&again, step));
	pin_release(&again);
}
END_TEST

/* --- shards that come back --------------------------------------------------------------------------------- */

#define PARTS_INDEX "model-7.index"
#define PART(n)     "model-7.data-0000" n "-of-00003"

static void setup_parts(void)
{
	struct err e = {0};

	setup_with(ASSETS "/fixtures/sharded", "model-7");
	step_unref(step);
	ck_assert_int_eq(renameat(top.fd, PART("1"), top.fd, "away"), 0);
	must(step_open_v2(top.fd, "model-7", VERIFY_READ, &step, &e), &e);
	hold(&pin);
	ck_assert(!pin.loose);
}

static void assert_parts(const char *expected)
{
	CLEANUP(closep) int dir = pin_dir(steps, "model-7", NULL);

	assert_names(dir, expected);
}

static int complete(struct err *e)
{
	CLEANUP(closep) int dir = pin_dir(steps, "model-7", NULL);

	return pin_complete(&pin, dir, top.fd, VERIFY_READ, e);
}

START_TEST(a_shard_that_comes_back_is_held_too)
{
	struct err e = {0};

	assert_parts(PART("0") " " PART("2") " " PARTS_INDEX " model-7.meta");
	must(complete(&e), &e);
	ck_assert_ptr_null(pin.incomplete);
	ck_assert_int_eq(renameat(top.fd, "away", top.fd, PART("1")), 0);
	must(complete(&e), &e);
	assert_parts(PART("0") " " PART("1") " " PART("2") " " PARTS_INDEX " model-7.meta");
	ck_assert_ptr_eq(pin.incomplete, step);
	for (uint32_t i = 0; i < pin.step->n_shards; i++)
		ck_assert_int_eq(pin.step->shards[i].status, 0);
	must(complete(&e), &e); /* once is enough */
	ck_assert_ptr_eq(pin.incomplete, step);
}
END_TEST

START_TEST(a_shard_of_a_later_step_is_not_held)
{
	CLEANUP(buf_release) struct buf b = {0};
	struct err e = {0};

	read_whole(&b, "%s/" PARTS_INDEX, top.path);
	delete (PARTS_INDEX);
	folder_put(&top, buf_bytes(&b), PARTS_INDEX);
	ck_assert_int_eq(renameat(top.fd, "away", top.fd, PART("1")), 0);
	must(complete(&e), &e);
	ck_assert_ptr_null(pin.incomplete);
	assert_parts(PART("0") " " PART("2") " " PARTS_INDEX " model-7.meta");
}
END_TEST

TCase *pin_tests(void)
{
	TCase *t = tcase_create("pin");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, all_files_of_a_step_are_held);
	tcase_add_test(t, a_sidecar_that_is_not_there_is_not_held);
	tcase_add_test(t, a_held_step_is_there_when_the_trainer_has_removed_it);
	tcase_add_test(t, a_held_step_is_what_it_was_when_the_trainer_has_replaced_it);
	tcase_add_loop_test(t, a_step_that_was_changed_before_is_not_held, 0,
			    sizeof outdated / sizeof *outdated);
	tcase_add_test(t, a_step_that_is_replaced_while_it_is_held_is_not);
	tcase_add_test(t, an_error_leaves_nothing_behind);
	tcase_add_test(t, what_a_crash_left_is_replaced);
	tcase_add_test(t, releasing_a_pin_leaves_all_files);
	tcase_add_test(t, what_is_no_step_is_not_opened);
	tcase_add_test(t, without_links_a_link_to_the_directory_is_made);
	tcase_add_test(t, where_links_end_half_way_none_stays);
	tcase_add_test(t, what_is_not_held_is_refused_when_it_was_replaced);
	tcase_add_test(t, what_is_not_held_is_refused_when_it_was_saved_again);
	tcase_add_test(t, what_is_not_held_is_refused_when_it_was_removed);
	tcase_add_test(t, what_is_not_held_is_not_another_step);
	tcase_add_test(t, without_links_a_step_that_was_changed_before_is_not_pinned);
	tcase_add_test(t, without_links_a_step_that_is_gone_is_not_pinned);
	tcase_add_test(t, without_links_a_step_of_another_folder_is_not_pinned);
	tcase_add_test(t, the_stamp_is_of_the_index);
	tcase_add_test(t, an_old_stamp_is_replaced);
	tcase_add_test(t, a_stamp_of_another_file_is_refused);
	tcase_add_test(t, without_a_stamp_it_is_taken_as_it_is);
	return t;
}

TCase *pin_complete_tests(void)
{
	TCase *t = tcase_create("pin_complete");

	tcase_add_checked_fixture(t, setup_parts, teardown);
	tcase_add_test(t, a_shard_that_comes_back_is_held_too);
	tcase_add_test(t, a_shard_of_a_later_step_is_not_held);
	return t;
}

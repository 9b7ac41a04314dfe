/* Tests of src/draft/take_up.[ch]: a draft is read back from disk after it was closed, whatever is there. */
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/io.h"
#include "draft/check_draft.h"
#include "draft/links.h"
#include "draft/model.h"
#include "draft/pins.h"
#include "draft/staged.h"
#include "draft/walk.h"
#include "lib/step.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define DRAFT ".ckptfs/drafts/base-0/"
#define TREE  DRAFT "tree/"

static struct trial trial;

static void setup(void)
{
	links_ask(NULL, NULL);
	trial_setup(&trial, (char *[]){"a", "s/b", "s/c", "s/in/d"}, 4);
}

static void teardown(void)
{
	links_ask(NULL, NULL);
	trial_teardown(&trial);
}

static void take_up(void)
{
	struct err e = {0};

	must(trial_take_up(&trial, &e), &e);
}

static void assert_var(const char *path, const char *key)
{
	struct draft_item *i = trial_find(&trial, path);

	ck_assert_msg(i, "%s is not there", path);
	ck_assert_uint_eq(i->what, DRAFT_VAR);
	ck_assert_msg(bytes_eq(var_key(trial.d->pins[i->pin].step, draft_var(trial.d, i)),
			       bytes_str(key)),
		      "%s is not %s", path, key);
}

static void assert_file(const char *path, struct bytes content)
{
	struct draft_item *i = trial_find(&trial, path);
	uint8_t have[512];
	struct err e = {0};

	ck_assert_msg(i, "%s is not there", path);
	ck_assert_uint_eq(i->what, DRAFT_STAGED);
	must(draft_open(trial.d, i->index, false, false, &i, &e), &e);
	ck_assert_int_eq(draft_read(trial.d, i, NULL, 0, sizeof have, have, &e), content.n);
	ck_assert_mem_eq(have, content.p, content.n);
	draft_close(trial.d, i, false);
}

static void assert_none(const char *path)
{
	ck_assert_msg(!trial_find(&trial, path), "%s is there", path);
}

static void move(const char *from_dir, const char *from, const char *to_dir, const char *to)
{
	struct err e = {0};

	must(draft_rename(trial.d, trial_index(&trial, from_dir), from, trial_index(&trial, to_dir),
			  to, 0, &e),
	     &e);
}

static void make_folder(const char *dir, const char *name)
{
	struct draft_item *made;
	struct err e = {0};

	must(draft_mkdir(trial.d, trial_index(&trial, dir), name, &made, &e), &e);
	draft_item_unref(trial.d, made);
}

static void drop(const char *dir, const char *name)
{
	struct err e = {0};

	must(draft_unlink(trial.d, trial_index(&trial, dir), name, &e), &e);
}

/* --- what was changed --------------------------------------------------------------------------------------- */

START_TEST(what_was_not_changed_is_the_base)
{
	take_up();
	assert_var("a.npy", "a");
	assert_var("s/in/d.npy", "s/in/d");
	ck_assert(trial.d->has_base);
	ck_assert_uint_eq(trial.d->n_pins, 1);
	ck_assert_uint_eq(draft_count(trial.d), 0);
}
END_TEST

START_TEST(what_was_moved_is_in_its_new_place)
{
	move("", "a.npy", "s", "moved.npy");
	move("s", "in", "", "out");
	take_up();
	assert_none("a.npy");
	assert_var("s/moved.npy", "a");
	assert_none("s/in");
	assert_var("out/d.npy", "s/in/d");
	assert_var("s/b.npy", "s/b");
	ck_assert_uint_eq(draft_count(trial.d), 2);
	take_up();
	assert_var("out/d.npy", "s/in/d");
}
END_TEST

START_TEST(what_was_moved_back_is_there)
{
	move("", "a.npy", "s", "moved.npy");
	move("s", "moved.npy", "", "a.npy");
	take_up();
	assert_var("a.npy", "a");
	assert_none("s/moved.npy");
}
END_TEST

START_TEST(what_was_removed_stays_so)
{
	struct err e = {0};

	drop("", "a.npy");
	drop("s/in", "d.npy");
	must(draft_rmdir(trial.d, trial_index(&trial, "s"), "in", &e), &e);
	take_up();
	assert_none("a.npy");
	assert_none("s/in");
	assert_var("s/c.npy", "s/c");
	ck_assert_uint_eq(draft_count(trial.d), 2);
}
END_TEST

START_TEST(what_was_made_is_there)
{
	make_folder("", "new");
	make_folder("new", "in");
	make_folder("s", "more");
	trial_put(&trial, "new/in/x.npy", bytes_str("x"));
	take_up();
	ck_assert_uint_eq(trial_find(&trial, "s/more")->what, DRAFT_DIR);
	assert_file("new/in/x.npy", bytes_str("x"));
	ck_assert_uint_ge(trial_index(&trial, "new"), DRAFT_DYNAMIC);
}
END_TEST

/* A removed scope that was made again shows nothing of what it had. */
START_TEST(what_was_made_again_is_empty)
{
	struct draft_children c = {0};
	struct err e = {0};

	drop("s/in", "d.npy");
	must(draft_rmdir(trial.d, trial_index(&trial, "s"), "in", &e), &e);
	make_folder("s", "in");
	take_up();
	ck_assert_uint_eq(trial_find(&trial, "s/in")->what, DRAFT_DIR);
	ck_assert_ptr_null(draft_child(trial.d, trial_find(&trial, "s/in"), &c));
}
END_TEST

START_TEST(what_was_written_has_its_bytes_and_its_place)
{
	CLEANUP(buf_release) struct buf b = trial_npy("<f8", "(1,)", 8);
	struct draft_item *i;
	struct err e = {0};

	trial_put(&trial, "s/b.npy", buf_bytes(&b));
	take_up();
	assert_file("s/b.npy", buf_bytes(&b));
	i = trial_find(&trial, "s/b.npy");
	ck_assert_uint_eq(i->expect_pin, 0);
	ck_assert(
		bytes_eq(var_key(trial.base, &trial.base->vars[i->expect_var]), bytes_str("s/b")));
	ck_assert_uint_eq(i->staged->sums.list.n, 0); /* it has to be read */
	ck_assert_int_eq(draft_check(trial.d, i, false, &e), -EINVAL);
	ck_assert_str_eq(e.text, "s/b.npy: is DT_DOUBLE [1], expected DT_FLOAT [1] as the variable "
				 "has it; to change that, remove it first");
}
END_TEST

START_TEST(what_was_removed_and_written_expects_nothing)
{
	CLEANUP(buf_release) struct buf b = trial_npy("<f8", "(1,)", 8);
	struct err e = {0};

	drop("s", "b.npy");
	trial_put(&trial, "s/b.npy", buf_bytes(&b));
	take_up();
	must(draft_check(trial.d, trial_find(&trial, "s/b.npy"), false, &e), &e);
}
END_TEST

START_TEST(owner_and_mode_are_those_of_the_file)
{
	const struct stat st = {.st_mode = 0640};
	struct err e = {0};

	trial_put(&trial, "new.npy", bytes_str("x"));
	must(draft_set_attr(trial.d, trial_index(&trial, "new.npy"), DRAFT_MODE, &st, &e), &e);
	take_up();
	ck_assert_uint_eq(trial_find(&trial, "new.npy")->staged->mode, 0640);
	ck_assert_uint_eq(trial_find(&trial, "new.npy")->staged->uid, getuid());
}
END_TEST

/* --- links to another step ----------------------------------------------------------------------------------- */

static void put_other(void)
{
	static const int64_t dims[] = {1};
	const struct item item = {.name = "v/w",
				  .spec = {.dtype = 1, .rank = 1, .dims = dims, .size = 4}};

	step_put(&trial.top, "other-5", 1, &item, 1);
	folder_put(&trial.top, bytes_of("\1\2\3\4", 4), "other-5.data-00000-of-00001");
}

/* v/w.npy of the step other-5 becomes new.npy. */
static void refer_to_other(void)
{
	CLEANUP(closep) int top = dup(trial.top.fd);
	struct draft_source from = {.dirfd = top, .what = DRAFT_VAR, .size = NPY_HEADER + 4};
	struct draft_item *i;
	struct err e = {0};

	put_other();
	must(step_open_v2(top, "other-5", VERIFY_OFF, &from.step, &e), &e);
	i = trial_open(&trial, "new.npy");
	ck_assert_int_eq(draft_refer(trial.d, i, &from, 0, from.size, &e), from.size);
	draft_close(trial.d, i, true);
	step_unref(from.step);
}

START_TEST(what_was_copied_by_reference_is_of_its_step)
{
	refer_to_other();
	assert_var("new.npy", "v/w");
	ck_assert_int_eq(unlinkat(trial.top.fd, "other-5.index", 0), 0);
	take_up();
	ck_assert_uint_eq(trial.d->n_pins, 2);
	assert_var("new.npy", "v/w");
}
END_TEST

START_TEST(a_reference_that_is_not_held_is_refused_when_its_step_was_replaced)
{
	struct err e = {0};

	links_ask(links_refused, NULL);
	refer_to_other();
	take_up();
	assert_var("new.npy", "v/w");
	ck_assert_int_eq(unlinkat(trial.top.fd, "other-5.index", 0), 0);
	put_other();
	ck_assert_int_eq(trial_take_up(&trial, &e), -ESTALE);
	ck_assert_str_eq(e.text, ".ckptfs/drafts/base-0: new.npy: other-5.index: was replaced, and "
				 "could not be held by hard links");
}
END_TEST

/* --- what is no draft ----------------------------------------------------------------------------------------- */

static void put_link(const char *target, const char *name)
{
	unlinkat(trial.top.fd, name, 0);
	ck_assert_int_eq(symlinkat(target, trial.top.fd, name), 0);
}

static void put_folder(const char *name)
{
	ck_assert_int_eq(mkdirat(trial.top.fd, name, 0777), 0);
}

/* It is not taken up, and all of it stays. */
static void assert_refused(int code, const char *sentence)
{
	struct err e = {0};
	struct stat st;

	ck_assert_int_eq(trial_take_up(&trial, &e), code);
	ck_assert_str_eq(e.text, sentence);
	ck_assert_ptr_null(trial.d);
	ck_assert_int_eq(fstatat(trial.top.fd, DRAFT, &st, 0), 0);
	ck_assert_int_eq(fstatat(trial.top.fd, "base-0.index", &st, 0), 0);
}

static const struct {
	const char *target;
	int code;
	const char *sentence; /* behind "x.npy: " */
} links[] = {
	{"base-0/none.npy", -EUCLEAN, "leads to base-0/none.npy, which is not there"},
	{"base-0/s", -EUCLEAN, "leads to base-0/s, which is not there"},
	{"base-0/s/", -EUCLEAN, "leads to base-0/s/, which is not there"},
	{"base-0/a.npy/b.npy", -EUCLEAN, "leads to base-0/a.npy/b.npy, which is not there"},
	{"base-0/s/../a.npy", -EUCLEAN, "leads to base-0/s/../a.npy, which is not there"},
	{"base-0/", -EUCLEAN, "leads to base-0/, which is not there"},
	{"base-0", -EUCLEAN, "leads to base-0, which is not there"},
	{"none/a.npy", -ENOENT, "none: No such file or directory"},
	{"/etc/passwd", -ENOENT, ": No such file or directory"},
	{"../tree/a.npy", -EUCLEAN, "..: is no name of a pinned step"},
	{"./a.npy", -EUCLEAN, ".: is no name of a pinned step"},
	{"a.npy", -ENOENT, "a.npy: No such file or directory"},
};

START_TEST(a_link_to_what_is_no_variable_of_a_pin_is_refused)
{
	char sentence[256];

	snprintf(sentence, sizeof sentence, ".ckptfs/drafts/base-0: x.npy: %s", links[_i].sentence);
	put_link(links[_i].target, TREE "x.npy");
	assert_refused(links[_i].code, sentence);
}
END_TEST

START_TEST(a_link_in_place_of_a_scope_is_refused)
{
	struct err e = {0};

	put_link("base-0/s", TREE "s");
	ck_assert_int_eq(trial_take_up(&trial, &e), -EUCLEAN);
	ck_assert_msg(!strncmp(e.text, ".ckptfs/drafts/base-0: s: ", 26), "%s", e.text);
}
END_TEST

START_TEST(a_folder_in_place_of_a_variable_is_refused)
{
	put_folder(TREE "a.npy");
	assert_refused(-EUCLEAN,
		       ".ckptfs/drafts/base-0: a.npy: is a folder here and none in the base");
}
END_TEST

START_TEST(an_error_in_a_folder_says_where)
{
	put_folder(TREE "s");
	put_folder(TREE "s/in");
	put_link("base-0/none.npy", TREE "s/in/x.npy");
	assert_refused(-EUCLEAN, ".ckptfs/drafts/base-0: s: in: x.npy: leads to base-0/none.npy, "
				 "which is not there");
}
END_TEST

/* Where a folder may be there are marks in a folder, and no file. */
START_TEST(marks_that_are_no_folder_are_refused)
{
	folder_put(&trial.top, bytes_str(""), TREE ".gone");
	assert_refused(-ENOTDIR, ".ckptfs/drafts/base-0: .gone: Not a directory");
}
END_TEST

START_TEST(marks_are_not_looked_for_behind_a_link)
{
	struct err e = {0};

	put_folder("elsewhere");
	folder_put(&trial.top, bytes_str(""), "elsewhere/a.npy");
	put_link("../../../../elsewhere", TREE ".gone");
	ck_assert_int_lt(trial_take_up(&trial, &e), 0);
}
END_TEST

START_TEST(marks_of_what_is_not_there_say_nothing)
{
	put_folder(TREE ".gone");
	folder_put(&trial.top, bytes_str(""), TREE ".gone/none.npy");
	folder_put(&trial.top, bytes_str(""), TREE ".gone/none");
	take_up();
	assert_var("a.npy", "a");
	ck_assert_uint_eq(draft_count(trial.d), 0);
}
END_TEST

/* What was removed is what the base has, not what lies there now (rule 1 of draft/draft.h). */
START_TEST(a_mark_says_nothing_of_what_is_in_the_tree)
{
	put_folder(TREE ".gone");
	folder_put(&trial.top, bytes_str(""), TREE ".gone/a.npy");
	folder_put(&trial.top, bytes_str("mine"), TREE "a.npy");
	take_up();
	assert_file("a.npy", bytes_str("mine"));
	ck_assert_uint_eq(trial_find(&trial, "a.npy")->expect_var, DRAFT_NONE);
}
END_TEST

static const struct {
	const char *target;
	int code;
	const char *sentence;
} bases[] = {
	{"../../..", -EUCLEAN, "base: leads to ../../.., expected a folder of steps"},
	{"base-0", -EUCLEAN, "base: leads to base-0, expected a folder of steps"},
	{"/steps/base-0", -EUCLEAN, "base: leads to /steps/base-0, expected a folder of steps"},
	{"steps/none", -ENOENT, "none: No such file or directory"},
	{"steps/.", -EUCLEAN, ".: is no name of a pinned step"},
	{"steps/../../../..", -EUCLEAN, "../../../..: is no name of a pinned step"},
	{"steps/base-0/base-0.index", -EUCLEAN, "base-0/base-0.index: is no name of a pinned step"},
};

START_TEST(a_base_that_is_no_pin_is_refused)
{
	char sentence[256];

	snprintf(sentence, sizeof sentence, ".ckptfs/drafts/base-0: %s", bases[_i].sentence);
	put_link(bases[_i].target, DRAFT "base");
	assert_refused(bases[_i].code, sentence);
}
END_TEST

START_TEST(a_base_that_is_damaged_is_refused)
{
	struct err e = {0};

	must(io_remove_all(trial.top.fd, DRAFT "steps/base-0/base-0.index", &e), &e);
	folder_put(&trial.top, bytes_str("no index"), DRAFT "steps/base-0/index.tempstate0");
	folder_put(&trial.top, bytes_str("no index"), DRAFT "steps/base-0/base-0.index");
	ck_assert_int_lt(trial_take_up(&trial, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.text, "base-0.index"));
}
END_TEST

static char *const parts[] = {"tree", "steps"};

START_TEST(a_draft_without_a_part_is_refused)
{
	CLEANUP(buf_release) struct buf sentence = {0};
	char path[64];
	struct err e = {0};

	snprintf(path, sizeof path, DRAFT "%s", parts[_i]);
	must(io_remove_all(trial.top.fd, path, &e), &e);
	buf_printf(&sentence, ".ckptfs/drafts/base-0: %s: No such file or directory", parts[_i]);
	buf_add_byte(&sentence, 0);
	assert_refused(-ENOENT, (char *)sentence.p);
}
END_TEST

/* What is behind it is not read, nor changed. */
START_TEST(a_part_that_is_a_link_is_refused)
{
	CLEANUP(buf_release) struct buf sentence = {0};
	char path[64];
	struct err e = {0};
	struct stat st;

	snprintf(path, sizeof path, DRAFT "%s", parts[_i]);
	must(io_remove_all(trial.top.fd, path, &e), &e);
	put_folder("elsewhere");
	folder_put(&trial.top, bytes_str("theirs"), "elsewhere/x.npy");
	put_link("../../../elsewhere", path);
	buf_printf(&sentence, ".ckptfs/drafts/base-0: %s: Not a directory", parts[_i]);
	buf_add_byte(&sentence, 0);
	assert_refused(-ENOTDIR, (char *)sentence.p);
	ck_assert_int_eq(fstatat(trial.top.fd, "elsewhere/x.npy", &st, 0), 0);
}
END_TEST

/* It can't be read without end, and is no file that a commit takes. */
START_TEST(a_pipe_in_the_tree_can_not_be_committed)
{
	struct err e = {0};

	ck_assert_int_eq(mkfifoat(trial.top.fd, TREE "a.npy", 0666), 0);
	take_up();
	ck_assert_int_eq(draft_check(trial.d, trial_find(&trial, "a.npy"), false, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "is not a regular file"));
}
END_TEST

/* What a write was interrupted at is not part of it. */
START_TEST(what_was_not_moved_in_yet_is_removed)
{
	struct stat st;

	folder_put(&trial.top, bytes_str("half"), DRAFT "new");
	take_up();
	ck_assert_int_lt(fstatat(trial.top.fd, DRAFT "new", &st, 0), 0);
	ck_assert_uint_eq(draft_count(trial.d), 0);
}
END_TEST

START_TEST(a_second_loose_pin_of_a_name_is_taken_up)
{
	struct err e = {0};

	links_ask(links_refused, NULL);
	refer_to_other(); /* pinned as other-5 */
	ck_assert_int_eq(unlinkat(trial.top.fd, "other-5.index", 0), 0);
	refer_to_other(); /* the step was saved again: new.npy -> other-5~2/v/w.npy */
	must(trial_take_up(&trial, &e), &e);
	assert_var("new.npy", "v/w");
}
END_TEST

START_TEST(a_pin_that_leads_out_of_the_directory_is_refused)
{
	struct folder out = folder_new(), top = trial.top;
	struct err e = {0};

	trial.top = out;
	put_other();
	trial.top = top;
	put_link(out.path, DRAFT "steps/evil");
	put_link("evil/v/w.npy", TREE "x.npy");
	ck_assert_int_eq(trial_take_up(&trial, &e), -EUCLEAN);
	ck_assert_str_eq(e.text, ".ckptfs/drafts/base-0: x.npy: evil: leads elsewhere than to "
				 "../../../..");
	folder_remove(&out);
}
END_TEST

START_TEST(a_loose_step_that_is_gone_is_named)
{
	struct err e = {0};

	links_ask(links_refused, NULL);
	refer_to_other();
	ck_assert_int_eq(unlinkat(trial.top.fd, "other-5.index", 0), 0);
	ck_assert_int_eq(trial_take_up(&trial, &e), -ENOENT);
	ck_assert_str_eq(e.text, ".ckptfs/drafts/base-0: new.npy: other-5: is gone, and could not "
				 "be held by hard links");
}
END_TEST

START_TEST(a_file_in_place_of_a_scope_says_so)
{
	struct err e = {0};

	folder_put(&trial.top, bytes_str("x"), TREE "s");
	ck_assert_int_eq(trial_take_up(&trial, &e), -EUCLEAN);
	ck_assert_str_eq(e.text, ".ckptfs/drafts/base-0: s: is no folder here and one in the base");
}
END_TEST

START_TEST(a_pipe_that_is_refused_is_named)
{
	struct err e = {0};

	ck_assert_int_eq(mkfifoat(trial.top.fd, TREE "a.npy", 0666), 0);
	take_up();
	ck_assert_int_eq(draft_check(trial.d, trial_find(&trial, "a.npy"), false, &e), -EINVAL);
	ck_assert_str_eq(e.text, "a.npy: is not a regular file");
}
END_TEST

/* Why its mount could not commit it. */
START_TEST(a_reason_that_was_left_is_read_once)
{
	struct err why = {0}, e = {0};

	ck_assert(!draft_take_why(trial.d, &why));
	err_set(&e, -EINVAL, "base-0: a.npy: is no .npy file");
	draft_leave_why(trial.d, &e);
	err_set(&e, -EINVAL, "base-0: b.npy: is another");
	draft_leave_why(trial.d, &e);
	take_up();
	ck_assert(draft_take_why(trial.d, &why));
	ck_assert_str_eq(why.text, "base-0: b.npy: is another");
	ck_assert(!draft_take_why(trial.d, &why));
	take_up();
	ck_assert(!draft_take_why(trial.d, &why));
}
END_TEST

START_TEST(a_reason_that_is_no_file_of_ours_is_no_reason)
{
	char large[2 * sizeof((struct err *)0)->text];
	struct err why = {0};

	folder_put(&trial.top, bytes_str("secret"), "elsewhere");
	ck_assert_int_eq(symlinkat("../../../elsewhere", trial.top.fd, DRAFT "refused"), 0);
	ck_assert(!draft_take_why(trial.d, &why));
	ck_assert_int_eq(unlinkat(trial.top.fd, DRAFT "refused", 0), 0);
	ck_assert_int_eq(mkfifoat(trial.top.fd, DRAFT "refused", 0666), 0);
	ck_assert(!draft_take_why(trial.d, &why));
	ck_assert_int_eq(unlinkat(trial.top.fd, DRAFT "refused", 0), 0);
	folder_put(&trial.top, bytes_str(""), DRAFT "refused");
	ck_assert(!draft_take_why(trial.d, &why));
	memset(large, '\n', sizeof large);
	folder_put(&trial.top, bytes_of(large, sizeof large), DRAFT "refused");
	ck_assert(draft_take_why(trial.d, &why));
	ck_assert_ptr_null(strchr(why.text, '\n'));
}
END_TEST

static void add_hostile(TCase *t)
{
	const int n_links = sizeof links / sizeof *links, n_bases = sizeof bases / sizeof *bases;
	const int n_parts = sizeof parts / sizeof *parts;

	tcase_add_loop_test(t, a_link_to_what_is_no_variable_of_a_pin_is_refused, 0, n_links);
	tcase_add_test(t, a_link_in_place_of_a_scope_is_refused);
	tcase_add_test(t, a_folder_in_place_of_a_variable_is_refused);
	tcase_add_test(t, an_error_in_a_folder_says_where);
	tcase_add_test(t, marks_that_are_no_folder_are_refused);
	tcase_add_test(t, marks_are_not_looked_for_behind_a_link);
	tcase_add_test(t, marks_of_what_is_not_there_say_nothing);
	tcase_add_test(t, a_mark_says_nothing_of_what_is_in_the_tree);
	tcase_add_loop_test(t, a_base_that_is_no_pin_is_refused, 0, n_bases);
	tcase_add_test(t, a_base_that_is_damaged_is_refused);
	tcase_add_loop_test(t, a_draft_without_a_part_is_refused, 0, n_parts);
	tcase_add_loop_test(t, a_part_that_is_a_link_is_refused, 0, n_parts);
	tcase_add_test(t, a_pipe_in_the_tree_can_not_be_committed);
	tcase_add_test(t, what_was_not_moved_in_yet_is_removed);
	tcase_add_test(t, a_reason_that_is_no_file_of_ours_is_no_reason);
}

TCase *take_up_tests(void)
{
	TCase *t = tcase_create("take_up");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_was_not_changed_is_the_base);
	tcase_add_test(t, what_was_moved_is_in_its_new_place);
	tcase_add_test(t, what_was_moved_back_is_there);
	tcase_add_test(t, what_was_removed_stays_so);
	tcase_add_test(t, what_was_made_is_there);
	tcase_add_test(t, what_was_made_again_is_empty);
	tcase_add_test(t, what_was_written_has_its_bytes_and_its_place);
	tcase_add_test(t, what_was_removed_and_written_expects_nothing);
	tcase_add_test(t, owner_and_mode_are_those_of_the_file);
	tcase_add_test(t, what_was_copied_by_reference_is_of_its_step);
	tcase_add_test(t, a_reference_that_is_not_held_is_refused_when_its_step_was_replaced);
	tcase_add_test(t, a_second_loose_pin_of_a_name_is_taken_up);
	tcase_add_test(t, a_pin_that_leads_out_of_the_directory_is_refused);
	tcase_add_test(t, a_loose_step_that_is_gone_is_named);
	tcase_add_test(t, a_file_in_place_of_a_scope_says_so);
	tcase_add_test(t, a_pipe_that_is_refused_is_named);
	tcase_add_test(t, a_reason_that_was_left_is_read_once);
	add_hostile(t);
	return t;
}

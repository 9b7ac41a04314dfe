/* Tests of src/draft/go_on.c: after a commit a draft goes on, with what is open for writing. */
#include "base/cleanup.h"
#include "base/io.h"
#include "draft/check_draft.h"
#include "draft/items.h"
#include "draft/model.h"
#include "lib/step.h"
#include <fcntl.h>
#include <sys/stat.h>

#define TREE ".ckptfs/drafts/base-0/tree"

static struct trial trial;

static void setup(void)
{
	trial_setup(&trial, (char *[]){"a", "s/b", "s/c"}, 3);
}

static void teardown(void)
{
	trial_teardown(&trial);
}

static int can_go_on(struct draft *d, struct err *e)
{
	int r;

	pthread_mutex_lock(&d->lock);
	r = draft_can_go_on(d, e);
	pthread_mutex_unlock(&d->lock);
	return r;
}

static void go_on(void)
{
	struct err e = {0};

	must(can_go_on(trial.d, &e), &e);
	pthread_mutex_lock(&trial.d->lock);
	draft_go_on(trial.d);
	pthread_mutex_unlock(&trial.d->lock);
}

static int write_to(struct draft_item *i, const char *text, uint64_t off, struct err *e)
{
	return draft_write(trial.d, i, NULL, bytes_str(text), off, e);
}

static void assert_bytes(const char *path, const char *text)
{
	struct draft_item *i;
	uint8_t have[64];
	struct err e = {0};

	must(draft_open(trial.d, trial_index(&trial, path), false, false, &i, &e), &e);
	ck_assert_int_eq(draft_read(trial.d, i, NULL, 0, sizeof have, have, &e), strlen(text));
	ck_assert_mem_eq(have, text, strlen(text));
	draft_close(trial.d, i, false);
}

static void make_folder(const char *dir, const char *name)
{
	struct draft_item *made;
	struct err e = {0};

	must(draft_mkdir(trial.d, trial_index(&trial, dir), name, &made, &e), &e);
	draft_item_unref(trial.d, made);
}

/* --- whether it can ------------------------------------------------------------------------------------------ */

START_TEST(a_new_step_does_not_go_on_with_an_open_file)
{
	struct draft_config c = trial_config(&trial);
	const struct draft_owner owner = {getuid(), getgid(), 0644};
	struct draft_item *i;
	struct draft *d;
	struct err e = {0};

	c.name = "new-1";
	must(draft_begin(&c, NULL, NULL, -1, &d, &e), &e);
	must(draft_create(d, TREE_ROOT, "n.npy", &owner, true, &i, &e), &e);
	draft_item_unref(d, i);
	ck_assert_int_eq(can_go_on(d, &e), -EBUSY);
	ck_assert_str_eq(e.text, "n.npy: is open for writing");
	draft_close(d, i, true);
	ck_assert_int_eq(can_go_on(d, &e), 0);
	draft_unref(d);
}
END_TEST

/* Its number leads to another place in the base. */
START_TEST(a_moved_file_that_is_open_keeps_it_from_going_on)
{
	struct draft_item *i = trial_open(&trial, "a.npy");
	struct err e = {0};

	must(can_go_on(trial.d, &e), &e);
	must(draft_rename(trial.d, TREE_ROOT, "a.npy", trial_index(&trial, "s"), "m.npy", 0, &e),
	     &e);
	ck_assert_int_eq(can_go_on(trial.d, &e), -EBUSY);
	ck_assert_str_eq(e.text, "s/m.npy: is open for writing");
	draft_close(trial.d, i, true);
	ck_assert_int_eq(can_go_on(trial.d, &e), 0);
}
END_TEST

START_TEST(a_new_file_may_have_been_moved)
{
	struct draft_item *i = trial_open(&trial, "n.npy");
	struct err e = {0};

	must(draft_rename(trial.d, TREE_ROOT, "n.npy", trial_index(&trial, "s"), "m.npy", 0, &e),
	     &e);
	ck_assert_int_eq(can_go_on(trial.d, &e), 0);
	draft_close(trial.d, i, true);
}
END_TEST

/* --- what stays ---------------------------------------------------------------------------------------------- */

START_TEST(all_that_nobody_writes_is_the_base_again)
{
	struct draft_item *i;
	struct err e = {0};
	uint8_t byte;

	trial_put(&trial, "a.npy", bytes_str("written"));
	trial_put(&trial, "n.npy", bytes_str("new"));
	make_folder("", "folder");
	must(draft_unlink(trial.d, trial_index(&trial, "s"), "b.npy", &e), &e);
	must(draft_open(trial.d, trial_index(&trial, "a.npy"), false, false, &i, &e), &e);
	go_on();
	ck_assert(!trial.d->ended);
	ck_assert_int_eq(draft_read(trial.d, i, NULL, 0, 1, &byte, &e), -ESTALE);
	draft_close(trial.d, i, false);
	ck_assert_uint_eq(draft_count(trial.d), 0);
	ck_assert_ptr_null(trial_find(&trial, "n.npy"));
	ck_assert_ptr_null(trial_find(&trial, "folder"));
	ck_assert_uint_eq(trial_find(&trial, "a.npy")->what, DRAFT_VAR);
	ck_assert_uint_eq(trial_find(&trial, "s/b.npy")->what, DRAFT_VAR);
	must(trial_take_up(&trial, &e), &e);
	ck_assert_uint_eq(draft_count(trial.d), 0);
}
END_TEST

START_TEST(a_new_file_stays_with_its_number_and_its_folders)
{
	struct draft_item *i;
	uint32_t index, folder;
	struct err e = {0};

	make_folder("s", "new");
	make_folder("s/new", "in");
	i = trial_open(&trial, "s/new/in/n.npy");
	index = i->index;
	folder = trial_index(&trial, "s/new/in");
	must(write_to(i, "before", 0, &e), &e);
	go_on();
	ck_assert_uint_eq(trial_index(&trial, "s/new/in/n.npy"), index);
	ck_assert_uint_eq(trial_index(&trial, "s/new/in"), folder);
	ck_assert_uint_eq(i->staged->committed, i->staged->version);
	must(write_to(i, "-after", 6, &e), &e);
	ck_assert_uint_ne(i->staged->committed, i->staged->version);
	assert_bytes("s/new/in/n.npy", "before-after");
	draft_close(trial.d, i, true);
	must(trial_take_up(&trial, &e), &e);
	assert_bytes("s/new/in/n.npy", "before-after");
}
END_TEST

/* It was in no commit. */
START_TEST(a_temporary_file_stays)
{
	struct draft_item *i = trial_open(&trial, ".n.npy.tmp");
	struct err e = {0};

	must(write_to(i, "before", 0, &e), &e);
	go_on();
	ck_assert_uint_eq(i->staged->committed, 0);
	assert_bytes(".n.npy.tmp", "before");
	draft_close(trial.d, i, true);
}
END_TEST

START_TEST(a_copy_by_reference_that_is_open_stays_a_link)
{
	struct draft_source from = {.step = trial.base,
				    .dirfd = trial.top.fd,
				    .what = DRAFT_VAR,
				    .size = NPY_HEADER + 4};
	struct draft_item *i = trial_open(&trial, "n.npy");
	struct stat st;
	struct err e = {0};
	uint32_t index = i->index;

	ck_assert_int_eq(draft_refer(trial.d, i, &from, 0, from.size, &e), from.size);
	ck_assert_uint_eq(i->what, DRAFT_VAR);
	go_on();
	ck_assert_uint_eq(trial_index(&trial, "n.npy"), index);
	ck_assert_uint_eq(i->what, DRAFT_VAR);
	ck_assert(i->committed);
	ck_assert(i->on_disk);
	ck_assert_int_eq(fstatat(trial.top.fd, TREE "/n.npy", &st, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert(S_ISLNK(st.st_mode));
	draft_close(trial.d, i, true);
}
END_TEST

/* --- when it fails ------------------------------------------------------------------------------------------- */

START_TEST(what_can_not_stay_is_lost_and_says_so)
{
	struct draft_item *base = trial_open(&trial, "a.npy"), *new = trial_open(&trial, "n.npy");
	struct stat st;
	struct err e = {0};

	must(write_to(base, "base", 0, &e), &e);
	must(write_to(new, "new", 0, &e), &e);
	must(io_remove_all(trial.top.fd, TREE, &e), &e);
	go_on();
	ck_assert(trial.d->ended);
	ck_assert_int_lt(fstatat(trial.top.fd, ".ckptfs/drafts", &st, 0), 0);
	ck_assert_int_eq(write_to(new, "more", 3, &e), -EIO);
	ck_assert_str_eq(e.text, "n.npy: what is written to it now is lost, as the draft could not "
				 "go on after its commit; open it again");
	ck_assert_int_eq(write_to(base, "more", 4, &e), -ESTALE); /* it is opened in the base */
	draft_close(trial.d, base, true);
	draft_close(trial.d, new, true);
}
END_TEST

TCase *go_on_tests(void)
{
	TCase *t = tcase_create("go_on");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_new_step_does_not_go_on_with_an_open_file);
	tcase_add_test(t, a_moved_file_that_is_open_keeps_it_from_going_on);
	tcase_add_test(t, a_new_file_may_have_been_moved);
	tcase_add_test(t, all_that_nobody_writes_is_the_base_again);
	tcase_add_test(t, a_new_file_stays_with_its_number_and_its_folders);
	tcase_add_test(t, a_temporary_file_stays);
	tcase_add_test(t, a_copy_by_reference_that_is_open_stays_a_link);
	tcase_add_test(t, what_can_not_stay_is_lost_and_says_so);
	return t;
}

/* Tests of src/directory/placed.[ch] and file_stamp.[ch]: a trainer's file in the place of ours stays. */
#include "base/cleanup.h"
#include "directory/check_directory.h"
#include "directory/file_stamp.h"
#include "directory/placed.h"
#include "lib/lit.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct file_id id_of(const struct folder *f, const char *name)
{
	struct stat st;

	ck_assert_int_eq(fstatat(f->fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return file_id_of(&st);
}

/* --- one name ---------------------------------------------------------------------------------------------- */

START_TEST(only_the_file_that_was_placed_is_removed)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	struct file_id id;
	struct err e;

	folder_put(&f, LIT("ours"), "a");
	id = id_of(&f, "a");
	save_over(&f, "a", "theirs");
	ck_assert_int_eq(placed_remove(f.fd, "a", &id, &e), 0);
	assert_content(&f, "a", "theirs");
	id = id_of(&f, "a");
	ck_assert_int_eq(placed_remove(f.fd, "a", &id, &e), 1);
	ck_assert(!is_there(&f, "a"));
	ck_assert_int_eq(placed_remove(f.fd, "a", &id, &e), 0);
	ck_assert(!is_there(&f, ".ckptfs"));
}
END_TEST

/* For placed_remove_if: says yes where the file is, and when it is looked at aside somebody saves. */
struct rival {
	const struct folder *f;
	int calls;
	int aside; /* what is said then */
	const char *saves; /* in place of the name; NULL: nothing */
};

static int is_ours_at_first(const void *rival, int dirfd, const char *name, struct err *e)
{
	struct rival *r = (struct rival *)rival;

	(void)dirfd;
	(void)e;
	if (r->calls++ == 0)
		return 1;
	ck_assert(!is_there(r->f, name));
	if (r->saves)
		folder_put(r->f, bytes_str(r->saves), "%s", name);
	return r->aside;
}

START_TEST(what_turns_out_to_be_another_s_gets_its_name_back)
{
	static const struct {
		int aside;
		const char *saves;
		int result;
		const char *content; /* NULL: the name is free */
	} cases[] = {
		{1, NULL, 1, NULL},       {1, "newer", 1, "newer"},     {0, NULL, 0, "theirs"},
		{0, "newer", 0, "newer"}, {-EIO, NULL, -EIO, "theirs"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP(folder_remove) struct folder f = folder_new();
		const struct rival r = {.f = &f, .aside = cases[i].aside, .saves = cases[i].saves};
		struct err e;

		folder_put(&f, LIT("theirs"), "a");
		ck_assert_int_eq(placed_remove_if(f.fd, "a", is_ours_at_first, &r, &e),
				 cases[i].result);
		ck_assert_int_eq(r.calls, 2);
		if (cases[i].content)
			assert_content(&f, "a", cases[i].content);
		else
			ck_assert(!is_there(&f, "a"));
		ck_assert(!is_there(&f, ".ckptfs"));
	}
}
END_TEST

START_TEST(what_a_crash_left_aside_is_put_back_unless_a_newer_one_is_there)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	struct err e;

	ck_assert_int_eq(placed_put_back(f.fd, &e), 0);
	ck_assert_int_eq(mkdirat(f.fd, ".ckptfs", 0755), 0);
	ck_assert_int_eq(mkdirat(f.fd, ".ckptfs/aside", 0755), 0);
	folder_put(&f, LIT("one"), ".ckptfs/aside/a");
	folder_put(&f, LIT("one"), ".ckptfs/aside/b");
	folder_put(&f, LIT("newer"), "b");
	ck_assert_int_eq(placed_put_back(f.fd, &e), 0);
	assert_content(&f, "a", "one");
	assert_content(&f, "b", "newer");
	ck_assert(!is_there(&f, ".ckptfs/aside"));
}
END_TEST

/* --- several ----------------------------------------------------------------------------------------------- */

START_TEST(all_that_was_placed_is_taken_back_but_what_was_replaced)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	CLEANUP(placed_release) struct placed p = {0};
	static const char *const names[] = {"m.data-00000-of-00002", "m.data-00001-of-00002",
					    "m.index"};

	for (size_t i = 0; i < COUNT(names); i++) {
		struct file_id id;

		folder_put(&f, LIT("ours"), "%s", names[i]);
		id = id_of(&f, names[i]);
		ck_assert_int_eq(placed_reserve(&p, names[i]), 0);
		placed_add(&p, names[i], &id);
	}
	save_over(&f, names[1], "theirs");
	placed_take_back(&p, f.fd);
	ck_assert(!is_there(&f, names[0]));
	assert_content(&f, names[1], "theirs");
	ck_assert(!is_there(&f, names[2]));
	folder_put(&f, LIT("x"), "%s", names[0]);
	placed_take_back(&p, f.fd); /* there is nothing left in it */
	ck_assert(is_there(&f, names[0]));
}
END_TEST

/* --- giving a name ----------------------------------------------------------------------------------------- */

START_TEST(a_name_is_given_to_that_very_file_and_replaces_none)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	struct file_id id, placed;
	struct err e;

	folder_put(&f, LIT("ours"), "a");
	folder_put(&f, LIT("theirs"), "taken");
	id = id_of(&f, "a");
	ck_assert_int_eq(placed_link(f.fd, "a", &id, f.fd, "b", &placed, &e), 0);
	ck_assert(file_id_eq(&placed, &id));
	assert_content(&f, "b", "ours");
	ck_assert_int_eq(placed_link(f.fd, "a", &id, f.fd, "taken", &placed, &e), -EEXIST);
	assert_content(&f, "taken", "theirs");
	save_over(&f, "a", "theirs");
	ck_assert_int_eq(placed_link(f.fd, "a", &id, f.fd, "c", &placed, &e), -ESTALE);
	ck_assert(!is_there(&f, "c"));
}
END_TEST

START_TEST(a_file_that_is_written_while_it_is_open_is_found_out)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	CLEANUP(closep) int fd = -1;
	struct file_id id;
	struct err e;

	folder_put(&f, LIT("ours"), "a");
	id = id_of(&f, "a");
	fd = placed_open(f.fd, "a", &id, &e);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(placed_check(fd, "a", &id, &e), 0);
	folder_put(&f, LIT("longer than it was"), "a");
	ck_assert_int_eq(placed_check(fd, "a", &id, &e), -ESTALE);
	ck_assert_int_eq(placed_open(f.fd, "a", &id, &e), -ESTALE);
	ck_assert_int_eq(placed_open(f.fd, "b", &id, &e), -ENOENT);
}
END_TEST

/* --- stamps ------------------------------------------------------------------------------------------------ */

START_TEST(a_stamp_fits_its_file_under_any_name_and_no_later_one)
{
	CLEANUP(folder_remove) struct folder f = folder_new(), stamps = folder_new();
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
	struct stat st;
	struct err e;

	ck_assert_int_eq(file_stamp_make(f.fd, "a", stamps.fd, "a", &e), -ENOENT);
	folder_put(&f, LIT("ours"), "a");
	ck_assert_int_eq(file_stamp_fits(stamps.fd, "a", f.fd, "a", &e), 0);
	ck_assert_int_eq(file_stamp_make(f.fd, "a", stamps.fd, "a", &e), 0);
	ck_assert_int_eq(file_stamp_fits(stamps.fd, "a", f.fd, "a", &e), 1);
	ck_assert_int_eq(linkat(f.fd, "a", f.fd, "b", 0), 0);
	ck_assert_int_eq(unlinkat(f.fd, "a", 0), 0);
	ck_assert_int_eq(file_stamp_fits(stamps.fd, "a", f.fd, "a", &e), 0);
	ck_assert_int_eq(file_stamp_fits(stamps.fd, "a", f.fd, "b", &e), 1);
	folder_put(&f, LIT("ours!"), "b");
	ck_assert_int_eq(file_stamp_fits(stamps.fd, "a", f.fd, "b", &e), 0);
	save_over(&f, "b", "ours");
	ck_assert_int_eq(file_stamp_fits(stamps.fd, "a", f.fd, "b", &e), 0);
	/* of the same size, and written in the same second */
	ck_assert_int_eq(file_stamp_make(f.fd, "b", stamps.fd, "b", &e), 0);
	ck_assert_int_eq(fstatat(f.fd, "b", &st, 0), 0);
	times[1] = st.st_mtim;
	times[1].tv_nsec ^= 1;
	ck_assert_int_eq(file_stamp_fits(stamps.fd, "b", f.fd, "b", &e), 1);
	ck_assert_int_eq(utimensat(f.fd, "b", times, 0), 0);
	ck_assert_int_eq(file_stamp_fits(stamps.fd, "b", f.fd, "b", &e), 0);
}
END_TEST

TCase *placed_tests(void)
{
	TCase *t = tcase_create("placed");

	tcase_add_test(t, only_the_file_that_was_placed_is_removed);
	tcase_add_test(t, what_turns_out_to_be_another_s_gets_its_name_back);
	tcase_add_test(t, what_a_crash_left_aside_is_put_back_unless_a_newer_one_is_there);
	tcase_add_test(t, all_that_was_placed_is_taken_back_but_what_was_replaced);
	tcase_add_test(t, a_name_is_given_to_that_very_file_and_replaces_none);
	tcase_add_test(t, a_file_that_is_written_while_it_is_open_is_found_out);
	tcase_add_test(t, a_stamp_fits_its_file_under_any_name_and_no_later_one);
	return t;
}

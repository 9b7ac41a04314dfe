/* Tests of src/directory/lock.[ch]: other processes ask. */
#include "base/cleanup.h"
#include "directory/check_directory.h"
#include "directory/lock.h"
#include "lib/lit.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct lock none = {-1, -1};

static int ask_directory(int top, struct err *e)
{
	struct lock l;
	int r = lock_directory(&l, top, e);

	lock_release(&l, top);
	return r;
}

static int ask_for_drafts(int top, struct err *e)
{
	struct lock l = none;

	return lock_for_drafts(&l, top, "the child\n", e);
}

static int ask_whether_held(int top, struct err *e)
{
	return lock_is_held(top, e) ? -EBUSY : 0;
}

/* What ASK says in another process, and that its sentence has WORDS in it. */
static int in_child(const struct folder *f, int (*ask)(int top, struct err *e), const char *words)
{
	pid_t child = fork();
	int status;

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		int top = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		struct err e = {0};
		int r = ask(top, &e);

		_exit(!words || strstr(e.text, words) ? -r : 255);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_ne(WEXITSTATUS(status), 255);
	return -WEXITSTATUS(status);
}

START_TEST(a_directory_has_one_writer)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	struct lock l;
	char who[64];
	struct err e;

	ck_assert_int_eq(in_child(&f, ask_directory, NULL), 0);
	ck_assert_int_eq(lock_directory(&l, f.fd, &e), 0);
	snprintf(who, sizeof who, "by process %d (check_", (int)getpid());
	ck_assert_int_eq(in_child(&f, ask_directory, who), -EBUSY);
	ck_assert(!is_there(&f, ".ckptfs"));
	lock_release(&l, f.fd);
	ck_assert_int_eq(in_child(&f, ask_directory, NULL), 0);
}
END_TEST

START_TEST(whoever_has_drafts_is_named_to_others)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	struct lock l = none;
	struct err e;

	ck_assert_int_eq(in_child(&f, ask_whether_held, NULL), 0);
	ck_assert_int_eq(lock_for_drafts(&l, f.fd, "alice on here\nand more", &e), 0);
	ck_assert_int_eq(lock_for_drafts(&l, f.fd, "again", &e), 0);
	ck_assert_int_eq(in_child(&f, ask_whether_held, "by alice on here"), -EBUSY);
	ck_assert_int_eq(in_child(&f, ask_for_drafts, "by alice on here"), -EBUSY);
	ck_assert_int_eq(in_child(&f, ask_directory, "by alice on here"), -EBUSY);
	lock_end_drafts(&l, f.fd);
	ck_assert_int_eq(l.file, -1);
	ck_assert(!is_there(&f, ".ckptfs"));
	ck_assert_int_eq(in_child(&f, ask_whether_held, NULL), 0);
}
END_TEST

START_TEST(a_file_that_nobody_has_locked_is_in_nobody_s_way)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	struct lock l = none;
	char who[16] = {0};
	struct err e;
	int fd;

	ck_assert_int_eq(mkdirat(f.fd, ".ckptfs", 0755), 0);
	folder_put(&f, LIT("somebody who is gone, with a long name"), ".ckptfs/lock");
	ck_assert_int_eq(in_child(&f, ask_whether_held, NULL), 0);
	ck_assert_int_eq(lock_for_drafts(&l, f.fd, "bob", &e), 0);
	fd = openat(f.fd, ".ckptfs/lock", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(read(fd, who, sizeof who), 3);
	ck_assert_str_eq(who, "bob");
	close(fd);
	lock_release(&l, f.fd);
}
END_TEST

START_TEST(what_else_is_in_the_folder_stays)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	struct lock l = none;
	struct err e;

	ck_assert_int_eq(lock_for_drafts(&l, f.fd, "me", &e), 0);
	ck_assert_int_eq(mkdirat(f.fd, ".ckptfs/drafts", 0755), 0);
	lock_release(&l, f.fd);
	ck_assert(!is_there(&f, ".ckptfs/lock"));
	ck_assert(is_there(&f, ".ckptfs/drafts"));
}
END_TEST

START_TEST(a_directory_that_can_t_be_written_to_is_told_apart)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	struct lock l = none;
	struct err e;

	if (geteuid() == 0)
		return; /* who may write everywhere */
	ck_assert_int_eq(fchmod(f.fd, 0555), 0);
	ck_assert_int_eq(lock_for_drafts(&l, f.fd, "me", &e), -EROFS);
	ck_assert_int_eq(fchmod(f.fd, 0755), 0);
}
END_TEST

TCase *lock_tests(void)
{
	TCase *t = tcase_create("lock");

	tcase_add_test(t, a_directory_has_one_writer);
	tcase_add_test(t, whoever_has_drafts_is_named_to_others);
	tcase_add_test(t, a_file_that_nobody_has_locked_is_in_nobody_s_way);
	tcase_add_test(t, what_else_is_in_the_folder_stays);
	tcase_add_test(t, a_directory_that_can_t_be_written_to_is_told_apart);
	return t;
}

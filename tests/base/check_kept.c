#include "base/check_base.h"
#include "base/cleanup.h"
#include "base/kept.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static char folder[] = "/tmp/check_kept.XXXXXX";

static void make_folder(void)
{
	strcpy(folder + sizeof folder - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
}

static void remove_folder(void)
{
	char command[64];

	ck_assert_int_eq(chdir("/"), 0);
	snprintf(command, sizeof command, "rm -r %s", folder);
	ck_assert_int_eq(system(command), 0);
}

static void make_file(const char *name)
{
	CLEANUP(closep) int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "abcd", 4), 4);
}

static struct kept_file *open_new(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	struct kept_file *f;
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	f = kept_new(fd, &st);
	ck_assert_ptr_nonnull(f);
	return f;
}

static void init(struct kept *k)
{
	struct stat st;

	ck_assert_int_eq(stat(".", &st), 0);
	kept_init(k, st.st_dev);
}

/* Opens NAME and keeps it; its descriptor. */
static int keep(struct kept *k, const char *name, uint64_t owner, uint32_t number)
{
	uint64_t closings = kept_closings(k);
	struct kept_file *f = open_new(name);
	int fd = f->fd;

	kept_add(k, f, owner, number, closings);
	kept_unref(f);
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static bool is_there(struct kept *k, uint64_t owner, uint32_t number)
{
	struct kept_file *f = kept_find(k, owner, number);

	kept_unref(f);
	return f;
}

START_TEST(a_file_stays_open_for_its_owner)
{
	struct kept k;
	struct kept_file *f;
	uint64_t a, b;
	int fd;

	init(&k);
	a = kept_owner(&k);
	b = kept_owner(&k);
	make_file("x");
	fd = keep(&k, "x", a, 3);
	ck_assert(is_open(fd));
	f = kept_find(&k, a, 3);
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(f->fd, fd);
	ck_assert(!is_there(&k, a, 2));
	ck_assert(!is_there(&k, b, 3));
	kept_close(&k);
	ck_assert(!is_there(&k, a, 3));
	ck_assert(is_open(fd)); /* F is in use */
	kept_unref(f);
	ck_assert(!is_open(fd));
	kept_release(&k);
}
END_TEST

static void truncate_it(void)
{
	ck_assert_int_eq(truncate("x", 2), 0);
}

static void write_again(void)
{
	ck_assert_int_eq(truncate("x", 0), 0);
	make_file("x");
}

static void remove_it(void)
{
	ck_assert_int_eq(unlink("x"), 0);
}

static void replace_it(void)
{
	make_file("y");
	ck_assert_int_eq(rename("y", "x"), 0);
}

static void (*const changes[])(void) = {truncate_it, write_again, remove_it, replace_it};

START_TEST(what_has_changed_is_closed)
{
	struct kept k;
	uint64_t owner;
	int fd;

	init(&k);
	owner = kept_owner(&k);
	make_file("x");
	fd = keep(&k, "x", owner, 0);
	usleep(20000); /* so that another time is another */
	changes[_i]();
	ck_assert(!is_there(&k, owner, 0));
	ck_assert(!is_open(fd));
	kept_release(&k);
}
END_TEST

START_TEST(a_file_that_was_opened_before_all_were_closed_is_not_kept)
{
	struct kept k;
	struct kept_file *f;
	uint64_t closings;
	int fd;

	init(&k);
	make_file("x");
	closings = kept_closings(&k);
	f = open_new("x");
	fd = f->fd;
	kept_close(&k);
	kept_add(&k, f, kept_owner(&k), 0, closings);
	kept_unref(f);
	ck_assert(!is_open(fd));
	kept_release(&k);
}
END_TEST

START_TEST(files_of_other_devices_are_not_kept)
{
	struct kept k;

	init(&k);
	ck_assert(!is_open(keep(&k, "/proc/self/stat", kept_owner(&k), 0)));
	kept_release(&k);
}
END_TEST

START_TEST(the_one_used_longest_ago_goes_first)
{
	struct kept k;
	uint64_t owner;

	init(&k);
	owner = kept_owner(&k);
	make_file("x");
	for (uint32_t i = 0; i < k.max; i++)
		keep(&k, "x", owner, i);
	for (uint32_t i = 0; i < k.max; i++)
		ck_assert(is_there(&k, owner, i));
	ck_assert(is_there(&k, owner, 0));
	keep(&k, "x", owner, k.max);
	ck_assert(is_there(&k, owner, 0));
	ck_assert(is_there(&k, owner, k.max));
	ck_assert(!is_there(&k, owner, 1));
	ck_assert_uint_eq(k.n, k.max);
	kept_release(&k);
}
END_TEST

START_TEST(they_are_a_part_of_the_descriptors)
{
	struct rlimit before, few = {.rlim_cur = 32};
	struct kept k;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	few.rlim_max = before.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	init(&k);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_uint_eq(k.max, 4);
	kept_release(&k);
}
END_TEST

TCase *kept_tests(void)
{
	TCase *t = tcase_create("kept");

	tcase_add_checked_fixture(t, make_folder, remove_folder);
	tcase_add_test(t, a_file_stays_open_for_its_owner);
	tcase_add_loop_test(t, what_has_changed_is_closed, 0, sizeof changes / sizeof *changes);
	tcase_add_test(t, a_file_that_was_opened_before_all_were_closed_is_not_kept);
	tcase_add_test(t, files_of_other_devices_are_not_kept);
	tcase_add_test(t, the_one_used_longest_ago_goes_first);
	tcase_add_test(t, they_are_a_part_of_the_descriptors);
	return t;
}

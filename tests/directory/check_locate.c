/* Tests of src/directory/locate.[ch]. */
#include "base/cleanup.h"
#include "directory/check_directory.h"
#include "directory/locate.h"
#include "lib/files.h"
#include "lib/lit.h"
#include <stdio.h>
#include <sys/stat.h>

static const struct {
	const char *source; /* in the folder */
	int code;
	const char *step; /* NULL: all of them; the words, where it fails */
} sources[] = {
	{"", 0, NULL},
	{"/", 0, NULL},
	{"/dir", 0, NULL},
	{"/checkpoint", 0, NULL},
	{"/m-1", 0, "m-1"},
	{"/m-1.index", 0, "m-1"},
	{"/m-1.meta", 0, "m-1"}, /* the prefix needs no such file */
	{"/m-1.data-00000-of-00001", 0, "m-1"},
	{"/m-1.data-100001-of-100002", 0, "m-1"},
	{"/a.index", 0, "a.index"}, /* the prefix of a.index.index */
	{"/a", 0, "a"},
	{"/dir/../m-1", 0, "m-1"},
	{"/x.data-00000-of-00001.index", 0, "x.data-00000-of-00001"},
	{"/m-2", -ENOENT, "no such directory, and no checkpoint of that name"},
	{"/m-1.data-0-of-1", -ENOENT, "no such directory"},
	{"/m-1.data-00000-of-00001x", -ENOENT, "no such directory"},
	{"/notes", -EINVAL, "a file that belongs to no checkpoint"},
	{"/v1.meta", -EINVAL, "there is no v1.index"},
	{"/none/m-1", -ENOENT, "No such file"},
	{"/notes/m-1", -ENOTDIR, "Not a directory"},
};

static void fill(const struct folder *f)
{
	static const char *const files[] = {"checkpoint",    "m-1.index",
					    "notes",         "a.index",
					    "a.index.index", "x.data-00000-of-00001.index",
					    "v1.meta"};

	for (size_t i = 0; i < COUNT(files); i++)
		folder_put(f, LIT(""), "%s", files[i]);
	ck_assert_int_eq(mkdirat(f->fd, "dir", 0755), 0);
	ck_assert_int_eq(mkdirat(f->fd, "m-2.index", 0755), 0);
}

static struct stat stat_of(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return st;
}

START_TEST(names_of_a_checkpoint_are_understood)
{
	CLEANUP(folder_remove)
	struct folder f = folder_new();
	char path[200];

	fill(&f);
	for (size_t i = 0; i < COUNT(sources); i++) {
		struct location l = {0};
		struct err e = {0};

		snprintf(path, sizeof path, "%s%s", f.path, sources[i].source);
		ck_assert_msg(locate(path, "checkpoint", &l, &e) == sources[i].code, "%s: %s",
			      sources[i].source, e.text);
		if (sources[i].code < 0) {
			ck_assert_msg(strstr(e.text, sources[i].step), "%s", e.text);
			ck_assert_ptr_nonnull(strstr(e.text, f.path));
			continue;
		}
		ck_assert_str_eq(l.step ? l.step : "(all)",
				 sources[i].step ? sources[i].step : "(all)");
		if (strcmp(sources[i].source, "/dir") != 0)
			ck_assert_uint_eq(stat_of(l.dirfd).st_ino, stat_of(f.fd).st_ino);
		close(l.dirfd);
		free(l.step);
	}
}
END_TEST

START_TEST(a_name_without_a_folder_is_in_the_current_one)
{
	CLEANUP(folder_remove)
	struct folder f = folder_new();
	struct location l;

	fill(&f);
	ck_assert_int_eq(fchdir(f.fd), 0);
	ck_assert_int_eq(locate("m-1", "checkpoint", &l, NULL), 0);
	ck_assert_str_eq(l.step, "m-1");
	ck_assert_uint_eq(stat_of(l.dirfd).st_ino, stat_of(f.fd).st_ino);
	close(l.dirfd);
	free(l.step);
	ck_assert_int_eq(locate("mylatest", "mylatest", &l, NULL), -ENOENT);
	folder_put(&f, LIT(""), "mylatest");
	ck_assert_int_eq(locate("mylatest", "mylatest", &l, NULL), 0);
	ck_assert_ptr_null(l.step);
	close(l.dirfd);
	ck_assert_int_eq(locate("checkpoint", "mylatest", &l, NULL), -EINVAL);
	ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

TCase *locate_tests(void)
{
	TCase *t = tcase_create("locate");

	tcase_add_test(t, names_of_a_checkpoint_are_understood);
	tcase_add_test(t, a_name_without_a_folder_is_in_the_current_one);
	return t;
}

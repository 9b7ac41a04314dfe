#include "base/check_base.h"
#include "base/cleanup.h"
#include "base/io.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/* An empty folder; its path is in PATH. */
static int make_folder(char path[64])
{
	int fd;

	strcpy(path, "/tmp/check_io.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(path));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static void put(int dirfd, const char *name, const char *text, mode_t mode)
{
	CLEANUP(closep) int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), strlen(text));
	ck_assert_int_eq(fchmod(fd, mode), 0);
}

static void assert_holds(int dirfd, const char *name, const char *text, mode_t mode)
{
	CLEANUP(closep) int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	char have[100] = {0};
	struct stat st;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_ge(read(fd, have, sizeof have - 1), 0);
	ck_assert_str_eq(have, text);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, mode);
}

static int count_files(int dirfd)
{
	DIR *d = fdopendir(openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	int n = 0;

	ck_assert_ptr_nonnull(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

START_TEST(a_file_is_replaced_whole)
{
	char path[64];
	CLEANUP(closep) int dir = make_folder(path), old = -1;
	char have[8] = {0};

	put(dir, "name", "old", 0640);
	old = openat(dir, "name", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(io_replace_file(dir, dir, "name", bytes_str("new"), S_IFREG | 0604, NULL),
			 0);
	assert_holds(dir, "name", "new", 0604);
	ck_assert_int_eq(read(old, have, sizeof have), 3); /* who has it open keeps the old one */
	ck_assert_str_eq(have, "old");
	ck_assert_int_eq(io_replace_file(dir, dir, "another", bytes_str(""), 0600, NULL), 0);
	assert_holds(dir, "another", "", 0600);
	ck_assert_int_eq(count_files(dir), 2);
	ck_assert_int_eq(io_remove_file(dir, "name", NULL), 0);
	ck_assert_int_eq(io_remove_file(dir, "another", NULL), 0);
	ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

START_TEST(what_fails_leaves_all_as_it_was)
{
	char path[64], name[252];
	CLEANUP(closep) int dir = make_folder(path);
	struct err e = {0};

	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = 0;
	ck_assert_int_eq(io_replace_file(dir, dir, name, bytes_str("x"), 0600, &e), -ENAMETOOLONG);
	ck_assert_int_eq(mkdirat(dir, "folder", 0700), 0);
	ck_assert_int_eq(io_replace_file(dir, dir, "folder", bytes_str("x"), 0600, &e), -EISDIR);
	ck_assert(!strncmp(e.text, "folder.tmp", 10));
	ck_assert_int_eq(count_files(dir), 1);
	ck_assert_int_eq(io_remove_file(dir, "folder", &e), -EISDIR);
	put(dir, "folder/x", "x", 0600);
	ck_assert_int_eq(io_remove_folder(dir, "folder", &e), -ENOTEMPTY);
	ck_assert_int_eq(io_remove_file(dir, "folder/x", &e), 0);
	ck_assert_int_eq(io_remove_folder(dir, "folder", &e), 0);
	ck_assert_int_eq(io_remove_folder(dir, "folder", &e), -ENOENT);
	ck_assert_str_eq(e.text, "folder: No such file or directory");
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(io_replace_file(dir, dir, "name", bytes_str("x"), 0600, &e), -ENOENT);
}
END_TEST

/* How many calls of write(2) and its like this thread has made; 0: this kernel does not count them. */
static unsigned long count_writes(void)
{
	FILE *f = fopen("/proc/thread-self/io", "re");
	char line[80];
	unsigned long n = 0;

	while (f && fgets(line, sizeof line, f))
		sscanf(line, "syscw: %lu", &n);
	if (f)
		fclose(f);
	return n;
}

START_TEST(what_is_large_is_written_in_pieces)
{
	enum { SIZE = (1 << 20) + 7 };
	CLEANUP(closep) int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	CLEANUP(freep) uint8_t *bytes = malloc(SIZE), *have = malloc(SIZE);
	unsigned long before, after;
	int r;

	ck_assert_int_ge(fd, 0);
	for (unsigned i = 0; i < SIZE; i++)
		bytes[i] = (uint8_t)(i * 7 + (i >> 12));
	before = count_writes();
	r = io_write_at(fd, bytes_of(bytes, SIZE), 3, NULL);
	after = count_writes();
	ck_assert_int_eq(r, 0);
	if (after) /* ck_assert writes, too */
		ck_assert_uint_eq(after - before, 5);
	ck_assert_int_eq(pread(fd, have, SIZE, 3), SIZE);
	ck_assert_mem_eq(have, bytes, SIZE);
}
END_TEST

TCase *io_tests(void)
{
	TCase *t = tcase_create("io");

	tcase_add_test(t, a_file_is_replaced_whole);
	tcase_add_test(t, what_fails_leaves_all_as_it_was);
	tcase_add_test(t, what_is_large_is_written_in_pieces);
	return t;
}

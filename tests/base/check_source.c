#include "base/check_base.h"
#include "base/cleanup.h"
#include "base/source.h"
#include "lib/random.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { SIZE = 10000 };

static uint8_t content[SIZE];

/* A file without a name that holds CONTENT. */
static int open_file(void)
{
	FILE *f = tmpfile();
	uint64_t state = 1;
	int fd;

	ck_assert_ptr_nonnull(f);
	for (size_t i = 0; i < SIZE; i++)
		content[i] = (uint8_t)random_next(&state);
	ck_assert_uint_eq(fwrite(content, 1, SIZE, f), SIZE);
	ck_assert_int_eq(fflush(f), 0);
	fd = fcntl(fileno(f), F_DUPFD_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	fclose(f);
	return fd;
}

/* I = 0: a file, 1: memory; both hold CONTENT. */
static struct source source_number(int i, int fd)
{
	struct source s = source_of_memory(bytes_of(content, SIZE));

	if (i == 0)
		ck_assert_int_eq(source_of_fd(fd, &s, NULL), 0);
	return s;
}

START_TEST(any_range_is_read_as_it_is)
{
	CLEANUP(closep) int fd = open_file();
	CLEANUP(buf_release) struct buf b = {0};
	struct source s = source_number(_i, fd);
	uint64_t state = 2;

	ck_assert_uint_eq(s.size, SIZE);
	for (int i = 0; i < 200; i++) {
		size_t off = random_below(&state, SIZE + 1),
		       n = random_below(&state, SIZE - off + 1);
		uint8_t into[SIZE + 1];

		into[n] = 0x5a;
		ck_assert_int_eq(source_read(&s, off, n, &b, NULL), 0);
		ck_assert(bytes_eq(buf_bytes(&b), bytes_of(content + off, n)));
		ck_assert_int_eq(source_read_into(&s, off, into, n, NULL), 0);
		ck_assert(bytes_eq(bytes_of(into, n), bytes_of(content + off, n)));
		ck_assert_uint_eq(into[n], 0x5a);
	}
}
END_TEST

START_TEST(nothing_can_be_read_anywhere_up_to_the_end)
{
	CLEANUP(closep) int fd = open_file();
	CLEANUP(buf_release) struct buf b = {0};
	struct source s = source_number(_i, fd), none = source_of_memory(bytes_of(NULL, 0));

	ck_assert_int_eq(source_read(&s, 0, 0, &b, NULL), 0);
	ck_assert_int_eq(source_read(&s, SIZE, 0, &b, NULL), 0);
	ck_assert_int_eq(source_read_into(&s, SIZE, NULL, 0, NULL), 0);
	ck_assert_int_eq(source_read(&none, 0, 0, &b, NULL), 0);
	ck_assert_uint_eq(b.n, 0);
}
END_TEST

START_TEST(a_range_beyond_the_end_is_refused_before_it_allocates)
{
	static const uint64_t bad[][2] = {{0, SIZE + 1},   {SIZE, 1},          {SIZE + 1, 0},
					  {1, SIZE},       {1, UINT64_MAX},    {UINT64_MAX, 1},
					  {UINT64_MAX, 0}, {SIZE, UINT64_MAX}, {0, 1ull << 62},
					  {1ull << 63, 1}, {UINT64_MAX - 1, 2}};
	CLEANUP(closep) int fd = open_file();
	CLEANUP(buf_release) struct buf b = {0};
	struct source s = source_number(_i, fd);
	uint8_t into[1] = {0x5a};

	ck_assert_int_eq(buf_add_str(&b, "old"), 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct err e = {0};

		ck_assert_int_eq(source_read(&s, bad[i][0], bad[i][1], &b, &e), -EUCLEAN);
		ck_assert_int_eq(e.code, -EUCLEAN);
		ck_assert_ptr_nonnull(strstr(e.text, "beyond the file's 10000 bytes"));
		ck_assert_int_eq(source_read_into(&s, bad[i][0], into, bad[i][1], NULL), -EUCLEAN);
	}
	ck_assert(bytes_eq(buf_bytes(&b), bytes_str("old")));
	ck_assert_uint_eq(into[0], 0x5a);
}
END_TEST

START_TEST(a_buffer_keeps_its_maximum)
{
	CLEANUP(closep) int fd = open_file();
	CLEANUP(buf_release) struct buf b = {.max = 100};
	struct source s = source_number(_i, fd);
	struct err e = {0};

	ck_assert_int_eq(source_read(&s, 5, 100, &b, NULL), 0);
	ck_assert_int_eq(source_read(&s, 0, 101, &b, &e), -E2BIG);
	ck_assert_int_eq(e.code, -E2BIG);
	ck_assert(bytes_eq(buf_bytes(&b), bytes_of(content + 5, 100)));
	ck_assert_uint_eq(b.max, 100);
}
END_TEST

START_TEST(a_file_that_has_become_shorter_is_an_error)
{
	CLEANUP(closep) int fd = open_file();
	CLEANUP(buf_release) struct buf b = {0};
	struct source s;
	struct err e = {0};

	ck_assert_int_eq(source_of_fd(fd, &s, NULL), 0);
	ck_assert_int_eq(ftruncate(fd, 6000), 0);
	ck_assert_int_eq(buf_add_str(&b, "old"), 0);
	ck_assert_int_eq(source_read(&s, 5000, 2000, &b, &e), -EIO);
	ck_assert_str_eq(e.text, "the file ends at 6000, it had 10000 bytes");
	ck_assert_int_eq(source_read(&s, 8000, 1, &b, &e), -EIO);
	ck_assert(bytes_eq(buf_bytes(&b), bytes_str("old")));
	ck_assert_int_eq(source_read(&s, 5000, 1000, &b, &e), 0);
	ck_assert(bytes_eq(buf_bytes(&b), bytes_of(content + 5000, 1000)));
}
END_TEST

START_TEST(bytes_that_a_file_has_won_are_not_read)
{
	CLEANUP(closep) int fd = open_file();
	CLEANUP(buf_release) struct buf b = {0};
	struct source s;

	ck_assert_int_eq(source_of_fd(fd, &s, NULL), 0);
	ck_assert_int_eq(ftruncate(fd, 2 * SIZE), 0);
	ck_assert_int_eq(source_read(&s, SIZE, 1, &b, NULL), -EUCLEAN);
}
END_TEST

START_TEST(what_pread_says_is_handed_on)
{
	CLEANUP(closep) int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	CLEANUP(buf_release) struct buf b = {0};
	struct source s = {.fd = null, .size = 10};
	struct err e = {0};

	ck_assert_int_ge(null, 0);
	ck_assert_int_eq(source_read(&s, 0, 10, &b, &e), -EBADF);
	ck_assert(!strncmp(e.text, "reading at 0: ", 14));
}
END_TEST

START_TEST(only_a_regular_file_makes_a_source)
{
	CLEANUP(closep) int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(closep) int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct source s = {.fd = -7};
	struct err e = {0};
	int fifo[2];

	ck_assert(dir >= 0 && null >= 0 && pipe(fifo) == 0);
	ck_assert_int_eq(source_of_fd(dir, &s, &e), -EISDIR);
	ck_assert_str_eq(e.text, "is a directory, expected a file");
	ck_assert_int_eq(source_of_fd(null, &s, &e), -EINVAL);
	ck_assert_str_eq(e.text, "is not a regular file");
	ck_assert_int_eq(source_of_fd(fifo[0], &s, &e), -EINVAL);
	ck_assert_int_eq(source_of_fd(-1, &s, &e), -EBADF);
	ck_assert(!strncmp(e.text, "fstat: ", 7));
	ck_assert_int_eq(s.fd, -7);
	close(fifo[0]);
	close(fifo[1]);
}
END_TEST

START_TEST(a_file_is_opened_by_name_and_a_fifo_is_not_waited_for)
{
	char path[] = "/tmp/check_source.XXXXXX";
	struct err e = {0};
	struct source s;
	int dir, fd;

	ck_assert_ptr_nonnull(mkdtemp(path));
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = openat(dir, "file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ck_assert(dir >= 0 && fd >= 0 && write(fd, "abc", 3) == 3);
	close(fd);
	ck_assert_int_eq(mkfifoat(dir, "fifo", 0600), 0);

	fd = source_open(dir, "file", &s, &e);
	ck_assert_int_ge(fd, 0);
	ck_assert_uint_eq(s.size, 3);
	close(fd);
	ck_assert_int_eq(source_open(dir, "fifo", &s, &e), -EINVAL);
	ck_assert_int_eq(source_open(dir, ".", &s, &e), -EISDIR);
	ck_assert_int_eq(source_open(dir, "none", &s, &e), -ENOENT);
	ck_assert_str_eq(e.text, "open: No such file or directory");

	unlinkat(dir, "file", 0);
	unlinkat(dir, "fifo", 0);
	close(dir);
	ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

TCase *source_tests(void)
{
	TCase *t = tcase_create("source");

	tcase_add_loop_test(t, any_range_is_read_as_it_is, 0, 2);
	tcase_add_loop_test(t, nothing_can_be_read_anywhere_up_to_the_end, 0, 2);
	tcase_add_loop_test(t, a_range_beyond_the_end_is_refused_before_it_allocates, 0, 2);
	tcase_add_loop_test(t, a_buffer_keeps_its_maximum, 0, 2);
	tcase_add_test(t, a_file_that_has_become_shorter_is_an_error);
	tcase_add_test(t, bytes_that_a_file_has_won_are_not_read);
	tcase_add_test(t, what_pread_says_is_handed_on);
	tcase_add_test(t, only_a_regular_file_makes_a_source);
	tcase_add_test(t, a_file_is_opened_by_name_and_a_fifo_is_not_waited_for);
	return t;
}

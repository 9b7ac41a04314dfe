#include "directory/file_stamp.h"
#include "base/io.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT_SIZE = 80 };

/* FLAGS: of fstatat(2). */
static int describe(int dirfd, const char *file, int flags, char text[TEXT_SIZE])
{
	struct stat st;

	if (fstatat(dirfd, file, &st, flags) < 0)
		return -errno;
	snprintf(text, TEXT_SIZE, "%ju %jd %jd.%09ld", (uintmax_t)st.st_ino, (intmax_t)st.st_size,
		 (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	return 0;
}

static int make(int dirfd, const char *file, int flags, int stamps, const char *name, struct err *e)
{
	char text[TEXT_SIZE];
	int r = describe(dirfd, file, flags, text);

	return r < 0 ? err_sys(e, r, "%s", file) : io_make_link(text, stamps, name, e);
}

static int fits(int stamps, const char *name, int dirfd, const char *file, int flags, struct err *e)
{
	char text[TEXT_SIZE], now[TEXT_SIZE];
	ssize_t n = readlinkat(stamps, name, text, sizeof text);
	int r = n < 0 ? -errno : describe(dirfd, file, flags, now);

	if (r < 0)
		return r == -ENOENT ? 0 : err_sys(e, r, "%s", file);
	return n < TEXT_SIZE && strlen(now) == (size_t)n && !memcmp(text, now, (size_t)n);
}

int file_stamp_make(int dirfd, const char *file, int stamps, const char *name, struct err *e)
{
	return make(dirfd, file, AT_SYMLINK_NOFOLLOW, stamps, name, e);
}

int file_stamp_fits(int stamps, const char *name, int dirfd, const char *file, struct err *e)
{
	return fits(stamps, name, dirfd, file, AT_SYMLINK_NOFOLLOW, e);
}

int file_stamp_make_target(int dirfd, const char *file, int stamps, const char *name, struct err *e)
{
	return make(dirfd, file, 0, stamps, name, e);
}

int file_stamp_fits_target(int stamps, const char *name, int dirfd, const char *file, struct err *e)
{
	return fits(stamps, name, dirfd, file, 0, e);
}

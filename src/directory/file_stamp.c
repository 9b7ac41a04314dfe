#include "directory/file_stamp.h"
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "base/io.h"
#include "base/lacks.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* In place of what is not known. */
#define NOT "-"

enum { TEXT_SIZE = 100, PIECE = 64 << 10 };

/* Of the first and the last bytes of the file; 0 or a negative errno. */
static int checksum(int dirfd, const char *file, off_t size, uint32_t *out)
{
	CLEANUP(freep) uint8_t *piece = malloc(PIECE);
	CLEANUP(closep) int fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC);
	off_t last = size > PIECE ? size - PIECE : 0;
	ssize_t n, m;

	if (!piece || fd < 0)
		return piece ? -errno : -ENOMEM;
	n = pread(fd, piece, PIECE, 0);
	if (n < 0)
		return -errno;
	*out = crc32c(piece, (size_t)n);
	m = pread(fd, piece, PIECE, last);
	if (m < 0)
		return -errno;
	*out = crc32c_combine(*out, crc32c(piece, (size_t)m), (size_t)m);
	return 0;
}

/* FLAGS: of fstatat(2). What the filesystem lacks of LACKS_INODES and LACKS_TIMES. Where inode numbers are lacking, and times are too, or are in
 * whole seconds, the bytes are looked at. */
static int describe(int dirfd, const char *file, int flags, unsigned lacks, char text[TEXT_SIZE])
{
	char ino[24] = NOT, mtime[40] = NOT, sum[16] = "";
	uint32_t crc = 0;
	struct stat st;
	int r = 0;

	if (fstatat(dirfd, file, &st, flags) < 0)
		return -errno;
	if (!(lacks & LACKS_INODES))
		snprintf(ino, sizeof ino, "%ju", (uintmax_t)st.st_ino);
	if (!(lacks & LACKS_TIMES))
		snprintf(mtime, sizeof mtime, "%jd.%09ld", (intmax_t)st.st_mtim.tv_sec,
			 st.st_mtim.tv_nsec);
	if (lacks & LACKS_TIMES || (lacks && !st.st_mtim.tv_nsec)) {
		r = S_ISREG(st.st_mode) ? checksum(dirfd, file, st.st_size, &crc) : 0;
		snprintf(sum, sizeof sum, " %08" PRIx32, crc);
	}
	snprintf(text, TEXT_SIZE, "%s %jd %s%s", ino, (intmax_t)st.st_size, mtime, sum);
	return r;
}

static int make(int dirfd, const char *file, int flags, int stamps, const char *name, struct err *e)
{
	unsigned lacks = lacks_at(dirfd) & (LACKS_INODES | LACKS_TIMES);
	char text[TEXT_SIZE];
	int r = describe(dirfd, file, flags, lacks, text);

	return r < 0 ? err_sys(e, r, "%s", file) : io_make_link(text, stamps, name, e);
}

/* What was lacking when the stamp was made, for the filesystem need not be known now. */
static unsigned lacked(const char *text)
{
	return (strncmp(text, NOT " ", 2) != 0 ? 0 : LACKS_INODES) |
	       (strstr(text, " " NOT) ? LACKS_TIMES : 0);
}

static int fits(int stamps, const char *name, int dirfd, const char *file, int flags, struct err *e)
{
	char text[TEXT_SIZE], now[TEXT_SIZE];
	ssize_t n = io_read_link(stamps, name, text, sizeof text - 1);
	int r = n < 0 ? (int)n : 0;

	if (r == -EINVAL) /* it was being made, so nothing was done to the file yet */
		return 0;
	if (r == 0) {
		text[n] = 0;
		r = describe(dirfd, file, flags, lacked(text), now);
	}
	if (r < 0)
		return r == -ENOENT ? 0 : err_sys(e, r, "%s", file);
	return !strcmp(text, now);
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

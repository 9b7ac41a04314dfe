#include "base/io.h"
#include "base/cleanup.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

enum { RANDOM = 16 };

/* "NAME.tmp" and 32 random hex digits. */
static int temporary_name(const char *name, char out[NAME_MAX + 1])
{
	uint8_t random[RANDOM];
	int n = snprintf(out, NAME_MAX + 1, "%s.tmp", name);

	if (n < 0 || n + 2 * RANDOM > NAME_MAX)
		return -ENAMETOOLONG;
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return -EIO;
	for (int i = 0; i < RANDOM; i++)
		snprintf(out + n + 2 * i, 3, "%02x", random[i]);
	return 0;
}

static int write_all(int fd, struct bytes b)
{
	while (b.n) {
		ssize_t n = write(fd, b.p, b.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		b = bytes_of(b.p + n, b.n - (size_t)n);
	}
	return 0;
}

static int fill_file(int dirfd, const char *name, int fd, struct bytes b, mode_t mode)
{
	struct stat old;
	int r = write_all(fd, b);

	if (r < 0)
		return r;
	/* The owner first: chown takes away bits of the mode. */
	if (fstatat(dirfd, name, &old, AT_SYMLINK_NOFOLLOW) == 0 &&
	    fchown(fd, old.st_uid, old.st_gid) < 0 && errno != EPERM)
		return -errno;
	if (fchmod(fd, mode & 07777) < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

int io_replace_file(int dirfd, const char *name, struct bytes b, mode_t mode, struct err *e)
{
	CLEANUP(closep) int fd = -1;
	char temporary[NAME_MAX + 1];
	int r = temporary_name(name, temporary);

	if (r < 0)
		return err_sys(e, r, "%s", name);
	fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(e, -errno, "%s", temporary);
	r = fill_file(dirfd, name, fd, b, mode);
	if (r == 0 && renameat(dirfd, temporary, dirfd, name) < 0)
		r = -errno;
	if (r < 0)
		goto undo;
	if (fsync(dirfd) < 0)
		return err_sys(e, -errno, "%s: syncing its directory", name);
	return 0;
undo:
	unlinkat(dirfd, temporary, 0);
	return err_sys(e, r, "%s", temporary);
}

int io_remove_file(int dirfd, const char *name, struct err *e)
{
	return unlinkat(dirfd, name, 0) < 0 ? err_sys(e, -errno, "%s", name) : 0;
}

int io_remove_folder(int dirfd, const char *name, struct err *e)
{
	return unlinkat(dirfd, name, AT_REMOVEDIR) < 0 ? err_sys(e, -errno, "%s", name) : 0;
}

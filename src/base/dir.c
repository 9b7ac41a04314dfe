#include "base/dir.h"
#include "base/cleanup.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

int dir_fd(int dirfd, const char *name, struct err *e)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? err_sys(e, -errno, "%s", name) : fd;
}

DIR *dir_open(int dirfd, const char *name)
{
	CLEANUP(closep) int fd = dir_fd(dirfd, name, NULL);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (d)
		fd = -1; /* it is D's */
	return d;
}

const struct dirent *dir_next(DIR *d)
{
	const struct dirent *de;

	do {
		errno = 0;
		de = readdir(d);
	} while (de && (!strcmp(de->d_name, ".") || !strcmp(de->d_name, "..")));
	return de;
}

int dir_type(int dirfd, const struct dirent *de)
{
	struct stat st;

	if (de->d_type != DT_UNKNOWN)
		return de->d_type;
	return fstatat(dirfd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? DT_UNKNOWN
									: (int)IFTODT(st.st_mode);
}

const struct dirent *dir_read(DIR *d, int *r)
{
	const struct dirent *de = dir_next(d);

	*r = de ? 0 : -errno;
	return de;
}

void dir_closep(DIR **d)
{
	if (*d)
		closedir(*d);
	*d = NULL;
}

bool dir_is_removed(const char *name)
{
	return !strncmp(name, ".fuse_hidden", 12) || !strncmp(name, ".nfs", 4);
}

#include "lib/files.h"
#include "base/cleanup.h"
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

static void must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

void read_whole(struct buf *out, const char *path, ...)
{
	char name[4096];
	struct stat st;
	va_list ap;
	FILE *f;

	va_start(ap, path);
	vsnprintf(name, sizeof name, path, ap);
	va_end(ap);
	f = fopen(name, "re");
	must(f && fstat(fileno(f), &st) == 0, name);
	out->n = 0;
	must(buf_reserve(out, (size_t)st.st_size + 1) == 0, name);
	out->n = fread(out->p, 1, (size_t)st.st_size, f);
	must(out->n == (size_t)st.st_size && !ferror(f), name);
	fclose(f);
}

struct folder folder_new(void)
{
	const char *tmp = getenv("TMPDIR");
	struct folder f;

	snprintf(f.path, sizeof f.path, "%s/ckptfs.XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
	must(mkdtemp(f.path) != NULL, f.path);
	f.fd = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(f.fd >= 0, f.path);
	return f;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

void folder_remove(struct folder *f)
{
	if (f->fd < 0)
		return;
	close(f->fd);
	f->fd = -1;
	must(nftw(f->path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0, f->path);
}

static void put_file(int dirfd, const char *name, struct bytes content)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	must(fd >= 0, name);
	must(write(fd, content.p, content.n) == (ssize_t)content.n, name);
	must(close(fd) == 0, name);
}

void folder_put(const struct folder *f, struct bytes content, const char *name, ...)
{
	char file[4096];
	va_list ap;

	va_start(ap, name);
	vsnprintf(file, sizeof file, name, ap);
	va_end(ap);
	put_file(f->fd, file, content);
}

void folder_copy(const struct folder *f, const char *from)
{
	const struct dirent *de;
	DIR *d = opendir(from);

	must(d != NULL, from);
	while ((de = readdir(d))) {
		CLEANUP(buf_release)
		struct buf content = {0};
		struct stat st;

		if (fstatat(dirfd(d), de->d_name, &st, 0) < 0 || !S_ISREG(st.st_mode))
			continue;
		read_whole(&content, "%s/%s", from, de->d_name);
		put_file(f->fd, de->d_name, buf_bytes(&content));
	}
	closedir(d);
}

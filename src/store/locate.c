#include "store/locate.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

static int open_dir(const char *path, struct location *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, -errno, "%s", path);
	*out = (struct location){.dirfd = fd};
	return 0;
}

/* Where ".data-00000-of-00001" begins in NAME, or NULL. */
static const char *find_data_suffix(const char *name)
{
	for (const char *p = name; (p = strstr(p, ".data-")); p++) {
		size_t number = strspn(p + 6, "0123456789");
		const char *of = p + 6 + number;

		if (number >= 5 && !strncmp(of, "-of-", 4) && strspn(of + 4, "0123456789") >= 5 &&
		    !of[4 + strspn(of + 4, "0123456789")])
			return p;
	}
	return NULL;
}

/* The prefix that NAME belongs to as a file of a step; all of NAME if it does not look like one. */
static size_t prefix_length(const char *name)
{
	struct bytes n = bytes_str(name);
	const char *data = find_data_suffix(name);

	if (bytes_ends(n, bytes_str(".index")))
		return n.n - strlen(".index");
	if (bytes_ends(n, bytes_str(".meta")))
		return n.n - strlen(".meta");
	return data ? (size_t)(data - name) : n.n;
}

static bool has_index(int dirfd, const char *prefix, size_t n)
{
	char file[PATH_MAX];
	struct stat st;

	return snprintf(file, sizeof file, "%.*s.index", (int)n, prefix) < (int)sizeof file &&
	       fstatat(dirfd, file, &st, 0) == 0 && !S_ISDIR(st.st_mode);
}

/* Why SOURCE, whose directory is there, is no checkpoint. */
static int refuse(const char *source, int dirfd, const char *name, struct err *e)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, 0) < 0)
		return err_set(
			e, -ENOENT,
			"%s: no such directory, and no checkpoint of that name: there is no %s.index",
			source, source);
	return err_set(
		e, -EINVAL,
		"%s: a file that belongs to no checkpoint; expected a directory, a prefix, or a file of a "
		"checkpoint (there is no %.*s.index)",
		source, (int)prefix_length(name), name);
}

int locate(const char *source, const char *state_name, struct location *out, struct err *e)
{
	CLEANUP(freep) char *dir = NULL;
	const char *slash = strrchr(source, '/');
	const char *name = slash ? slash + 1 : source;
	struct location l = {.dirfd = -1};
	struct stat st;
	size_t n;
	int r;

	if (stat(source, &st) == 0 && S_ISDIR(st.st_mode))
		return open_dir(source, out, e);
	dir = slash ? strndup(source, (size_t)(slash - source) + 1) : strdup(".");
	if (!dir)
		return err_set(e, -ENOMEM, "no memory");
	r = open_dir(dir, &l, e);
	if (r < 0)
		return r;
	n = prefix_length(name);
	if (!has_index(l.dirfd, name, strlen(name)) && !has_index(l.dirfd, name, n)) {
		if (fstatat(l.dirfd, name, &st, 0) < 0 || strcmp(name, state_name) != 0) {
			r = refuse(source, l.dirfd, name, e);
			close(l.dirfd);
			return r;
		}
	} else {
		l.step = strndup(name, has_index(l.dirfd, name, strlen(name)) ? strlen(name) : n);
	}
	*out = l;
	return 0;
}

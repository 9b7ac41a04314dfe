#include "edit/path.h"
#include "base/cleanup.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void split_path_release(struct split_path *p)
{
	freep(&p->dir);
	freep(&p->rest);
}

/* PATH, which is absolute, without "//", "." and "..". It gets no longer. */
static void clean(char *path)
{
	CLEANUP(freep) char *copy = strdup(path);
	char *at = copy, *name, *end = path;

	while (copy && (name = strsep(&at, "/"))) {
		size_t n = strlen(name);

		if (!n || !strcmp(name, "."))
			continue;
		if (!strcmp(name, "..")) {
			while (end > path && *--end != '/')
				;
			continue;
		}
		*end++ = '/';
		memcpy(end, name, n);
		end += n;
	}
	if (end == path)
		*end++ = '/';
	*end = 0;
}

char *path_from(const char *base, const char *path)
{
	char *out = NULL;

	if (*path == '/')
		out = strdup(path);
	else if (asprintf(&out, "%s/%s", base, path) < 0)
		return NULL;
	if (out)
		clean(out);
	return out;
}

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* How many bytes of PATH, which is absolute and clean, name a directory. */
static size_t directory_length(char *path)
{
	size_t n = strlen(path);
	bool there = is_directory(path);

	while (!there && n > 1) {
		char before;

		do
			n--;
		while (n > 1 && path[n] != '/');
		before = path[n];
		path[n] = 0;
		there = is_directory(path);
		path[n] = before;
	}
	return n;
}

int path_split(const char *path, struct split_path *out, struct err *e)
{
	CLEANUP(freep) char *cwd = getcwd(NULL, 0);
	CLEANUP(freep) char *whole = NULL;
	size_t n = strlen(path);
	char before;

	*out = (struct split_path){.slash = n && path[n - 1] == '/'};
	if (!cwd)
		return err_sys(e, -errno, "the current directory");
	if (!n)
		return err_set(e, -ENOENT, "a path is empty");
	whole = is_directory(path) ? realpath(path, NULL) : path_from(cwd, path);
	if (!whole)
		return err_sys(e, -errno, "%s", path);
	n = directory_length(whole);
	out->rest = strdup(whole + n + (whole[n] == '/'));
	before = whole[n];
	whole[n] = 0;
	out->dir = realpath(whole, NULL);
	whole[n] = before;
	if (out->dir && out->rest)
		return 0;
	split_path_release(out);
	return err_sys(e, -errno, "%s", path);
}

int path_directory(const char *path, char **out, struct err *e)
{
	CLEANUP(split_path_release) struct split_path p;
	int r = path_split(path, &p, e);

	if (r == 0)
		*out = TAKE(p.dir, NULL);
	return r;
}

const char *path_below(const char *root, const char *path)
{
	size_t n = strcmp(root, "/") != 0 ? strlen(root) : 0;

	if (strncmp(root, path, n) != 0 || (path[n] && path[n] != '/'))
		return NULL;
	return path + n + (path[n] == '/');
}

int path_common(char *const *dirs, size_t n, char **out, struct err *e)
{
	char *root = strdup(n ? dirs[0] : "/");

	if (!root)
		return err_set(e, -ENOMEM, "no memory");
	for (size_t i = 1; i < n; i++)
		while (!path_below(root, dirs[i])) {
			char *slash = strrchr(root, '/');

			slash[slash == root] = 0; /* that of "/" stays */
		}
	*out = root;
	return 0;
}

/* src/edit/path.h: paths on the command line, of which the first part is on disk and the rest is in a checkpoint. */
#pragma once
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>

/* A PATH: the longest directory that is on disk, and what is behind it. */
struct split_path {
	char *dir; /* absolute, without symbolic links */
	char *rest; /* without '/' at both ends, "." and ".."; empty: the directory itself */
	bool slash; /* PATH ends with '/' */
};

void split_path_release(struct split_path *p);

/* -ENOENT, or what the calls return. */
int path_split(const char *path, struct split_path *out, struct err *e);

/* Only the directory, which the caller frees. */
int path_directory(const char *path, char **out, struct err *e);

/* The nearest directory that holds all of DIRS, N of them. The caller frees it. */
int path_common(char *const *dirs, size_t n, char **out, struct err *e);

/* PATH as seen from the directory or step BASE, which is absolute. The caller frees it; NULL: no memory. */
char *path_from(const char *base, const char *path);

/* What PATH, which is absolute and in ROOT, has behind that; NULL: it is not in ROOT. */
const char *path_below(const char *root, const char *path);

/* src/base/dir.h: reading a folder. */
#pragma once
#include "base/error.h"
#include <dirent.h>

/* Opens the folder NAME in DIRFD at its first entry ("." for DIRFD itself), but follows no symbolic link.
 * NULL: errno says why. */
DIR *dir_open(int dirfd, const char *name);

/* A descriptor of it, or of the call; E names it. */
int dir_fd(int dirfd, const char *name, struct err *e);

/* The next entry but "." and "..". NULL: errno says why, and is 0 at the end. */
const struct dirent *dir_next(DIR *d);

/* The same; R gets why there is none: 0 at the end. */
const struct dirent *dir_read(DIR *d, int *r);

/* What the entry DE of the folder DIRFD is: DT_REG, DT_DIR, DT_LNK, .... Not all filesystems tell it in
 * de->d_type: then it is asked for. DT_UNKNOWN: it can't be told, errno says why (ENOENT: it is gone). */
int dir_type(int dirfd, const struct dirent *de);

/* For CLEANUP. */
void dir_closep(DIR **d);

/* src/base/dir.h: reading a folder. */
#pragma once
#include "base/error.h"
#include <dirent.h>
#include <stdbool.h>

/* Opens the folder NAME in DIRFD to read its entries; "." is DIRFD itself. It follows no symbolic link. NULL: errno says
 * why. */
DIR *dir_open(int dirfd, const char *name);

/* The same, as a descriptor, or the negative errno of openat(2). E names the folder. */
int dir_fd(int dirfd, const char *name, struct err *e);

/* The next entry but "." and "..". NULL: errno says why, and is 0 at the end. */
const struct dirent *dir_next(DIR *d);

/* The same. *R is 0, or the negative errno that says why there is none. */
const struct dirent *dir_read(DIR *d, int *r);

/* The type of the entry DE of the folder DIRFD: DT_REG, DT_DIR, DT_LNK, .... Not all filesystems put it into de->d_type:
 * then fstatat(2) tells it. DT_UNKNOWN: errno says why (ENOENT: the entry is gone). */
int dir_type(int dirfd, const struct dirent *de);

/* For CLEANUP. */
void dir_closep(DIR **d);

/* Is NAME one that a filesystem gives to a file which was removed while it was open (FUSE, NFS)? */
bool dir_is_removed(const char *name);

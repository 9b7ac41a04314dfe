/* src/directory/locate.h: finds the directory, and the step, of a checkpoint that a person names.
 *
 * A person may name a directory, a prefix, any file of a step (.index, .meta, .data-…, a V1 file or shard), the
 * pattern of a V1 set (NAME-?????-of-00002), or a state file. */
#pragma once
#include "base/error.h"
#include <stdbool.h>

struct location {
	int dirfd; /* the caller closes it */
	char *step; /* the prefix without its directory, which the caller frees; NULL: no single step was named */
};

/* -ENOENT, -ENOTDIR, -EINVAL: SOURCE is nothing of that; or what opening returns. E says what is there, and what
 * was expected. */
int locate(const char *source, const char *state_name, struct location *out, struct err *e);

/* Is there a step in the directory DIRFD, or in a folder below it? With FAMILY: one of its family (directory/family.h) in
 * DIRFD itself. True also if that can't be found out, or not in the first hundred folders. */
bool locate_any(int dirfd, const char *state_name, const char *family);

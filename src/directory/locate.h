/* src/directory/locate.h: from what a person calls a checkpoint to its directory.
 *
 * Taken for a checkpoint: a directory; a prefix; any file of a step (.index, .meta, .data-…, a V1 file or shard); a V1
 * set's pattern (NAME-?????-of-00002); a state file. */
#pragma once
#include "base/error.h"

struct location {
	int dirfd; /* the caller closes it */
	char *step; /* the prefix that was named, without its directory; NULL: all of them. The caller frees it. */
};

/* -ENOENT, -ENOTDIR, -EINVAL (it is nothing of the kind), or of opening; E says what was found and expected. */
int locate(const char *source, const char *state_name, struct location *out, struct err *e);

/* src/cli/mounts.h: what is mounted, as /proc/self/mountinfo has it (proc_pid_mountinfo(5)). */
#pragma once
#include "base/error.h"
#include <stdbool.h>

/* The strings are pieces of LINE, with their escapes undone. */
struct mount {
	char *line;
	int id;
	const char *dev; /* MAJOR:MINOR; two mounts of one filesystem have the same */
	const char *at;
	const char *type; /* fuse.ckptfs */
	const char *source;
	const char *options; /* of the filesystem, not of this one mount of it */
};

void mount_release(struct mount *m);

/* The mount that FD, which may be one of O_PATH, lies in. The daemon need not live. -ENOENT: it is in none that is listed. */
int mount_of(int fd, struct mount *out, struct err *e);

/* Whether a filesystem is mounted anywhere, by its DEV. */
bool mounts_have(const char *dev);

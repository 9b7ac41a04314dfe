/* src/cli/mounts.h: what is mounted, as /proc/self/mountinfo has it (proc_pid_mountinfo(5)). */
#pragma once
#include "base/error.h"
#include <stdbool.h>

/* The strings are pieces of LINE, without the kernel's escapes. mount_release frees them. */
struct mount {
	char *line;
	int id;
	const char *dev; /* MAJOR:MINOR; two mounts of one filesystem have the same */
	const char *at;
	const char *type; /* fuse.ckptfs */
	const char *source;
	const char *options; /* those of the filesystem; this one mount of it may have others */
};

void mount_release(struct mount *m);

/* The mount that FD lies in. FD may be opened with O_PATH; no daemon is asked. -ENOENT: the mount is not listed. */
int mount_of(int fd, struct mount *out, struct err *e);

/* Whether the filesystem DEV (MAJOR:MINOR) is mounted anywhere. */
bool mounts_have(const char *dev);

/* src/fuse/daemon.h: mounts a view and serves it until it is unmounted or told to end. */
#pragma once
#include "fuse/options.h"

struct daemon_config {
	int root_fd; /* the checkpoint directory; becomes the daemon's */
	const char *source; /* as shown in the list of mounts */
	const char *mountpoint; /* absolute */
	const char *family; /* see view_init; or NULL */
	const struct options *options;
	bool debug; /* libfuse prints each request */
	bool to_syslog; /* once the mount serves; before, messages go to stderr */
	int ready_fd; /* gets a byte when the mount is there; stderr is then given up; -1: none */
};

/* 0 when it was unmounted, or a signal (HUP, INT, TERM) ended it; -errno if it could not be mounted. */
int daemon_run(const struct daemon_config *c, struct err *e);

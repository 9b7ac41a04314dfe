/* src/cli/run.h: runs another program and waits for its end. */
#pragma once
#include <stdbool.h>

struct run {
	bool quiet; /* its stdout and stderr are thrown away */
	int ns_fd; /* the mount namespace to run it in; -1: this one */
};

/* ARGV[0] is its name, looked for in PATH; the last element is NULL. Its exit status; 127: it can't be run; 128 and more: a
 * signal ended it; a negative errno: it could not be started. */
int run_program(const char *const argv[], struct run how);

/* src/cli/run.h: another program, of the PATH, and how it ended. */
#pragma once
#include <stdbool.h>

struct run {
	bool quiet; /* what it says is of no interest */
	int ns_fd; /* the mount namespace to run it in; -1: this one */
};

/* ARGV[0] is its name. Its exit status, 127 if it can't be run, 128 and more if a signal ended it, or a negative errno. */
int run_program(const char *const argv[], struct run how);

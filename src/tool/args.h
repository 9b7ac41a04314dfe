/* src/tool/args.h: what the command lines of all programs, and of the verbs of ckptfs, have in common.
 *
 * Switches and operands may be mixed, as getopt_long(3) allows. Each program has --help and --version. */
#pragma once
#include <getopt.h>

struct args {
	const char *program; /* each message begins with it */
	const char *usage; /* the text for --help, and for wrong usage */
	void (*print_more)(void); /* prints what --help has behind that; or NULL */
	const char *switches; /* the short ones, as getopt(3) takes them */
	/* End with ARGS_COMMON and {0}; the codes of the others begin at ARGS_FIRST. */
	const struct option *long_switches;
	const char *needed; /* a sentence that says which operands are needed */
	int min, max; /* how many operands there can be */
	int exit_usage; /* the exit status for wrong usage */
	/* Takes one switch: its letter or code, and its value or NULL. TO is what args_parse was given. Returns -1 to go on, or
	 * the exit status to end with. */
	int (*take)(void *to, int code, const char *value);
};

enum { ARGS_HELP = 256, ARGS_VERSION, ARGS_FIRST };

#define ARGS_COMMON                                                                                \
	{"help", no_argument, NULL, ARGS_HELP},                                                    \
	{                                                                                          \
		"version", no_argument, NULL, ARGS_VERSION                                         \
	}

/* Reads a command line. -1 to go on: OPERANDS are then the last elements of ARGV, ended by NULL. Else the exit status, and what
 * there was to say is said. */
int args_parse(const struct args *a, int argc, char **argv, void *to, char ***operands);

/* Says on stderr what is wrong with the command line, and returns the exit status. */
int args_refuse(const struct args *a, const char *what);

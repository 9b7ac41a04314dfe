#include "tool/args.h"
#include "config.h"
#include <stdio.h>

static void point_to_help(const struct args *a)
{
	fprintf(stderr, "Try '%s --help'.\n", a->program);
}

int args_refuse(const struct args *a, const char *what)
{
	fprintf(stderr, "%s: %s\n", a->program, what);
	point_to_help(a);
	return a->exit_usage;
}

static int take(const struct args *a, void *to, int code)
{
	switch (code) {
	case ARGS_HELP:
		fputs(a->usage, stdout);
		if (a->print_more)
			a->print_more();
		return 0;
	case ARGS_VERSION:
		puts(PACKAGE_STRING);
		return 0;
	case '?': /* getopt has said what is wrong */
		point_to_help(a);
		return a->exit_usage;
	default:
		return a->take(to, code, optarg);
	}
}

int args_parse(const struct args *a, int argc, char **argv, void *to, char ***operands)
{
	int code, n, status;

	argv[0] = (char *)a->program; /* getopt's messages begin with it */
	while ((code = getopt_long(argc, argv, a->switches, a->long_switches, NULL)) != -1) {
		status = take(a, to, code);
		if (status >= 0)
			return status;
	}
	n = argc - optind;
	if (n < a->min || n > a->max) {
		fprintf(stderr, "%s: %s\n%s", a->program,
			n < a->min ? a->needed : "too many arguments", a->usage);
		return a->exit_usage;
	}
	*operands = argv + optind;
	return -1;
}

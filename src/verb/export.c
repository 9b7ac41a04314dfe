/* src/verb/export.c: variables of a step become a .safetensors or .npz file. */
#include "edit/archive.h"
#include "tool/args.h"
#include "verb/verb.h"
#include <limits.h>
#include <stdio.h>

struct export
{
	const char *to;
	enum archive_kind kind; /* NONE: as TO is called */
	struct choice choice;
};

static const char usage[] =
	"Usage: ckptfs export [--format FORMAT] PATH... [-o] FILE\n"
	"\n"
	"Writes variables of a step to a .safetensors or .npz file: of a step all, of a\n"
	"scope those in it, or single ones. The names are those of the variables. A FILE\n"
	"of that name is replaced when the new one is whole; '-' is the standard output.\n"
	"A .npz file is read by numpy.load, and has every variable. A .safetensors file\n"
	"has no strings, and no dtypes that safetensors has no name for: it is said\n"
	"which are left out, and its metadata names them, as ckptfs.left_out.\n"
	"\n"
	"  --format npz          for numpy.load; the default if FILE ends with .npz\n"
	"  --format safetensors  else the default\n"
	"  -o FILE               the file\n"
	"  --help, --version\n";

static const struct option long_switches[] = {
	{"format", required_argument, NULL, 'F'}, ARGS_COMMON, {0}};

static int take_switch(void *to, int code, const char *value);

static const struct args args = {
	.program = "ckptfs export",
	.usage = usage,
	.switches = "o:",
	.long_switches = long_switches,
	.needed = "a step and a file are needed",
	.min = 1,
	.max = INT_MAX,
	.exit_usage = VERB_USAGE,
	.take = take_switch,
};

static int take_switch(void *to, int code, const char *value)
{
	struct export *x = to;

	if (code == 'o') {
		x->to = value;
		return -1;
	}
	x->kind = !strcmp(value, "npz")           ? ARCHIVE_NPZ
		  : !strcmp(value, "safetensors") ? ARCHIVE_SAFETENSORS
						  : ARCHIVE_NONE;
	return x->kind ? -1 : args_refuse(&args, "--format is safetensors or npz");
}

static int run(struct export *x, char **paths, struct err *e)
{
	enum archive_kind kind = x->kind ? x->kind : archive_named(x->to);
	int r = 0;

	for (; *paths && r == 0; paths++)
		r = choice_add(&x->choice, *paths, e);
	return r < 0 ? r : archive_write(kind, &x->choice, x->to, args.program, e);
}

int verb_export(int argc, char **argv)
{
	struct export x = {.choice = CHOICE_EMPTY};
	struct err e = {0};
	char **paths;
	int n, status = args_parse(&args, argc, argv, &x, &paths);

	if (status >= 0)
		return status;
	for (n = 0; paths[n];)
		n++;
	if (!x.to && n < 2)
		return args_refuse(&args, "a file is needed behind the step");
	if (!x.to)
		x.to = TAKE(paths[n - 1], NULL);
	status = run(&x, paths, &e) < 0 ? VERB_FAILED : 0;
	if (status)
		fprintf(stderr, "ckptfs export: %s\n", e.text);
	choice_release(&x.choice);
	return status;
}

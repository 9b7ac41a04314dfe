/* src/verb/import.c: a .safetensors or .npz file becomes a new step. */
#include "edit/archive.h"
#include "make/new_step.h"
#include "tool/args.h"
#include "verb/verb.h"
#include <stdio.h>

struct import {
	const char *to; /* DIRECTORY/STEP */
	struct new_step step;
};

static int run(struct import *im, const char *from, struct err *e)
{
	int r = new_step_begin_at(&im->step, im->to, e);

	im->step.put.is_step = true;
	if (r == 0)
		r = archive_read(archive_named(from), from, &im->step.put, e);
	if (r < 0)
		return r;
	r = new_step_commit(&im->step, e);
	return r < 0 ? err_wrap(e, r, "%s", im->to) : 0;
}

static const char usage[] =
	"Usage: ckptfs import FILE DIRECTORY/STEP\n"
	"\n"
	"Makes a new step of a .safetensors file, or of a .npz file, as numpy.savez and\n"
	"savez_compressed write it. The variables have the names that the file gives\n"
	"them. The directory is made if it is not there. A step of that name must not be\n"
	"there. If something is wrong with the file nothing is made.\n"
	"\n"
	"  --help, --version\n";

static const struct option long_switches[] = {ARGS_COMMON, {0}};

static const struct args args = {
	.program = "ckptfs import",
	.usage = usage,
	.switches = "",
	.long_switches = long_switches,
	.needed = "a file and the new step are needed",
	.min = 2,
	.max = 2,
	.exit_usage = VERB_USAGE,
};

int verb_import(int argc, char **argv)
{
	struct import im = {0};
	struct err e = {0};
	char **paths;
	int status = args_parse(&args, argc, argv, &im, &paths);

	if (status >= 0)
		return status;
	im.to = paths[1];
	status = run(&im, paths[0], &e) < 0 ? VERB_FAILED : 0;
	if (status)
		fprintf(stderr, "ckptfs import: %s\n", e.text);
	new_step_release(&im.step);
	return status;
}

/* src/verb/change.c: rm, mv, cp, ln and mkdir. */
#include "base/cleanup.h"
#include "edit/command.h"
#include "edit/copy.h"
#include "tool/args.h"
#include "verb/verb.h"
#include <limits.h>
#include <stdio.h>

/* Everything that K says, or nothing of what is in steps. */
static int make(struct changing *c, const char *program, struct command *k, struct err *e)
{
	int r = command_open(c, program, k, e);

	if (r == 0)
		r = command_run(c, k, e);
	if (r == 0)
		r = changing_commit(c, e);
	if (r == 0)
		r = command_finish(c, k, e);
	return r;
}

static int finish(const struct args *a, struct command *k, int r, struct err *e)
{
	if (r < 0)
		fprintf(stderr, "%s: %s\n", a->program, e->text);
	command_release(k);
	return r < 0 ? VERB_FAILED : 0;
}

static int change(const struct args *a, const char *name, int argc, char **argv)
{
	struct command k = {.name = name};
	struct changing c = {0};
	struct err e = {0};
	int r, status = args_parse(a, argc, argv, &k, &k.paths);

	if (status >= 0)
		return status;
	for (k.n = 0; k.paths[k.n]; k.n++)
		;
	r = make(&c, a->program, &k, &e);
	changing_close(&c);
	return finish(a, &k, r, &e);
}

static int take_switch(void *to, int code, const char *value)
{
	struct command *k = to;

	(void)value;
	if (code == 'r' || code == 'R')
		k->recursive = true;
	else if (code == 'f')
		k->force = true;
	return -1;
}

static const struct option long_switches[] = {ARGS_COMMON, {0}};

#define ABOUT                                                                                      \
	"The changes of a step are committed as one new step, whose name is printed. The\n"        \
	"old one stays.\n"

static const struct args rm = {
	.program = "ckptfs rm",
	.usage = "Usage: ckptfs rm [-r] PATH...\n"
		 "\n"
		 "Removes variables; with -r also scopes and steps. A PATH may have globs, in\n"
		 "quotes, as 'net/latest/**/Adam*'; they match variables and steps.\n" ABOUT "\n"
		 "  -r        scopes with all that is in them, and steps\n"
		 "  --help, --version\n",
	.switches = "rRf",
	.long_switches = long_switches,
	.needed = "paths to remove are needed",
	.min = 1,
	.max = INT_MAX,
	.exit_usage = VERB_USAGE,
	.take = take_switch,
};

int verb_rm(int argc, char **argv)
{
	return change(&rm, "rm", argc, argv);
}

static const struct args mv = {
	.program = "ckptfs mv",
	.usage = "Usage: ckptfs mv SOURCE... DESTINATION\n"
		 "\n"
		 "Renames a variable or scope, or moves several into a scope, in one step.\n" ABOUT
		 "Renames a step, or moves steps into a directory below: then no step is made.\n"
		 "Scopes that are not there are made.\n"
		 "\n"
		 "  --help, --version\n",
	.switches = "",
	.long_switches = long_switches,
	.needed = "what to move, and where to, is needed",
	.min = 2,
	.max = INT_MAX,
	.exit_usage = VERB_USAGE,
	.take = take_switch,
};

int verb_mv(int argc, char **argv)
{
	return change(&mv, "mv", argc, argv);
}

static const struct args cp = {
	.program = "ckptfs cp",
	.usage = "Usage: ckptfs cp [-r] SOURCE... DESTINATION\n"
		 "\n"
		 "Copies variables within a step, or from another one; with -r also scopes, and a\n"
		 "step to a new one. Between steps of one directory no data is moved. Scopes that\n"
		 "are not there are made.\n" ABOUT "\n"
		 "A SOURCE may be a .npy file on disk, or a variable of another directory. If\n"
		 "DESTINATION is a .npy file or a directory on disk, variables are copied there.\n"
		 "All of a step or scope, or several variables, are copied to one .npz or\n"
		 ".safetensors file; and such a file to a step, a new one, or a scope.\n"
		 "\n"
		 "  -r        scopes and steps\n"
		 "  --help, --version\n",
	.switches = "rR",
	.long_switches = long_switches,
	.needed = "what to copy, and where to, is needed",
	.min = 2,
	.max = INT_MAX,
	.exit_usage = VERB_USAGE,
	.take = take_switch,
};

int verb_cp(int argc, char **argv)
{
	struct command k = {.name = "cp"};
	struct err e = {0};
	struct changing c = {0};
	int r, status = args_parse(&cp, argc, argv, &k, &k.paths);

	if (status >= 0)
		return status;
	for (k.n = 0; k.paths[k.n]; k.n++)
		;
	if (copy_is_to_disk(k.paths[k.n - 1], k.recursive)) {
		r = copy_to_disk(k.paths, k.n - 1, k.paths[k.n - 1], cp.program, &e);
	} else {
		r = make(&c, cp.program, &k, &e);
		changing_close(&c);
	}
	return finish(&cp, &k, r, &e);
}

static const struct args ln = {
	.program = "ckptfs ln",
	.usage = "Usage: ckptfs ln [-f] STEP NAME\n"
		 "\n"
		 "Gives a step a second name in its directory: ckptfs ln net/model-100 net/best.\n"
		 "With the NAME 'latest' it becomes the latest step.\n"
		 "\n"
		 "  -f        in the place of a link that is there\n"
		 "  --help, --version\n",
	.switches = "sfn",
	.long_switches = long_switches,
	.needed = "a step and a name are needed",
	.min = 2,
	.max = 2,
	.exit_usage = VERB_USAGE,
	.take = take_switch,
};

int verb_ln(int argc, char **argv)
{
	return change(&ln, "ln", argc, argv);
}

static const struct args mkdir_args = {
	.program = "ckptfs mkdir",
	.usage = "Usage: ckptfs mkdir DIRECTORY...\n"
		 "\n"
		 "Makes a directory for steps, into which 'ckptfs mv' moves them. Scopes are made\n"
		 "by mv and cp.\n"
		 "\n"
		 "  --help, --version\n",
	.switches = "",
	.long_switches = long_switches,
	.needed = "directories to make are needed",
	.min = 1,
	.max = INT_MAX,
	.exit_usage = VERB_USAGE,
	.take = take_switch,
};

int verb_mkdir(int argc, char **argv)
{
	return change(&mkdir_args, "mkdir", argc, argv);
}

/* src/verb/average.c: the mean of steps becomes a new one. */
#include "base/cleanup.h"
#include "make/blend.h"
#include "tool/args.h"
#include "tool/compare.h"
#include "tool/progress.h"
#include "verb/verb.h"
#include <limits.h>
#include <stdio.h>

struct average {
	const char *name; /* of the new step */
	struct places places;
	struct place *steps, *vars; /* N of each; VARS: of the variable that is at hand */
	char **paths;
	size_t n;
	struct new_step made;
	_Atomic uint64_t seen; /* bytes that were read */
};

/* The name of variable I of step K; p is NULL behind the last one. */
static struct bytes name_at(const struct average *a, size_t k, uint32_t i)
{
	return i < a->steps[k].loaded->tree.n_files ? blend_stem(&a->steps[k], i)
						    : bytes_of(NULL, 0);
}

/* Has step K the same variable I as the first one? */
static int check_var(const struct average *a, size_t k, uint32_t i, struct err *e)
{
	struct bytes x = name_at(a, 0, i), y = name_at(a, k, i);
	bool only_first = x.p && (!y.p || bytes_cmp(x, y) < 0);
	struct bytes only = only_first ? x : y;
	struct place u, v;

	if (!x.p || !y.p || !bytes_eq(x, y))
		return err_set(e, -EINVAL, "%.*s: is in %s, and not in %s", (int)only.n,
			       (const char *)only.p, a->paths[only_first ? 0 : k],
			       a->paths[only_first ? k : 0]);
	u = blend_var(&a->steps[0], i);
	v = blend_var(&a->steps[k], i);
	if (compare_is_like(&u, &v))
		return 0;
	return err_set(e, -EINVAL, "%.*s: has another dtype or shape in %s than in %s", (int)x.n,
		       (const char *)x.p, a->paths[k], a->paths[0]);
}

static int check_step(const struct average *a, size_t k, struct err *e)
{
	uint32_t n = a->steps[0].loaded->tree.n_files, other = a->steps[k].loaded->tree.n_files;
	int r = 0;

	for (uint32_t i = 0; i < (n > other ? n : other) && r == 0; i++)
		r = check_var(a, k, i, e);
	return r;
}

/* a->vars becomes variable I of all steps. False: none of it need be read, for it is the first one's. */
static bool take_var(struct average *a, uint32_t i)
{
	bool shared = true;

	for (size_t k = 0; k < a->n; k++) {
		a->vars[k] = blend_var(&a->steps[k], i);
		shared &= compare_shares(&a->vars[0], &a->vars[k]);
	}
	return !shared && blend_has_mean(place_var(a->vars)->dtype);
}

static int make_var(struct average *a, uint32_t i, struct err *e)
{
	int r = take_var(a, i)
			? blend(&a->made, a->vars, a->n, place_var(a->vars)->dtype, &a->seen, e)
			: new_step_copy(&a->made, a->vars, e);

	return r < 0 ? err_wrap(e, r, "%.*s", (int)name_at(a, 0, i).n,
				(const char *)name_at(a, 0, i).p)
		     : 0;
}

static int make_vars(struct average *a, struct err *e)
{
	uint32_t n = a->steps[0].loaded->tree.n_files;
	struct progress *progress;
	uint64_t total = 0;
	int r = 0;

	for (uint32_t i = 0; i < n; i++)
		if (take_var(a, i))
			total += a->n * place_var(a->vars)->size;
	progress = progress_on_terminal(&a->seen, total);
	for (uint32_t i = 0; r == 0 && i < n; i++)
		r = make_var(a, i, e);
	progress_stop(progress);
	return r;
}

static int run(struct average *a, struct err *e)
{
	int r = a->steps && a->vars ? blend_find(&a->places, a->paths, a->n, a->steps, e)
				    : err_set(e, -ENOMEM, "no memory");

	for (size_t k = 1; k < a->n && r == 0; k++)
		r = check_step(a, k, e);
	if (r == 0)
		r = blend_begin(&a->made, a->steps, a->name, e);
	if (r == 0)
		r = make_vars(a, e);
	if (r == 0)
		r = blend_copy_texts(&a->made, a->steps, e);
	return r < 0 ? r : new_step_commit(&a->made, e);
}

static const char usage[] =
	"Usage: ckptfs average STEP... -o NAME\n"
	"\n"
	"Makes a new step, in the directory of the first one, in which each variable of\n"
	"floats or complex numbers is the mean of what it is in the steps. It is summed\n"
	"in double precision. All other variables, the meta graph and the debug info are\n"
	"those of the first step. All steps must have the same variables. What they share\n"
	"is not read.\n"
	"\n"
	"  -o NAME  the name of the new step\n"
	"  --help, --version\n";

static const struct option long_switches[] = {ARGS_COMMON, {0}};

static int take_switch(void *to, int code, const char *value)
{
	struct average *a = to;

	(void)code;
	a->name = value;
	return -1;
}

static const struct args args = {
	.program = "ckptfs average",
	.usage = usage,
	.switches = "o:",
	.long_switches = long_switches,
	.needed = "steps are needed",
	.min = 1,
	.max = INT_MAX,
	.exit_usage = VERB_USAGE,
	.take = take_switch,
};

int verb_average(int argc, char **argv)
{
	struct average a = {0};
	struct err e = {0};
	int status = args_parse(&args, argc, argv, &a, &a.paths);

	if (status >= 0)
		return status;
	if (!a.name)
		return args_refuse(&args, "-o NAME is needed");
	while (a.paths[a.n])
		a.n++;
	a.steps = calloc(a.n, sizeof *a.steps);
	a.vars = calloc(a.n, sizeof *a.vars);
	for (size_t k = 0; a.steps && k < a.n; k++)
		a.steps[k] = PLACE_EMPTY;
	status = run(&a, &e) < 0 ? VERB_FAILED : 0;
	if (status)
		fprintf(stderr, "ckptfs average: %s\n", e.text);
	new_step_release(&a.made);
	for (size_t k = 0; a.steps && k < a.n; k++)
		place_release(&a.steps[k]);
	free(a.steps);
	free(a.vars);
	places_release(&a.places);
	return status;
}

/* src/verb/merge.c: what two steps have becomes a new one. */
#include "base/cleanup.h"
#include "make/blend.h"
#include "tool/args.h"
#include "tool/compare.h"
#include "tool/jobs.h"
#include "tool/progress.h"
#include "verb/verb.h"
#include <stdio.h>

enum prefer { PREFER_NONE, PREFER_A, PREFER_B };

struct merge {
	const char *name; /* of the new step */
	enum prefer prefer;
	struct places places;
	struct place steps[2];
	struct buf chosen; /* struct choice */
	struct buf pairs; /* struct pair */
	_Atomic uint64_t seen; /* bytes of A that were compared */
	_Atomic uint64_t bad; /* a pair that has a `why`: those behind it need not be compared */
	struct new_step made;
};

/* A variable of the new step: file number FILE of a step. */
struct choice {
	uint32_t step, file;
};

/* A variable that both have, and whose values must be the same: a file of each. */
struct pair {
	uint32_t a, b;
	char *why; /* they differ, or can't be read; or NULL */
};

static int choose(struct merge *m, uint32_t step, uint32_t file, struct err *e)
{
	const struct choice c = {step, file};

	return buf_add(&m->chosen, &c, sizeof c) < 0 ? err_set(e, -ENOMEM, "no memory") : 0;
}

/* Both have the variable. */
static int choose_of_two(struct merge *m, uint32_t a, uint32_t b, struct err *e)
{
	struct place x = blend_var(&m->steps[0], a), y = blend_var(&m->steps[1], b);
	struct bytes stem = blend_stem(&m->steps[0], a);
	const struct pair pair = {a, b, NULL};

	if (m->prefer)
		return m->prefer == PREFER_B ? choose(m, 1, b, e) : choose(m, 0, a, e);
	if (!compare_is_like(&x, &y))
		return err_set(e, -EINVAL,
			       "%.*s: both have it, with another dtype or shape; --prefer a or b "
			       "takes one of them",
			       (int)stem.n, (const char *)stem.p);
	if (!compare_shares(&x, &y) && buf_add(&m->pairs, &pair, sizeof pair) < 0)
		return err_set(e, -ENOMEM, "no memory");
	return choose(m, 0, a, e);
}

/* -1: what A is at comes before what B is at; 0: they have the same name; 1: behind. */
static int order(const struct merge *m, uint32_t a, uint32_t b)
{
	bool a_ends = a == m->steps[0].loaded->tree.n_files;
	bool b_ends = b == m->steps[1].loaded->tree.n_files;

	if (a_ends || b_ends)
		return a_ends ? 1 : -1;
	return bytes_cmp(blend_stem(&m->steps[0], a), blend_stem(&m->steps[1], b));
}

/* Files of a tree are sorted by their paths. */
static int choose_all(struct merge *m, struct err *e)
{
	uint32_t a_n = m->steps[0].loaded->tree.n_files, b_n = m->steps[1].loaded->tree.n_files;
	uint32_t a = 0, b = 0;
	int r = 0;

	while (r == 0 && (a < a_n || b < b_n)) {
		int way = order(m, a, b);

		r = way < 0   ? choose(m, 0, a, e)
		    : way > 0 ? choose(m, 1, b, e)
			      : choose_of_two(m, a, b, e);
		a += way <= 0;
		b += way >= 0;
	}
	return r;
}

static struct pair *pair_at(const struct merge *m, uint64_t i)
{
	return (struct pair *)(void *)m->pairs.p + i;
}

static uint64_t size_of(void *arg, uint64_t i)
{
	const struct merge *m = arg;
	struct place x = blend_var(&m->steps[0], pair_at(m, i)->a);

	return place_var(&x)->size;
}

static int compare_pair(void *arg, uint64_t i, struct err *e)
{
	struct merge *m = arg;
	struct pair *p = pair_at(m, i);
	struct place x = blend_var(&m->steps[0], p->a), y = blend_var(&m->steps[1], p->b);
	const struct comparing how = {.only_whether = true, .seen = &m->seen};
	uint64_t bad = m->bad;
	struct err why = {0};
	struct change change;
	int r = i < bad ? compare_arrays(&x, &y, &how, &change, &why) : 0;

	if (r == 1)
		err_set(&why, -EINVAL,
			"both have it, with other values; --prefer a or b takes one of them");
	if (r == 0)
		return 0;
	p->why = strdup(why.text);
	while (i < bad && !atomic_compare_exchange_weak(&m->bad, &bad, i))
		;
	return p->why ? 0 : err_set(e, -ENOMEM, "no memory");
}

/* What both have is the same in both. An error is of the first pair that has one, whatever the order in which they were compared. */
static int compare_pairs(struct merge *m, struct err *e)
{
	const struct jobs jobs = {m->pairs.n / sizeof(struct pair), size_of, compare_pair, m};
	struct progress *progress;
	uint64_t total = 0;
	struct bytes stem;
	int r;

	m->bad = jobs.n;
	for (uint64_t i = 0; i < jobs.n; i++)
		total += size_of(m, i);
	progress = progress_on_terminal(&m->seen, total);
	r = jobs_run(&jobs, e);
	progress_stop(progress);
	if (r < 0 || m->bad == jobs.n)
		return r;
	stem = blend_stem(&m->steps[0], pair_at(m, m->bad)->a);
	return err_set(e, -EINVAL, "%.*s: %s", (int)stem.n, (const char *)stem.p,
		       pair_at(m, m->bad)->why);
}

static int copy_chosen(struct merge *m, struct err *e)
{
	const struct choice *c = (const void *)m->chosen.p;
	int r = 0;

	for (size_t i = 0; i < m->chosen.n / sizeof *c && r == 0; i++) {
		struct place var = blend_var(&m->steps[c[i].step], c[i].file);
		struct bytes stem = blend_stem(&var, c[i].file);

		r = new_step_copy(&m->made, &var, e);
		if (r < 0)
			r = err_wrap(e, r, "%.*s", (int)stem.n, (const char *)stem.p);
	}
	return r;
}

static int run(struct merge *m, char **paths, struct err *e)
{
	int r = blend_find(&m->places, paths, 2, m->steps, e);

	if (r == 0)
		r = choose_all(m, e);
	if (r == 0)
		r = compare_pairs(m, e);
	if (r == 0)
		r = blend_begin(&m->made, &m->steps[0], m->name, e);
	if (r == 0)
		r = copy_chosen(m, e);
	if (r == 0)
		r = blend_copy_texts(&m->made, &m->steps[m->prefer == PREFER_B], e);
	return r < 0 ? r : new_step_commit(&m->made, e);
}

static const char usage[] =
	"Usage: ckptfs merge [--prefer a|b] A B -o NAME\n"
	"\n"
	"Makes a new step, in the directory of A, of all variables of the step A, and\n"
	"those that B has besides. No bytes are moved where both lie in one filesystem. A\n"
	"variable that both have must have the same values.\n"
	"\n"
	"  --prefer a, b  of a variable that both have, that of A or of B is taken, and\n"
	"                 so are the meta graph and the debug info; else those of A\n"
	"  -o NAME        the name of the new step\n"
	"  --help, --version\n";

enum { OPT_PREFER = ARGS_FIRST };

static const struct option long_switches[] = {
	{"prefer", required_argument, NULL, OPT_PREFER},
	ARGS_COMMON,
	{0},
};

static int take_switch(void *to, int code, const char *value);

static const struct args args = {
	.program = "ckptfs merge",
	.usage = usage,
	.switches = "o:",
	.long_switches = long_switches,
	.needed = "two steps are needed",
	.min = 2,
	.max = 2,
	.exit_usage = VERB_USAGE,
	.take = take_switch,
};

static int take_switch(void *to, int code, const char *value)
{
	struct merge *m = to;

	if (code == 'o') {
		m->name = value;
		return -1;
	}
	m->prefer = !strcmp(value, "a") ? PREFER_A : !strcmp(value, "b") ? PREFER_B : PREFER_NONE;
	return m->prefer ? -1 : args_refuse(&args, "--prefer takes a or b");
}

int verb_merge(int argc, char **argv)
{
	struct merge m = {.steps = {PLACE_EMPTY, PLACE_EMPTY}};
	struct err e = {0};
	char **paths;
	int status = args_parse(&args, argc, argv, &m, &paths);

	if (status >= 0)
		return status;
	if (!m.name)
		return args_refuse(&args, "-o NAME is needed");
	status = run(&m, paths, &e) < 0 ? VERB_FAILED : 0;
	if (status)
		fprintf(stderr, "ckptfs merge: %s\n", e.text);
	new_step_release(&m.made);
	place_release(&m.steps[0]);
	place_release(&m.steps[1]);
	buf_release(&m.chosen);
	for (size_t i = 0; i < m.pairs.n / sizeof(struct pair); i++)
		free(pair_at(&m, i)->why);
	buf_release(&m.pairs);
	places_release(&m.places);
	return status;
}

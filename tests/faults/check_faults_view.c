/* Fails the n-th allocation, and the n-th call that opens or changes a file, for n = 1, 2, ... until none is
 * left, in each call that the kernel makes of a mounted directory.
 *
 * Each time there is the right answer, or an error with its code and a sentence; what is shown is as before or
 * as after, and no call is made under the lock of the view; then, when nothing fails any more, the call does what it should, the steps can be written to and
 * committed, and what was given out is given back; and the steps that are there in the end are those where
 * nothing failed.
 *
 *   check_faults_view [SCENARIO...] */
#include "base/cleanup.h"
#include "faults/faults.h"
#include "faults/view_scenarios.h"
#include <stdio.h>

static void same(const char *what, const char *have, const char *want)
{
	if (strcmp(have, want) != 0)
		fail("%s is\n%sand not\n%s", what, have, want);
}

/* The rest of a trial: the directory as it is then. */
static char *end(const struct view_scenario *s, struct mounted *m)
{
	char *steps;

	m->warning.code = 0;
	if (s->finish)
		s->finish(m);
	use(m, OTHER);
	use(m, BASE);
	mounted_end(m);
	steps = dump_steps(&m->t);
	trial_end(&m->t);
	return steps;
}

static void note(struct view_scenario *s)
{
	struct mounted m;
	struct err e = {0};

	snprintf(context, sizeof context, "%s", s->name);
	mounted_begin(&m, s->options);
	s->prepare(&m);
	s->before = dump_view(&m);
	must(s->act(&m, &e), &e);
	s->after = dump_view(&m);
	s->steps = end(s, &m);
}

static void check_error(enum fault f, int r, const struct err *e)
{
	if (r != fault_error(f))
		fail("the error is %d, %s", r, e->text);
	if (f == FAULT_MEMORY && !e->code)
		return; /* says all */
	if (e->code != r || !*e->text)
		fail("the error is %d, and that is said of it: %d %s", r, e->code, e->text);
}

/* Nothing fails any more. */
static void settle(const struct view_scenario *s, struct mounted *m, int r)
{
	char *have = dump_view(m);
	struct err e = {0};
	bool whole = !strcmp(have, s->after);

	if (r == 0 || (strcmp(have, s->before) != 0 && !s->halves))
		same("what is shown", have, s->after);
	free(have);
	if (r == 0 || (whole && !s->reads))
		return;
	must(s->again ? s->again(m, &e) : s->act(m, &e), &e);
	have = dump_view(m);
	same("what is shown then", have, s->after);
	free(have);
}

/* False: there are no N calls of that kind. */
static bool try(const void *scenario, enum fault f, unsigned long n)
{
	const struct view_scenario *s = scenario;
	struct mounted m;
	struct err e = {0};
	char *steps;
	bool hit;
	int r;

	snprintf(context, sizeof context, "%s, %s %lu", s->name, fault_names[f], n);
	mounted_begin(&m, s->options);
	s->prepare(&m);
	mounted_late(s->late);
	fault_arm(f, n, false);
	r = s->act(&m, &e);
	hit = fault_disarm();
	mounted_late(false);
	if (r < 0 && !hit)
		fail("%d %s", r, e.text);
	if (r < 0)
		check_error(f, r, &e);
	if (s->check)
		s->check(&m);
	settle(s, &m, r);
	steps = end(s, &m);
	same("the directory", steps, s->steps);
	free(steps);
	return hit;
}

static bool all; /* a scenario is named */

static void run(struct view_scenario *s)
{
	note(s);
	try_each(try, s, all);
	freep(&s->before);
	freep(&s->after);
	freep(&s->steps);
}

static void run_named(struct view_scenario *s, unsigned n, int argc, char *argv[])
{
	for (unsigned i = 0; i < n; i++)
		if (is_named(argc, argv, s[i].name))
			run(&s[i]);
}

int main(int argc, char *argv[])
{
	all = argc > 1;
	run_named(view_reads, n_view_reads, argc, argv);
	run_named(view_writes, n_view_writes, argc, argv);
	run_named(view_commits, n_view_commits, argc, argv);
	return EXIT_SUCCESS;
}

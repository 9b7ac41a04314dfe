/* Fails the n-th allocation, and the n-th call that opens or changes a file, for n = 1, 2, ... until none is
 * left, in all that changes a draft, commits it, takes it up again, renames and removes steps, and publishes
 * kept ones again.
 *
 * Each time there is the right answer, or an error with its code and a sentence; nothing stays allocated or
 * open; the base is as it was; the draft, in memory and as it is on disk, is as before or as after the change;
 * and when nothing fails any more the change, and a commit, do what they do where nothing failed.
 *
 *   check_faults [SCENARIO...] */
#include "base/cleanup.h"
#include "draft/draft_state.h"
#include "faults/scenarios.h"
#include <stdio.h>

/* --- the loops ----------------------------------------------------------------------------------------- */

/* What it does where nothing fails. */
static void note(struct scenario *s)
{
	struct trial t = {.own = s->own, .v1 = s->v1, .sharded = s->sharded};
	struct err e = {0};

	snprintf(context, sizeof context, "%s", s->name);
	fault_lack(s->lacks);
	trial_begin(&t);
	s->prepare(&t);
	s->before = dump_draft(t.d); /* for which files are made that were not there yet */
	if (s->half) {
		must(s->half(&t, &e), &e);
		s->partly = dump_draft(t.d);
	}
	trial_end(&t);
	trial_begin(&t);
	s->prepare(&t);
	must(s->act(&t, &e), &e);
	s->after = dump_draft(t.d && !t.d->ended ? t.d : NULL);
	s->steps = dump_steps(&t); /* so far: some compare with it */
	s->settle(&t, s, 0);
	freep(&s->steps);
	s->steps = dump_steps(&t);
	trial_end(&t);
}

static void check_error(enum fault f, int r, const struct err *e)
{
	if (r != fault_error(f))
		fail("the error is %d, %s", r, e->text);
	if (e->code != r || !*e->text)
		fail("the error is %d, and that is said of it: %d %s", r, e->code, e->text);
}

/* False: there are no N calls of that kind. */
static bool try(const void *scenario, enum fault f, unsigned long n)
{
	const struct scenario *s = scenario;
	struct trial t = {.own = s->own, .v1 = s->v1, .sharded = s->sharded};
	struct err e = {0};
	char *steps;
	bool hit;
	int r;

	snprintf(context, sizeof context, "%s, killed at %lu, %s %lu", s->name, killed_at,
		 fault_names[f], n);
	trial_begin(&t);
	s->prepare(&t);
	fault_arm(f, n, false);
	r = s->act(&t, &e);
	hit = fault_disarm();
	if (r < 0 && !hit)
		fail("%d %s", r, e.text);
	if (r < 0)
		check_error(f, r, &e);
	s->settle(&t, s, r);
	steps = dump_steps(&t);
	same("the directory", steps, s->steps);
	free(steps);
	check_base(&t);
	trial_end(&t);
	return hit;
}

static void run(struct scenario *s)
{
	note(s);
	try_each(try, s, true);
	freep(&s->before);
	freep(&s->partly);
	freep(&s->after);
	freep(&s->steps);
}

enum { KILL_EACH = 16 };

int main(int argc, char *argv[])
{
	for (size_t i = 0; i < n_scenarios; i++)
		if (is_named(argc, argv, scenarios[i].name))
			run(&scenarios[i]);
	for (size_t i = 0; i < n_recoveries; i++)
		for (killed_at = 1;
		     is_named(argc, argv, recoveries[i].name) && is_killed_at(killed_at);
		     killed_at += KILL_EACH)
			run(&recoveries[i]);
	return EXIT_SUCCESS;
}

#include "tool/jobs.h"
#include "base/threads.h"

static const uint64_t LARGE = 4 << 20; /* bytes */

static bool is_large(const struct jobs *j, uint64_t job)
{
	return j->size(j->arg, job) >= LARGE;
}

static int run_small(void *arg, uint64_t job, void *scratch, struct err *e)
{
	const struct jobs *j = arg;

	(void)scratch;
	return is_large(j, job) ? 0 : j->work(j->arg, job, e);
}

int jobs_run(const struct jobs *j, struct err *e)
{
	const struct pieces small = {.n = j->n, .work = run_small, .arg = (void *)j};
	int r = pieces_run(&small, e);

	for (uint64_t i = 0; i < j->n && r == 0; i++)
		r = is_large(j, i) ? j->work(j->arg, i, e) : 0;
	return r;
}

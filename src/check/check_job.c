#include "check/check_job.h"
#include "base/cleanup.h"
#include "base/threads.h"
#include <inttypes.h>
#include <stdio.h>

/* --- in many threads --------------------------------------------------------------------------------------- */

void job_fail(struct job *j, uint32_t var, const struct err *why)
{
	struct failure f = {var, *why};

	pthread_mutex_lock(&j->lock);
	if (j->n_failures++ < CHECK_MAX_TOLD)
		buf_add(&j->failures, &f, sizeof f); /* without memory it is only counted */
	pthread_mutex_unlock(&j->lock);
}

void job_fail_in_shard(struct job *j, uint32_t var, struct err *why)
{
	CLEANUP(buf_release) struct buf file = {0};

	step_shard_file(j->s, j->s->vars[var].shard, &file);
	err_wrap(why, why->code, "%.*s", (int)file.n, (char *)file.p);
	job_fail(j, var, why);
}

void job_stop(struct job *j, const struct err *why)
{
	pthread_mutex_lock(&j->lock);
	if (!j->stopped.code)
		j->stopped = *why;
	pthread_mutex_unlock(&j->lock);
}

bool job_stopped(struct job *j)
{
	bool stopped;

	pthread_mutex_lock(&j->lock);
	if (!j->stopped.code && *j->c->stop)
		err_set(&j->stopped, -ECANCELED, "interrupted");
	stopped = j->stopped.code;
	pthread_mutex_unlock(&j->lock);
	return stopped;
}

struct thread {
	struct job *j;
	void (*work)(struct job *j, void *arg);
	void *arg;
};

static void run_thread(void *arg)
{
	const struct thread *t = arg;

	t->work(t->j, t->arg);
}

void job_run(struct job *j, void (*work)(struct job *j, void *arg), void *arg)
{
	struct thread t = {j, work, arg};

	threads_run(j->c->threads, run_thread, &t);
}

bool job_can_read(const struct job *j, const struct var *v)
{
	const struct shard *shard = &j->s->shards[v->shard];

	return (v->kind == VAR_WHOLE || (v->kind == VAR_PART && j->origins[v - j->s->vars].part)) &&
	       shard->status == 0 && v->off <= shard->id.size && v->size <= shard->id.size - v->off;
}

/* --- what is told ------------------------------------------------------------------------------------------ */

void job_found(struct job *j, struct bytes key, const char *text)
{
	j->problems++;
	j->c->found(j->c->arg, FOUND_PROBLEM, key, text);
}

void job_note(struct job *j, const char *text)
{
	j->c->found(j->c->arg, FOUND_NOTE, NO_KEY, text);
}

/* "its slice START,LENGTH:START,LENGTH: ", as TensorFlow spells one. */
static void print_slice(const struct step *s, uint32_t var, uint32_t part, struct buf *out)
{
	const int64_t *extents = s->dims + s->parts[part].extents;
	unsigned rank = s->vars[var].rank;

	buf_add_str(out, "its slice ");
	for (unsigned i = 0; i < rank; i++)
		buf_printf(out, "%s%" PRId64 ",%" PRId64, i ? ":" : "", extents[2 * i],
			   extents[2 * i + 1]);
	buf_add_str(out, ": ");
}

/* Tells what is wrong with V, under the name of the variable that it is a slice of. */
static void found_in(struct job *j, uint32_t var, const char *why)
{
	CLEANUP(buf_release) struct buf text = {0};
	struct origin origin = j->origins[var];
	const struct step *s = j->s;

	if (origin.part)
		print_slice(s, origin.var, origin.part - 1, &text);
	if (buf_printf(&text, "%s", why) == 0 && buf_add_byte(&text, 0) == 0)
		why = (char *)text.p;
	job_found(j, var_key(s, &s->vars[origin.var]), why);
}

static int compare_failures(const void *a, const void *b)
{
	const struct failure *x = a, *y = b;

	return (x->var > y->var) - (x->var < y->var);
}

void job_tell_failures(struct job *j)
{
	struct failure *f = (struct failure *)j->failures.p;
	size_t n = j->failures.n / sizeof *f;
	char more[80];

	if (n)
		qsort(f, n, sizeof *f, compare_failures);
	for (size_t i = 0; i < n; i++)
		found_in(j, f[i].var, f[i].why.text);
	if (j->n_failures <= n)
		return;
	snprintf(more, sizeof more, "%" PRIu64 " more variables are damaged", j->n_failures - n);
	job_found(j, NO_KEY, more);
}

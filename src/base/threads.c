#include "base/threads.h"
#include "base/cleanup.h"
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

enum {
	MAX_THREADS = 64,
	MAX_SCRATCH = 24 << 20, /* bytes, of all threads together; two threads may have more */
};

unsigned threads_cores(void)
{
	cpu_set_t set;

	/* It fails where there are more processors than the set has room for. */
	return sched_getaffinity(0, sizeof set, &set) < 0 ? MAX_THREADS : (unsigned)CPU_COUNT(&set);
}

struct call {
	void (*work)(void *arg);
	void *arg;
};

static void *run_call(void *arg)
{
	const struct call *c = arg;

	c->work(c->arg);
	return NULL;
}

void threads_run(unsigned n, void (*work)(void *arg), void *arg)
{
	struct call call = {work, arg};
	pthread_t threads[MAX_THREADS];
	unsigned made = 0;

	while (made + 1 < n && made < MAX_THREADS &&
	       pthread_create(&threads[made], NULL, run_call, &call) == 0)
		made++;
	work(arg);
	while (made)
		pthread_join(threads[--made], NULL);
}

/* --- pieces --------------------------------------------------------------------------------------------------- */

struct running {
	const struct pieces *p;
	_Atomic uint64_t next; /* the first piece that nobody has begun */
	atomic_bool ended; /* status is not 0 */
	pthread_mutex_t lock;
	pthread_cond_t turned;
	uint64_t turn; /* under lock, as all below: the piece that is taken next */
	int status;
	struct err why;
};

/* Under r->lock. */
static void end_with(struct running *r, int status, const struct err *why)
{
	if (r->status == 0) {
		r->status = status;
		r->why = *why;
	}
	r->ended = true;
	pthread_cond_broadcast(&r->turned);
}

/* What comes behind WORK, which returned STATUS for PIECE. False: the work has ended. */
static bool take(struct running *r, uint64_t piece, void *scratch, int status, struct err *why)
{
	bool going;

	pthread_mutex_lock(&r->lock);
	while (r->p->take && r->turn != piece && r->status == 0)
		pthread_cond_wait(&r->turned, &r->lock);
	going = r->status == 0;
	pthread_mutex_unlock(&r->lock);
	/* No other thread has this turn. */
	if (going && status == 0 && r->p->take)
		status = r->p->take(r->p->arg, piece, scratch, why);
	pthread_mutex_lock(&r->lock);
	r->turn++;
	if (going && status)
		end_with(r, status, why);
	else
		pthread_cond_broadcast(&r->turned);
	pthread_mutex_unlock(&r->lock);
	return going && status == 0;
}

static void run_pieces(void *arg)
{
	struct running *r = arg;
	const struct pieces *p = r->p;
	CLEANUP(freep) void *scratch = calloc(1, p->scratch + 1);
	struct err why = {0};
	uint64_t piece;
	bool going = scratch;

	if (!scratch) {
		err_set(&why, -ENOMEM, "no memory for %zu bytes", p->scratch);
		pthread_mutex_lock(&r->lock);
		end_with(r, -ENOMEM, &why);
		pthread_mutex_unlock(&r->lock);
	}
	while (going && !r->ended && (piece = r->next++) < p->n) {
		int status = p->work(p->arg, piece, scratch, &why);

		going = p->take || status ? take(r, piece, scratch, status, &why) : true;
	}
	if (!scratch || !p->end)
		return;
	pthread_mutex_lock(&r->lock);
	p->end(p->arg, scratch);
	pthread_mutex_unlock(&r->lock);
}

/* While a thread waits for its turn another one can use the processor. */
static unsigned threads_for(const struct pieces *p)
{
	uint64_t n = threads_cores() + (p->take ? 1 : 0);
	uint64_t fit = MAX_SCRATCH / (p->scratch + 1);

	n = n < p->n ? n : p->n;
	return (unsigned)(n > 2 && n > fit ? (fit > 2 ? fit : 2) : n);
}

int pieces_run(const struct pieces *p, struct err *e)
{
	struct running r = {.p = p};

	if (!p->n)
		return 0;
	pthread_mutex_init(&r.lock, NULL);
	pthread_cond_init(&r.turned, NULL);
	threads_run(threads_for(p), run_pieces, &r);
	pthread_cond_destroy(&r.turned);
	pthread_mutex_destroy(&r.lock);
	if (r.status && e)
		*e = r.why;
	return r.status;
}

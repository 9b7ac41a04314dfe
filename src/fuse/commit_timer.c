#include "fuse/commit_timer.h"
#include "base/cleanup.h"
#include "view/view.h"
#include <time.h>

struct commit_timer {
	struct view *view;
	void (*changed)(void *arg, const struct buf *changes);
	void *arg;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool woken, stop; /* under lock */
};

/* Waits until MS have passed (-1: for ever), or somebody wakes it. False when it is time to stop. */
static bool wait_for(struct commit_timer *t, int64_t ms)
{
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	HOLD(&t->lock);
	while (!t->woken && !t->stop && r == 0)
		r = ms < 0 ? pthread_cond_wait(&t->wake, &t->lock)
			   : pthread_cond_clockwait(&t->wake, &t->lock, CLOCK_MONOTONIC, &until);
	t->woken = false;
	return !t->stop;
}

static void *run(void *arg)
{
	struct commit_timer *t = arg;
	int64_t next = -1;

	while (wait_for(t, next)) {
		CLEANUP(buf_release) struct buf changes = {0};

		next = view_commit_due(t->view, &changes);
		t->changed(t->arg, &changes);
	}
	return NULL;
}

struct commit_timer *
commit_timer_start(struct view *v, void (*changed)(void *arg, const struct buf *changes), void *arg)
{
	struct commit_timer *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->view = v;
	t->changed = changed;
	t->arg = arg;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->wake, NULL);
	if (pthread_create(&t->thread, NULL, run, t) == 0)
		return t;
	pthread_cond_destroy(&t->wake);
	pthread_mutex_destroy(&t->lock);
	free(t);
	return NULL;
}

static void set(struct commit_timer *t, bool *flag)
{
	HOLD(&t->lock);
	*flag = true;
	pthread_cond_signal(&t->wake);
}

void commit_timer_wake(struct commit_timer *t)
{
	if (t)
		set(t, &t->woken);
}

void commit_timer_stop(struct commit_timer *t)
{
	if (!t)
		return;
	set(t, &t->stop);
	pthread_join(t->thread, NULL);
}

void commit_timer_free(struct commit_timer *t)
{
	if (!t)
		return;
	pthread_cond_destroy(&t->wake);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

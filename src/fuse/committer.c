#include "fuse/committer.h"
#include "base/cleanup.h"
#include "fuse/ckptfs.h"
#include <time.h>

struct committer {
	struct ckptfs *fs;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool woken, stop; /* under lock */
};

/* Until MS have passed, or somebody wakes it; -1: only that. False when it is time to stop. */
static bool wait_for(struct committer *c, int64_t ms)
{
	struct timespec until;
	bool stop;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&c->lock);
	while (!c->woken && !c->stop && r == 0)
		r = ms < 0 ? pthread_cond_wait(&c->changed, &c->lock)
			   : pthread_cond_timedwait(&c->changed, &c->lock, &until);
	c->woken = false;
	stop = c->stop;
	pthread_mutex_unlock(&c->lock);
	return !stop;
}

static void *run(void *arg)
{
	struct committer *c = arg;
	int64_t next = -1;

	while (wait_for(c, next)) {
		CLEANUP(buf_release) struct buf changes = {0};

		next = view_commit_due(&c->fs->view, &changes);
		notifier_tell(c->fs->notifier, &changes);
	}
	return NULL;
}

struct committer *committer_start(struct ckptfs *fs)
{
	struct committer *c = calloc(1, sizeof *c);
	pthread_condattr_t monotonic;

	if (!c)
		return NULL;
	c->fs = fs;
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&c->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (pthread_create(&c->thread, NULL, run, c) == 0)
		return c;
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	free(c);
	return NULL;
}

static void set(struct committer *c, bool *flag)
{
	pthread_mutex_lock(&c->lock);
	*flag = true;
	pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

void committer_wake(struct committer *c)
{
	if (c)
		set(c, &c->woken);
}

void committer_stop(struct committer *c)
{
	if (!c)
		return;
	set(c, &c->stop);
	pthread_join(c->thread, NULL);
}

void committer_free(struct committer *c)
{
	if (!c)
		return;
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

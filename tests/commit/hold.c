#include "commit/hold.h"
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct {
	const char *end;
	unsigned left; /* calls until it happens; 0: it does not */
	hold_fn act;
	void *arg;
	bool held, released;
	unsigned waits, syncs;
} now;

void hold_at(const char *end, unsigned n, hold_fn act, void *arg)
{
	pthread_mutex_lock(&lock);
	now.end = end;
	now.left = n;
	now.act = act;
	now.arg = arg;
	now.held = now.released = false;
	pthread_mutex_unlock(&lock);
}

int hold_here(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&lock);
	now.held = true;
	pthread_cond_broadcast(&changed);
	while (!now.released)
		__real_pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	return 0;
}

void hold_await(void)
{
	pthread_mutex_lock(&lock);
	while (!now.held)
		__real_pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

void hold_release(void)
{
	pthread_mutex_lock(&lock);
	now.released = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

int hold_fail(void *arg)
{
	(void)arg;
	return EIO;
}

static bool is_path_of(int fd, const char *end)
{
	char link[64], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof path - 1);
	if (n < 0 || (size_t)n < strlen(end))
		return false;
	path[n] = 0;
	return !strcmp(path + (size_t)n - strlen(end), end);
}

int __wrap_fsync(int fd)
{
	hold_fn act = NULL;
	void *arg = NULL;
	int r;

	pthread_mutex_lock(&lock);
	now.syncs++;
	if (now.left && is_path_of(fd, now.end) && --now.left == 0) {
		act = now.act;
		arg = now.arg;
	}
	pthread_mutex_unlock(&lock);
	r = act ? act(arg) : 0;
	if (r == 0)
		return __real_fsync(fd);
	errno = r;
	return -1;
}

unsigned syncs_count(void)
{
	unsigned n;

	pthread_mutex_lock(&lock);
	n = now.syncs;
	pthread_mutex_unlock(&lock);
	return n;
}

unsigned waits_count(void)
{
	unsigned n;

	pthread_mutex_lock(&lock);
	n = now.waits;
	pthread_mutex_unlock(&lock);
	return n;
}

void waits_await(unsigned n)
{
	pthread_mutex_lock(&lock);
	while (now.waits < n)
		__real_pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
	pthread_mutex_lock(&lock);
	now.waits++;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return __real_pthread_cond_wait(c, m);
}

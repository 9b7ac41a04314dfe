/* src/cli/fsck_progress.c: shows how far fsck.ckptfs is. A thread paints it five times a second. */
#include "cli/fsck_report.h"
#include <inttypes.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { INTERVAL_MS = 200, MIN_WIDTH = 40, MAX_WIDTH = 200 };

struct progress {
	const _Atomic uint64_t *seen;
	uint64_t total;
	int fd; /* more than 0: gets lines for a program; else a bar is painted on stderr */
	const char *directory;
	struct timespec start;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stopping, painted; /* under lock */
};

static double seconds_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

static int width(void)
{
	struct winsize size = {0};

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_col)
		return 80;
	return size.ws_col < MIN_WIDTH   ? MIN_WIDTH
	       : size.ws_col > MAX_WIDTH ? MAX_WIDTH
					 : size.ws_col;
}

/* Under p->lock. */
static void erase(struct progress *p)
{
	if (p->painted)
		fputs("\r\033[K", stderr);
	p->painted = false;
}

/* Under p->lock. */
static void paint(struct progress *p)
{
	char numbers[100], bar[MAX_WIDTH];
	uint64_t seen = *p->seen < p->total ? *p->seen : p->total;
	double part = p->total ? (double)seen / (double)p->total : 1;
	double seconds = seconds_since(&p->start);
	double rate = seconds > 0 ? (double)seen / seconds : 0;
	uint64_t left = rate > 0 ? (uint64_t)((double)(p->total - seen) / rate) : 0;
	int n, room, full;

	if (p->fd > 0) {
		dprintf(p->fd, "1 %" PRIu64 " %" PRIu64 " %s\n", seen, p->total, p->directory);
		return;
	}
	n = snprintf(numbers, sizeof numbers, " %3.0f%% %.1f MiB %.0f MiB/s %" PRIu64 ":%02u left",
		     100 * part, (double)seen / (1 << 20), rate / (1 << 20), left / 60,
		     (unsigned)(left % 60));
	room = width() - n - 3; /* two brackets, and the last column stays free */
	if (room < 0)
		room = 0;
	full = (int)(part * room);
	for (int i = 0; i < room; i++)
		bar[i] = i < full ? '=' : ' ';
	fprintf(stderr, "\r[%.*s]%s\033[K", room, bar, numbers);
	p->painted = true;
}

static void *run(void *arg)
{
	struct progress *p = arg;
	struct timespec at;

	pthread_mutex_lock(&p->lock);
	clock_gettime(CLOCK_MONOTONIC, &at);
	while (!p->stopping) {
		at.tv_nsec += INTERVAL_MS * 1000000;
		if (at.tv_nsec >= 1000000000) {
			at.tv_nsec -= 1000000000;
			at.tv_sec++;
		}
		while (!p->stopping &&
		       pthread_cond_clockwait(&p->wake, &p->lock, CLOCK_MONOTONIC, &at) == 0)
			;
		if (!p->stopping)
			paint(p);
	}
	erase(p);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct progress *progress_start(const _Atomic uint64_t *seen, uint64_t total, int fd,
				const char *directory)
{
	struct progress *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	*p = (struct progress){.seen = seen, .total = total, .fd = fd, .directory = directory};
	clock_gettime(CLOCK_MONOTONIC, &p->start);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	if (pthread_create(&p->thread, NULL, run, p) == 0)
		return p;
	free(p);
	return NULL;
}

void progress_erase(struct progress *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	erase(p);
	pthread_mutex_unlock(&p->lock);
}

void progress_stop(struct progress *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stopping = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

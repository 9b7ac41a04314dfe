#include "tool/progress.h"
#include "tool/table.h"
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_MS = 500, INTERVAL_MS = 200, MIN_WIDTH = 40, MAX_WIDTH = 200 };

#define ERASE "\r\033[K"

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

enum { N_SIGNALS = sizeof signals / sizeof *signals };

struct progress {
	const _Atomic uint64_t *seen;
	uint64_t total;
	int fd; /* more than 0: gets lines for a program; else a bar is painted on stderr */
	const char *directory;
	struct timespec start;
	struct sigaction before[N_SIGNALS];
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
	int columns = (int)terminal_width(STDERR_FILENO);

	return !columns              ? 80
	       : columns < MIN_WIDTH ? MIN_WIDTH
	       : columns > MAX_WIDTH ? MAX_WIDTH
				     : columns;
}

/* Under p->lock. */
static void erase(struct progress *p)
{
	if (p->painted)
		fputs(ERASE, stderr);
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
	n = snprintf(numbers, sizeof numbers,
		     " %3.0f%% %.1f of %.1f MiB %.0f MiB/s %" PRIu64 ":%02u left", 100 * part,
		     (double)seen / (1 << 20), (double)p->total / (1 << 20), rate / (1 << 20),
		     left / 60, (unsigned)(left % 60));
	room = width() - 3; /* two brackets, and the last column stays free */
	n = n < room ? n : room;
	room -= n;
	full = (int)(part * room);
	for (int i = 0; i < room; i++)
		bar[i] = i < full ? '=' : ' ';
	fprintf(stderr, "\r[%.*s]%.*s\033[K", room, bar, n, numbers);
	p->painted = true;
}

/* AT becomes MS later. */
static void add_ms(struct timespec *at, long ms)
{
	at->tv_nsec += ms * 1000000;
	at->tv_sec += at->tv_nsec / 1000000000;
	at->tv_nsec %= 1000000000;
}

static void *run(void *arg)
{
	struct progress *p = arg;
	struct timespec at = p->start;

	pthread_mutex_lock(&p->lock);
	add_ms(&at, FIRST_MS);
	while (!p->stopping) {
		while (!p->stopping &&
		       pthread_cond_clockwait(&p->wake, &p->lock, CLOCK_MONOTONIC, &at) == 0)
			;
		if (!p->stopping)
			paint(p);
		add_ms(&at, INTERVAL_MS);
	}
	erase(p);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* --- signals ---------------------------------------------------------------------------------------------------- */

/* A signal that ends the process leaves no bar behind. */
static void end(int sig)
{
	ssize_t n = write(STDERR_FILENO, ERASE, sizeof ERASE - 1);

	(void)n;
	raise(sig); /* SA_RESETHAND: now it ends the process */
}

/* Only signals of which nobody takes care. */
static void take_signals(struct progress *p)
{
	const struct sigaction ends = {.sa_handler = end,
				       .sa_flags = (int)(SA_RESETHAND | SA_NODEFER)};

	for (int i = 0; i < N_SIGNALS; i++) {
		sigaction(signals[i], NULL, &p->before[i]);
		if (p->before[i].sa_handler == SIG_DFL)
			sigaction(signals[i], &ends, NULL);
	}
}

static void give_signals_back(const struct progress *p)
{
	for (int i = 0; i < N_SIGNALS; i++)
		sigaction(signals[i], &p->before[i], NULL);
}

/* --- begin and end ---------------------------------------------------------------------------------------------- */

/* The thread gets no signals: who waits for them in the others decides. */
static int start_thread(struct progress *p)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&p->thread, NULL, run, p);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
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
	if (start_thread(p) == 0) {
		take_signals(p);
		return p;
	}
	free(p);
	return NULL;
}

struct progress *progress_on_terminal(const _Atomic uint64_t *seen, uint64_t total)
{
	return isatty(STDERR_FILENO) ? progress_start(seen, total, 0, NULL) : NULL;
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
	give_signals_back(p);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

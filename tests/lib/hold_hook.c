/* tests/lib/hold_hook.c: holds a program up in the middle of a call.
 *
 * To be preloaded. HOLD names a file. While it is there and says "CALL N", the first N calls of fstatat or
 * pread, whichever CALL is, do not begin. HOLD.held has a byte for each that has come so far, HOLD.waits one
 * for each call of pthread_cond_wait. */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_long seen;

static int open_file(const char *suffix, int flags)
{
	const char *hold = getenv("HOLD");
	char path[4096];

	snprintf(path, sizeof path, "%s%s", hold ? hold : "/nonexistent", suffix);
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0666);
}

static void note(const char *suffix)
{
	int fd = open_file(suffix, O_WRONLY | O_CREAT | O_APPEND);

	if (fd >= 0 && syscall(SYS_write, fd, "x", 1) < 0)
		abort();
	close(fd);
}

/* Whether the file is there and tells CALL to wait. */
static int is_on(const char *call, long *most)
{
	char text[64] = "", which[16] = "";
	int fd = open_file("", O_RDONLY);
	long n;

	if (fd < 0)
		return 0;
	n = syscall(SYS_read, fd, text, sizeof text - 1);
	close(fd);
	return n > 0 && sscanf(text, "%15s %ld", which, most) == 2 && !strcmp(which, call);
}

static void hold(const char *call)
{
	const struct timespec moment = {.tv_nsec = 10000000};
	long most;

	if (!is_on(call, &most) || atomic_fetch_add(&seen, 1) >= most)
		return;
	note(".held");
	while (is_on(call, &most))
		nanosleep(&moment, NULL);
}

/* The function that would have been called. */
#define NEXT(f) ((__typeof__(&(f)))dlsym(RTLD_NEXT, #f))

ssize_t pread64(int fd, void *p, size_t n, off64_t off)
{
	hold("pread");
	return NEXT(pread64)(fd, p, n, off);
}

int fstatat64(int dir, const char *name, struct stat64 *st, int flags)
{
	hold("fstatat");
	return NEXT(fstatat64)(dir, name, st, flags);
}

int pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
	note(".waits");
	return NEXT(pthread_cond_wait)(c, m);
}

/* tests/lib/io_hook.c: stops a program at the n-th of its calls that change a filesystem.
 *
 * To be preloaded. IO_HOOK names a file; from when it is there, calls are counted. It says what is to happen:
 *
 *     N kill       the process is killed before its call number N
 *     N ERRNO      call number N fails, once, with that number
 *     N ERRNO on   so do all calls from there on
 *     N wait       call number N waits until IO_HOOK.go is there
 *     N stop ERRNO the process stops before its call number N, until it gets SIGCONT; the call then fails with that number, or with 0
 *                  is made
 *
 * IO_HOOK.stop holds the name of a file: who opens it stops there as long as that is in it, and
 * IO_HOOK.stopped is there then. IO_HOOK.broken holds the name of a file that opens with EIO.
 *
 * IO_HOOK.later holds a number of seconds: by so much CLOCK_MONOTONIC is later for the program, also for one that waits for a
 * time already. It may only grow. IO_HOOK.waits holds it too, when it has not made an end to what the program waits for now.
 *
 * IO_HOOK.entries, if it is there, gets a byte for each entry of a folder that is read.
 *
 * IO_HOOK_LACKS makes a filesystem of less: with "links" there are no hard links, with "noreplace" renameat2
 * takes no flags, with "d_type" readdir does not tell what an entry is. With "damaged" it is damaged: what has
 * that in its name can't be looked at.
 *
 * When it has happened, IO_HOOK.hit is there, with the name of the call and of its file. Only what the program
 * does itself is seen, not what libc does within. Writes count if they go to a regular file. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_long seen;

/* Who waits for IO_HOOK.hit finds all of it. */
static void note(const char *order, const char *call, const char *name)
{
	char path[4096], hit[4096], text[512];
	int fd;

	snprintf(path, sizeof path, "%s.noted", order);
	snprintf(hit, sizeof hit, "%s.hit", order);
	snprintf(text, sizeof text, "%s %s\n", call, name);
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	if (fd >= 0 && syscall(SYS_write, fd, text, strlen(text)) < 0)
		abort();
	close(fd);
	syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, hit, 0);
}

static void await(const char *order)
{
	char path[4096];

	snprintf(path, sizeof path, "%s.go", order);
	while (syscall(SYS_faccessat, AT_FDCWD, path, F_OK) < 0)
		usleep(1000);
}

/* Whether the call is to fail; errno then says with what. */
static int fails(const char *call, const char *name)
{
	const char *order = getenv("IO_HOOK");
	char text[64] = "", how[16] = "", on[16] = "";
	long at = 0, now;
	bool stop;
	int fd;

	if (!order)
		return 0;
	fd = (int)syscall(SYS_openat, AT_FDCWD, order, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof text - 1) < 0 ||
	    sscanf(text, "%ld %15s %15s", &at, how, on) < 2) {
		close(fd);
		return 0;
	}
	close(fd);
	now = atomic_fetch_add(&seen, 1) + 1;
	stop = !strcmp(how, "stop");
	if (now != at && (stop || !(now > at && *on)))
		return 0;
	note(order, call, name);
	if (stop) {
		raise(SIGSTOP); /* this thread, so that it goes no further */
		errno = atoi(on);
		return errno != 0;
	}
	if (!strcmp(how, "kill")) {
		kill(getpid(), SIGKILL);
		pause();
	}
	if (!strcmp(how, "wait")) {
		await(order);
		return 0;
	}
	errno = atoi(how);
	return 1;
}

/* Is WHAT not to be had here? */
static int lacks(const char *what, int error)
{
	const char *list = getenv("IO_HOOK_LACKS");

	if (!list || !strstr(list, what))
		return 0;
	errno = error;
	return 1;
}

static int fails_on_file(const char *call, int fd)
{
	struct stat st;
	char link[64], name[256] = "";

	if (fstat(fd, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
		return 0;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	if (readlink(link, name, sizeof name - 1) < 0)
		return 0;
	return fails(call, name);
}

/* The function that would have been called. */
#define NEXT(f) ((__typeof__(&(f)))dlsym(RTLD_NEXT, #f))

#define HOOK(f, fail, params, args)                                                                \
	int f params                                                                               \
	{                                                                                          \
		return (fail) ? -1 : NEXT(f) args;                                                 \
	}

HOOK(linkat, lacks("links", EPERM) || fails("linkat", to),
     (int a, const char *from, int b, const char *to, int flags), (a, from, b, to, flags))
HOOK(link, fails("link", to), (const char *from, const char *to), (from, to))
HOOK(renameat, fails("renameat", to), (int a, const char *from, int b, const char *to),
     (a, from, b, to))
HOOK(rename, fails("rename", to), (const char *from, const char *to), (from, to))
HOOK(renameat2, (flags && lacks("noreplace", EINVAL)) || fails("renameat2", to),
     (int a, const char *from, int b, const char *to, unsigned flags), (a, from, b, to, flags))
HOOK(unlinkat, fails("unlinkat", name), (int dir, const char *name, int flags), (dir, name, flags))
HOOK(unlink, fails("unlink", name), (const char *name), (name))
HOOK(mkdirat, fails("mkdirat", name), (int dir, const char *name, mode_t mode), (dir, name, mode))
HOOK(symlinkat, fails("symlinkat", name), (const char *target, int dir, const char *name),
     (target, dir, name))
HOOK(mknodat, fails("mknodat", name), (int dir, const char *name, mode_t mode, dev_t dev),
     (dir, name, mode, dev))
HOOK(fstatat, strstr(name, "damaged") && lacks("damaged", EIO),
     (int dir, const char *name, struct stat *st, int flags), (dir, name, st, flags))
HOOK(fstatat64, strstr(name, "damaged") && lacks("damaged", EIO),
     (int dir, const char *name, struct stat64 *st, int flags), (dir, name, st, flags))
HOOK(fsync, fails_on_file("fsync", fd), (int fd), (fd))
HOOK(fdatasync, fails_on_file("fdatasync", fd), (int fd), (fd))
HOOK(ftruncate, fails_on_file("ftruncate", fd), (int fd, off_t size), (fd, size))
HOOK(ftruncate64, fails_on_file("ftruncate", fd), (int fd, off64_t size), (fd, size))
HOOK(fallocate, fails_on_file("fallocate", fd), (int fd, int mode, off_t off, off_t len),
     (fd, mode, off, len))
HOOK(fallocate64, fails_on_file("fallocate", fd), (int fd, int mode, off64_t off, off64_t len),
     (fd, mode, off, len))
HOOK(fchown, fails_on_file("fchown", fd), (int fd, uid_t uid, gid_t gid), (fd, uid, gid))
HOOK(fchmod, fails_on_file("fchmod", fd), (int fd, mode_t mode), (fd, mode))
HOOK(futimens, fails_on_file("futimens", fd), (int fd, const struct timespec times[2]), (fd, times))

ssize_t write(int fd, const void *p, size_t n)
{
	return fails_on_file("write", fd) ? -1 : NEXT(write)(fd, p, n);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t off)
{
	return fails_on_file("pwrite", fd) ? -1 : NEXT(pwrite)(fd, p, n, off);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t off)
{
	return fails_on_file("pwrite", fd) ? -1 : NEXT(pwrite64)(fd, p, n, off);
}

ssize_t copy_file_range(int from, off64_t *from_off, int to, off64_t *to_off, size_t n,
			unsigned flags)
{
	return fails_on_file("copy_file_range", to)
		       ? -1
		       : NEXT(copy_file_range)(from, from_off, to, to_off, n, flags);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (request == FICLONE && fails_on_file("ioctl FICLONE", fd))
		return -1;
	return NEXT(ioctl)(fd, request, arg);
}

static void count_entry(void)
{
	const char *order = getenv("IO_HOOK");
	char path[4096];
	int fd;

	snprintf(path, sizeof path, "%s.entries", order ? order : "");
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd >= 0 && syscall(SYS_write, fd, ".", 1) < 0)
		abort();
	close(fd);
}

#define HOOK_READDIR(f, type)                                                                      \
	struct type *f(DIR *d)                                                                     \
	{                                                                                          \
		struct type *de = NEXT(f)(d);                                                      \
                                                                                                   \
		if (de)                                                                            \
			count_entry();                                                             \
		if (de && lacks("d_type", errno))                                                  \
			de->d_type = DT_UNKNOWN;                                                   \
		return de;                                                                         \
	}

HOOK_READDIR(readdir, dirent)
HOOK_READDIR(readdir64, dirent64)

/* Does ORDER with SUFFIX hold NAME? */
static int is_named(const char *order, const char *suffix, const char *name)
{
	char path[4096], text[256] = "";
	int fd;
	ssize_t n;

	snprintf(path, sizeof path, "%s%s", order, suffix);
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	return !strcmp(text, name);
}

static void stop_at(const char *name)
{
	const char *order = getenv("IO_HOOK");
	char path[4096];

	if (!order || !is_named(order, ".stop", name))
		return;
	snprintf(path, sizeof path, "%s.stopped", order);
	close((int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT, 0666));
	while (is_named(order, ".stop", name))
		usleep(1000);
}

static int fails_to_open(const char *name, int flags)
{
	const char *order = getenv("IO_HOOK");

	if (order && is_named(order, ".broken", name)) {
		errno = EIO;
		return 1;
	}
	return (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE) && fails("openat", name);
}

static mode_t mode_of(int flags, va_list ap)
{
	return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(ap, mode_t) : 0;
}

#define HOOK_OPENAT(f)                                                                             \
	int f(int dir, const char *name, int flags, ...)                                           \
	{                                                                                          \
		va_list ap;                                                                        \
		mode_t mode;                                                                       \
                                                                                                   \
		va_start(ap, flags);                                                               \
		mode = mode_of(flags, ap);                                                         \
		va_end(ap);                                                                        \
		stop_at(name);                                                                     \
		return fails_to_open(name, flags) ? -1 : NEXT(f)(dir, name, flags, mode);          \
	}

HOOK_OPENAT(openat)
HOOK_OPENAT(openat64)

static time_t later(void)
{
	const char *order = getenv("IO_HOOK");
	char path[4096], text[32] = "";
	int fd;

	if (!order)
		return 0;
	snprintf(path, sizeof path, "%s.later", order);
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof text - 1) < 0)
		text[0] = 0;
	close(fd);
	return atol(text);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	int r = NEXT(clock_gettime)(id, t);

	if (r == 0 && id == CLOCK_MONOTONIC)
		t->tv_sec += later();
	return r;
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

static void note_wait(time_t past)
{
	static _Atomic time_t noted;
	const char *order = getenv("IO_HOOK");
	char path[4096], text[32];
	int fd;

	if (!order || atomic_exchange(&noted, past) == past)
		return;
	snprintf(path, sizeof path, "%s.waits", order);
	snprintf(text, sizeof text, "%ld\n", (long)past);
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	if (fd >= 0 && syscall(SYS_write, fd, text, strlen(text)) < 0)
		abort();
	close(fd);
}

/* Looks each 10 ms whether it has become later. */
int pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *lock, clockid_t id,
			   const struct timespec *until)
{
	struct timespec now, slice;
	time_t past;
	int r;

	if (id != CLOCK_MONOTONIC)
		return NEXT(pthread_cond_clockwait)(cond, lock, id, until);
	do {
		past = later();
		NEXT(clock_gettime)(id, &now);
		slice = now;
		now.tv_sec += past;
		if (!is_before(&now, until))
			return ETIMEDOUT;
		note_wait(past);
		slice.tv_nsec += 10000000;
		if (slice.tv_nsec >= 1000000000) {
			slice.tv_sec++;
			slice.tv_nsec -= 1000000000;
		}
		r = NEXT(pthread_cond_clockwait)(cond, lock, id, &slice);
	} while (r == ETIMEDOUT);
	return r;
}

#include "faults/faults.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <protobuf-c/protobuf-c.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const char *const fault_names[N_FAULTS] = {"allocation", "call", "call that needs room",
					   "call that needs a descriptor"};

static const int errors[N_FAULTS] = {ENOMEM, EIO, ENOSPC, EMFILE};

static bool armed, stays, hit;
static enum fault kind;
static unsigned long calls, fail_at;
static long live;
static enum lacks lacking;
static const pthread_mutex_t *guarded;
static _Thread_local bool has_guarded;

int fault_error(enum fault f)
{
	return -errors[f];
}

void fault_arm(enum fault f, unsigned long n, bool on)
{
	kind = f;
	fail_at = n;
	stays = on;
	calls = 0;
	hit = false;
	armed = true;
}

bool fault_disarm(void)
{
	armed = false;
	return hit;
}

unsigned long fault_calls(void)
{
	return calls;
}

void fault_lack(enum lacks what)
{
	lacking = what;
}

void fault_guard(const pthread_mutex_t *lock)
{
	guarded = lock;
	has_guarded = false;
}

long fault_live(void)
{
	return live;
}

static bool fails(enum fault f)
{
	if (!armed || kind != f)
		return false;
	calls++;
	if (calls != fail_at && !(stays && calls > fail_at))
		return false;
	hit = true;
	errno = errors[f];
	return true;
}

/* Whether that is not to be had at all. */
static bool is_lacking(bool lacks, int error)
{
	errno = lacks ? error : errno;
	return lacks;
}

/* A call; SPACE: it may need room on the disk. */
static bool call_fails(bool space)
{
	if (has_guarded) {
		fputs("FAIL: a call is made under a lock that is to be held over none\n", stderr);
		abort();
	}
	return fails(FAULT_CALLS) || (space && fails(FAULT_SPACE));
}

/* --- memory -------------------------------------------------------------------------------------------- */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void __real_free(void *p);
void __real_protobuf_c_message_free_unpacked(ProtobufCMessage *m, ProtobufCAllocator *allocator);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
void __wrap_free(void *p);
void __wrap_protobuf_c_message_free_unpacked(ProtobufCMessage *m, ProtobufCAllocator *allocator);

static void *count(void *p)
{
	live += p != NULL;
	return p;
}

void *__wrap_malloc(size_t n)
{
	return fails(FAULT_MEMORY) ? NULL : count(__real_malloc(n));
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails(FAULT_MEMORY) ? NULL : count(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t n)
{
	if (fails(FAULT_MEMORY))
		return NULL;
	return p ? __real_realloc(p, n) : count(__real_realloc(NULL, n));
}

char *__wrap_strdup(const char *s)
{
	return fails(FAULT_MEMORY) ? NULL : count(__real_strdup(s));
}

char *__wrap_strndup(const char *s, size_t n)
{
	return fails(FAULT_MEMORY) ? NULL : count(__real_strndup(s, n));
}

void __wrap_free(void *p)
{
	live -= p != NULL;
	__real_free(p);
}

/* Messages that our code has built are released by the library; it is told to do so here. */
static void release(void *data, void *p)
{
	(void)data;
	__wrap_free(p);
}

void __wrap_protobuf_c_message_free_unpacked(ProtobufCMessage *m, ProtobufCAllocator *allocator)
{
	ProtobufCAllocator here = {.free = release};

	__real_protobuf_c_message_free_unpacked(m, allocator ? allocator : &here);
}

/* --- locks --------------------------------------------------------------------------------------------- */

int __real_pthread_mutex_lock(pthread_mutex_t *lock);
int __real_pthread_mutex_unlock(pthread_mutex_t *lock);
int __wrap_pthread_mutex_lock(pthread_mutex_t *lock);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *lock);

int __wrap_pthread_mutex_lock(pthread_mutex_t *lock)
{
	int r = __real_pthread_mutex_lock(lock);

	has_guarded |= lock == guarded;
	return r;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *lock)
{
	has_guarded &= lock != guarded;
	return __real_pthread_mutex_unlock(lock);
}

/* There is no other thread that could end the wait: the time is over at once. */
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *lock,
				  const struct timespec *until);
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *lock,
				  const struct timespec *until)
{
	(void)cond;
	(void)lock;
	(void)until;
	return ETIMEDOUT;
}

/* --- calls --------------------------------------------------------------------------------------------- */

#define WRAP(type, failed, space, f, params, args)                                                 \
	type __real_##f params;                                                                    \
	type __wrap_##f params;                                                                    \
	type __wrap_##f params                                                                     \
	{                                                                                          \
		return call_fails(space) ? (failed) : __real_##f args;                             \
	}

WRAP(int, -1, true, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
WRAP(int, -1, false, unlinkat, (int dir, const char *name, int flags), (dir, name, flags))
WRAP(int, -1, true, mkdirat, (int dir, const char *name, mode_t mode), (dir, name, mode))
WRAP(int, -1, true, symlinkat, (const char *target, int dir, const char *name), (target, dir, name))
WRAP(int, -1, true, mknodat, (int dir, const char *name, mode_t mode, dev_t dev),
     (dir, name, mode, dev))
WRAP(int, -1, false, fchown, (int fd, uid_t uid, gid_t gid), (fd, uid, gid))
WRAP(int, -1, false, fchmod, (int fd, mode_t mode), (fd, mode))
WRAP(int, -1, false, futimens, (int fd, const struct timespec *times), (fd, times))
WRAP(ssize_t, -1, false, readlinkat, (int dir, const char *name, char *to, size_t n),
     (dir, name, to, n))
WRAP(ssize_t, -1, true, copy_file_range,
     (int from, off_t *from_off, int to, off_t *to_off, size_t n, unsigned flags),
     (from, from_off, to, to_off, n, flags))

WRAP(int, -1, true, ftruncate64, (int fd, off_t size), (fd, size))
WRAP(int, -1, true, fallocate64, (int fd, int mode, off_t off, off_t n), (fd, mode, off, n))
WRAP(ssize_t, -1, false, pread64, (int fd, void *p, size_t n, off_t off), (fd, p, n, off))
WRAP(ssize_t, -1, true, pwrite64, (int fd, const void *p, size_t n, off_t off), (fd, p, n, off))
WRAP(int, -1, false, fstat64, (int fd, struct stat *st), (fd, st))
WRAP(int, -1, false, fstatat64, (int dir, const char *name, struct stat *st, int flags),
     (dir, name, st, flags))

int __real_linkat(int a, const char *from, int b, const char *to, int flags);
int __wrap_linkat(int a, const char *from, int b, const char *to, int flags);
int __wrap_linkat(int a, const char *from, int b, const char *to, int flags)
{
	if (call_fails(true) || is_lacking(lacking >= LACKS_LINKS, EPERM))
		return -1;
	return __real_linkat(a, from, b, to, flags);
}

int __real_renameat2(int a, const char *from, int b, const char *to, unsigned flags);
int __wrap_renameat2(int a, const char *from, int b, const char *to, unsigned flags);
int __wrap_renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
	if (call_fails(true) || is_lacking(lacking >= LACKS_LINKS_AND_FLAGS && flags, EINVAL))
		return -1;
	return __real_renameat2(a, from, b, to, flags);
}

int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	(void)fd;
	return call_fails(true) ? -1 : 0;
}

DIR *__real_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd)
{
	return call_fails(false) ? NULL : __real_fdopendir(fd);
}

int __real_openat64(int dir, const char *name, int flags, ...);
int __wrap_openat64(int dir, const char *name, int flags, ...);
int __wrap_openat64(int dir, const char *name, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if (flags & O_CREAT)
		mode = va_arg(ap, mode_t);
	va_end(ap);
	if (call_fails(flags & O_CREAT) || fails(FAULT_OPENS))
		return -1;
	return __real_openat64(dir, name, flags, mode);
}

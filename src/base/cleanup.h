/* src/base/cleanup.h: release at the end of a scope.
 *
 *     CLEANUP(buf_release) struct buf b = {0};
 *     CLEANUP(closep) int fd = -1;
 *     *out = TAKE(fd, -1);         hands the value on; the scope's end then releases the empty one
 *     HOLD(&x->lock);              locks a mutex; the scope's end unlocks it, when a result was worked out
 */
#pragma once
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(release) __attribute__((cleanup(release)))

#define TAKE(var, empty)                                                                           \
	({                                                                                         \
		__typeof__(var) taken_ = (var);                                                    \
		(var) = (empty);                                                                   \
		taken_;                                                                            \
	})

static inline void closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static inline void freep(void *p)
{
	free(*(void **)p);
	*(void **)p = NULL;
}

#define HOLD(mutex) CLEANUP(unlockp) __attribute__((unused)) pthread_mutex_t *held_ = locked(mutex)

static inline pthread_mutex_t *locked(pthread_mutex_t *mutex)
{
	pthread_mutex_lock(mutex);
	return mutex;
}

static inline void unlockp(pthread_mutex_t **mutex)
{
	pthread_mutex_unlock(*mutex);
}

/* src/base/kept.h: files that stay open for whoever comes next. There are a bounded number of them, a part of what the
 * process may have open; the one that was used longest ago is closed first.
 *
 * A file has an owner, and a number with that. It is given out only as long as it is what it was when it was opened:
 * size, times and links are compared each time, so one that was removed, replaced or changed is not. It still takes room on
 * the disk: kept_close is to be called when something is removed.
 *
 * All calls may be made by several threads at once. Nothing is opened, looked at or closed under the lock. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct kept_file {
	int fd;
	atomic_uint refs;
	uint64_t owner,
		used; /* USED and what is below: under the lock of those that it is kept with */
	uint32_t number;
	struct stat st; /* when it was opened */
};

enum { MAX_KEPT = 128 };

struct kept {
	dev_t dev;
	pthread_mutex_t lock;
	struct kept_file *files[MAX_KEPT]; /* this and what is below: under lock */
	unsigned n, max;
	uint64_t clock, owners;
	uint64_t closings;
};

/* Keeps files of the device DEV alone: another could not be unmounted. */
void kept_init(struct kept *k, dev_t dev);
void kept_release(struct kept *k);

/* A number for an owner; none is given twice. */
uint64_t kept_owner(struct kept *k);

/* How often kept_close was called. */
uint64_t kept_closings(struct kept *k);

/* OWNER's file NUMBER, with a reference for the caller. NULL: it is not there, or not as it was. */
struct kept_file *kept_find(struct kept *k, uint64_t owner, uint32_t number);

/* A file that is not kept, with a reference for the caller. FD becomes its own, ST is what fstat says of it. NULL: no memory, and
 * FD is closed. */
struct kept_file *kept_new(int fd, const struct stat *st);

/* F is to be kept. It is not, if kept_close was called after CLOSINGS was asked for, which was before F was opened: F may have
 * been removed then. */
void kept_add(struct kept *k, struct kept_file *f, uint64_t owner, uint32_t number,
	      uint64_t closings);

/* The last reference closes it. F may be NULL. */
void kept_unref(struct kept_file *f);

/* Closes all that nobody uses, and the others when they are no longer used. */
void kept_close(struct kept *k);

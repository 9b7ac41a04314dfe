/* src/directory/lock.h: only one process writes to a checkpoint directory.
 *
 * While a directory is mounted for writing it is locked itself, with flock(2). That leaves no file, and is seen on
 * this machine alone. With the first draft .ckptfs/lock is made, and locked with fcntl(2), which network
 * filesystems know too. The file says who has the lock. It is removed with the lock, and so is .ckptfs if there is
 * nothing else in it. */
#pragma once
#include "base/error.h"
#include <stdbool.h>

struct lock {
	int dir; /* the directory, locked; -1: not */
	int file; /* .ckptfs/lock, locked; -1: not */
};

/* Locks the directory TOP. Waits a second for another mount that ends. -EBUSY: somebody else writes there; E says
 * who, if that can be known. A filesystem without flock(2) is no error. */
int lock_directory(struct lock *l, int top, struct err *e);

/* Has a process on whatever machine locked .ckptfs/lock? E says which. */
bool lock_is_held(int top, struct err *e);

/* Makes .ckptfs/lock in TOP, locks it, and writes WHO into it, for others to read. 0 also if L has it. -EBUSY as
 * above; -EROFS: the directory can't be written to; or what the calls return. */
int lock_for_drafts(struct lock *l, int top, const char *who, struct err *e);

/* Unlocks and removes .ckptfs/lock if L has it, and removes .ckptfs if it is empty. */
void lock_end_drafts(struct lock *l, int top);

/* Unlocks both. */
void lock_release(struct lock *l, int top);

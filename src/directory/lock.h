/* src/directory/lock.h: one writer for a checkpoint directory.
 *
 * While it is mounted for writing, the directory itself is locked with flock(2), which leaves no trace; others on this machine see
 * that. With the first draft .ckptfs/lock is made and locked with fcntl(2), which holds on network filesystems too. It says who has it.
 * That file and .ckptfs go with the lock if nothing else is in there. */
#pragma once
#include "base/error.h"
#include <stdbool.h>

struct lock {
	int dir; /* the directory, locked; -1: not */
	int file; /* .ckptfs/lock, locked; -1: not yet */
};

/* Locks the directory TOP. -EBUSY: somebody else writes there, and E says who, as far as that can be known. */
int lock_directory(struct lock *l, int top, struct err *e);

/* Whether somebody, on whatever machine, has .ckptfs/lock locked; E says who. */
bool lock_is_held(int top, struct err *e);

/* Makes .ckptfs in TOP and locks it for writing; WHO is put there for others to read. As above, -EROFS where it can't be written to, or of the calls. */
int lock_for_drafts(struct lock *l, int top, const char *who, struct err *e);

/* Removes .ckptfs/lock, if it is L's, and .ckptfs if it is empty then. */
void lock_end_drafts(struct lock *l, int top);
void lock_release(struct lock *l, int top);

/* src/directory/placed.h: files that were given names in a checkpoint directory, and how these are taken away again.
 *
 * A trainer saves into the same directory at any time, and its files take the place of ours: a name that was
 * given a moment ago may be another's. So what was put there is remembered (device, inode, size, time), and
 * only that is removed.
 *
 * Between looking at a file and removing it, it could still be replaced. So it is first moved to
 * .ckptfs/aside, under its own name, looked at there, and moved back if it is another's, unless a still newer
 * one is there by then. For that moment a trainer's file is not to be seen; what a crash leaves there recovery
 * puts back (placed_put_back). */
#pragma once
#include "step/step.h"

/* Is the file NAME of DIRFD ours? 1, 0 (also if there is none), or why that can't be known. */
typedef int (*placed_fn)(const void *arg, int dirfd, const char *name, struct err *e);

/* Removes NAME from TOP if it is ours. 1: it is gone; 0: it was not there, or is another's; or of removing it. */
int placed_remove_if(int top, const char *name, placed_fn is_ours, const void *arg, struct err *e);

/* The same; ours is the file with ID. */
int placed_remove(int top, const char *name, const struct file_id *id, struct err *e);

/* A placed_fn; ARG is a struct file_id. */
int placed_is(const void *arg, int dirfd, const char *name, struct err *e);

/* What a crash has left aside gets its name back. */
int placed_put_back(int top, struct err *e);

/* What was placed by something that may yet fail. */
struct placed {
	struct buf names; /* each with its NUL */
	struct buf ids; /* struct file_id of each */
};

void placed_release(struct placed *p);

/* Room for one more, so that placed_add can't fail. -ENOMEM. */
int placed_reserve(struct placed *p, const char *name);
void placed_add(struct placed *p, const char *name, const struct file_id *id);

/* Takes all of them away, as far as they are ours. */
void placed_take_back(struct placed *p, int top);

/* Opens the file NAME of DIRFD if it is the one with ID. -ESTALE, or of opening it. */
int placed_open(int dirfd, const char *name, const struct file_id *id, struct err *e);

/* -ESTALE if the open file FD, called NAME, has changed since: what was read of it may be of two files. */
int placed_check(int fd, const char *name, const struct file_id *id, struct err *e);

/* One more name, TO in TO_DIR, for the file FROM of FROM_DIR with ID; where a hard link is not to be had, a
 * copy. It never takes the place of another: -EEXIST. -ESTALE: FROM is another one. PLACED gets the id of what
 * TO is. */
int placed_link(int from_dir, const char *from, const struct file_id *id, int to_dir,
		const char *to, struct file_id *placed, struct err *e);

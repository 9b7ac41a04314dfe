/* src/directory/placed.h: files that were given names in a checkpoint directory, and how these names are taken away
 * again.
 *
 * A trainer saves into the same directory at any time, and its files take the place of ours: a name that was given
 * a moment ago may be another's by now. So the files that were put there are remembered (device, inode, size,
 * time), and only these are removed.
 *
 * Between the look at a file and its removal it could still be replaced. So it is first moved to .ckptfs/aside,
 * under its own name, and looked at there. If it is another's it is moved back, unless a still newer one has its
 * name by then. For that moment a trainer's file is not to be seen. What a crash leaves there, recovery moves back
 * (placed_put_back). */
#pragma once
#include "step/step.h"

/* The id of the file NAME in DIRFD, or of the link. -ENOENT, or why it can't be known. */
int file_id_at(int dirfd, const char *name, struct file_id *out, struct err *e);

/* Is the file NAME of DIRFD ours? 1; 0, also if there is none; or why that can't be known. */
typedef int (*placed_fn)(const void *arg, int dirfd, const char *name, struct err *e);

/* Removes NAME from TOP if it is ours. 1: it is gone; 0: it was not there, or is another's; or what removing it
 * returns. */
int placed_remove_if(int top, const char *name, placed_fn is_ours, const void *arg, struct err *e);

/* The same, where ours is the file with ID. */
int placed_remove(int top, const char *name, const struct file_id *id, struct err *e);

/* The same, where ours is the file that the stamp STAMP in the folder STAMPS was made of (directory/file_stamp.h), or,
 * with OR_MARK, also what io_move_new keeps a name with. */
int placed_remove_stamped(int top, const char *name, int stamps, const char *stamp, bool or_mark,
			  struct err *e);

/* Gives what a crash has left in .ckptfs/aside its name back. */
int placed_put_back(int top, struct err *e);

/* The files that were placed by something that may yet fail. */
struct placed {
	struct buf names; /* each with its NUL */
	struct buf ids; /* struct file_id of each */
};

void placed_release(struct placed *p);

/* Makes room for NAME, so that placed_add can't fail. -ENOMEM. */
int placed_reserve(struct placed *p, const char *name);
void placed_add(struct placed *p, const char *name, const struct file_id *id);

/* Removes all of them that are still ours, the last first. */
void placed_take_back(struct placed *p, int top);

/* A descriptor of the file NAME of DIRFD if it is the one with ID. -ESTALE: it is another; or what opening it
 * returns. */
int placed_open(int dirfd, const char *name, const struct file_id *id, struct err *e);

/* -ESTALE: the open file FD, called NAME, has changed since it had ID, so that what was read of it may be of two
 * files. */
int placed_check(int fd, const char *name, const struct file_id *id, struct err *e);

/* Gives the file FROM of FROM_DIR, which has ID, one more name, TO in TO_DIR; where a hard link can't be had it is
 * copied. PLACED gets the id of TO. -EEXIST: TO is there, and stays; -ESTALE: FROM is another file. */
int placed_link(int from_dir, const char *from, const struct file_id *id, int to_dir,
		const char *to, struct file_id *placed, struct err *e);

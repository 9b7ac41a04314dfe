/* src/directory/step_files.h: renames, moves and removes a step with all of its files.
 *
 * A step is there as long as its index is. So the index gets its new name last, and loses its old one first. The
 * state file is changed before the old names go, so that it never leads TensorFlow to a step that is not there.
 *
 * What is under way is recorded in .ckptfs/leaving. After a crash the next mount goes on from that:
 *
 *     from -> my-model-0
 *     to -> best                 absent: the step is removed
 *     files/my-model-0.index -> "1234 56 1790000000.000000000"
 *                                a stamp of each file (directory/file_stamp.h), which does not fit a file that a trainer
 *                                has saved under that name since
 *
 * A step that is moved to another folder gets its names there first. Until it has them all that folder has a record, too,
 * by which a crash takes them back:
 *
 *     from -> my-model-0         its name in this folder
 *     arriving -> my-model-0
 *     files/…                    as above
 *
 * Then that record goes, and the old folder gets one of a removal. A crash between these two calls leaves both steps. */
#pragma once
#include "step/step.h"
#include <limits.h>

#define STEP_LEAVING ".ckptfs/leaving"

/* A link NAME in the folder FD that leads to the step PREFIX; the empty prefix is written as ".", which no link can
 * lead to otherwise. As io_make_link, and as readlinkat(2). */
int step_link_make(const char *prefix, int fd, const char *name, struct err *e);
int step_link_read(int fd, const char *name, char prefix[NAME_MAX + 1]);

struct step_files {
	int top; /* the checkpoint directory; .ckptfs is in it */
	const char *state_name;
	const char *meta; /* suffix of the meta graph */
};

/* Gives the step at FROM the prefix TO. -EEXIST: something of that name is there; or what the calls return. If it
 * fails, all is as it was, or the record says what is left to do. */
int step_rename(const struct step_files *f, const struct step_place *from, const char *to,
		struct err *e);

/* Moves the step at FROM to the folder TO_DIR, which has .ckptfs too, as TO. The state file of its old folder does not
 * list it any more; that of TO_DIR is left alone. -EXDEV: the files can't have hard links there, or are symbolic links
 * that would lead elsewhere from there, and nothing was done;
 * else as step_rename. */
int step_move(const struct step_files *f, const struct step_place *from, int to_dir, const char *to,
	      struct err *e);

/* Removes the step at PLACE. Its shards live on where other steps have hard links to them. A file that is missing
 * is no error. If that succeeds, the caller ends the step's draft, and then calls step_remove_end, which forgets
 * the record: after a crash in between, step_files_resume ends the draft. */
int step_remove(const struct step_files *f, const struct step_place *place, struct err *e);
void step_remove_end(const struct step_files *f);

/* Goes on with what the record says, or takes it back. If there was something to do, DONE gets a sentence that says so,
 * with its NUL. */
int step_files_resume(int top, const char *state_name, struct buf *done, struct err *e);

/* src/directory/state_update.h: changes a directory's state file as Saver and CheckpointManager would.
 *
 * A path in the file stands for the step that its last component names, as in directory/latest.h. What is not
 * changed stays as it is written, times and unknown fields too; only comments are lost. A new path is relative,
 * unless all that are there are absolute and lead to this very directory. If each path has a time, a new one gets
 * the time of now.
 *
 * The file is replaced as a whole. It is read again right before, and if a trainer has written it meanwhile the
 * change is made to that. The file keeps its mode; a new one has 0644.
 *
 * STATE_NAME is a file in DIRFD, and E names it. -EINVAL: no state file can name such a step (its name is empty, or
 * not UTF-8), or what is there is no file, or too large; -EBUSY: another program writes the file all the time;
 * -ENOMEM, or what reading and writing return. */
#pragma once
#include "step/step.h"

/* How a commit writes paths: all that lead to this directory become so, and those that lead elsewhere stay. */
enum state_paths {
	STATE_PATHS_KEPT, /* as they are written */
	STATE_PATHS_RELATIVE,
	STATE_PATHS_ABSOLUTE,
};

/* Calls the step PLACE the latest, and lists it once, as the last. With AFTER, names of steps up to NULL, only if the
 * file calls one of them the latest, or PLACE already; else nothing is written. Without, makes the file if there is
 * none, and overwrites one that can't be parsed. The new file is first made in the folder MADE_IN, where a crash leaves
 * it. PATHS: how all paths are written. -ENOENT also: it is not known where DIRFD is, for
 * absolute ones. */
int state_add(int made_in, int dirfd, const char *state_name, const char *const *after,
	      const struct step_place *place, enum state_paths paths, struct err *e);

/* Calls the step PLACE the latest, and leaves its place in the list; if it is not listed it becomes the last. Makes
 * and overwrites a file as state_add does. */
int state_point(int dirfd, const char *state_name, const struct step_place *place, struct err *e);

/* Does the same for the step that TEXT, of another state file, calls the latest, if it is in the directory and not the latest
 * already. -EINVAL: it is not there, or TEXT is no state file. */
int state_follow(int dirfd, const char *state_name, struct bytes text, struct err *e);

/* Takes the step PLACE off the list. If it was the latest, the last that is still listed becomes the latest; if
 * none is, the file is removed. Nothing is written if the file is not there, can't be parsed, or does not name the
 * step. */
int state_drop(int dirfd, const char *state_name, const struct step_place *place, struct err *e);

/* The same, for a step that is kept for good: if each path has a time, that of PLACE becomes last_preserved_timestamp. */
int state_preserve(int dirfd, const char *state_name, const struct step_place *place,
		   struct err *e);

/* Names the step TO wherever it named FROM; what was listed as TO before is no longer. Nothing is written in the
 * cases of state_drop. */
int state_rename(int dirfd, const char *state_name, const struct step_place *from,
		 const struct step_place *to, struct err *e);

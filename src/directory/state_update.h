/* src/directory/state_update.h: changes to a directory's state file, as Saver and CheckpointManager would make them.
 *
 * A path that the file has stands for a step by its last component, as in directory/latest.h. What stays is kept as it is
 * written, times and unknown fields too; a comment is lost. A new path is relative, unless all that are there are
 * absolute and name this very directory; where each has its time, it gets that of now.
 *
 * The file is replaced whole, and read again right before: what a trainer wrote since then is taken into account. Its
 * mode is kept; that of a new file is 0644.
 *
 * STATE_NAME is a file in DIRFD, and E names it. -EINVAL: no state file can name such a step (its name is empty, or not
 * UTF-8), or it is no file of the size of one; -EBUSY: another program writes it all the time; -ENOMEM, or of reading and
 * writing. */
#pragma once
#include "step/step.h"

/* Calls the step PLACE the latest, and lists it last, once. Makes the file if there is none; one of which nothing can be
 * made is overwritten. */
int state_add(int dirfd, const char *state_name, const struct step_place *place, struct err *e);

/* The same; the new file is made in MADE_IN, where a crash leaves it. */
int state_add_from(int made_in, int dirfd, const char *state_name, const struct step_place *place,
		   struct err *e);

/* Calls a step the latest where it is listed; it is listed last if it was not. Makes and overwrites a file as state_add. */
int state_point(int dirfd, const char *state_name, const struct step_place *place, struct err *e);

/* Takes a step off the list; if it was the latest, the last one still listed becomes it; when none is left the file is
 * removed. Nothing is written where there is no file, nothing can be made of it, or it does not name the step. */
int state_drop(int dirfd, const char *state_name, const struct step_place *place, struct err *e);

/* Names FROM differently wherever it stands, in place of what TO may have stood for. Nothing is written as above. */
int state_rename(int dirfd, const char *state_name, const struct step_place *from,
		 const struct step_place *to, struct err *e);

/* src/commit/record.h: what stands in DR/commit of a commit that is under way (commit/commit.h), by which whoever
 * comes after a crash finds it. DRAFT is a descriptor of DR, TOP one of the checkpoint directory. */
#pragma once
#include "base/error.h"
#include "step/step.h"
#include <limits.h>
#include <stdbool.h>

#define RECORD_INDEX "index"
#define RECORD_V1    "table" /* in place of it, where the step is a V1 file */

/* Takes back what an earlier commit left, and makes DR/commit, empty: its descriptor; or what the calls return. */
int record_begin(int top, int draft, struct err *e);

/* Notes in DR/commit, which FD is, that the step is to be called NAME, in place of what was noted before. GOES_ON: and that
 * the draft then goes on as a whole. */
int record_name(int fd, const char *name, bool goes_on, struct err *e);

/* Whether that is noted of the commit under way: 1, 0, or why that can't be known. */
int record_goes_on(int draft, struct err *e);

/* The file OWN in DR/commit, which FD is, is moved to NAME in TOP, where there are no hard links; with OVER in place of the
 * one that is there. A stamp in DR/commit/moved tells afterwards whose NAME is. -EEXIST; or what the calls return. */
int record_move(int fd, const char *own, int top, const char *name, bool over, struct err *e);

/* Notes in DR/commit, which FD is, that the step takes the place of another: its file NAME in TOP is of no use from the
 * commit point on, and not to be taken back before. */
int record_old(int fd, int top, const char *name, struct err *e);

/* The same: that the other step is kept as NAME; NULL: it is not. In place of what was noted before. */
int record_kept(int fd, const char *name, struct err *e);

/* Removes from TOP what record_old has noted, if it is still that. */
int record_drop_old(int top, int draft, struct err *e);

/* What the commit under way would call its step. 1; 0: none is under way; or of reading. */
int record_read_name(int draft, char name[NAME_MAX + 1], struct err *e);

/* Whether the index of the step NAME is in TOP, and is DR/commit/index, or that its V1 file is DR/commit/table: 1, 0, or why that can't be known. */
int record_is_published(int top, int draft, const char *name, struct err *e);

/* Removes from TOP what a commit that did not reach its end has linked there: how many files, or of the calls. */
int record_take_back(int top, int draft, struct err *e);

/* Is there DR/commit, or can't that be known? */
bool record_is_there(int draft);

/* Removes DR/commit. */
int record_forget(int draft, struct err *e);

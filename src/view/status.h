/* src/view/status.h: the text .ckptfs/status. It is in the folder of each step and in each folder of steps, but is not listed
 * there. It says in words what the attributes user.ckptfs.draft and user.ckptfs.error say, and is made anew each time it is
 * opened. For view/ alone. */
#pragma once
#include "view/view.h"

#define STATUS_FOLDER ".ckptfs"
#define STATUS_FILE   "status"

/* Their indexes (view/node.h). No step has so many variables. */
enum { STATUS_FOLDER_INDEX = DRAFT_DYNAMIC - 2, STATUS_FILE_INDEX = DRAFT_DYNAMIC - 1 };

static inline bool status_is(uint32_t index)
{
	return index == STATUS_FOLDER_INDEX || index == STATUS_FILE_INDEX;
}

/* The text of N, a step or folder, is appended to OUT. -ENOMEM. */
int status_make(struct view *v, struct node *n, struct buf *out, struct err *e);

/* Why the saved step of N can't be read, or which shards it lacks, a sentence in a line for each; nothing if it is whole. */
int status_of_saved(struct view *v, struct node *n, struct buf *out);

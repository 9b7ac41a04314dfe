/* src/view/status.h: texts that are not listed, and that are made anew each time they are opened. For view/ alone.
 *
 * .ckptfs/status is in the folder of each step and in each folder of steps. It says in words what the attributes
 * user.ckptfs.draft and user.ckptfs.error say.
 *
 * checkpoint is in the folder of each saved step, and calls that step the latest, as ../NAME. tf.train.load_checkpoint and
 * what is built on it (list_variables, init_from_checkpoint) take PREFIX for a folder of steps if there is a folder PREFIX,
 * and look for this file in it. */
#pragma once
#include "message/state.h"
#include "view/view.h"

#define STATUS_FOLDER ".ckptfs"
#define STATUS_FILE   "status"

/* Their indexes (view/node.h). No step has so many variables. */
enum {
	STATUS_STATE_INDEX = DRAFT_DYNAMIC - 3,
	STATUS_FOLDER_INDEX = DRAFT_DYNAMIC - 2,
	STATUS_FILE_INDEX = DRAFT_DYNAMIC - 1
};

static inline bool status_is(uint32_t index)
{
	return index >= STATUS_STATE_INDEX && index <= STATUS_FILE_INDEX;
}

/* What the name NAME in the folder N stands for; 0: nothing. */
uint32_t status_find(const struct node *n, const char *name);

/* The text INDEX of N, a step or folder, is appended to OUT. -ENOMEM; -EINVAL: a step's name is not UTF-8. */
int status_make(struct view *v, struct node *n, uint32_t index, struct buf *out, struct err *e);

/* Why the saved step of N can't be read, or which shards it lacks, a sentence in a line for each; nothing if it is whole. */
int status_of_saved(struct view *v, struct node *n, struct buf *out);

/* src/view/status.h: files that are made up. For view/ alone. Texts that are not listed, and made anew each time they are opened:
 *
 * .ckptfs/status is in the folder of each step and in each folder of steps. It says in words what the attributes
 * user.ckptfs.draft and user.ckptfs.error say.
 *
 * checkpoint is in the folder of each saved step, and calls that step the latest, as ../NAME. tf.train.load_checkpoint and
 * what is built on it (list_variables, init_from_checkpoint) take PREFIX for a folder of steps if there is a folder PREFIX,
 * and look for this file in it.
 *
 * And with view.safetensors STEP.safetensors, which is listed beside the folder of each saved step and has its variables in one file
 * (safetensors/safetensors_file.h); LINK.safetensors leads to that of the step to which LINK leads. It is what is saved, whatever is in
 * a draft. What has its name on disk goes before it. The kernel asks for the name each time, but keeps its pages. */
#pragma once
#include "message/state.h"
#include "view/view.h"

#define STATUS_FOLDER ".ckptfs"
#define STATUS_FILE   "status"

/* Their indexes (view/node.h). No step has so many variables. */
enum {
	STATUS_WHOLE_INDEX = DRAFT_DYNAMIC - 4, /* also of a link */
	STATUS_STATE_INDEX = DRAFT_DYNAMIC - 3,
	STATUS_FOLDER_INDEX = DRAFT_DYNAMIC - 2,
	STATUS_FILE_INDEX = DRAFT_DYNAMIC - 1
};

static inline bool status_is(uint32_t index)
{
	return index >= STATUS_WHOLE_INDEX && index <= STATUS_FILE_INDEX;
}

/* What the name NAME in the folder N stands for; 0: nothing. */
uint32_t status_find(const struct node *n, const char *name);

/* The step, or link, in whose folder NAME is STEP.safetensors: how many bytes of NAME are its name. 0: of none. */
static inline size_t status_whole_of(const char *name)
{
	size_t n = strlen(name), suffix = strlen(VIEW_WHOLE);

	return n > suffix && !strcmp(name + n - suffix, VIEW_WHOLE) ? n - suffix : 0;
}

/* The text INDEX of N, a step or folder, is appended to OUT. -ENOMEM; -EINVAL: a step's name is not UTF-8. */
int status_make(struct view *v, struct node *n, uint32_t index, struct buf *out, struct err *e);

/* Why the saved step of N can't be read, or which shards it lacks, a sentence in a line for each; nothing if it is whole. */
int status_of_saved(struct view *v, struct node *n, struct buf *out);

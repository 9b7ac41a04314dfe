/* src/tool/place.h: what a path on the command line names.
 *
 * A path is what it would be in a mount, with the checkpoint directory in the mount point's place: net/model-200/output/bias, with
 * or without .npy, net/latest/w. What is on disk under that name is meant first: a directory, or a file of a checkpoint, which
 * stands for its step. Where a name without .npy is both a variable's and a scope's, as w beside w/Adam, it is the variable unless a '/'
 * follows, or the caller wants scopes. Each directory is opened once, read-only, as a mount shows it. Only saved steps are seen. */
#pragma once
#include "view/view.h"

/* The directories that were opened. {0} has none. */
struct places {
	struct buf opened; /* struct opened_dir * */
};

void places_release(struct places *ps);

enum place_kind {
	PLACE_FOLDER, /* a directory of steps */
	PLACE_STATE, /* its state file */
	PLACE_STEP,
	PLACE_SCOPE, /* a folder in a step */
	PLACE_VAR,
	PLACE_TEXT, /* variables.tsv and the like */
};

struct place {
	enum place_kind kind;
	struct view *view; /* stays as long as the places */
	uint64_t id; /* inode number of the folder, the state file or the step, with a reference */
	int dirfd; /* the directory; or the one that the step's files are in */
	struct loaded *loaded; /* STEP and what is in one: the step */
	uint32_t at; /* SCOPE: number of the folder in the tree; VAR: of the file; TEXT: its kind */
};

/* An empty one, for CLEANUP(place_release). */
#define PLACE_EMPTY                                                                                \
	(struct place)                                                                             \
	{                                                                                          \
		.dirfd = -1                                                                        \
	}

enum place_wish { WISH_VAR, WISH_SCOPE };

/* What PATH is. -ENOENT: there is nothing of that name; or why it can't be looked at. E names PATH. */
int place_find(struct places *ps, const char *path, enum place_wish wish, struct place *out,
	       struct err *e);
void place_release(struct place *p);

/* What NAME in the folder IN is; a link is followed. -ENOENT; or why it can't be looked at. */
int place_in(const struct place *in, const char *name, struct place *out, struct err *e);

/* The variable of a PLACE_VAR. */
static inline const struct var *place_var(const struct place *p)
{
	return &p->loaded->step->vars[p->loaded->tree.files[p->at].var];
}

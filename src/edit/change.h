/* src/edit/change.h: a checkpoint directory that is changed without a mount, by the same calls of the view.
 *
 * What is changed in a step is in a draft of it. All drafts are committed together, or discarded: also when a signal ends it (edit/writer.h). */
#pragma once
#include "view/view.h"

struct changing {
	const char *program; /* "ckptfs rm": what is said begins with it */
	struct view view;
	bool opened;
	char *root; /* the directory of the view, absolute */
	struct buf locks; /* struct lock: of the directories below ROOT that paths name */
	struct buf touched; /* struct touched_step */
	struct buf changes; /* what a kernel would have to forget */
	struct draft_owner owner;
	uint64_t only; /* the step that may be changed, and no other; 0: any */
	bool committing;
	bool said; /* what was committed */
};

/* Opens for writing the directory of PATHS (N of them), or the nearest one that holds the directories of all. -EBUSY: somebody else
 * writes there, E says who. Called once in a process. */
int changing_open(struct changing *c, const char *program, char *const *paths, size_t n,
		  struct err *e);

/* Discards what is not committed. */
void changing_close(struct changing *c);

/* Before the step ID, which is shown as NAME, is moved or removed. -EBUSY: it has a draft. */
int changing_check(struct changing *c, uint64_t id, const char *name, struct err *e);

/* Before something is changed in the step ID, which is shown as NAME. -EBUSY: it has a draft already. */
int changing_touch(struct changing *c, uint64_t id, const char *name, struct err *e);

/* The same for a step that is just made. */
int changing_touch_new(struct changing *c, uint64_t id, const char *name, struct err *e);

/* Commits all, and prints what was made of it. After an error nothing more is changed. */
int changing_commit(struct changing *c, struct err *e);

/* Commits the draft of the step ID alone, if it has one. After an error it stays. */
int changing_commit_step(struct changing *c, uint64_t id, const char *name, struct err *e);

/* Appends .ckptfs/status of the step or folder ID. */
int changing_status(struct changing *c, uint64_t id, struct buf *out, struct err *e);

/* Prints a line of that, in the colour of what it says. */
void changing_print_line(struct bytes line);

/* How many changes the draft of the step ID has, or those in the folder ID; 0: there is none. */
int changing_count(struct changing *c, uint64_t id, uint64_t *out, struct err *e);

/* R, an error of a call of the view: E names PATH, and says what it is. */
int changing_failed(const char *path, int r, struct err *e);

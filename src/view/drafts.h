/* src/view/drafts.h: which step has a draft (draft/draft.h), how one begins, and how its node lets it go. For view/
 * alone. */
#pragma once
#include "view/view.h"

/* The draft of N, which the caller unrefs; NULL: none. If it has ended this waits until N has let it go, so the caller
 * may not hold `committing`, nor have a turn at drafting. */
struct draft *view_draft_of(struct view *v, const struct node *n);

/* For a question about the step of N, to which its draft has the answer if it has one. When the draft ends in between
 * the question is put again, to the saved step or to the next draft. R: the answer so far.
 *
 *     struct asking a = {0};
 *     int r = 0;
 *
 *     while (view_draft_ask(&a, v, n, r))
 *             r = a.draft ? draft_…(a.draft, …) : …; */
struct asking {
	struct draft *draft; /* NULL: the saved step is asked */
	bool begun;
};
bool view_draft_ask(struct asking *a, struct view *v, const struct node *n, int r);

/* The draft of N, begun now if there is none. -EROFS, -EBUSY (somebody else writes), or of beginning it. */
int view_draft_need(struct view *v, struct node *n, struct draft **out, struct err *e);

/* Begins the draft of a new step, for which N was made. It belongs to MAKER. */
int view_draft_need_new(struct view *v, struct node *n, const struct draft_owner *maker,
			struct draft **out, struct err *e);

/* D, which was on disk already, becomes the draft of N. BASE is the step that it is over, whose reference it takes;
 * NULL: it is of a new step. */
void view_draft_attach(struct view *v, struct node *n, struct draft *d, struct loaded *base);

/* Whoever works in .ckptfs of FOLDER without a draft there locks it meanwhile: else .ckptfs is removed with the last
 * draft. TOP: the folder's directory. Each lock that succeeded is followed by one unlock. */
int view_draft_lock_folder(struct view *v, struct node *folder, int top, struct err *e);
void view_draft_unlock_folder(struct view *v, struct node *folder, int top);

/* Asks the filesystem of FOLDER what it can do (directory/ability.h) before something is changed there without that lock.
 * 0 also if another process has the lock: then it is not asked. */
int view_draft_learn(struct view *v, struct node *folder, int top, struct err *e);

/* N lets its draft D go, which has ended, and what is left of it on disk is removed: of that. Whoever has ended it calls
 * the first; all others wait with the second. */
void view_draft_leave(struct view *v, struct node *n, struct draft *d);
void view_draft_await(struct view *v, const struct node *n, const struct draft *d);

/* The node of a step NAME that is not on disk yet, with a reference for the caller. NULL: no memory. */
struct node *view_draft_node(struct view *v, struct node *folder, const char *name);

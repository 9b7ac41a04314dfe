/* src/view/drafts.h: which step has a draft (draft/draft.h): how one begins, and how it is let go. For view/ alone. */
#pragma once
#include "view/view.h"

/* The draft of N, which the caller unrefs; NULL: none. One that has ended is waited for until it is let go, so
 * the caller may not hold `committing`, nor have a turn at drafting. */
struct draft *view_draft_of(struct view *v, const struct node *n);

/* Something is asked of the step of N: of its draft if it has one. A draft that ends meanwhile has no answer;
 * then it is asked once more, of the saved step, or of the next draft.
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

/* Begins a draft for a new step, which N is to become, and which is MAKER's. */
int view_draft_need_new(struct view *v, struct node *n, const struct draft_owner *maker,
			struct draft **out, struct err *e);

/* The draft D, which was on disk already, becomes that of N, over BASE, whose reference it takes over; NULL:
 * it is a new step. */
void view_draft_attach(struct view *v, struct node *n, struct draft *d, struct loaded *base);

/* Who works in .ckptfs of FOLDER, which TOP is, and has no draft there, locks it meanwhile; without, it goes
 * with the last draft. Each that has succeeded is unlocked once. */
int view_draft_lock_folder(struct view *v, struct node *folder, int top, struct err *e);
void view_draft_unlock_folder(struct view *v, struct node *folder, int top);

/* D, which has ended, is the draft of N no more. Whoever has ended it does this, and all others wait. */
void view_draft_leave(struct view *v, struct node *n, struct draft *d);
void view_draft_await(struct view *v, const struct node *n, const struct draft *d);

/* The node of a step NAME that is not on disk yet, with a reference for the caller. NULL: no memory. */
struct node *view_draft_node(struct view *v, struct node *folder, const char *name);

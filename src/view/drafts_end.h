/* src/view/drafts_end.h: drafts are committed or discarded: when, and what the view and the kernel must know of it. For
 * view/ alone; more of its calls are in view.h. */
#pragma once
#include "view/view.h"

/* Commits D, the draft of N, and then removes what max_to_keep says. CHANGES, which may be NULL, gets what the kernel must forget. */
int view_draft_commit(struct view *v, struct node *n, struct draft *d, struct buf *changes,
		      struct err *e);

/* Only commits it; in the place of OVER, the step of a SavedModel, or with NULL as a step of its own. -ESTALE: OVER was replaced
 * meanwhile. */
int view_draft_commit_over(struct view *v, struct node *n, struct draft *d, const struct step *over,
			   struct buf *changes, struct err *e);

/* Discards D, the draft of N. CHANGES as above. */
int view_draft_discard(struct view *v, struct node *n, struct draft *d, struct buf *changes,
		       struct err *e);

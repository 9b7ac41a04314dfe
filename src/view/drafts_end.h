/* src/view/drafts_end.h: drafts end: when each is committed or discarded, and what the view and the kernel learn of
 * it. For view/ alone; its other calls are in view.h. */
#pragma once
#include "view/view.h"

/* Commits D, the draft of N. CHANGES, which may be NULL, gets what the kernel must forget. */
int view_draft_commit(struct view *v, struct node *n, struct draft *d, struct buf *changes,
		      struct err *e);

/* Discards it. */
int view_draft_discard(struct view *v, struct node *n, struct draft *d, struct buf *changes,
		       struct err *e);

/* src/view/commits.h: when drafts become steps, and what is told of it. For view/ alone. */
#pragma once
#include "view/view.h"

/* Commits D, the draft of N. CHANGES, which may be NULL, gets what the kernel must forget. */
int commits_node(struct view *v, struct node *n, struct draft *d, struct buf *changes,
		 struct err *e);

/* Discards it. */
int commits_end(struct view *v, struct node *n, struct draft *d, struct buf *changes,
		struct err *e);

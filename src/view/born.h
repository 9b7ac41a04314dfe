/* src/view/born.h: a step that was nothing but its draft is a saved one. For view/ alone. */
#pragma once
#include "view/view.h"

/* After the draft D of N was committed as the step NAME and has ended, before it is let go. Of a step that was
 * committed for the first time all that is in it keeps the numbers that the kernel has, and CHANGES is what
 * the kernel must forget; of others nothing is done. */
void born_settle(struct view *v, struct node *n, struct draft *d, const char *name,
		 struct buf *changes);

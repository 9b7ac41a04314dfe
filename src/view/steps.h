/* src/view/steps.h: parsed steps, as many as the budget allows. For view/ alone. */
#pragma once
#include "view/view.h"

/* The step of N, parsed now if it isn't yet. The caller unrefs it. What can't be parsed is not tried again until it is
 * another file. -ESTALE: its file was replaced, and N detached. */
int steps_get(struct view *v, struct node *n, struct loaded **out, struct err *e);

/* The same of S, which was parsed already, and whose files are in DIRFD. -ENOMEM. */
int steps_adopt(struct view *v, struct node *n, struct step *s, int dirfd, struct loaded **out,
		struct err *e);

/* What N stood for is no longer there: its name leads to a new node from now on. */
void steps_detach(struct view *v, struct node *n);

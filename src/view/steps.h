/* src/view/steps.h: steps are parsed when they are needed, and dropped when they take too much memory. For view/ alone. */
#pragma once
#include "view/view.h"

/* The step of N, parsed now if it isn't yet, which the caller unrefs. Others who want the same step wait meanwhile. What
 * can't be parsed is not tried again until it is another file. -ESTALE: its file was replaced, and N is detached. */
int steps_get(struct view *v, struct node *n, struct loaded **out, struct err *e);

/* S, whose files are in DIRFD, becomes the step of N. OUT as above. -ENOMEM. */
int steps_adopt(struct view *v, struct node *n, struct step *s, int dirfd, struct loaded **out,
		struct err *e);

/* The index of N, whose draft has ended over BASE, is another by now. If what is in the new step has the same numbers, N goes on
 * standing for it: true. */
bool steps_follow(struct view *v, struct node *n, struct loaded *base);

/* A step was committed. What nobody has looked into during the last VIEW_COMMITS of them is dropped: who works through `latest`
 * never comes back to the steps before. */
void steps_committed(struct view *v);

/* What N stood for is no longer there: its name leads to another node from now on. */
void steps_detach(struct view *v, struct node *n);

/* The same where N, a step or a folder of steps, is not on disk any more. False: that was not known before, or N was detached
 * for another reason: it has another name now. */
bool steps_lose(struct view *v, struct node *n);

/* src/view/kept_steps.h: steps that were committed through this view, in which folder each is (commit/rescue.h).
 * For view/ alone. */
#pragma once
#include "commit/rescue.h"
#include "view/view.h"

/* Takes over KEPT, the step that the draft of N has become. The oldest of too many is forgotten. */
void kept_steps_add(struct view *v, struct node *n, struct rescue *kept);

/* Publishes again what somebody else has written over; what was done is told. Looks into folders of which
 * something was heard since the last time, or with ALL into each. */
void kept_steps_restore(struct view *v, bool all);

void kept_steps_release(struct view *v);

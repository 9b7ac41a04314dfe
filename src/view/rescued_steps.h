/* src/view/rescued_steps.h: steps that were committed through this view, in which folder each is (commit/rescue.h).
 * For view/ alone. */
#pragma once
#include "commit/rescue.h"
#include "view/view.h"

/* With v->committing held: takes over RESCUE, the step that the draft of N has become. The oldest of too many is forgotten. */
void rescued_steps_add(struct view *v, struct node *n, struct rescue *rescue);

/* Publishes again what somebody else has written over; what was done is told. Looks into folders of which
 * something was heard since the last time, or with ALL into each. */
void rescued_steps_restore(struct view *v, bool all);

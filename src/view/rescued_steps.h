/* src/view/rescued_steps.h: the steps that were committed through this view, in case a trainer saves under their names
 * (commit/rescue.h). For view/ alone. */
#pragma once
#include "commit/rescue.h"
#include "view/view.h"

/* Adds RESCUE, the step that the draft of N has become, and takes it over. If there are too many the oldest is
 * forgotten. view.committing is held. */
void rescued_steps_add(struct view *v, struct node *n, struct rescue *rescue);

/* Publishes again what a trainer has written over, and tells so. Looks only into folders in which something may have
 * changed since the last time; with ALL into each. */
void rescued_steps_restore(struct view *v, bool all);

/* src/view/recovery.h: takes up what an earlier process has left in a folder, and the steps over which a trainer has saved
 * (commit/rescue.h). For view/ alone. */
#pragma once
#include "commit/rescue.h"
#include "view/view.h"

/* To be called before FOLDER is looked into; only the first call does anything, and others wait for it. Commits that
 * were under way are ended or taken back (commit/recover.h), and the drafts that are there get their nodes. What
 * can't be done goes to view_warn and view_tell. */
void recover_folder(struct view *v, struct node *folder);

/* Adds RESCUE, the step that the draft of N has become, and takes it over. If there are too many the oldest is
 * forgotten. view.committing is held. */
void rescued_steps_add(struct view *v, struct node *n, struct rescue *rescue);

/* Publishes again what a trainer has written over, and tells so. Looks only into folders in which something may have
 * changed since the last time; with ALL into each. */
void rescued_steps_restore(struct view *v, bool all);

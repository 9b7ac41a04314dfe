/* src/view/recovery.h: takes up what an earlier process has left in a folder. For view/ alone. */
#pragma once
#include "view/view.h"

/* To be called before FOLDER is looked into; only the first call does anything, and others wait for it. Commits that
 * were under way are ended or taken back (commit/recover.h), and the drafts that are there get their nodes. What
 * can't be done goes to view_warn and view_tell. */
void recover_folder(struct view *v, struct node *folder);

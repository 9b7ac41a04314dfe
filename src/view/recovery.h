/* src/view/recovery.h: what an earlier process has left in a folder is taken up, once. For view/ alone. */
#pragma once
#include "view/view.h"

/* Before FOLDER is looked into for the first time: drafts that are left there become those of their steps, and what
 * was under way is ended (commit/recover.h). What can't be done is told. */
void recover_folder(struct view *v, struct node *folder);

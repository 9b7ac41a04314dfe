/* src/view/step_folder.h: makes, renames and removes whole steps, and changes the link `latest`. For view/ alone. */
#pragma once
#include "view/view.h"

/* As the calls of view.h, in a folder of steps. */
int step_folder_mkdir(struct view *v, struct node *folder, const char *name,
		      const struct draft_owner *maker, struct view_entry *out, struct err *e);
int step_folder_rmdir(struct view *v, struct node *folder, const char *name, struct buf *changes,
		      struct err *e);

/* OUT is for the new file NAME, of which the state file is to be made (view/folder.h). -EPERM: no file of that name is made in
 * a folder of steps. */
int step_folder_create(struct view *v, struct node *folder, const char *name,
		       const struct draft_owner *maker, struct view_entry *out, struct err *e);

int step_folder_rename(struct view *v, struct node *a, const char *from, struct node *b,
		       const char *to, unsigned flags, struct buf *changes, struct err *e);

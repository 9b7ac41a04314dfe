/* src/view/step_folder.h: makes, renames and removes whole steps, their folders, and links to them. For view/ alone. */
#pragma once
#include "view/view.h"

/* As the calls of view.h, in a folder of steps. */
int step_folder_mkdir(struct view *v, struct node *folder, const char *name,
		      const struct draft_owner *maker, struct view_entry *out, struct err *e);
int step_folder_rmdir(struct view *v, struct node *folder, const char *name, struct buf *changes,
		      struct err *e);
int step_folder_unlink(struct view *v, struct node *folder, const char *name, struct err *e);
int step_folder_rename(struct view *v, struct node *a, const char *from, uint64_t to_dir,
		       const char *to, unsigned flags, struct buf *changes, struct err *e);

/* The step FROM of FOLDER is moved into the folder of the step STEP beside it, as mv(1) does where that is there. Where a rename
 * over it is allowed, as of the step of a SavedModel, it takes its place. -EXDEV: it is not. */
int step_folder_rename_into(struct view *v, struct node *folder, const char *from,
			    struct node *step, struct buf *changes, struct err *e);

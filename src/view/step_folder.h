/* src/view/step_folder.h: steps as a whole: made, renamed, removed; and the link `latest`. For view/ alone. */
#pragma once
#include "view/view.h"

/* The node of a step NAME that is not on disk yet, with a reference for the caller. NULL: no memory. */
struct node *step_folder_node(struct view *v, struct node *parent, const char *name);

/* As the calls of view.h, in a folder of steps. */
int step_folder_rmdir(struct view *v, struct node *folder, const char *name, struct buf *changes,
		      struct err *e);
int step_folder_rename(struct view *v, struct node *a, const char *from, struct node *b,
		       const char *to, unsigned flags, struct buf *changes, struct err *e);

/* And in a step. */
int write_mkdir(struct view *v, uint64_t parent, const char *name, struct view_entry *out,
		struct err *e);

/* src/view/lookup.h: names become nodes. For view/ alone. */
#pragma once
#include "view/view.h"

/* OUT is for ITEM, which is in the listing S of the folder PARENT, whose directory is DIRFD. The kernel has one
 * reference more on it. */
int lookup_item(struct view *v, struct node *parent, int dirfd, const struct snapshot *s,
		const struct listed *item, struct view_entry *out, struct err *e);

/* As view_lookup in the folder N. */
int lookup_in_folder(struct view *v, struct node *n, const char *name, struct view_entry *out,
		     struct err *e);

/* -EPERM: NAME in PARENT is .ckptfs or in it (view/status.h), so nothing is made, removed or renamed there. */
int lookup_check(struct view *v, uint64_t parent, const char *name, struct err *e);

/* The name of the step that is to be shown as NAME, with a NUL. -EINVAL, -ENAMETOOLONG: it can't be one. */
int lookup_step_name(const char *name, struct buf *out, struct err *e);

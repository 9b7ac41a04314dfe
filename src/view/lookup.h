/* src/view/lookup.h: names become nodes. For view/ alone. */
#pragma once
#include "view/view.h"

/* The entry of ITEM, which is in the listing S of the folder PARENT, whose directory is DIRFD. The kernel has
 * one reference more on it. */
int lookup_item(struct view *v, struct node *parent, int dirfd, const struct snapshot *s,
		const struct listed *item, struct view_entry *out, struct err *e);

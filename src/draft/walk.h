/* src/draft/walk.h: what there is in a draft, with an item or without (draft/overlay.h). The draft's lock is held, and nothing
 * is changed meanwhile. */
#pragma once
#include "draft/draft_state.h"

/* What is in the folder DIR, which may be made up, one after the other, in the order in which it is listed. C begins as
 * zeros. What has no item is made up, until the next call. NULL: the end. */
struct draft_children {
	bool items_only; /* not what is made up, and in any order */
	bool begun_items;
	uint32_t pos; /* in the base's folder */
	struct draft_item *next;
	struct draft_glance glance;
};
struct draft_item *draft_child(const struct draft *d, struct draft_item *dir,
			       struct draft_children *c);

bool draft_is_empty(const struct draft *d, struct draft_item *dir);

/* All that is in a draft or one folder of it, folders before what is in them. What has no item is made up; it stays, and
 * so do the folders above it, until the next call.
 *
 *     struct draft_walk w = {.below = d->root};
 *     struct draft_item *i;
 *
 *     while ((i = draft_walk(d, &w)))
 *             …
 *     r = draft_walk_end(&w); */
struct draft_walk {
	struct draft_item *below; /* itself not given */
	bool changed_only; /* what has an item, or is in another place than in the base: as much as was changed */
	struct draft_level **levels;
	uint32_t depth, cap;
	struct draft_item *last;
	int failed;
};
struct draft_item *draft_walk(const struct draft *d, struct draft_walk *w);

/* 0; -ENOMEM: it did not come to its end for want of memory. */
int draft_walk_end(struct draft_walk *w);

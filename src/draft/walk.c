#include "draft/walk.h"
#include "draft/overlay.h"
#include <stdlib.h>

static struct draft_item *next_of_base(const struct draft *d, struct draft_item *dir,
				       struct draft_children *c)
{
	struct draft_item *i;
	struct tree_child child;

	while (tree_next(d->tree, dir->base_dir, &c->pos, &child)) {
		i = overlay_child(d, dir, &child, &c->glance);
		if (i)
			return i;
	}
	return NULL;
}

struct draft_item *draft_child(const struct draft *d, struct draft_item *dir,
			       struct draft_children *c)
{
	struct draft_item *i = NULL;

	if (!c->begun_items && !c->items_only && dir->base_dir != DRAFT_NONE)
		i = next_of_base(d, dir, c);
	if (i)
		return i;
	if (!c->begun_items) {
		c->begun_items = true;
		c->next = dir->first;
	}
	while (c->next && c->next->in_place && !c->items_only)
		c->next = c->next->after;
	i = c->next;
	c->next = i ? i->after : NULL;
	return i;
}

bool draft_is_empty(const struct draft *d, struct draft_item *dir)
{
	struct draft_children c = {0};

	return !dir->first && !draft_child(d, dir, &c);
}

/* --- folders and what is in them --------------------------------------------------------------------------- */

struct draft_level {
	struct draft_item *dir;
	struct draft_children children;
};

/* What is in DIR comes next. */
static int descend(struct draft_walk *w, struct draft_item *dir)
{
	struct draft_level **levels = w->levels, *l;
	uint32_t cap = w->cap ? w->cap * 2 : 8;

	if (w->depth == w->cap) {
		levels = realloc(levels, cap * sizeof(struct draft_level *));
		if (!levels)
			return -ENOMEM;
		w->levels = levels;
		w->cap = cap;
	}
	l = malloc(sizeof *l); /* what is made up in it must not be moved */
	if (!l)
		return -ENOMEM;
	l->dir = dir;
	l->children.begun_items = false;
	l->children.pos = 0;
	l->children.items_only = w->changed_only && dir->under;
	levels[w->depth++] = l;
	return 0;
}

struct draft_item *draft_walk(const struct draft *d, struct draft_walk *w)
{
	struct draft_item *i = NULL, *dir = w->last ? w->last : w->below;

	if (dir && dir->what == DRAFT_DIR)
		w->failed = descend(w, dir);
	while (!w->failed && w->depth && !i) {
		struct draft_level *l = w->levels[w->depth - 1];

		i = draft_child(d, l->dir, &l->children);
		if (!i) {
			free(l);
			w->depth--;
		}
	}
	w->last = i;
	return i;
}

int draft_walk_end(struct draft_walk *w)
{
	while (w->depth)
		free(w->levels[--w->depth]);
	free(w->levels);
	w->levels = NULL;
	return w->failed;
}

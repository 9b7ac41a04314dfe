/* src/store/draft_restart.c: a draft goes on after its commit, for files that are open for writing. */
#include "base/cleanup.h"
#include "base/io.h"
#include "store/draft.h"
#include "store/draft_disk.h"
#include "store/draft_items.h"
#include "store/draft_own.h"
#include "store/name.h"
#include "store/staged.h"
#include <stdio.h>

/* A file that stays while the draft starts anew. */
struct held {
	struct draft_item *item;
	char *path;
	char name[32]; /* beside the tree */
};

static bool is_at_home(const struct draft *d, const struct draft_item *i)
{
	return i->index >= d->n_fixed || i->under;
}

int draft_can_restart(struct draft *d, struct err *e)
{
	for (struct draft_item *i = d->root; i && (i = items_next(d->root, i));)
		if (i->writers && i->what == DRAFT_STAGED && (!d->has_base || !is_at_home(d, i)))
			return err_set(e, -EBUSY, "%s: is open for writing", i->name);
	return 0;
}

static int set_aside(struct draft *d, struct held *h, unsigned number, struct err *e)
{
	CLEANUP(buf_release) struct buf path = {0};
	CLEANUP(closep) int dir = -1;
	int r = draft_item_open(d, h->item, e); /* a temporary file need not be on disk yet */

	if (r == 0)
		r = dir = disk_folder(d, h->item->parent, false, e);
	if (r < 0)
		return r;
	if (draft_path(h->item, &path) < 0 || buf_add_byte(&path, 0) < 0)
		return err_set(e, -ENOMEM, "no memory");
	snprintf(h->name, sizeof h->name, "open.%u", number);
	h->path = (char *)TAKE(path, (struct buf){0}).p;
	return io_move(dir, h->item->name, d->fd, h->name, e);
}

/* The folder that PATH lies in, made where the base has none. */
static struct draft_item *make_way(struct draft *d, const char *path)
{
	struct draft_item *dir = d->root, *next;
	const char *slash;

	for (; dir && (slash = strchr(path, '/')); path = slash + 1) {
		CLEANUP(freep) char *name = strndup(path, (size_t)(slash - path));

		next = name ? draft_find(d, dir, name) : NULL;
		if (name && !next)
			next = items_add(d, dir, name, strlen(name), DRAFT_DIR, 0);
		dir = next;
	}
	return dir;
}

static int bring_back(struct draft *d, struct held *h, struct err *e)
{
	struct draft_item *dir = make_way(d, h->path), *i = h->item;
	CLEANUP(closep) int fd = dir ? disk_folder(d, dir, true, e) : -ENOMEM;
	int r = fd < 0 ? fd : io_move(d->fd, h->name, fd, i->name, e);

	if (r == 0)
		r = items_put_back(d, i, dir);
	if (draft_is_variable(i)) /* a temporary file was not in the commit */
		i->staged->committed = i->staged->version;
	return r;
}

/* The tree on disk and in memory, as in the base. */
static int empty_tree(struct draft *d, struct err *e)
{
	struct tree tree = {0};
	int r = io_remove_all(d->fd, "tree", e);

	closep(&d->tree);
	d->tree = r < 0 ? r : draft_folder(d->fd, "tree", true, e);
	r = d->tree < 0 ? d->tree : tree_init(&tree, d->pins[0].step, e);
	if (r == 0 && items_init(d, &tree) < 0)
		r = err_set(e, -ENOMEM, "no memory");
	tree_release(&tree);
	return r;
}

int draft_restart(struct draft *d, struct err *e)
{
	CLEANUP(buf_release) struct buf open = {0};
	struct draft_item **items;
	struct held *held;
	size_t n;
	int r = 0;

	for (struct draft_item *i = d->root; r == 0 && i && (i = items_next(d->root, i));)
		if (i->what == DRAFT_STAGED && i->writers)
			r = buf_add(&open, &i, sizeof i);
	items = (struct draft_item **)open.p;
	n = open.n / sizeof *items;
	held = calloc(n + 1, sizeof *held);
	if (r < 0 || !held)
		r = err_set(e, -ENOMEM, "no memory");
	for (size_t k = 0; k < n && r == 0; k++) {
		held[k].item = items[k];
		r = set_aside(d, &held[k], (unsigned)k, e);
	}
	open.n = 0;
	if (r == 0)
		r = items_hold_open(d, &open);
	if (r == 0)
		r = empty_tree(d, e);
	for (size_t k = 0; k < n && r == 0; k++)
		r = bring_back(d, &held[k], e);
	for (size_t k = 0; held && k < n; k++)
		free(held[k].path);
	free(held);
	if (r == 0)
		r = io_remove_all(d->fd, "commit/name", e);
	return r < 0 ? r : io_remove_all(d->fd, "commit", e);
}

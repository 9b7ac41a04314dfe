/* src/draft/go_on.c: a draft goes on after its commit, for files that are open for writing. */
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/io.h"
#include "draft/copy.h"
#include "draft/disk.h"
#include "draft/items.h"
#include "draft/overlay.h"
#include "draft/staged.h"
#include "step/name.h"
#include <stdio.h>

/* Where the files are that stay, while the tree is made anew. */
#define ASIDE "open"

/* A file that stays while the draft goes on. */
struct held {
	struct draft_item *item;
	char *path;
	struct buf folders; /* uint32_t: the indexes of those in PATH, from the root on */
	char name[16]; /* in ASIDE */
};

static void held_release(struct draft *d, struct held *h, size_t n)
{
	for (size_t k = 0; h && k < n; k++) {
		if (h[k].item)
			draft_item_unref(d, h[k].item);
		free(h[k].path);
		buf_release(&h[k].folders);
	}
	free(h);
}

/* Is I in the place that its number has in the base, or new? */
static bool is_at_home(const struct draft *d, const struct draft_item *i)
{
	return i->index >= d->n_fixed || i->under;
}

int draft_can_go_on(const struct draft *d, struct err *e)
{
	CLEANUP(buf_release) struct buf path = {0};

	for (struct draft_item *i = d->root; i && (i = items_next(d->root, i));) {
		if (!i->writers || i->what != DRAFT_STAGED || (d->has_base && is_at_home(d, i)))
			continue;
		if (draft_path(i, &path) < 0)
			return err_set(e, -ENOMEM, "no memory");
		return err_set(e, -EBUSY, "%.*s: is open for writing", (int)path.n,
			       (const char *)path.p);
	}
	return 0;
}

/* Of what is open for writing: what was written, and what the base does not have. To all else its number leads
 * in the base. */
static bool stays(const struct draft *d, const struct draft_item *i)
{
	return i->writers &&
	       (i->what == DRAFT_STAGED || (i->what == DRAFT_VAR && i->index >= d->n_fixed));
}

/* --- out of the tree --------------------------------------------------------------------------------------- */

static int note_folders(const struct draft_item *dir, struct buf *out)
{
	int r = dir->parent ? note_folders(dir->parent, out) : 0;

	return r < 0 || !dir->parent ? r : buf_add(out, &dir->index, sizeof dir->index);
}

/* What is to be known of I, to put it back; and its file out of the tree. */
static int set_aside(struct draft *d, struct held *h, struct draft_item *i, int aside,
		     struct err *e)
{
	CLEANUP(buf_release) struct buf path = {0};
	CLEANUP(closep) int dir = -1;
	int r = draft_path(i, &path);

	if (r == 0)
		r = buf_add_byte(&path, 0);
	if (r == 0)
		r = note_folders(i->parent, &h->folders);
	if (r < 0)
		return err_set(e, -ENOMEM, "no memory");
	h->path = (char *)TAKE(path, (struct buf){0}).p;
	if (i->what == DRAFT_STAGED) {
		r = draft_item_open(d, i, e); /* a temporary file need not be on disk yet */
		if (r == 0)
			r = dir = disk_folder(d, i->parent, false, e);
		if (r >= 0)
			r = io_move(dir, i->name, aside, h->name, e);
	}
	if (r < 0)
		return r;
	i->refs++;
	h->item = i;
	return 0;
}

static int set_all_aside(struct draft *d, struct held *held, int aside, struct err *e)
{
	size_t k = 0;
	int r = 0;

	for (struct draft_item *i = d->root; r == 0 && (i = items_next(d->root, i));) {
		if (!stays(d, i))
			continue;
		snprintf(held[k].name, sizeof held[k].name, "%zu", k);
		r = set_aside(d, &held[k], i, aside, e);
		k++;
	}
	return r;
}

static size_t count_staying(const struct draft *d)
{
	size_t n = 0;

	for (struct draft_item *i = d->root; (i = items_next(d->root, i));)
		n += stays(d, i);
	return n;
}

/* --- back into it ------------------------------------------------------------------------------------------ */

/* The folder that H's file lies in, made where the base has none: with the number that it had. -ENOMEM. */
static int make_way(struct draft *d, const struct held *h, struct draft_item **out)
{
	const uint32_t *index = (const uint32_t *)h->folders.p;
	const char *path = h->path, *slash;
	int r = 0;

	*out = d->root;
	for (; r == 0 && (slash = strchr(path, '/')); path = slash + 1, index++) {
		CLEANUP(freep) char *name = strndup(path, (size_t)(slash - path));
		struct draft_item *dir = *out;

		r = name ? overlay_need_named(d, dir, name, out) : -ENOMEM;
		if (r == -ENOENT) {
			*out = items_add(d, dir, name, strlen(name), DRAFT_DIR,
					 *index < d->n_fixed ? 0 : *index);
			r = *out ? 0 : -ENOMEM;
		}
	}
	return r;
}

/* I takes the place of what the base shows with its number. */
static void replace_shown(struct draft *d, struct draft_item *i)
{
	struct draft_item *shown = items_at(d, i->index);

	i->under = shown ? shown->under : overlay_claim(d, i->index);
	if (shown)
		items_remove(d, shown);
}

static int bring_back(struct draft *d, struct held *h, int aside, struct err *e)
{
	struct draft_item *dir, *i = h->item;
	CLEANUP(closep) int fd = -1;
	int r = make_way(d, h, &dir);

	if (r < 0)
		return err_set(e, r, "no memory");
	fd = disk_folder(d, dir, true, e);
	if (fd < 0)
		return fd;
	r = i->what == DRAFT_STAGED ? io_move(aside, h->name, fd, i->name, e) : 0;
	if (r < 0)
		return r;
	i->refs++; /* the tree's */
	if (i->index < d->n_fixed)
		replace_shown(d, i);
	items_reattach(d, i, dir);
	if (i->what == DRAFT_VAR) {
		i->on_disk = false;
		r = disk_place_link(d, i, e);
		i->on_disk = r == 0;
		i->committed = true;
	} else if (draft_is_variable(i)) { /* a temporary file was not in the commit */
		i->staged->committed = i->staged->version;
	}
	return r;
}

/* The tree on disk and in memory, as in the base. */
static int empty_tree(struct draft *d, struct err *e)
{
	CLEANUP(closep) int fd = -1;
	int r = io_remove_all(d->fd, "tree", e);

	overlay_release(d);
	if (r == 0)
		r = fd = draft_folder(d->fd, "tree", true, e);
	if (r >= 0 && (r = overlay_init(d, d->tree)) < 0)
		err_sys(e, r, "%s", d->pins[0].step->place.name);
	return r;
}

static int go_on_with(struct draft *d, struct held *held, size_t n, struct err *e)
{
	CLEANUP(closep) int aside = -1;
	int r = io_remove_all(d->fd, ASIDE, e);

	if (r == 0)
		r = io_make_folder(d->fd, ASIDE, 0777, e);
	if (r == 0)
		r = aside = dir_fd(d->fd, ASIDE, e);
	if (r >= 0)
		r = set_all_aside(d, held, aside, e);
	if (r == 0)
		r = empty_tree(d, e);
	for (size_t k = 0; k < n && r == 0; k++)
		r = bring_back(d, &held[k], aside, e);
	if (r == 0)
		r = io_remove_folder(d->fd, ASIDE, e);
	if (r == 0)
		r = io_remove_all(d->fd, DRAFT_NOTE, e);
	if (r == 0)
		r = io_remove_all(d->fd, "commit/name", e);
	return r < 0 ? r : io_remove_all(d->fd, "commit", e);
}

/* What was to stay can't: it must not seem that what is written there from now on will be in a step. What the
 * base has too is opened again there. */
static void lose(struct draft *d, struct held *held, size_t n)
{
	for (struct draft_item *i = d->root; i && (i = items_next(d->root, i));)
		i->lost |= stays(d, i) && i->index >= DRAFT_DYNAMIC;
	for (size_t k = 0; held && k < n; k++)
		if (held[k].item)
			held[k].item->lost = held[k].item->index >= DRAFT_DYNAMIC;
	draft_discard(d, NULL);
	atomic_store(&d->ended, true);
}

void draft_go_on(struct draft *d)
{
	size_t n = count_staying(d);
	struct held *held = calloc(n + 1, sizeof *held);

	d->times_gone_on++;
	if (!held || go_on_with(d, held, n, NULL) < 0)
		lose(d, held, n);
	held_release(d, held, n);
}

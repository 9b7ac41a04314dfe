/* src/view/write.c: the calls of view.h that change what is in a step; its draft is begun by the first. */
#include "base/cleanup.h"
#include "store/draft_items.h"
#include "view/commits.h"
#include "view/draft_view.h"
#include "view/folder.h"
#include "view/step_folder.h"
#include "view/steps.h"
#include "view/xattr.h"
#include <fcntl.h>
#include <stdio.h>

/* --- nodes by number --------------------------------------------------------------------------------------- */

/* The step of the folder ID, with its draft, begun if need be. */
static int step_of(struct view *v, uint64_t id, struct node **n, struct draft **d, struct err *e)
{
	*n = view_node(v, id);
	if (!*n)
		return -ESTALE;
	if ((*n)->kind != NODE_STEP)
		return -EPERM;
	if (!v->writable)
		return -EROFS;
	return draft_need(v, *n, d, e);
}

/* A change in the step of a folder: made once, and anew where the draft was committed just before.
 *
 *     struct attempt a = {0};
 *
 *     while (is_to_be_tried(&a, v, id, &r, e))
 *             r = draft_unlink(a.d, …); */
struct attempt {
	struct node *n;
	struct draft *d; /* for as long as it is tried */
	unsigned tries;
};

static bool is_to_be_tried(struct attempt *a, struct view *v, uint64_t id, int *r, struct err *e)
{
	if (a->d) {
		bool ended = a->d->ended;

		draft_unref(a->d);
		if (*r != -ESTALE || !ended || a->tries == 3)
			return false;
		a->tries++;
	}
	*r = step_of(v, id, &a->n, &a->d, e);
	return *r == 0;
}

/* --- files ------------------------------------------------------------------------------------------------- */

static int read_only(const struct node *n, struct err *e)
{
	return err_set(e, -EPERM, "%s: is not written to; ckptfs keeps it", n->place.name);
}

/* Makes an open file of I, which has been counted as open. */
static int new_file(struct node *n, struct draft *d, struct draft_item *i, bool writing,
		    struct view_file **out)
{
	struct view_file *f = calloc(1, sizeof *f);

	if (!f) {
		draft_close(d, i, writing);
		return -ENOMEM;
	}
	*f = (struct view_file){.node = n,
				.draft = draft_ref(d),
				.item = i,
				.index = i->index,
				.writing = writing,
				.fd = -1};
	*out = f;
	return 0;
}

/* Opens what ID is in D. */
static int open_item(struct view *v, struct node *n, struct draft *d, uint64_t id, bool truncate,
		     struct view_file **out, struct err *e)
{
	struct draft_item *i;
	bool stable;
	int r;

	pthread_mutex_lock(&d->lock);
	i = draft_item(d, node_index(id));
	if (i)
		i->refs++;
	pthread_mutex_unlock(&d->lock);
	r = i ? draft_open(d, i, true, truncate, e) : -ESTALE;
	if (r == 0)
		r = new_file(n, d, i, true, out);
	if (r == 0) {
		(*out)->written = truncate;
		r = draft_open_base(v, n, d, i, &(*out)->file, &(*out)->text, &stable, e);
		if (r < 0)
			view_close(*out);
	}
	pthread_mutex_lock(&d->lock);
	if (i)
		draft_item_put(d, i);
	pthread_mutex_unlock(&d->lock);
	return r;
}

int view_open_to_write(struct view *v, uint64_t id, bool truncate, struct view_file **out,
		       struct err *e)
{
	struct node *n = view_node(v, id);
	struct attempt a = {0};
	int r;

	if (n && n->kind == NODE_STATE)
		return v->writable ? read_only(n, e) : -EROFS;
	if (n && n->kind == NODE_FOLDER)
		return -EISDIR;
	while (is_to_be_tried(&a, v, id, &r, e))
		r = open_item(v, a.n, a.d, id, truncate, out, e);
	return r;
}

/* The entry of a new item, of which the caller has a reference, and the kernel now too. */
static void enter_item(struct view *v, struct node *n, struct draft *d, struct draft_item *i,
		       struct view_entry *out)
{
	pthread_mutex_lock(&d->lock);
	draft_entry(v, n, d, i, out);
	draft_item_put(d, i);
	pthread_mutex_unlock(&d->lock);
	view_hold(v, n);
}

static int open_new(struct node *n, struct draft *d, struct draft_item *i, struct view_file **out,
		    struct err *e)
{
	int r = draft_open(d, i, true, false, e);

	if (r == 0)
		r = new_file(n, d, i, true, out);
	if (r == 0)
		(*out)->written = true;
	return r;
}

int view_create(struct view *v, uint64_t parent, const char *name, const struct view_owner *owner,
		struct view_entry *entry, struct view_file **out, struct err *e)
{
	struct draft_owner own = {owner->uid, owner->gid, owner->mode};
	struct attempt a = {0};
	struct draft_item *i;
	int r;

	while (is_to_be_tried(&a, v, parent, &r, e)) {
		r = draft_create(a.d, node_index(parent), name, &own, &i, e);
		if (r == 0 && out)
			r = open_new(a.n, a.d, i, out, e);
		if (r == 0)
			enter_item(v, a.n, a.d, i, entry);
	}
	return r == -EPERM && !a.d
		       ? err_set(e, r, "%s: files are made in the folders of steps", name)
		       : r;
}

int view_write(struct view_file *f, struct bytes b, uint64_t off, struct err *e)
{
	if (!f->item)
		return -EBADF;
	f->written = true;
	return draft_write(f->draft, f->item, b, off, e);
}

int view_allocate(struct view_file *f, int mode, uint64_t off, uint64_t len, struct err *e)
{
	if (!f->item)
		return -EBADF;
	f->written = true;
	return draft_allocate(f->draft, f->item, mode, off, len, e);
}

int view_flush(struct view_file *f, struct err *e)
{
	return f->item && f->written ? draft_check(f->draft, f->item, true, e) : 0;
}

int view_fsync(struct view_file *f, struct err *e)
{
	int r = f->item ? draft_sync(f->draft, f->item, e) : 0;

	return r < 0 ? r : view_flush(f, e);
}

/* What FROM is, if it is a variable or text of a step. */
static bool source_of(struct view *v, const struct view_file *from, struct draft_source *out,
		      int *fd)
{
	*fd = -1;
	if (from->item && from->item->what == DRAFT_STAGED)
		return false;
	if (from->item) {
		const struct pin *p = &from->draft->pins[from->item->pin];

		*out = (struct draft_source){p->step, p->dirfd, from->item->what,
					     from->item->number, from->text.n};
	} else if (from->loaded) {
		const struct tree *t = &from->loaded->tree;
		bool is_var = from->index - TREE_FIRST < t->n_files;

		*fd = folder_open_parent(v, from->node, NULL);
		*out = (struct draft_source){from->loaded->step, *fd,
					     is_var ? DRAFT_VAR : DRAFT_TEXT,
					     is_var ? t->files[from->index - TREE_FIRST].var
						    : from->index - tree_text_index(t, 0),
					     from->text.n};
	} else {
		return false;
	}
	if (out->what == DRAFT_VAR)
		out->size = file_size(out->step, &out->step->vars[out->number], out->dirfd);
	return true;
}

enum { COPY_PIECE = 1 << 20, COPY_AT_ONCE = 64 << 20 };

static int64_t copy_bytes(struct view_file *from, uint64_t from_off, struct view_file *to,
			  uint64_t to_off, uint64_t len, struct err *e)
{
	CLEANUP(freep) uint8_t *piece = malloc(COPY_PIECE);
	uint64_t done = 0;
	int64_t n = 1;
	int r = 0;

	if (!piece)
		return err_set(e, -ENOMEM, "no memory");
	while (r == 0 && done < len && done < COPY_AT_ONCE && n > 0) {
		size_t want = len - done < COPY_PIECE ? len - done : COPY_PIECE;

		n = view_read(from, from_off + done, want, piece, e);
		if (n > 0)
			r = view_write(to, bytes_of(piece, (size_t)n), to_off + done, e);
		if (n > 0 && r == 0)
			done += (uint64_t)n;
	}
	if (!done && (n < 0 || r < 0))
		return n < 0 ? n : r;
	return (int64_t)done;
}

int64_t view_copy_range(struct view *v, struct view_file *from, uint64_t from_off,
			struct view_file *to, uint64_t to_off, uint64_t len, struct err *e)
{
	struct draft_source source;
	CLEANUP(closep) int fd = -1;
	int64_t n = 0;

	if (!to->item || !to->writing)
		return -EBADF;
	len = len < 0x7ffff000 ? len : 0x7ffff000; /* the answer has 32 bits */
	if (from_off == to_off && source_of(v, from, &source, &fd))
		n = draft_refer(to->draft, to->item, &source, from_off, len, e);
	to->written = true;
	return n ? n : copy_bytes(from, from_off, to, to_off, len, e);
}

/* --- in a step --------------------------------------------------------------------------------------------- */

int write_mkdir(struct view *v, uint64_t parent, const char *name, struct view_entry *out,
		struct err *e)
{
	struct attempt a = {0};
	struct draft_item *i;
	int r;

	while (is_to_be_tried(&a, v, parent, &r, e)) {
		r = draft_mkdir(a.d, node_index(parent), name, &i, e);
		if (r == 0)
			enter_item(v, a.n, a.d, i, out);
	}
	return r;
}

int view_unlink(struct view *v, uint64_t parent, const char *name, struct err *e)
{
	struct node *n = view_node(v, parent);
	struct attempt a = {0};
	int r;

	if (n && n->kind == NODE_FOLDER) {
		struct node *link = view_pending_link(v, n, name);

		if (!link)
			return v->writable ? -EPERM : -EROFS;
		steps_detach(v, link);
		return 0;
	}
	while (is_to_be_tried(&a, v, parent, &r, e))
		r = draft_unlink(a.d, node_index(parent), name, e);
	return r;
}

int view_rmdir(struct view *v, uint64_t parent, const char *name, struct buf *changes,
	       struct err *e)
{
	struct node *n = view_node(v, parent);
	struct attempt a = {0};
	int r;

	if (n && n->kind == NODE_FOLDER)
		return v->writable ? step_folder_rmdir(v, n, name, changes, e) : -EROFS;
	while (is_to_be_tried(&a, v, parent, &r, e))
		r = draft_rmdir(a.d, node_index(parent), name, e);
	return r;
}

/* The kernel takes what it knew of a name along to the new one, for as long as it was to know it: not so of a file, which has
 * its old name again when the draft ends. A folder may be where somebody works. */
static int renamed(struct draft *d, uint64_t dir, const char *name, struct buf *changes)
{
	const struct draft_item *parent, *i;
	bool is_file;

	pthread_mutex_lock(&d->lock);
	parent = draft_item(d, node_index(dir));
	i = parent && !parent->gone ? draft_find(d, parent, name) : NULL;
	is_file = i && i->what != DRAFT_DIR;
	pthread_mutex_unlock(&d->lock);
	return is_file ? view_add_change(changes, dir, name) : 0;
}

int view_rename(struct view *v, uint64_t from_dir, const char *from, uint64_t to_dir,
		const char *to, unsigned flags, struct buf *changes, struct err *e)
{
	struct node *n = view_node(v, from_dir), *to_n = view_node(v, to_dir);
	struct attempt a = {0};
	int r;

	if (!n || !to_n)
		return -ESTALE;
	if (n->kind == NODE_FOLDER && to_n->kind == NODE_FOLDER)
		return step_folder_rename(v, n, from, to_n, to, flags, changes, e);
	if (n != to_n) /* from one step to another: mv(1) then copies and removes */
		return -EXDEV;
	while (is_to_be_tried(&a, v, from_dir, &r, e)) {
		r = draft_rename(a.d, node_index(from_dir), from, node_index(to_dir), to, flags, e);
		if (r == 0)
			r = renamed(a.d, to_dir, to, changes);
		if (r == 0 && flags & RENAME_EXCHANGE)
			r = renamed(a.d, from_dir, from, changes);
	}
	return r;
}

/* --- attributes -------------------------------------------------------------------------------------------- */

/* Of what is not a file of the draft's own nothing can be kept; it is accepted, as rsync and cp -a insist. */
int view_setattr(struct view *v, uint64_t id, struct view_file *f, unsigned valid,
		 const struct stat *st, struct view_entry *out, struct err *e)
{
	struct node *n = view_node(v, id);
	struct draft_item *i = NULL;
	struct draft *d;
	int r = 0;

	if (!n)
		return -ESTALE;
	if (!v->writable)
		return -EROFS;
	if (n->kind != NODE_STEP)
		return -EPERM;
	d = draft_of(v, n);
	if (!d && valid & VIEW_SIZE)
		r = draft_need(v, n, &d, e);
	if (r < 0)
		return r;
	if (f && valid & VIEW_SIZE)
		f->written = true; /* it is looked at when it is closed */
	if (d) {
		pthread_mutex_lock(&d->lock);
		i = draft_item(d, node_index(id));
		if (i)
			i->refs++;
		pthread_mutex_unlock(&d->lock);
		r = i ? 0 : -ESTALE;
		if (r == 0 && valid & VIEW_SIZE)
			r = draft_truncate(d, i, (uint64_t)st->st_size, e);
		if (r == 0 && valid & ~(unsigned)VIEW_SIZE)
			r = draft_set_attr(d, i, valid, st, e);
		pthread_mutex_lock(&d->lock);
		if (i)
			draft_item_put(d, i);
		pthread_mutex_unlock(&d->lock);
		draft_unref(d);
	}
	return r < 0 ? r : view_getattr(v, id, out, e);
}

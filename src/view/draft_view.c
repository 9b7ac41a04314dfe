#include "view/draft_view.h"
#include "base/cleanup.h"
#include "format/dtype.h"
#include "store/draft_items.h"
#include "view/attr.h"
#include "view/folder.h"
#include "view/steps.h"
#include "view/xattr.h"
#include <fcntl.h>
#include <sched.h>

/* What a variable that was written has, as listxattr(2) wants it. */
#define LISTED "user.ckptfs.key\0user.ckptfs.dtype\0user.ckptfs.shape\0"

struct draft *draft_of(struct view *v, const struct node *n)
{
	struct draft *d;

	pthread_mutex_lock(&v->lock);
	d = n->draft ? draft_ref(n->draft) : NULL;
	pthread_mutex_unlock(&v->lock);
	return d;
}

/* --- beginning and ending ---------------------------------------------------------------------------------- */

/* Under v->loading, as all that changes `lock` and `drafts` of a folder. */
static int lock_folder(struct view *v, struct node *folder, int top, struct err *e)
{
	struct lock *lock = folder->lock ? folder->lock : malloc(sizeof *lock);

	if (!lock)
		return err_set(e, -ENOMEM, "no memory");
	if (!folder->lock)
		*lock = (struct lock){-1, -1};
	folder->lock = lock;
	return lock_for_drafts(lock, top, v->who, e);
}

void draft_attach(struct view *v, struct node *n, struct draft *d, struct loaded *base)
{
	bool first;

	pthread_mutex_lock(&v->lock);
	n->draft = draft_ref(d);
	n->base = base;
	n->lookups++;
	n->parent->drafts++;
	first = v->drafts++ == 0;
	pthread_mutex_unlock(&v->lock);
	if (first && v->begun)
		v->begun(v->warn_arg);
}

int draft_lock_folder(struct view *v, struct node *folder, int top, struct err *e)
{
	int r;

	pthread_mutex_lock(&v->loading);
	r = lock_folder(v, folder, top, e);
	pthread_mutex_unlock(&v->loading);
	return r;
}

void draft_unlock_if_idle(struct view *v, struct node *folder, int top)
{
	pthread_mutex_lock(&v->loading);
	if (!folder->drafts && folder->lock)
		lock_end_drafts(folder->lock, top);
	pthread_mutex_unlock(&v->loading);
}

static struct draft_config config_of(const struct view *v, const struct node *n, int top)
{
	return (struct draft_config){.top = top,
				     .name = n->place.name,
				     .meta = v->meta_suffix,
				     .mode = v->verify,
				     .first_dynamic = n->next_dynamic};
}

static int begin(struct view *v, struct node *n, struct loaded *base, struct draft **out,
		 struct err *e)
{
	CLEANUP(closep) int top = folder_open_parent(v, n, e);
	struct draft_config c = config_of(v, n, top);
	int r = top < 0 ? top : lock_folder(v, n->parent, top, e);

	if (r == 0)
		r = draft_begin(&c, base ? base->step : NULL, base ? &base->tree : NULL, top, out,
				e);
	if (r < 0) {
		if (!n->parent->drafts && n->parent->lock)
			lock_end_drafts(n->parent->lock, top);
		return r;
	}
	draft_attach(v, n, *out, base);
	return 0;
}

int draft_need(struct view *v, struct node *n, struct draft **out, struct err *e)
{
	struct loaded *base;
	int r;

	if (!v->writable)
		return -EROFS;
	while ((*out = draft_of(v, n))) {
		if (!(*out)->ended)
			return 0;
		draft_unref(*out); /* whoever has ended it is about to let it go */
		sched_yield();
	}
	r = steps_get(v, n, &base, e);
	if (r < 0)
		return r;
	pthread_mutex_lock(&v->loading);
	*out = draft_of(v, n);
	if (!*out) {
		r = begin(v, n, base, out, e);
		base = r < 0 ? base : NULL;
	}
	pthread_mutex_unlock(&v->loading);
	loaded_unref(base);
	return r;
}

int draft_need_new(struct view *v, struct node *n, struct draft **out, struct err *e)
{
	int r;

	pthread_mutex_lock(&v->loading);
	r = begin(v, n, NULL, out, e);
	pthread_mutex_unlock(&v->loading);
	return r;
}

/* What is as the base has it, in its place, may be remembered. */
static bool is_of_base(const struct draft *d, const struct draft_item *i)
{
	return i->index < d->n_fixed && i->under && i->what != DRAFT_STAGED &&
	       !(i->on_disk && i->what != DRAFT_DIR);
}

int draft_changes(const struct node *n, struct draft *d, struct buf *changes)
{
	int r = 0;

	for (struct draft_item *i = d->root; r == 0 && i && (i = items_next(d->root, i));) {
		if (is_of_base(d, i))
			continue;
		r = view_add_change(changes, node_id(n, i->parent->index), i->name);
		if (r == 0 && i->index < d->n_fixed)
			r = view_add_change(changes, node_id(n, i->index), NULL);
	}
	/* What is gone had other bytes before, maybe. */
	for (uint32_t k = TREE_FIRST; r == 0 && k < d->n_fixed; k++)
		if (!d->fixed[k] || d->fixed[k]->gone)
			r = view_add_change(changes, node_id(n, k), NULL);
	/* Folders' times, and what is listed in them. */
	for (struct draft_item *i = d->root; r == 0 && i; i = items_next(d->root, i))
		if (i->what == DRAFT_DIR && i->index < d->n_fixed)
			r = view_add_change(changes, node_id(n, i->index), NULL);
	return r;
}

void draft_drop_pages(const struct node *n, const struct buf *changes)
{
	const struct view_change *c = (const struct view_change *)changes->p;

	for (size_t k = 0; n->base && k < changes->n / sizeof *c; k++) {
		uint32_t file = node_index(c[k].id) - TREE_FIRST;

		if (!*c[k].name && file < n->base->tree.n_files)
			atomic_store(&n->base->opened[file], 0);
	}
}

void draft_leave(struct view *v, struct node *n)
{
	CLEANUP(closep) int top = folder_open_parent(v, n, NULL);
	struct draft *d;
	struct loaded *base;

	pthread_mutex_lock(&v->loading);
	pthread_mutex_lock(&v->lock);
	d = n->draft;
	base = n->base;
	if (d) {
		n->draft = NULL;
		n->base = NULL;
		n->next_dynamic = d->first_dynamic + d->n_dynamic;
		n->parent->drafts--;
		v->drafts--;
		if (!n->parent->drafts && n->parent->lock && top >= 0)
			lock_end_drafts(n->parent->lock, top);
		node_put(&v->nodes, n, 1);
	}
	pthread_mutex_unlock(&v->lock);
	pthread_mutex_unlock(&v->loading);
	draft_unref(d);
	loaded_unref(base);
}

/* --- attributes -------------------------------------------------------------------------------------------- */

/* The texts of the step that a TEXT item is of. */
static int text_content(const struct draft *d, const struct draft_item *i, struct stat *st,
			struct buf *out, struct err *e)
{
	const struct pin *p = &d->pins[i->pin];
	struct texts t;
	int r = texts_init(&t, p->step, p->dirfd, d->meta);

	if (r == 0) {
		*st = t.st[i->number];
		r = out ? text_make(&t, p->step, p->dirfd, i->number, out, e) : 0;
	}
	texts_release(&t);
	return r;
}

static void stat_of_text(const struct node *n, struct draft *d, struct draft_item *i,
			 struct stat *out)
{
	CLEANUP(buf_release) struct buf text = {0};
	const struct pin *p = &d->pins[i->pin];
	struct stat st = {0};
	uint64_t size;

	if (i->pin == 0 && n->base) {
		attr_of_text(&n->base->texts.st[i->number], i->number,
			     text_size(&n->base->texts, p->step, p->dirfd, i->number), out);
		return;
	}
	size = text_content(d, i, &st, &text, NULL) == 0 ? text.n : (uint64_t)st.st_size;
	attr_of_text(&st, i->number, size, out);
}

static void stat_of_dir(struct draft *d, const struct draft_item *i, struct stat *out)
{
	struct stat st = {0};

	if (d->has_base)
		attr_of_step(&d->pins[0].step->index, out);
	else if (fstat(d->fd, &st) == 0)
		attr_of_draft_dir(&st, out);
	attr_mix_ino(out, i->index);
}

void draft_entry(struct view *v, const struct node *n, struct draft *d, struct draft_item *i,
		 struct view_entry *out)
{
	struct stat st = {0};

	*out = (struct view_entry){.id = node_id(n, i->index), .stable = true};
	if (i->what == DRAFT_DIR) {
		stat_of_dir(d, i, &out->st);
	} else if (i->what == DRAFT_TEXT) {
		stat_of_text(n, d, i, &out->st);
	} else if (i->what == DRAFT_VAR) {
		const struct pin *p = &d->pins[i->pin];
		const struct var *var = draft_var(d, i);

		attr_of_var(p->step, var, file_size(p->step, var, p->dirfd), &out->st);
	} else {
		draft_stat(d, i, &st, NULL);
		attr_of_staged(&st, &out->st);
	}
	out->fleeting = !is_of_base(d, i) && i != d->root;
	out->st.st_dev = v->root.st_dev;
}

/* --- looking ----------------------------------------------------------------------------------------------- */

int draft_lookup(struct view *v, struct node *n, struct draft *d, uint32_t dir, const char *name,
		 struct view_entry *out)
{
	struct draft_item *parent, *i = NULL;
	int r = 0;

	pthread_mutex_lock(&d->lock);
	parent = draft_item(d, dir);
	if (!parent || parent->gone)
		r = -ESTALE;
	else if (parent->what != DRAFT_DIR)
		r = -ENOTDIR;
	else if (!(i = draft_find(d, parent, name)))
		r = -ENOENT;
	else
		draft_entry(v, n, d, i, out);
	pthread_mutex_unlock(&d->lock);
	if (r < 0)
		return r;
	view_hold(v, n);
	return 0;
}

int draft_getattr(struct view *v, struct node *n, struct draft *d, uint32_t index,
		  struct view_entry *out)
{
	struct draft_item *i;

	pthread_mutex_lock(&d->lock);
	i = draft_item(d, index);
	if (i)
		draft_entry(v, n, d, i, out);
	pthread_mutex_unlock(&d->lock);
	return i ? 0 : -ESTALE;
}

int draft_list(struct draft *d, uint32_t dir, struct buf *items, struct buf *names)
{
	struct draft_item *parent;
	int r = 0;

	pthread_mutex_lock(&d->lock);
	parent = draft_item(d, dir);
	if (!parent || parent->gone)
		r = -ESTALE;
	else if (parent->what != DRAFT_DIR)
		r = -ENOTDIR;
	for (struct draft_item *i = r == 0 ? parent->first : NULL; i && r == 0; i = i->after) {
		struct draft_name name = {i->index, i->what == DRAFT_DIR ? S_IFDIR : S_IFREG,
					  names->n};

		r = buf_add(names, i->name, strlen(i->name) + 1);
		if (r == 0)
			r = buf_add(items, &name, sizeof name);
	}
	pthread_mutex_unlock(&d->lock);
	return r;
}

/* As may_keep_pages of view.c: what the base has is verified together with what was read before the draft. */
static bool was_opened(const struct view *v, const struct node *n, const struct draft *d,
		       struct draft_item *i)
{
	bool before = i->opened;

	i->opened = true;
	if (i->index < d->n_fixed && n->base && i->pin == 0 &&
	    i->index - TREE_FIRST < n->base->tree.n_files)
		before = atomic_exchange(&n->base->opened[i->index - TREE_FIRST], 1);
	return before || v->verify != VERIFY_READ;
}

int draft_open_base(struct view *v, const struct node *n, struct draft *d, struct draft_item *i,
		    struct file **file, struct buf *text, bool *stable, struct err *e)
{
	const struct pin *p;
	struct stat st;
	int r = 0;

	*stable = true;
	pthread_mutex_lock(&d->lock);
	p = i->what == DRAFT_VAR || i->what == DRAFT_TEXT ? &d->pins[i->pin] : NULL;
	if (i->what == DRAFT_VAR) {
		r = file_open(p->step, draft_var(d, i), p->dirfd, file, e);
		*stable = was_opened(v, n, d, i);
	} else if (i->what == DRAFT_TEXT) {
		r = text_content(d, i, &st, text, e);
	}
	pthread_mutex_unlock(&d->lock);
	return r;
}

/* --- xattrs ------------------------------------------------------------------------------------------------ */

/* Of a file that was written; with NAME.p NULL which there are. */
static int xattr_of_staged(struct draft *d, struct draft_item *i, struct bytes name,
			   struct buf *out, struct err *e)
{
	CLEANUP(buf_release) struct buf path = {0}, key = {0};
	struct source src;
	int r = 0;

	if (name.p && bytes_eq(name, bytes_str("error")))
		return i->staged->refusal.code ? buf_add_str(out, i->staged->refusal.text)
					       : -ENODATA;
	if (!draft_is_variable(i))
		return -ENODATA;
	if (!name.p)
		return buf_add(out, LISTED, sizeof LISTED - 1);
	r = draft_path(i, &path);
	if (r == 0)
		r = name_from_path(d->object_based ? NAME_OBJECT : NAME_PLAIN,
				   bytes_of(path.p, path.n - strlen(".npy")), &key);
	if (r == 0)
		r = draft_item_open(d, i, e);
	if (r == 0)
		r = source_of_fd(i->staged->fd, &src, e);
	return r == 0 ? xattr_of_file(&src, buf_bytes(&key), name, out, e) : r;
}

static int xattr_of_kept(const struct node *n, struct draft *d, struct draft_item *i,
			 struct bytes name, struct buf *out, struct err *e)
{
	struct pin *p = &d->pins[i->pin];
	const struct var *v = draft_var(d, i);
	struct texts own = {0}, *t = n->base && i->pin == 0 ? &n->base->texts : &own;
	int r = t == &own ? texts_init(&own, p->step, p->dirfd, d->meta) : 0;

	if (r == 0)
		r = name.p ? xattr_get(p->step, v, t, p->dirfd, name, out, e)
			   : xattr_list(p->step, v, t, p->dirfd, out);
	if (t == &own)
		texts_release(&own);
	return r;
}

int draft_xattr(const struct node *n, struct draft *d, uint32_t index, struct bytes name,
		struct buf *out, struct err *e)
{
	struct draft_item *i;
	int r = -ENODATA;

	pthread_mutex_lock(&d->lock);
	i = draft_item(d, index);
	if (i && i->what == DRAFT_STAGED)
		r = xattr_of_staged(d, i, name, out, e);
	else if (i && i->what == DRAFT_VAR)
		r = xattr_of_kept(n, d, i, name, out, e);
	pthread_mutex_unlock(&d->lock);
	return r;
}

#include "view/draft_view.h"
#include "base/cleanup.h"
#include "draft/items.h"
#include "format/dtype.h"
#include "view/attr.h"
#include "view/folder.h"
#include "view/in_step.h"
#include "view/steps.h"
#include <fcntl.h>

/* --- which draft ------------------------------------------------------------------------------------------- */

struct loaded *draft_base_of(const struct draft *d)
{
	return d->owner;
}

static void release_base(void *base)
{
	loaded_unref(base);
}

struct draft *draft_of(struct view *v, const struct node *n)
{
	struct draft *d;

	pthread_mutex_lock(&v->lock);
	while (n->draft && n->draft->ended) /* whoever has ended it is about to let it go */
		pthread_cond_wait(&v->left, &v->lock);
	d = n->draft ? draft_ref(n->draft) : NULL;
	pthread_mutex_unlock(&v->lock);
	return d;
}

bool draft_ask(struct asking *a, struct view *v, const struct node *n, int r)
{
	bool again = !a->begun || (a->draft && r < 0 && a->draft->ended);

	draft_unref(TAKE(a->draft, NULL));
	if (again)
		a->draft = draft_of(v, n);
	a->begun = true;
	return again;
}

/* The same for those who have a lock that is needed to let it go: it may have ended. */
static struct draft *draft_now(struct view *v, const struct node *n)
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
	struct stat st;
	bool first;

	d->owner = base;
	d->owner_release = release_base;
	if (!base && fstat(d->fd, &st) < 0)
		st = (struct stat){.st_ino = n->slot};
	pthread_mutex_lock(&v->lock);
	n->draft = draft_ref(d);
	n->ino = n->ino ? n->ino : attr_step_ino(base ? &base->step->index : &st);
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
	folder->lockers += r == 0;
	pthread_mutex_unlock(&v->loading);
	return r;
}

/* Under v->loading. */
static void unlock_if_idle(struct node *folder, int top)
{
	if (!folder->drafts && !folder->lockers && folder->lock && top >= 0)
		lock_end_drafts(folder->lock, top);
}

void draft_unlock_folder(struct view *v, struct node *folder, int top)
{
	pthread_mutex_lock(&v->loading);
	folder->lockers--;
	unlock_if_idle(folder, top);
	pthread_mutex_unlock(&v->loading);
}

/* A draft of another step in N's folder; the caller unrefs it. */
static struct draft *draft_beside(struct view *v, const struct node *n)
{
	struct draft *d = NULL;

	pthread_mutex_lock(&v->lock);
	for (uint32_t i = 0; i < v->nodes.n_slots && n->parent->drafts && !d; i++) {
		const struct node *other = v->nodes.slots[i];

		if (other && other->parent == n->parent && other->draft)
			d = draft_ref(other->draft);
	}
	pthread_mutex_unlock(&v->lock);
	return d;
}

/* Under v->loading. BASE, whose reference the draft takes over, or MAKER of a new step. */
static int begin(struct view *v, struct node *n, struct loaded *base,
		 const struct draft_owner *maker, struct draft **out, struct err *e)
{
	CLEANUP(closep) int top = folder_open_parent(v, n, e);
	struct draft *beside = draft_beside(v, n);
	const struct draft_config c = {.top = top,
				       .beside = beside,
				       .name = n->place->name,
				       .meta = v->meta_suffix,
				       .mode = v->verify,
				       .first_dynamic = n->next_dynamic,
				       .maker = maker};
	int r = top < 0 ? top : lock_folder(v, n->parent, top, e);

	if (r == 0)
		r = draft_begin(&c, base ? base->step : NULL, base ? &base->tree : NULL, top, out,
				e);
	draft_unref(beside);
	if (r < 0) {
		unlock_if_idle(n->parent, top);
		return r;
	}
	draft_attach(v, n, *out, base);
	return 0;
}

/* As draft_need, once: the draft may have ended. */
static int need_once(struct view *v, struct node *n, struct draft **out, struct err *e)
{
	struct loaded *base;
	int r = steps_get(v, n, &base, e);

	if (r < 0)
		return r;
	pthread_mutex_lock(&v->loading);
	*out = draft_now(v, n);
	if (!*out && !step_is_known(base->step))
		r = err_set(e, -EIO, "%s: what it is made of can't be found out", n->place->name);
	if (!*out && r == 0) {
		r = begin(v, n, base, NULL, out, e);
		base = r < 0 ? base : NULL;
	}
	pthread_mutex_unlock(&v->loading);
	loaded_unref(base);
	return r;
}

int draft_need(struct view *v, struct node *n, struct draft **out, struct err *e)
{
	if (!v->writable)
		return -EROFS;
	for (;;) {
		int r = 0;

		*out = draft_of(v, n);
		if (!*out)
			r = need_once(v, n, out, e);
		if (r < 0 || !(*out)->ended)
			return r;
		draft_unref(*out);
	}
}

int draft_need_new(struct view *v, struct node *n, const struct draft_owner *maker,
		   struct draft **out, struct err *e)
{
	int r;

	pthread_mutex_lock(&v->loading);
	r = begin(v, n, NULL, maker, out, e);
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

void draft_drop_pages(const struct node *n, const struct draft *d, const struct buf *changes)
{
	const struct view_change *c = (const struct view_change *)changes->p;
	struct loaded *base = draft_base_of(d);

	for (size_t k = 0; base && k < changes->n / sizeof *c; k++) {
		uint32_t file = node_index(n, c[k].id) - TREE_FIRST;

		if (!*c[k].name && file < base->tree.n_files)
			atomic_store(&base->opened[file], 0);
	}
}

void draft_leave(struct view *v, struct node *n, struct draft *d)
{
	CLEANUP(closep) int top = folder_open_parent(v, n, NULL);

	pthread_mutex_lock(&v->loading);
	pthread_mutex_lock(&v->lock);
	n->draft = NULL;
	n->next_dynamic = d->first_dynamic + d->n_dynamic;
	v->drafts--;
	n->parent->drafts--;
	pthread_cond_broadcast(&v->left);
	pthread_mutex_unlock(&v->lock);
	unlock_if_idle(n->parent, top);
	pthread_mutex_unlock(&v->loading);
	draft_unref(d); /* the node's */
	view_forget(v, node_id(n, NODE_ROOT_ID), 1);
}

void draft_await(struct view *v, const struct node *n, const struct draft *d)
{
	pthread_mutex_lock(&v->lock);
	while (n->draft == d)
		pthread_cond_wait(&v->left, &v->lock);
	pthread_mutex_unlock(&v->lock);
}

/* --- attributes -------------------------------------------------------------------------------------------- */

/* The texts of the step that a TEXT item is of. */
static int text_content(const struct draft *d, const struct draft_item *i, struct stat *st,
			struct buf *out, struct err *e)
{
	const struct pin *p = &d->pins[i->pin];
	CLEANUP(closep) int dir = draft_pin_dir(d, p, e);
	struct texts t;
	int r = dir;

	if (r >= 0 && (r = texts_init(&t, p->step, dir, d->meta)) < 0)
		err_sys(e, r, "what is beside %s", p->step->place.file);
	if (r < 0)
		return r;
	*st = t.st[i->number];
	r = out ? text_make(&t, p->step, dir, i->number, out, e) : 0;
	texts_release(&t);
	return r;
}

static int stat_of_text(struct draft *d, struct draft_item *i, struct stat *out)
{
	CLEANUP(buf_release) struct buf text = {0};
	const struct pin *p = &d->pins[i->pin];
	struct loaded *base = draft_base_of(d);
	struct stat st = {0};
	int r;

	if (i->pin == 0 && base) {
		CLEANUP(closep) int dir = draft_pin_dir(d, p, NULL);

		attr_of_text(&base->texts.st[i->number], i->number,
			     text_size(&base->texts, p->step, dir, i->number), out);
		return 0;
	}
	r = text_content(d, i, &st, &text, NULL);
	if (r < 0 && !st.st_mode)
		return r;
	attr_of_text(&st, i->number, r == 0 ? text.n : (uint64_t)st.st_size, out);
	if (!d->has_base && draft_stat_step(d, &st) == 0)
		attr_give_to(&st, out);
	return 0;
}

/* A folder has the number that the base has for it, or would have under its path. */
static uint64_t dir_ino(uint64_t step, const struct draft *d, const struct draft_item *i)
{
	CLEANUP(buf_release) struct buf path = {0};
	const struct loaded *base = draft_base_of(d);

	if (base && i->index < d->n_fixed)
		return attr_dir_ino(step, &base->tree, in_step_dir(base, i->index));
	if (d->has_base || !i->parent || draft_path(i, &path) < 0 || buf_add_byte(&path, '/') < 0)
		return i->parent ? attr_new_dir_ino(step, i->index) : step;
	return attr_path_ino(step, buf_bytes(&path));
}

static int stat_of_dir(struct view *v, const struct node *n, struct draft *d,
		       const struct draft_item *i, struct stat *out)
{
	struct stat st;
	int r = draft_stat_step(d, &st);

	if (r < 0)
		return r;
	if (d->has_base)
		attr_of_step(&st, out);
	else
		attr_of_draft_dir(&st, out);
	if (i->entered.tv_sec)
		attr_set_times(out, i->entered);
	out->st_ino = dir_ino(view_step_ino(v, n), d, i);
	return 0;
}

static int stat_of_var(const struct draft *d, const struct draft_item *i, struct stat *out)
{
	const struct pin *p = &d->pins[i->pin];
	const struct var *var = draft_var(d, i);
	CLEANUP(closep) int dir = -1;
	struct stat of;
	int r = draft_stat_step(d, &of);

	if (r < 0)
		return r;
	if (var->dtype == DTYPE_STRING && (dir = draft_pin_dir(d, p, NULL)) < 0)
		return dir; /* they must be read for their size */
	attr_of_var(p->step, var, d->has_base ? NULL : &of, npy_file_size(p->step, var, dir), out);
	return 0;
}

int draft_entry(struct view *v, const struct node *n, struct draft *d, struct draft_item *i,
		struct view_entry *out, struct err *e)
{
	struct stat st = {0};
	int r = 0;

	*out = (struct view_entry){.id = node_id(n, i->index), .stable = true};
	if (i->what == DRAFT_DIR) {
		r = stat_of_dir(v, n, d, i, &out->st);
	} else if (i->what == DRAFT_TEXT) {
		r = stat_of_text(d, i, &out->st);
	} else if (i->what == DRAFT_VAR) {
		r = stat_of_var(d, i, &out->st);
	} else {
		r = draft_stat(d, i, &st, NULL);
		attr_of_staged(&st, &out->st);
	}
	if (r < 0)
		err_sys(e, r, "%s", i->parent ? i->name : d->name);
	if (i->gone)
		out->st.st_nlink = 0;
	out->fleeting = !is_of_base(d, i) && i != d->root;
	out->st.st_dev = v->root.st_dev;
	return r;
}

/* --- looking ----------------------------------------------------------------------------------------------- */

int draft_lookup(struct view *v, struct node *n, struct draft *d, uint32_t dir, const char *name,
		 struct view_entry *out, struct err *e)
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
		r = draft_entry(v, n, d, i, out, e);
	pthread_mutex_unlock(&d->lock);
	if (r < 0)
		return r;
	view_hold(v, n);
	return 0;
}

int draft_getattr(struct view *v, struct node *n, struct draft *d, uint32_t index,
		  struct view_entry *out, struct err *e)
{
	struct draft_item *i;
	int r;

	pthread_mutex_lock(&d->lock);
	i = draft_item(d, index);
	r = i ? draft_entry(v, n, d, i, out, e) : -ESTALE;
	pthread_mutex_unlock(&d->lock);
	return r;
}

int draft_getattr_open(struct view *v, const struct node *n, struct draft *d, struct draft_item *i,
		       struct view_entry *out, struct err *e)
{
	int r;

	pthread_mutex_lock(&d->lock);
	r = draft_entry(v, n, d, i, out, e);
	pthread_mutex_unlock(&d->lock);
	return r;
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
static bool was_opened(const struct view *v, const struct draft *d, struct draft_item *i)
{
	struct loaded *base = draft_base_of(d);
	bool before = i->opened;

	i->opened = true;
	if (base && i->index < d->n_fixed && i->pin == 0 &&
	    i->index - TREE_FIRST < base->tree.n_files)
		before = atomic_exchange(&base->opened[i->index - TREE_FIRST], 1);
	return before || v->verify != VERIFY_READ;
}

int draft_open_base(struct view *v, struct draft *d, struct draft_item *i, struct draft_base *base,
		    struct buf *text, bool *stable, struct err *e)
{
	struct stat st;
	int r = 0;

	*stable = true;
	pthread_mutex_lock(&d->lock);
	if (i->what == DRAFT_VAR) {
		const struct pin *p = &d->pins[i->pin];
		CLEANUP(closep) int dir = draft_pin_dir(d, p, e);

		r = dir < 0 ? dir : npy_file_open(p->step, draft_var(d, i), dir, &base->file, e);
		base->pin = i->pin;
		base->number = i->number;
		*stable = was_opened(v, d, i);
	} else if (i->what == DRAFT_TEXT) {
		r = text_content(d, i, &st, text, e);
	}
	pthread_mutex_unlock(&d->lock);
	return r;
}

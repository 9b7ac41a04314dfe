#include "view/in_step.h"
#include "base/cleanup.h"
#include "draft/draft_state.h"
#include "draft/walk.h"
#include "format/dtype.h"
#include "step/npy_file.h"
#include "view/attr.h"
#include "view/folder.h"

uint32_t in_step_dir(const struct loaded *l, uint32_t index)
{
	return index == TREE_ROOT ? 0 : index - tree_dir_index(&l->tree, 1) + 1;
}

bool in_step_is_file(const struct loaded *l, uint32_t index)
{
	return index >= TREE_FIRST && index - TREE_FIRST < l->tree.n_files;
}

bool in_step_is_text(const struct loaded *l, uint32_t index)
{
	return index >= tree_text_index(&l->tree, 0) && index < tree_text_index(&l->tree, N_TEXTS);
}

enum text_kind in_step_text(const struct loaded *l, uint32_t index)
{
	return index - tree_text_index(&l->tree, 0);
}

const struct var *in_step_var(const struct loaded *l, uint32_t index)
{
	return &l->step->vars[l->tree.files[index - TREE_FIRST].var];
}

uint32_t in_step_find(const struct loaded *l, uint32_t index, const char *name)
{
	enum text_kind kind = index == NODE_ROOT_ID ? text_kind_of(name) : N_TEXTS;
	struct tree_child child;

	if (kind < N_TEXTS && l->texts.there[kind])
		return tree_text_index(&l->tree, kind);
	if (!tree_lookup(&l->tree, in_step_dir(l, index), bytes_str(name), &child))
		return 0;
	return child.is_dir ? tree_dir_index(&l->tree, child.index) : tree_file_index(child.index);
}

/* --- attributes -------------------------------------------------------------------------------------------- */

static void attr_of_file(struct view *v, const struct node *n, const struct loaded *l,
			 uint32_t index, struct stat *out)
{
	const struct var *var = in_step_var(l, index);
	CLEANUP(closep) int fd = -1;

	if (var->dtype == DTYPE_STRING) /* the strings are read to know the size */
		fd = folder_open_parent(v, n, NULL);
	attr_of_var(l->step, var, NULL, npy_file_size(l->step, var, fd), out);
}

static void attr_of_made_text(struct view *v, const struct node *n, struct loaded *l,
			      uint32_t index, struct stat *out)
{
	CLEANUP(closep) int fd = folder_open_parent(v, n, NULL);
	enum text_kind kind = in_step_text(l, index);

	attr_of_text(&l->texts.st[kind], kind, text_size(&l->texts, l->step, fd, kind), out);
}

static void attr_of_folder(const struct node *n, const struct loaded *l, uint32_t index,
			   struct stat *out)
{
	attr_of_step(&l->step->index, out);
	out->st_ino = attr_dir_ino(n->ino, &l->tree, in_step_dir(l, index));
}

void in_step_entry(struct view *v, const struct node *n, struct loaded *l, uint32_t index,
		   struct view_entry *out)
{
	out->id = node_id(n, index);
	out->stable = true;
	if (in_step_is_file(l, index))
		attr_of_file(v, n, l, index, &out->st);
	else if (in_step_is_text(l, index))
		attr_of_made_text(v, n, l, index, &out->st);
	else
		attr_of_folder(n, l, index, &out->st);
	out->st.st_dev = v->root.st_dev;
}

/* --- in a draft ---------------------------------------------------------------------------------------------- */

struct loaded *in_draft_base(const struct draft *d)
{
	return d->owner;
}

bool in_draft_is_of_base(const struct draft *d, const struct draft_item *i)
{
	return i->index < d->n_fixed && i->under && i->what != DRAFT_STAGED &&
	       !(i->on_disk && i->what != DRAFT_DIR);
}

/* Looks at the file that the TEXT item I is made from; with OUT also makes the text. */
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
	struct loaded *base = in_draft_base(d);
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

/* st_ino of a folder: as in the base, or as the base would have it under this path. */
static uint64_t dir_ino(uint64_t step, const struct draft *d, const struct draft_item *i)
{
	CLEANUP(buf_release) struct buf path = {0};
	const struct loaded *base = in_draft_base(d);

	if (base && i->index < d->n_fixed)
		return attr_dir_ino(step, &base->tree, in_step_dir(base, i->index));
	if (d->has_base || !i->parent || draft_path(i, &path) < 0 || buf_add_byte(&path, '/') < 0)
		return i->parent ? attr_new_dir_ino(step, i->index) : step;
	return attr_path_ino(step, buf_bytes(&path));
}

static int stat_of_dir(const struct node *n, struct draft *d, const struct draft_item *i,
		       struct stat *out)
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
	out->st_ino = dir_ino(n->ino, d, i);
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
		return dir; /* the strings are read to know the size */
	attr_of_var(p->step, var, d->has_base ? NULL : &of, npy_file_size(p->step, var, dir), out);
	return 0;
}

int in_draft_entry(struct view *v, const struct node *n, struct draft *d, struct draft_item *i,
		   struct view_entry *out, struct err *e)
{
	struct stat st = {0};
	int r = 0;

	*out = (struct view_entry){.id = node_id(n, i->index), .stable = true};
	if (i->what == DRAFT_DIR) {
		r = stat_of_dir(n, d, i, &out->st);
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
	out->fleeting = !in_draft_is_of_base(d, i) && i != d->root;
	out->st.st_dev = v->root.st_dev;
	return r;
}

/* The folder that has INDEX in D, whose lock is held; G has room for it. -ESTALE: it is gone; -ENOTDIR. */
static int folder_in_draft(struct draft *d, uint32_t index, struct draft_glance *g,
			   struct draft_item **out)
{
	*out = draft_item(d, index, g);
	if (!*out || (*out)->gone)
		return -ESTALE;
	return (*out)->what == DRAFT_DIR ? 0 : -ENOTDIR;
}

int in_draft_lookup(struct view *v, struct node *n, struct draft *d, uint32_t dir, const char *name,
		    struct view_entry *out, struct err *e)
{
	struct draft_glance g, of_parent;
	struct draft_item *parent, *i = NULL;
	int r;

	pthread_mutex_lock(&d->lock);
	r = folder_in_draft(d, dir, &of_parent, &parent);
	if (r == 0 && !(i = draft_find(d, parent, name, &g)))
		r = -ENOENT;
	if (r == 0)
		r = in_draft_entry(v, n, d, i, out, e);
	pthread_mutex_unlock(&d->lock);
	if (r < 0)
		return r;
	view_hold(v, n);
	return 0;
}

int in_draft_getattr(struct view *v, struct node *n, struct draft *d, uint32_t index,
		     struct view_entry *out, struct err *e)
{
	struct draft_glance g;
	struct draft_item *i;
	int r;

	pthread_mutex_lock(&d->lock);
	i = draft_item(d, index, &g);
	r = i ? in_draft_entry(v, n, d, i, out, e) : -ESTALE;
	pthread_mutex_unlock(&d->lock);
	return r;
}

int in_draft_getattr_open(struct view *v, const struct node *n, struct draft *d,
			  struct draft_item *i, struct view_entry *out, struct err *e)
{
	int r;

	pthread_mutex_lock(&d->lock);
	r = in_draft_entry(v, n, d, i, out, e);
	pthread_mutex_unlock(&d->lock);
	return r;
}

int in_draft_list(struct draft *d, uint32_t dir, struct buf *items, struct buf *names)
{
	struct draft_children c = {0};
	struct draft_glance g;
	struct draft_item *parent, *i;
	int r;

	pthread_mutex_lock(&d->lock);
	r = folder_in_draft(d, dir, &g, &parent);
	while (r == 0 && (i = draft_child(d, parent, &c))) {
		struct dir_name name = {i->index, i->what == DRAFT_DIR ? S_IFDIR : S_IFREG,
					names->n};

		r = buf_add(names, i->name, strlen(i->name) + 1);
		if (r == 0)
			r = buf_add(items, &name, sizeof name);
	}
	pthread_mutex_unlock(&d->lock);
	return r;
}

/* May the kernel keep its pages of I? As may_keep_pages in open.c: what the base has is verified together with what
 * was read of it before the draft. I is opened from now on. */
static bool was_opened(const struct view *v, const struct draft *d, struct draft_item *i)
{
	struct loaded *base = in_draft_base(d);
	bool before = i->opened;

	i->opened = true;
	if (base && i->index < d->n_fixed && i->pin == 0 &&
	    i->index - TREE_FIRST < base->tree.n_files)
		before = atomic_exchange(&base->opened[i->index - TREE_FIRST], 1);
	return before || v->verify != VERIFY_READ;
}

int in_draft_open_base(struct view *v, struct draft *d, struct draft_item *i,
		       struct draft_base *base, struct buf *text, bool *stable, struct err *e)
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

#include "view/in_step.h"
#include "base/cleanup.h"
#include "format/dtype.h"
#include "step/attr.h"
#include "step/npy_file.h"
#include "view/drafts.h"
#include "view/folder.h"
#include "view/open.h"
#include "view/status.h"
#include "view/steps.h"

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

bool in_step_may_keep_pages(const struct view *v, struct loaded *l, uint32_t index)
{
	return atomic_exchange(&l->opened[index - TREE_FIRST], 1) || v->verify != VERIFY_READ;
}

/* --- opening -------------------------------------------------------------------------------------------------- */

/* Its shards may be open already: the folder is only opened if it is needed. */
int in_step_open_file(const struct view *v, const struct node *n, const struct loaded *l,
		      uint32_t index, struct npy_file **out, struct err *e)
{
	const struct var *var = in_step_var(l, index);
	CLEANUP(closep) int dirfd = -1;

	if (l->step->kept && npy_file_open(l->step, var, -1, out, NULL) == 0)
		return 0;
	dirfd = folder_open_parent(v, n, e);
	return dirfd < 0 ? dirfd : npy_file_open(l->step, var, dirfd, out, e);
}

int in_step_make_text(const struct view *v, const struct node *n, struct loaded *l, uint32_t index,
		      struct buf *out, struct err *e)
{
	CLEANUP(closep) int dirfd = folder_open_parent(v, n, e);

	return dirfd < 0 ? dirfd
			 : text_make(&l->texts, l->step, dirfd, in_step_text(l, index), out, e);
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
			      uint32_t index, struct view_entry *out)
{
	CLEANUP(closep) int fd = folder_open_parent(v, n, NULL);
	enum text_kind kind = in_step_text(l, index);
	bool lasts;
	uint64_t size = text_size(&l->texts, l->step, fd, kind, &lasts);

	attr_of_text(&l->texts.st[kind], kind, size, &out->st);
	out->fleeting = !lasts;
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
		attr_of_made_text(v, n, l, index, out);
	else
		attr_of_folder(n, l, index, &out->st);
	out->st.st_dev = v->root.st_dev;
}

/* --- as one file --------------------------------------------------------------------------------------------- */

void in_step_whole_attr(const struct stat *of, mode_t type, uint64_t size, struct stat *out)
{
	attr_of_made_up(of, STATUS_WHOLE_INDEX, type, size, out);
	if (S_ISLNK(type))
		out->st_mode = S_IFLNK | 0777;
}

/* The saved step of N, with a reference: that which its draft D is over. DIR is not NULL: the folder with its files is opened. */
static int saved_step(struct view *v, struct node *n, struct draft *d, struct loaded **out,
		      int *dir, struct err *e)
{
	struct loaded *base = d ? in_draft_base(d) : NULL;
	int r = d ? 0 : steps_get(v, n, out, e);

	if (d && !base)
		return -ENOENT;
	if (d)
		*out = loaded_ref(base);
	if (r == 0 && dir) {
		*dir = d ? draft_open_pin(d, 0, e) : folder_open_parent(v, n, e);
		r = *dir < 0 ? *dir : 0;
		if (r < 0)
			loaded_unref(TAKE(*out, NULL));
	}
	return r;
}

/* Only the first who asks makes the header. DIR: the folder with the step's files. */
static int whole_of(struct view *v, const struct node *n, struct loaded *l, int dir,
		    const struct safetensors **out, struct err *e)
{
	const struct safetensors_of of = {.step = l->step, .dirfd = dir, .tree = &l->tree};
	struct safetensors *s = l->whole ? NULL : calloc(1, sizeof *s);
	bool kept = false;
	int r = 0;

	if (!l->whole)
		r = s ? safetensors_layout(&of, s, e) : err_set(e, -ENOMEM, "no memory");
	if (s && r == 0) {
		HOLD(&v->lock);
		kept = node_keep_whole(&v->nodes, n, l, s);
	}
	if (s && !kept) {
		safetensors_release(s);
		free(s);
	}
	*out = l->whole;
	return r;
}

int in_step_whole_entry(struct view *v, struct node *n, struct view_entry *out, struct err *e)
{
	struct draft *d = view_draft_of(v, n);
	struct loaded *l = NULL;
	const struct safetensors *whole;
	CLEANUP(closep) int dir = -1;
	struct stat folder;
	int r = saved_step(v, n, d, &l, &dir, e);

	draft_unref(d);
	if (r == 0)
		r = whole_of(v, n, l, dir, &whole, e);
	if (r == 0) {
		*out = (struct view_entry){.id = node_id(n, STATUS_WHOLE_INDEX), .fleeting = true};
		attr_of_step(&l->step->index, &folder);
		folder.st_ino = n->ino;
		folder.st_dev = v->root.st_dev;
		in_step_whole_attr(&folder, S_IFREG, whole->size, &out->st);
		out->st.st_mode = S_IFREG | (step_owner(l->step).mode & 0444);
	}
	loaded_unref(l);
	return r;
}

/* Is a variable of S known to be damaged? The kernel may have read it from here before that was found by another of its files. */
static bool has_damage(const struct step *s)
{
	for (uint32_t i = 0; i < s->n_vars; i++)
		if (verify_check(s->verify, i, NULL) < 0)
			return true;
	return false;
}

int in_step_open_whole(struct view *v, struct node *n, struct loaded **loaded,
		       struct safetensors_file **out, bool *stable, struct err *e)
{
	struct asking a = {0};
	int r = 0;

	while (view_draft_ask(&a, v, n, r)) {
		CLEANUP(closep) int dir = -1;
		const struct safetensors *whole;
		struct loaded *l = NULL;

		r = saved_step(v, n, a.draft, &l, &dir, e);
		if (r == 0)
			r = whole_of(v, n, l, dir, &whole, e);
		if (r == 0)
			r = safetensors_open(whole, l->step, dir, out, e);
		if (r == -ESTALE && !a.draft) /* its name leads to a new node from now on */
			steps_detach(v, n);
		if (r < 0)
			loaded_unref(l);
		else
			*loaded = l;
	}
	if (r < 0)
		return folder_wrap(n->parent, r, e);
	/* As for a variable. */
	*stable = (atomic_exchange(&(*loaded)->opened[(*loaded)->tree.n_files], 1) ||
		   v->verify != VERIFY_READ) &&
		  !has_damage((*loaded)->step);
	return 0;
}

/* --- in a draft ---------------------------------------------------------------------------------------------- */

struct loaded *in_draft_base(const struct draft *d)
{
	return draft_holder(d);
}

int in_draft_open_step(const struct view *v, struct draft *d, const struct draft_seen *s,
		       struct in_draft_step *out, struct err *e)
{
	struct loaded *base = s->pin == 0 ? in_draft_base(d) : NULL;
	int r = 0;

	*out = (struct in_draft_step){.dir = draft_open_pin(d, s->pin, e)};
	if (out->dir < 0)
		return out->dir;
	if (!base && (r = texts_init(&out->own, s->step, out->dir, v->meta_suffix,
				     v->strip_default_attrs)) < 0)
		return err_sys(e, r, "what is beside %s", s->step->place.file);
	out->texts = base ? &base->texts : &out->own;
	return 0;
}

void in_draft_close_step(struct in_draft_step *s)
{
	closep(&s->dir);
	if (s->texts == &s->own)
		texts_release(&s->own);
}

static int stat_of_text(const struct view *v, struct draft *d, const struct draft_seen *s,
			struct view_entry *out, struct err *e)
{
	CLEANUP(in_draft_close_step) struct in_draft_step of;
	uint64_t size;
	bool lasts;
	int r = in_draft_open_step(v, d, s, &of, e);

	if (r == 0 && !of.texts->st[s->number].st_mode)
		r = err_sys(e, -ENOENT, "%s", text_name(s->number));
	if (r < 0)
		return r;
	size = text_size(of.texts, s->step, of.dir, s->number, &lasts);
	attr_of_text(&of.texts->st[s->number], s->number, size, &out->st);
	out->fleeting = out->fleeting || !lasts;
	if (!in_draft_base(d))
		attr_give_to(&s->st, &out->st);
	return 0;
}

/* st_ino of a folder: as in the base, or as the base would have it under this path. */
static uint64_t dir_ino(uint64_t step, const struct loaded *base, const struct draft_seen *s)
{
	if (base && s->index < DRAFT_DYNAMIC)
		return attr_dir_ino(step, &base->tree, in_step_dir(base, s->index));
	return base ? attr_new_dir_ino(step, s->index) : attr_path_ino(step, buf_bytes(&s->path));
}

static void stat_of_dir(const struct node *n, const struct loaded *base, const struct draft_seen *s,
			struct stat *out)
{
	if (base)
		attr_of_step(&s->st, out);
	else
		attr_of_draft_dir(&s->st, out);
	if (s->entered.tv_sec)
		attr_set_times(out, s->entered);
	out->st_ino = dir_ino(n->ino, base, s);
}

static int stat_of_var(struct draft *d, const struct draft_seen *s, struct stat *out, struct err *e)
{
	const struct var *var = &s->step->vars[s->number];
	CLEANUP(closep) int dir = -1;

	if (var->dtype == DTYPE_STRING && (dir = draft_open_pin(d, s->pin, e)) < 0)
		return dir; /* the strings are read to know the size */
	attr_of_var(s->step, var, in_draft_base(d) ? NULL : &s->st,
		    npy_file_size(s->step, var, dir), out);
	return 0;
}

/* The attributes of S, which is in the draft D of N. */
static int entry_of(struct view *v, const struct node *n, struct draft *d,
		    const struct draft_seen *s, struct view_entry *out, struct err *e)
{
	int r = 0;

	*out = (struct view_entry){
		.id = node_id(n, s->index), .stable = true, .fleeting = !s->of_base};
	switch (s->what) {
	case DRAFT_DIR:
		stat_of_dir(n, in_draft_base(d), s, &out->st);
		break;
	case DRAFT_TEXT:
		r = stat_of_text(v, d, s, out, e);
		break;
	case DRAFT_VAR:
		r = stat_of_var(d, s, &out->st, e);
		break;
	case DRAFT_STAGED:
		attr_of_staged(&s->st, &out->st);
		break;
	}
	if (s->gone)
		out->st.st_nlink = 0;
	out->st.st_dev = v->root.st_dev;
	return r;
}

int in_draft_entry(struct view *v, const struct node *n, struct draft *d, uint32_t index,
		   const char *name, struct view_entry *out, struct err *e)
{
	CLEANUP(draft_seen_release) struct draft_seen s;
	int r = draft_see(d, index, name, &s, e);

	return r < 0 ? r : entry_of(v, n, d, &s, out, e);
}

int in_draft_entry_of(struct view *v, const struct node *n, struct draft *d, struct draft_item *i,
		      struct view_entry *out, struct err *e)
{
	CLEANUP(draft_seen_release) struct draft_seen s;
	int r = draft_see_item(d, i, &s, e);

	return r < 0 ? r : entry_of(v, n, d, &s, out, e);
}

/* As in_step_may_keep_pages. What the base has is verified together with what was read of it before the draft; all other
 * steps are parsed as long as the draft is there. */
static bool may_keep_pages(const struct view *v, const struct draft *d, const struct draft_seen *s)
{
	struct loaded *base = in_draft_base(d);

	return base && s->pin == 0 && in_step_is_file(base, s->index)
		       ? in_step_may_keep_pages(v, base, s->index)
		       : s->opened || v->verify != VERIFY_READ;
}

int in_draft_open_base(struct view *v, struct draft *d, struct draft_item *i,
		       struct draft_base *base, struct buf *text, bool *stable, struct err *e)
{
	CLEANUP(draft_seen_release) struct draft_seen s;
	CLEANUP(in_draft_close_step) struct in_draft_step of = {.dir = -1};
	int r = draft_see_item(d, i, &s, e);

	*stable = true;
	if (r < 0 || !s.step)
		return r;
	r = in_draft_open_step(v, d, &s, &of, e);
	if (r < 0)
		return r;
	if (s.what == DRAFT_TEXT)
		return text_make(of.texts, s.step, of.dir, s.number, text, e);
	base->pin = s.pin;
	base->number = s.number;
	*stable = may_keep_pages(v, d, &s);
	return npy_file_open(s.step, &s.step->vars[s.number], of.dir, &base->file, e);
}

/* Is F open on a variable of the base whose name was removed in D? */
static bool is_orphan(struct view_file *f, const struct draft *d)
{
	const struct opened *o;

	HOLD(&f->lock);
	o = f->now;
	return o->draft == d && draft_is_orphan(o->item);
}

void in_draft_number_orphans(struct view *v, struct node *n, struct draft *d)
{
	CLEANUP(buf_release) struct buf more = {0};

	HOLD(&v->lock);
	for (struct view_file *f = n->files; f; f = f->next) {
		struct number new = {.index = node_index(n, f->id)};

		if (!new.index || !is_orphan(f, d))
			continue;
		new.number = draft_new_number(d);
		if (new.number)
			buf_add(&more, &new, sizeof new);
	}
	node_add_numbers(n, (struct number *)more.p, more.n / sizeof(struct number));
}

/* src/view/step_xattr.c: the extended attributes of what is in a step, or in its draft. */
#include "base/cleanup.h"
#include "draft/draft_state.h"
#include "step/name.h"
#include "view/draft_view.h"
#include "view/folder.h"
#include "view/in_step.h"
#include "view/steps.h"
#include "view/xattr.h"
#include <fcntl.h>

/* What a variable that was written has, as listxattr(2) wants it. */
#define LISTED "user.ckptfs.key\0user.ckptfs.dtype\0user.ckptfs.shape\0"

/* --- in a draft -------------------------------------------------------------------------------------------- */

/* What an item of a draft is: taken with the draft's lock held, and looked at without. */
struct subject {
	struct step *step; /* a variable of it, or */
	uint32_t number;
	int dir; /* where its files are */
	struct texts *texts; /* or NULL */
	int fd; /* a file of the draft's own, and */
	struct buf key;
	bool is_variable;
	struct err refusal;
};

static void subject_release(struct subject *s)
{
	step_unref(s->step);
	closep(&s->dir);
	closep(&s->fd);
	buf_release(&s->key);
}

static int take_staged(struct draft *d, struct draft_item *i, struct subject *out, struct err *e)
{
	CLEANUP(buf_release) struct buf path = {0};
	int r;

	out->refusal = i->staged->refusal;
	out->is_variable = draft_is_variable(i);
	if (!out->is_variable || i->gone)
		return 0;
	r = draft_path(i, &path);
	if (r == 0)
		r = name_from_path(d->object_based ? NAME_OBJECT : NAME_PLAIN,
				   bytes_of(path.p, path.n - strlen(".npy")), &out->key);
	if (r == 0)
		r = draft_item_open(d, i, e);
	if (r < 0)
		return r;
	out->fd = fcntl(i->staged->fd, F_DUPFD_CLOEXEC, 0);
	r = out->fd < 0 ? err_sys(e, -errno, "%s", i->name) : 0;
	if (!i->opens)
		closep(&i->staged->fd);
	return r;
}

static int take_var(struct draft *d, const struct draft_item *i, struct subject *out, struct err *e)
{
	struct pin *p = &d->pins[i->pin];
	struct loaded *base = draft_base_of(d);

	out->step = step_ref(p->step);
	out->number = i->number;
	out->texts = base && i->pin == 0 ? &base->texts : NULL;
	out->dir = draft_pin_dir(d, p, e);
	return out->dir < 0 ? out->dir : 0;
}

static int take(struct draft *d, uint32_t index, struct subject *out, struct err *e)
{
	struct draft_item *i;
	int r = -ENODATA;

	*out = (struct subject){.dir = -1, .fd = -1};
	pthread_mutex_lock(&d->lock);
	i = draft_item(d, index);
	if (i && i->what == DRAFT_STAGED)
		r = take_staged(d, i, out, e);
	else if (i && i->what == DRAFT_VAR)
		r = take_var(d, i, out, e);
	pthread_mutex_unlock(&d->lock);
	return r;
}

static int of_staged(const struct subject *s, struct bytes name, const struct stop *stop,
		     struct buf *out, struct err *e)
{
	struct source src;
	int r;

	if (name.p && bytes_eq(name, bytes_str("error")))
		return s->refusal.code ? buf_add_str(out, s->refusal.text) : -ENODATA;
	if (!s->is_variable || s->fd < 0)
		return -ENODATA;
	if (!name.p)
		return buf_add(out, LISTED, sizeof LISTED - 1);
	r = source_of_fd(s->fd, &src, e);
	return r < 0 ? r : xattr_of_file(&src, buf_bytes(&s->key), name, stop, out, e);
}

static int of_var(const struct draft *d, const struct subject *s, struct bytes name,
		  const struct stop *stop, struct buf *out, struct err *e)
{
	const struct var *v = &s->step->vars[s->number];
	struct texts own = {0}, *t = s->texts ? s->texts : &own;
	int r = t == &own ? texts_init(&own, s->step, s->dir, d->meta) : 0;

	if (r < 0)
		return err_sys(e, r, "what is beside %s", s->step->place.file);
	r = name.p ? xattr_get(s->step, v, t, s->dir, name, stop, out, e)
		   : xattr_list(s->step, v, t, s->dir, out);
	if (t == &own)
		texts_release(&own);
	return r;
}

/* The value of NAME, or with NAME.p NULL the names. */
static int xattr_in_draft(struct draft *d, uint32_t index, struct bytes name,
			  const struct stop *stop, struct buf *out, struct err *e)
{
	CLEANUP(subject_release) struct subject s;
	int r = take(d, index, &s, e);

	if (r == 0)
		r = s.step ? of_var(d, &s, name, stop, out, e) : of_staged(&s, name, stop, out, e);
	return r;
}

/* --- in a saved step --------------------------------------------------------------------------------------- */

/* A step that can't be parsed has the one attribute `error`. */
static int error_of_step(struct view *v, struct node *n, struct bytes name, struct buf *out)
{
	struct err why = {0};
	struct loaded *l;

	if (!bytes_eq(name, bytes_str("error")) || view_is_unborn(v, n))
		return -ENODATA;
	if (steps_get(v, n, &l, &why) < 0)
		return buf_add_str(out, why.text);
	loaded_unref(l);
	return -ENODATA;
}

static int xattr_in_base(struct view *v, struct node *n, uint32_t index, struct bytes name,
			 const struct stop *stop, struct buf *out, struct err *e)
{
	CLEANUP(closep) int fd = folder_open_parent(v, n, e);
	struct loaded *l;
	int r = fd < 0 ? fd : steps_get(v, n, &l, e);

	if (r < 0)
		return r;
	if (!in_step_is_file(l, index))
		r = -ENODATA;
	else if (name.p)
		r = xattr_get(l->step, in_step_var(l, index), &l->texts, fd, name, stop, out, e);
	else
		r = xattr_list(l->step, in_step_var(l, index), &l->texts, fd, out);
	loaded_unref(l);
	return r;
}

static int xattr_in_step(struct view *v, struct node *n, uint32_t index, struct bytes name,
			 const struct stop *stop, struct buf *out, struct err *e)
{
	struct asking a = {0};
	int r = 0;

	while (draft_ask(&a, v, n, r)) {
		out->n = 0;
		r = a.draft ? xattr_in_draft(a.draft, index, name, stop, out, e)
			    : xattr_in_base(v, n, index, name, stop, out, e);
	}
	return r;
}

/* --- both -------------------------------------------------------------------------------------------------- */

int view_getxattr(struct view *v, uint64_t id, const char *name, const struct stop *stop,
		  struct buf *out, struct err *e)
{
	struct bytes full = bytes_str(name), ours = bytes_str("user.ckptfs."), rest;
	struct node *n;
	int r;

	/* `ls -l` asks every file for security and ACL attributes: answered before anything is looked up. */
	if (!bytes_starts(full, ours))
		return -ENODATA;
	rest = bytes_of(full.p + ours.n, full.n - ours.n);
	n = view_node(v, id);
	if (!n || (n->kind != NODE_STEP && n->kind != NODE_FOLDER))
		return -ENODATA;
	if (node_number(id) != NODE_ROOT_ID)
		return xattr_in_step(v, n, node_index(n, id), rest, stop, out, e);
	r = view_draft_xattr(v, n, rest, out);
	return r == -ENODATA && n->kind == NODE_STEP ? error_of_step(v, n, rest, out) : r;
}

int view_listxattr(struct view *v, uint64_t id, struct buf *out, struct err *e)
{
	struct node *n = view_node(v, id);
	int r;

	if (!n || n->kind != NODE_STEP || node_number(id) == NODE_ROOT_ID)
		return 0;
	r = xattr_in_step(v, n, node_index(n, id), bytes_of(NULL, 0), NULL, out, e);
	return r == -ENODATA ? 0 : r;
}

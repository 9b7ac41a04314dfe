#include "view/drafts.h"
#include "base/cleanup.h"
#include "base/lacks.h"
#include "directory/ability.h"
#include "directory/drafts_list.h"
#include "step/attr.h"
#include "view/folder.h"
#include "view/steps.h"
#include <fcntl.h>

/* --- which draft ------------------------------------------------------------------------------------------- */

static void release_base(void *base)
{
	loaded_unref(base);
}

struct draft *view_draft_of(struct view *v, const struct node *n)
{
	HOLD(&v->lock);
	while (n->draft && draft_has_ended(n->draft)) /* whoever has ended it will let it go */
		pthread_cond_wait(&v->done, &v->lock);
	return n->draft ? draft_ref(n->draft) : NULL;
}

bool view_draft_ask(struct asking *a, struct view *v, const struct node *n, int r)
{
	bool again = !a->begun || (a->draft && r < 0 && draft_has_ended(a->draft));

	draft_unref(TAKE(a->draft, NULL));
	if (again)
		a->draft = view_draft_of(v, n);
	a->begun = true;
	return again;
}

/* The same for whoever has a turn at drafting, and so can't wait: it may have ended. */
static struct draft *current_draft(struct view *v, const struct node *n)
{
	HOLD(&v->lock);
	return n->draft ? draft_ref(n->draft) : NULL;
}

/* --- the node of a new step ---------------------------------------------------------------------------------- */

struct node *view_draft_node(struct view *v, struct node *parent, const char *name)
{
	CLEANUP(buf_release) struct buf file = {0};
	struct step_place place = {.name = (char *)name, .format = STEP_V2};
	struct node *n = NULL;

	if (step_index_name(name, &file) < 0)
		return NULL;
	place.file = (char *)file.p;
	HOLD(&v->lock);
	n = node_find(&v->nodes, parent, NODE_STEP, name);
	if (n)
		node_detach(&v->nodes, n);
	n = node_new(&v->nodes, parent, NODE_STEP, &place);
	if (n) {
		n->unborn = true;
		n->lookups++;
	}
	return n;
}

/* --- beginning and ending ---------------------------------------------------------------------------------- */

/* Asks the filesystem of TOP what it can do, before anything else is changed there. */
static int learn_abilities(struct view *v, int top, struct err *e)
{
	CLEANUP(buf_release) struct buf say = {0};
	int r = ability_learn(top, &say, e);

	if (r > 0)
		view_tell(v, "%s", (char *)say.p);
	return r < 0 ? r : 0;
}

/* Takes .ckptfs/lock of FOLDER, which TOP is, if it is not held yet. With a turn at drafting. */
static int lock_folder(struct view *v, struct node *folder, int top, struct err *e)
{
	struct lock *lock = folder->lock ? folder->lock : malloc(sizeof *lock);
	int r;

	if (!lock)
		return err_set(e, -ENOMEM, "no memory");
	if (!folder->lock)
		*lock = (struct lock){-1, -1};
	folder->lock = lock;
	r = lock_for_drafts(lock, top, v->who, e);
	if (r == 0)
		r = learn_abilities(v, top, e);
	if (r < 0 && !folder->drafts && !folder->lockers)
		lock_end_drafts(lock, top);
	return r;
}

void view_draft_attach(struct view *v, struct node *n, struct draft *d, struct loaded *base)
{
	struct stat st;
	bool first;

	draft_set_holder(d, base, release_base);
	if (draft_stat_step(d, &st) < 0)
		st = (struct stat){.st_ino = n->slot};
	pthread_mutex_lock(&v->lock);
	n->draft = draft_ref(d);
	n->ino = n->ino ? n->ino : attr_step_ino(&st);
	n->lookups++;
	n->parent->drafts++;
	first = v->drafts++ == 0;
	pthread_mutex_unlock(&v->lock);
	if (first && v->begun)
		v->begun(v->warn_arg);
}

int view_draft_lock_folder(struct view *v, struct node *folder, int top, struct err *e)
{
	int r;

	view_take_turn(v, &folder->drafting);
	r = lock_folder(v, folder, top, e);
	folder->lockers += r == 0;
	view_end_turn(v, &folder->drafting);
	return r;
}

/* With a turn at drafting. */
static void unlock_if_idle(struct node *folder, int top)
{
	if (!folder->drafts && !folder->lockers && folder->lock && top >= 0)
		lock_end_drafts(folder->lock, top);
}

void view_draft_unlock_folder(struct view *v, struct node *folder, int top)
{
	view_take_turn(v, &folder->drafting);
	folder->lockers--;
	unlock_if_idle(folder, top);
	view_end_turn(v, &folder->drafting);
}

int view_draft_learn(struct view *v, struct node *folder, int top, struct err *e)
{
	struct stat st;
	int r;

	if (fstat(top, &st) < 0)
		return err_sys(e, -errno, "the checkpoint directory");
	if (lacks_known(st.st_dev))
		return 0;
	r = view_draft_lock_folder(v, folder, top, e);
	if (r == 0)
		view_draft_unlock_folder(v, folder, top);
	return r == -EBUSY ? 0 : r;
}

/* A draft of another step in N's folder; the caller unrefs it. */
static struct draft *draft_beside(struct view *v, const struct node *n)
{
	struct draft *d = NULL;

	HOLD(&v->lock);
	for (uint32_t i = 0; i < v->nodes.n_slots && n->parent->drafts && !d; i++) {
		const struct node *other = v->nodes.slots[i];

		if (other && other->parent == n->parent && other->draft)
			d = draft_ref(other->draft);
	}
	return d;
}

/* Over BASE, whose reference the draft takes over, or, with BASE NULL, for a new step of MAKER's. With a turn at
 * drafting in the folder. */
static int begin_draft(struct view *v, struct node *n, struct loaded *base,
		       const struct draft_owner *maker, struct draft **out, struct err *e)
{
	CLEANUP(closep) int top = folder_open_parent(v, n, e);
	struct draft *beside = draft_beside(v, n);
	const struct draft_config c = {.top = top,
				       .beside = beside,
				       .name = n->place->name,
				       .meta = v->meta_suffix,
				       .mode = v->verify,
				       .reshape = v->reshape,
				       .strip_default_attrs = v->strip_default_attrs,
				       .no_meta_graph = v->commit.makes.no_meta_graph,
				       .first_dynamic = n->next_dynamic,
				       .maker = maker,
				       .tool = v->tool,
				       .full_names = v->full_names,
				       .seen = v->seen};
	int r = top < 0 ? top : lock_folder(v, n->parent, top, e);

	if (r == 0)
		r = draft_begin(&c, base ? base->step : NULL, base ? &base->tree : NULL, top, out,
				e);
	draft_unref(beside);
	if (r < 0) {
		unlock_if_idle(n->parent, top);
		return r;
	}
	view_draft_attach(v, n, *out, base);
	return 0;
}

/* As view_draft_need, but the draft that it gives may have ended. */
static int need_once(struct view *v, struct node *n, struct draft **out, struct err *e)
{
	struct loaded *base;
	int r = steps_get(v, n, &base, e);

	if (r < 0)
		return r;
	view_take_turn(v, &n->parent->drafting);
	*out = current_draft(v, n);
	if (!*out && !step_is_known(base->step))
		r = err_set(e, -EIO, "%s: what it is made of can't be found out", n->place->name);
	if (!*out && r == 0) {
		r = begin_draft(v, n, base, NULL, out, e);
		base = r < 0 ? base : NULL;
	}
	view_end_turn(v, &n->parent->drafting);
	loaded_unref(base);
	return r;
}

int view_draft_need(struct view *v, struct node *n, struct draft **out, struct err *e)
{
	if (!v->writable)
		return -EROFS;
	for (;;) {
		int r = 0;

		*out = view_draft_of(v, n);
		if (!*out)
			r = need_once(v, n, out, e);
		if (r < 0 || !draft_has_ended(*out))
			return r;
		draft_unref(*out);
	}
}

int view_draft_need_new(struct view *v, struct node *n, const struct draft_owner *maker,
			struct draft **out, struct err *e)
{
	int r;

	view_take_turn(v, &n->parent->drafting);
	r = begin_draft(v, n, NULL, maker, out, e);
	view_end_turn(v, &n->parent->drafting);
	return r;
}

/* What has ended has ended: that something can't be removed yet is no failure. */
static void sweep(struct view *v, struct draft *d)
{
	struct err why;

	if (draft_sweep(d, &why) < 0)
		view_tell(v,
			  "%s: what is left of its draft can't be removed yet, the next mount "
			  "does it: %s",
			  draft_name(d), why.text);
}

void view_draft_leave(struct view *v, struct node *n, struct draft *d)
{
	CLEANUP(closep) int top = folder_open_parent(v, n, NULL);
	struct node *folder = n->parent;

	if (top >= 0 && lacks_at(top) & LACKS_FOLDERS) /* before the next draft can begin */
		sweep(v, d);
	view_take_turn(v, &folder->drafting);
	pthread_mutex_lock(&v->lock);
	n->draft = NULL;
	n->next_dynamic = draft_next_number(d);
	v->drafts--;
	pthread_cond_broadcast(&v->done);
	pthread_mutex_unlock(&v->lock);
	view_end_turn(v, &folder->drafting);
	sweep(v, d); /* as long as the folder is locked */
	view_take_turn(v, &folder->drafting);
	pthread_mutex_lock(&v->lock);
	folder->drafts--;
	pthread_mutex_unlock(&v->lock);
	if (top >= 0)
		drafts_tidy(top);
	unlock_if_idle(folder, top);
	view_end_turn(v, &folder->drafting);
	draft_unref(d); /* the node's */
	kept_close(&v->kept); /* its pins may have been the last names of what is kept open */
	view_forget(v, node_id(n, NODE_ROOT_ID), 1);
}

void view_draft_await(struct view *v, const struct node *n, const struct draft *d)
{
	HOLD(&v->lock);
	while (n->draft == d)
		pthread_cond_wait(&v->done, &v->lock);
}

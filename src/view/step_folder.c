#include "view/step_folder.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "directory/export.h"
#include "directory/state_update.h"
#include "directory/step_files.h"
#include "view/drafts.h"
#include "view/drafts_end.h"
#include "view/folder.h"
#include "view/in_step.h"
#include "view/links.h"
#include "view/lookup.h"
#include "view/steps.h"
#include <fcntl.h>
#include <stdio.h>

/* --- steps as a whole -------------------------------------------------------------------------------------- */

static struct step_files files_of(const struct view *v, int top)
{
	return (struct step_files){top, v->state_name, v->meta_suffix};
}

int step_folder_mkdir(struct view *v, struct node *folder, const char *name,
		      const struct draft_owner *maker, struct view_entry *out, struct err *e)
{
	CLEANUP(buf_release) struct buf prefix = {0};
	struct draft *d;
	struct node *n;
	int r;

	r = lookup_in_folder(v, folder, name, out, e);
	if (r == 0)
		view_forget(v, out->id, 1);
	if (r != -ENOENT)
		return r == 0 ? -EEXIST : r;
	r = lookup_step_name(name, &prefix, e);
	if (r < 0)
		return r;
	n = view_draft_node(v, folder, (char *)prefix.p);
	if (!n)
		return err_set(e, -ENOMEM, "no memory");
	r = view_draft_need_new(v, n, maker, &d, e);
	if (r == 0) {
		r = in_draft_entry(v, n, d, NODE_ROOT_ID, NULL, out, e);
		if (r < 0)
			view_draft_discard(v, n, d, NULL, NULL);
		draft_unref(d);
	}
	if (r < 0) { /* so the kernel gets no reference */
		steps_detach(v, n);
		view_forget(v, node_id(n, NODE_ROOT_ID), 1);
	}
	return r;
}

/* The node of NAME, with a reference for the caller. */
static int find_node(struct view *v, struct node *folder, const char *name, struct node **out,
		     struct err *e)
{
	struct view_entry entry;
	int r = lookup_in_folder(v, folder, name, &entry, e);

	if (r < 0)
		return r;
	*out = view_node(v, entry.id);
	return 0;
}

/* Removes the step's files and its draft. */
static int remove_files(struct view *v, struct node *n, struct draft *d, int top,
			struct buf *changes, struct err *e)
{
	struct step_files files = files_of(v, top);
	bool saved = !n->unborn;
	int r;

	HOLD(&v->committing);
	r = saved ? step_remove(&files, n->place, e) : 0;
	if (r == 0)
		r = view_draft_discard(v, n, d, changes, e);
	if (r == 0 && saved)
		step_remove_end(&files);
	return r;
}

/* Removes the step, whose variables have all been removed. */
static int remove_step(struct view *v, struct node *n, struct draft *d, struct buf *changes,
		       struct err *e)
{
	CLEANUP(closep) int top = folder_open_parent(v, n, e);
	int r = top < 0 ? top : view_draft_lock_folder(v, n->parent, top, e);

	if (r < 0)
		return r;
	r = remove_files(v, n, d, top, changes, e);
	view_draft_unlock_folder(v, n->parent, top);
	if (r == 0)
		steps_lose(v, n);
	return r;
}

/* Removes a real folder, if nothing is in it. */
static int remove_folder(struct view *v, struct node *n, struct err *e)
{
	CLEANUP(closep) int top = folder_open_parent(v, n, e);
	int r = top < 0 ? top : io_remove_folder(top, n->place->name, e);

	if (r == 0)
		steps_lose(v, n);
	return r == -EEXIST ? -ENOTEMPTY : r;
}

int step_folder_rmdir(struct view *v, struct node *folder, const char *name, struct buf *changes,
		      struct err *e)
{
	struct draft *d = NULL;
	struct node *n;
	int r = find_node(v, folder, name, &n, e);

	if (r < 0)
		return r;
	if (n->kind == NODE_STEP)
		d = view_draft_of(v, n);
	if (n->kind == NODE_FOLDER)
		r = remove_folder(v, n, e);
	else if (n->kind != NODE_STEP)
		r = -ENOTDIR;
	else if (!d || !draft_is_emptied(d))
		r = -ENOTEMPTY;
	else
		r = remove_step(v, n, d, changes, e);
	draft_unref(d);
	view_forget(v, node_id(n, NODE_ROOT_ID), 1);
	return r;
}

int step_folder_unlink(struct view *v, struct node *folder, const char *name, struct err *e)
{
	struct node *n;
	int r;

	if (!v->writable)
		return -EROFS;
	r = find_node(v, folder, name, &n, e);
	if (r < 0)
		return r;
	if (n->kind == NODE_LINK)
		r = link_remove(v, n, e);
	else if (n->pending)
		steps_detach(v, n);
	else
		r = err_set(e, -EPERM, "%s: ckptfs keeps it, it is not removed", name);
	view_forget(v, node_id(n, NODE_ROOT_ID), 1);
	return r;
}

/* --- renaming ---------------------------------------------------------------------------------------------- */

/* The file N, which waits for that, becomes the state file. */
static int rename_state(struct view *v, struct node *n, const char *to, unsigned flags,
			struct buf *changes, struct err *e)
{
	int r;

	if (strcmp(to, v->state_name) != 0 || flags & RENAME_EXCHANGE)
		return err_set(e, -EPERM, "%s: can only be renamed to %s", n->place->name,
			       v->state_name);
	if (buf_reserve(changes, sizeof(struct view_change)) < 0)
		return err_set(e, -ENOMEM, "no memory");
	r = folder_take_state(v, n->parent, n->copy, e);
	if (r < 0)
		return r;
	steps_detach(v, n);
	return view_add_change(changes, node_id(n->parent, NODE_ROOT_ID), to);
}

/* Renames a step that is nothing but its draft. */
static int rename_unborn(struct view *v, struct node *n, struct draft *d, const char *to,
			 struct err *e)
{
	CLEANUP(buf_release) struct buf file = {0};
	struct step_place place = {.name = (char *)to, .format = STEP_V2};
	const struct step_place *before = n->place;
	int r;

	if (step_index_name(to, &file) < 0)
		return err_set(e, -ENOMEM, "no memory");
	place.file = (char *)file.p;
	pthread_mutex_lock(&v->lock);
	r = node_rename(&v->nodes, n, &place);
	pthread_mutex_unlock(&v->lock);
	if (r < 0)
		return err_set(e, r, "no memory");
	r = draft_rename_step(d, to, e);
	if (r == 0)
		return 0;
	pthread_mutex_lock(&v->lock);
	node_rename_back(&v->nodes, n, before);
	pthread_mutex_unlock(&v->lock);
	return r;
}

/* Gives the step N the prefix TO in FOLDER, its own or another, whose directory is TOP. */
static int rename_on_disk(struct view *v, struct node *n, struct node *folder, int top,
			  const char *to, struct err *e)
{
	CLEANUP(closep) int to_top = folder == n->parent ? -1 : folder_open(v, folder, e);
	struct step_files files = files_of(v, top);
	int r = 0;

	if (folder != n->parent)
		r = to_top < 0 ? to_top : view_draft_lock_folder(v, folder, to_top, e);
	if (r < 0)
		return r;
	pthread_mutex_lock(&v->committing);
	r = folder == n->parent ? step_rename(&files, n->place, to, e)
				: step_move(&files, n->place, to_top, to, e);
	pthread_mutex_unlock(&v->committing);
	if (folder != n->parent)
		view_draft_unlock_folder(v, folder, to_top);
	return r;
}

/* Renames a step on disk. What was written in it is committed first. */
static int rename_saved(struct view *v, struct node *n, struct draft *d, struct node *folder,
			const char *to, struct buf *changes, struct err *e)
{
	CLEANUP(closep) int top = folder_open_parent(v, n, e);
	int r = top < 0 ? top : 0;

	if (r == 0 && d)
		r = view_draft_commit_over(v, n, d, NULL, changes, e);
	if (r == 0)
		r = view_draft_lock_folder(v, n->parent, top, e); /* which makes .ckptfs */
	if (r < 0)
		return r;
	r = rename_on_disk(v, n, folder, top, to, e);
	view_draft_unlock_folder(v, n->parent, top);
	if (r == 0)
		steps_detach(v, n); /* its files have other names: it is parsed anew */
	return r;
}

/* May the step of N, whose folder TOP is, be replaced? That of a SavedModel may, while it has no changes. -EEXIST. */
static int check_replaceable(struct view *v, const struct node *n, int top, struct err *e)
{
	struct draft *d = view_draft_of(v, n);
	bool is_read = n->kind == NODE_STEP && !n->unborn && n->place->format == STEP_V2 &&
		       !strcmp(n->place->name, EXPORT_STEP);
	int r = is_read ? export_is(top, e) : 0;

	if (r == 1 && d)
		r = err_set(e, -EBUSY, "%s: has changes; commit or discard them first",
			    n->place->name);
	draft_unref(d);
	return r == 0 ? -EEXIST : r < 0 ? r : 0;
}

/* What is in N is committed in the place of the step OVER. Nothing was written in N since it was saved. */
static int commit_over(struct view *v, struct node *n, const struct step *over, struct buf *changes,
		       struct err *e)
{
	struct draft *d;
	int r = view_draft_need(v, n, &d, e);

	if (r < 0)
		return r;
	r = draft_count(d) ? err_set(e, -EBUSY, "%s: is being written to", n->place->name)
			   : view_draft_commit_over(v, n, d, over, changes, e);
	if (r < 0 && !draft_count(d))
		view_draft_discard(v, n, d, changes, NULL);
	draft_unref(d);
	return r;
}

/* N takes the place of OVER. What was written in N is committed first, as a step of its own. */
static int replace_saved(struct view *v, struct node *n, struct node *over, int top,
			 struct buf *changes, struct err *e)
{
	struct step_files files = files_of(v, top);
	struct draft *d = view_draft_of(v, n);
	struct loaded *l = NULL;
	int r = n->unborn ? -EBUSY : d ? view_draft_commit_over(v, n, d, NULL, changes, e) : 0;

	draft_unref(d);
	if (r == 0)
		r = steps_get(v, over, &l, e);
	if (r == 0)
		r = commit_over(v, n, l->step, changes, e);
	loaded_unref(l);
	if (r < 0)
		return r;
	steps_detach(v, over);
	pthread_mutex_lock(&v->committing);
	r = step_remove(&files, n->place, e);
	if (r == 0)
		step_remove_end(&files);
	pthread_mutex_unlock(&v->committing);
	steps_detach(v, n);
	return r;
}

/* The step N, which is shown as FROM, takes the place of OVER, if that may be: -EEXIST if not. */
static int replace_step(struct view *v, struct node *n, const char *from, struct node *over,
			struct buf *changes, struct err *e)
{
	CLEANUP(closep) int top = folder_open_parent(v, n, e);
	struct node *folder = n->parent;
	int r = top < 0 ? top : check_replaceable(v, over, top, e);

	if (r == 0 && buf_reserve(changes, 2 * sizeof(struct view_change)) < 0)
		r = err_set(e, -ENOMEM, "no memory");
	if (r == 0)
		r = n == over ? -EEXIST : view_draft_lock_folder(v, folder, top, e);
	if (r < 0)
		return r;
	r = replace_saved(v, n, over, top, changes, e);
	view_draft_unlock_folder(v, folder, top);
	if (r == 0)
		r = view_add_change(changes, node_id(folder, NODE_ROOT_ID), EXPORT_STEP);
	if (r == 0)
		r = view_add_change(changes, node_id(folder, NODE_ROOT_ID), from);
	return r;
}

/* As replace_step: the step that is shown as TO in the same folder is replaced. */
static int replace_named(struct view *v, struct node *n, const char *from, const char *to,
			 struct buf *changes, struct err *e)
{
	struct view_entry there;
	int r = lookup_in_folder(v, n->parent, to, &there, e);

	if (r < 0)
		return r == -ENOENT ? -EEXIST : r;
	r = replace_step(v, n, from, view_node(v, there.id), changes, e);
	view_forget(v, there.id, 1);
	return r;
}

/* Renames the step N to TO in FOLDER. */
static int rename_step(struct view *v, struct node *n, struct node *folder, const char *to,
		       struct buf *changes, struct err *e)
{
	CLEANUP(buf_release) struct buf prefix = {0};
	struct view_entry there;
	struct draft *d;
	int r = lookup_in_folder(v, folder, to, &there, e);

	if (r == 0)
		view_forget(v, there.id, 1);
	if (r != -ENOENT)
		return r == 0 ? -EEXIST : r;
	r = lookup_step_name(to, &prefix, e);
	/* Before anything is renamed. */
	if (r == 0 && buf_reserve(changes, sizeof(struct view_change)) < 0)
		r = err_set(e, -ENOMEM, "no memory");
	if (r < 0)
		return r;
	d = view_draft_of(v, n);
	if (!d || !n->unborn)
		r = rename_saved(v, n, d, folder, (char *)prefix.p, changes, e);
	else if (folder == n->parent)
		r = rename_unborn(v, n, d, (char *)prefix.p, e);
	else
		r = -EXDEV; /* mv(1) then copies and removes */
	if (r == 0)
		r = view_add_change(changes, node_id(folder, NODE_ROOT_ID), to);
	draft_unref(d);
	return r;
}

/* --- folders of steps ---------------------------------------------------------------------------------------- */

/* -EBUSY: a step below N has changes. They are where N is. */
static int check_no_drafts(struct view *v, const struct node *n, struct err *e)
{
	CLEANUP(buf_release) struct buf drafted = {0};
	int r = view_list_drafted(v, n, &drafted);
	size_t count = drafted.n / sizeof(struct node *);
	struct node **steps = (struct node **)drafted.p;

	if (r < 0)
		err_set(e, r, "no memory");
	else if (count)
		r = err_set(e, -EBUSY, "%s: has changes; commit or discard them first",
			    steps[0]->place->name);
	for (size_t i = 0; i < count; i++)
		view_forget(v, node_id(steps[i], NODE_ROOT_ID), 1);
	return r;
}

/* N has the name TO in FOLDER from now on. In its own folder it keeps its number: somebody may stand in it. */
static void follow_folder(struct view *v, struct node *n, const struct node *folder, const char *to)
{
	const struct step_place place = {.name = (char *)to, .file = (char *)to};
	struct node *there;

	HOLD(&v->lock);
	there = node_find(&v->nodes, folder, NODE_FOLDER, to);
	if (there)
		node_detach(&v->nodes, there);
	if (n->parent != folder || node_rename(&v->nodes, n, &place) < 0)
		node_detach(&v->nodes, n);
}

/* Renames the folder N, which is on disk, to TO in FOLDER. An empty folder of that name is replaced. */
static int rename_folder(struct view *v, struct node *n, struct node *folder, const char *to,
			 unsigned flags, struct buf *changes, struct err *e)
{
	CLEANUP(closep) int top = folder_open_parent(v, n, e), to_top = folder_open(v, folder, e);
	CLEANUP(buf_release) struct buf name = {0};
	struct view_entry there;
	int r = top < 0 ? top : to_top < 0 ? to_top : lookup_step_name(to, &name, e);

	if (r == 0 && buf_reserve(changes, sizeof(struct view_change)) < 0)
		r = err_set(e, -ENOMEM, "no memory");
	if (r == 0 && (r = lookup_in_folder(v, folder, to, &there, e)) == 0) {
		if (flags || view_node(v, there.id)->kind != NODE_FOLDER)
			r = -EEXIST;
		view_forget(v, there.id, 1);
	}
	if (r == 0 || r == -ENOENT)
		r = check_no_drafts(v, n, e);
	if (r < 0)
		return r;
	pthread_mutex_lock(&v->committing);
	r = flags ? io_move_new(top, n->place->name, to_top, (char *)name.p, e)
		  : io_move(top, n->place->name, to_top, (char *)name.p, e);
	pthread_mutex_unlock(&v->committing);
	if (r < 0)
		return r == -EEXIST && !flags ? -ENOTEMPTY : r;
	follow_folder(v, n, folder, (char *)name.p);
	return view_add_change(changes, node_id(folder, NODE_ROOT_ID), to);
}

/* --- a folder for steps -------------------------------------------------------------------------------------- */

/* N is a folder on disk from now on, and its draft D, which is empty, ends. It keeps its number: mv(1) has the folder open
 * into which it moves one step after the other. */
static int become_folder(struct view *v, struct node *n, struct draft *d, struct buf *changes,
			 struct err *e)
{
	CLEANUP(closep) int top = folder_open_parent(v, n, e);
	const struct step_place *before = n->place;
	struct stat st;
	bool made;
	int r = top < 0 ? top : 0;

	if (r == 0 && (r = draft_stat_step(d, &st)) < 0)
		err_sys(e, r, "%s", before->name);
	if (r == 0)
		r = folder_make(top, before->name, &st, e);
	made = r == 0;
	if (r < 0 && r != -EEXIST)
		return r;
	pthread_mutex_lock(&v->lock);
	r = node_become_folder(&v->nodes, n);
	pthread_mutex_unlock(&v->lock);
	if (r == 0)
		r = view_draft_discard(v, n, d, changes, e);
	if (r == 0 || draft_has_ended(d))
		return view_add_change(changes, node_id(n, NODE_ROOT_ID), NULL);
	if (made)
		io_remove_folder(top, before->name, NULL);
	pthread_mutex_lock(&v->lock);
	if (n->kind == NODE_FOLDER)
		node_become_step(&v->nodes, n, before);
	pthread_mutex_unlock(&v->lock);
	return r;
}

/* A step is to be moved into N, which is one, too. That can be if N is empty and new: then it becomes a folder. */
static int make_room(struct view *v, struct node *n, struct buf *changes, struct err *e)
{
	struct draft *d = n->unborn ? view_draft_of(v, n) : NULL;
	int r;

	if (d && draft_is_emptied(d))
		r = become_folder(v, n, d, changes, e);
	else
		r = err_set(e, -EPERM, "%s: a step can't be moved into a step", n->place->name);
	draft_unref(d);
	return r;
}

/* The step N, which is shown as FROM, gets the name TO in TO_DIR, a folder of a step. mv(1) does so where a folder of the name
 * that it was given is there: that of a SavedModel's step is replaced. */
static int move_into(struct view *v, struct node *n, const char *from, uint64_t to_dir,
		     const char *to, struct buf *changes, struct err *e)
{
	struct node *step = view_node(v, to_dir);
	int r = -EEXIST;

	if (node_number(to_dir) != NODE_ROOT_ID)
		return err_set(e, -EPERM, "%s: a step can't be moved into a step",
			       step->place->name);
	if (step->parent == n->parent && !strcmp(from, to)) {
		r = replace_step(v, n, from, step, changes, e);
		if (r == 0)
			return view_add_change(changes, to_dir, from);
	}
	if (r == -EEXIST)
		r = make_room(v, step, changes, e);
	return r < 0 ? r : rename_step(v, n, step, to, changes, e);
}

int step_folder_rename(struct view *v, struct node *a, const char *from, uint64_t to_dir,
		       const char *to, unsigned flags, struct buf *changes, struct err *e)
{
	struct node *b = view_node(v, to_dir), *n;
	int r;

	if (!v->writable)
		return -EROFS;
	r = find_node(v, a, from, &n, e);
	if (r < 0)
		return r;
	if (n->kind == NODE_LINK && b->kind == NODE_FOLDER)
		r = a == b ? link_rename(v, n, to, flags, changes, e) : -EXDEV;
	else if (n->kind == NODE_STATE && n->pending)
		r = a == b ? rename_state(v, n, to, flags, changes, e) : -EXDEV;
	else if (n->kind == NODE_STATE)
		r = -ENOTDIR;
	else if (b->kind == NODE_STEP && n->kind != NODE_STEP)
		r = err_set(e, -EPERM, "%s: %s", from,
			    n->kind == NODE_LINK ? "a link can't be moved into a step"
						 : "a folder of steps can't be moved into a step");
	else if (flags & ~(unsigned)RENAME_NOREPLACE)
		r = -EINVAL;
	else if (n->kind == NODE_FOLDER)
		r = rename_folder(v, n, b, to, flags, changes, e);
	else if (b->kind == NODE_STEP)
		r = move_into(v, n, from, to_dir, to, changes, e);
	else
		r = rename_step(v, n, b, to, changes, e);
	if (r == -EEXIST && a == b && !flags && n->kind == NODE_STEP)
		r = replace_named(v, n, from, to, changes, e);
	view_forget(v, node_id(n, NODE_ROOT_ID), 1);
	return r;
}

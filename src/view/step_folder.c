#include "view/step_folder.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "directory/latest.h"
#include "directory/state_update.h"
#include "directory/step_files.h"
#include "view/drafts.h"
#include "view/drafts_end.h"
#include "view/folder.h"
#include "view/in_step.h"
#include "view/lookup.h"
#include "view/snapshot.h"
#include "view/steps.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

/* --- steps as a whole -------------------------------------------------------------------------------------- */

static struct step_files files_of(const struct view *v, int top)
{
	return (struct step_files){top, v->state_name, v->meta_suffix};
}

/* The name of the step that is shown as NAME, with a NUL. -EINVAL, -ENAMETOOLONG: it can't be one. */
static int step_name(const char *name, struct buf *out, struct err *e)
{
	bool clash;
	int r = name_to_entry(bytes_str(name), out, &clash);

	if (r == -ENOENT || (r == 0 && clash))
		return err_set(e, -EINVAL, "%s: a step can't be shown under this name", name);
	if (r == 0)
		r = buf_add_byte(out, 0);
	if (r == 0 && (!strcmp((char *)out->p, ".ckptfs") || out->n > 240))
		return out->n > 240
			       ? -ENAMETOOLONG
			       : err_set(e, -EINVAL, "%s: a name that ckptfs uses itself", name);
	return r;
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
	r = step_name(name, &prefix, e);
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
		steps_detach(v, n);
	return r;
}

/* Removes a real folder, if nothing is in it. */
static int remove_folder(struct view *v, struct node *n, struct err *e)
{
	CLEANUP(closep) int top = folder_open_parent(v, n, e);
	int r = top < 0 ? top : io_remove_folder(top, n->place->name, e);

	if (r == 0)
		steps_detach(v, n);
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

/* --- links ------------------------------------------------------------------------------------------------- */

/* The name of the link that is shown as NAME, with a NUL. -EPERM: a link of that name would be something else. */
static int link_name(const struct view *v, const char *name, struct buf *out, struct err *e)
{
	int r = step_name(name, out, e);

	if (r == 0 && (!name_can_be_link((char *)out->p) || !strcmp((char *)out->p, v->state_name)))
		r = err_set(e, -EPERM, "%s: a link of that name would be a file of a step", name);
	return r;
}

/* Is NAME a link in the folder TOP, whose listing is L, that a new link may replace: one that is shown, or leads to a
 * step that is no more? */
static bool is_ours(const struct view *v, int top, const struct listing *l, const char *name)
{
	char target[NAME_MAX];
	ssize_t n = readlinkat(top, name, target, sizeof target);
	struct stat st;

	if (n <= 0 || listing_find(l, LISTED_LINK, name))
		return n > 0;
	return !v->family && (size_t)n < sizeof target && !memchr(target, '/', (size_t)n) &&
	       fstatat(top, name, &st, 0) < 0 && errno == ENOENT;
}

#define NO_LINKS "%s: there are no symbolic links on this filesystem"

/* Makes the link NAME, and replaces one that leads nowhere. -EOPNOTSUPP: there are no symbolic links on this filesystem. */
static int make_link(const struct view *v, int top, const struct listing *l, const char *target,
		     const char *name, struct err *e)
{
	int r = io_make_name_link(target, top, name, e);

	if (r == -EEXIST && !listing_find(l, LISTED_LINK, name) && is_ours(v, top, l, name)) {
		r = io_remove_file(top, name, e);
		if (r == 0)
			r = io_make_name_link(target, top, name, e);
	}
	return r == -EPERM || r == -ENOSYS || r == -EOPNOTSUPP
		       ? err_set(e, -EOPNOTSUPP, NO_LINKS, name)
		       : r;
}

/* The link NAME leads to the step PREFIX of the folder from now on; `latest` does so in the state file. */
static int link_step(struct view *v, struct node *folder, const char *name, const char *prefix,
		     struct err *e)
{
	CLEANUP(closep) int top = -1;
	const struct listed *item;
	struct snapshot *s;
	int r = snapshot_get(v, folder, &top, &s, e);

	if (r < 0)
		return r;
	item = listing_find(&s->listing, LISTED_STEP, prefix);
	r = item ? view_draft_learn(v, folder, top, e)
		 : err_set(e, -EPERM, "%s -> %s: expected a step of this folder that is saved",
			   name, prefix);
	pthread_mutex_lock(&v->committing);
	if (r == 0 && !strcmp(name, LATEST_NAME))
		r = state_point(top, v->state_name, &item->place, e);
	else if (r == 0)
		r = make_link(v, top, &s->listing, prefix, name, e);
	pthread_mutex_unlock(&v->committing);
	snapshot_unref(s);
	return r;
}

/* The name of the step that TARGET leads to, from its own folder. */
static int target_step(const char *name, const char *target, struct buf *out, struct err *e)
{
	CLEANUP(freep) char *copy = strdup(target);
	size_t n;
	int r;

	if (!copy)
		return err_set(e, -ENOMEM, "no memory");
	for (n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = 0;
	if (!strncmp(target, "./", 2))
		memmove(copy, copy + 2, strlen(copy) - 1);
	r = strchr(copy, '/') ? -EINVAL : step_name(copy, out, NULL);
	if (r == -ENOMEM)
		return err_set(e, r, "no memory");
	return r < 0 ? err_set(e, -EPERM, "%s -> %s: expected a step of this folder", name, target)
		     : 0;
}

/* The names that ln -f gives to links which it then renames. */
static bool is_of_ln(const char *name)
{
	return !strncmp(name, "Cu", 2) && strlen(name) == 8;
}

/* The link NAME to PREFIX, only in memory: where there are no symbolic links on disk, `latest` can be changed all the
 * same. */
static int pend_link(struct view *v, struct node *folder, const char *name, const char *prefix,
		     struct view_entry *out, struct err *e)
{
	struct step_place place = {.name = (char *)name, .file = (char *)prefix};
	struct node *n;
	int r;

	pthread_mutex_lock(&v->lock);
	n = node_new(&v->nodes, folder, NODE_LINK, &place);
	if (n) {
		n->pending = true;
		n->lookups++; /* a reference for this function */
	}
	pthread_mutex_unlock(&v->lock);
	if (!n)
		return err_set(e, -ENOMEM, "no memory");
	r = lookup_in_folder(v, folder, name, out, e);
	view_forget(v, node_id(n, NODE_ROOT_ID), 1);
	return r;
}

int view_symlink(struct view *v, uint64_t parent, const char *name, const char *target,
		 struct view_entry *out, struct err *e)
{
	CLEANUP(buf_release) struct buf prefix = {0}, as = {0};
	struct node *folder = view_node(v, parent);
	int r;

	if (!folder)
		return -ESTALE;
	if (folder->kind != NODE_FOLDER)
		return err_set(e, -EPERM, "%s: links are made in folders of steps", name);
	if (!v->writable)
		return -EROFS;
	r = target_step(name, target, &prefix, e);
	if (r == 0)
		r = link_name(v, name, &as, e);
	if (r == 0)
		r = link_step(v, folder, (char *)as.p, (char *)prefix.p, e);
	if (r == 0)
		return lookup_in_folder(v, folder, name, out, e);
	if (r == -EOPNOTSUPP && is_of_ln(name))
		return pend_link(v, folder, name, (char *)prefix.p, out, e);
	return r == -EOPNOTSUPP ? -EPERM : r;
}

/* 0: the link N is on disk in TOP, and leads where it did; -EPERM: it is not, as `latest` as a rule; or why that can't be
 * known. */
static int check_link(const struct node *n, int top, struct err *e)
{
	const char *name = n->place->name, *target = n->place->file;
	char is[NAME_MAX + 1];
	ssize_t len = readlinkat(top, name, is, sizeof is);

	if (len < 0 && errno != ENOENT && errno != EINVAL)
		return err_sys(e, -errno, "%s", name);
	if (len >= 0 && bytes_eq(bytes_of(is, (size_t)len), bytes_str(target)))
		return 0;
	return err_set(
		e, -EPERM, "%s: %s", name,
		strcmp(name, LATEST_NAME) != 0
			? "leads elsewhere by now"
			: "the state file says where it leads, it is not removed or renamed");
}

static int remove_link(struct view *v, struct node *n, struct err *e)
{
	CLEANUP(closep) int top = folder_open_parent(v, n, e);
	int r = top < 0 ? top : 0;

	HOLD(&v->committing);
	if (r == 0 && !n->pending && (r = check_link(n, top, e)) == 0)
		r = io_remove_file(top, n->place->name, e);
	if (r == 0)
		steps_detach(v, n);
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
		r = remove_link(v, n, e);
	else if (n->pending)
		steps_detach(v, n);
	else
		r = err_set(e, -EPERM, "%s: ckptfs keeps it, it is not removed", name);
	view_forget(v, node_id(n, NODE_ROOT_ID), 1);
	return r;
}

/* Renames the link N, which is on disk, in its folder to TO. */
static int move_link(struct view *v, struct node *n, const char *to, bool replace, struct err *e)
{
	CLEANUP(closep) int top = -1;
	struct snapshot *s;
	int r = snapshot_get(v, n->parent, &top, &s, e);

	if (r < 0)
		return r;
	r = view_draft_learn(v, n->parent, top, e);
	pthread_mutex_lock(&v->committing);
	if (r == 0)
		r = check_link(n, top, e);
	if (r == 0 && is_ours(v, top, &s->listing, to) &&
	    (replace || !listing_find(&s->listing, LISTED_LINK, to)))
		r = io_move(top, n->place->name, top, to, e);
	else if (r == 0)
		r = io_move_new(top, n->place->name, top, to, e);
	pthread_mutex_unlock(&v->committing);
	snapshot_unref(s);
	return r;
}

static int rename_link(struct view *v, struct node *n, const char *to, unsigned flags,
		       struct buf *changes, struct err *e)
{
	CLEANUP(buf_release) struct buf as = {0};
	struct node *folder = n->parent;
	bool to_latest = !strcmp(to, LATEST_NAME);
	int r = flags & ~(unsigned)RENAME_NOREPLACE ? -EINVAL : link_name(v, to, &as, e);

	if (r == 0 && buf_reserve(changes, sizeof(struct view_change)) < 0)
		r = err_set(e, -ENOMEM, "no memory");
	if (r < 0)
		return r;
	if (to_latest)
		r = link_step(v, folder, to, n->place->file, e);
	else
		r = n->pending ? err_set(e, -EPERM, NO_LINKS, to)
			       : move_link(v, n, (char *)as.p, !flags, e);
	if (r == 0 && to_latest)
		r = remove_link(v, n, e);
	if (r < 0)
		return r;
	steps_detach(v, n);
	return view_add_change(changes, node_id(folder, NODE_ROOT_ID), to);
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
		r = view_draft_commit(v, n, d, changes, e);
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
	r = step_name(to, &prefix, e);
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
		r = a == b ? rename_link(v, n, to, flags, changes, e) : -EXDEV;
	else if (n->kind == NODE_STATE && n->pending)
		r = a == b ? rename_state(v, n, to, flags, changes, e) : -EXDEV;
	else if (n->kind != NODE_STEP)
		r = n->kind == NODE_STATE
			    ? -ENOTDIR
			    : err_set(e, -EPERM, "%s: %s", from,
				      n->kind == NODE_LINK ? "a link can't be moved into a step"
							   : "a folder of steps can't be renamed");
	else if (flags & ~(unsigned)RENAME_NOREPLACE)
		r = -EINVAL;
	else if (b->kind == NODE_STEP)
		r = node_number(to_dir) == NODE_ROOT_ID
			    ? make_room(v, b, changes, e)
			    : err_set(e, -EPERM, "%s: a step can't be moved into a step",
				      b->place->name);
	if (r == 0 && n->kind == NODE_STEP)
		r = rename_step(v, n, b, to, changes, e);
	view_forget(v, node_id(n, NODE_ROOT_ID), 1);
	return r;
}

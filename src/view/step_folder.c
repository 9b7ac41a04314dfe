#include "view/step_folder.h"
#include "base/cleanup.h"
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

/* The node of the step NAME, with a reference for the caller. */
static int find_step(struct view *v, struct node *folder, const char *name, struct node **out,
		     struct err *e)
{
	struct view_entry entry;
	int r = lookup_in_folder(v, folder, name, &entry, e);

	if (r < 0)
		return r;
	*out = view_node(v, entry.id);
	if ((*out)->kind == NODE_STEP)
		return 0;
	r = (*out)->kind == NODE_FOLDER ? -EPERM : -ENOTDIR;
	view_forget(v, entry.id, 1);
	return r;
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

int step_folder_rmdir(struct view *v, struct node *folder, const char *name, struct buf *changes,
		      struct err *e)
{
	struct node *n;
	struct draft *d;
	int r = find_step(v, folder, name, &n, e);

	if (r < 0)
		return r;
	d = view_draft_of(v, n);
	if (!d || !draft_is_emptied(d))
		r = -ENOTEMPTY;
	else
		r = remove_step(v, n, d, changes, e);
	draft_unref(d);
	view_forget(v, node_id(n, NODE_ROOT_ID), 1);
	return r;
}

/* --- links ------------------------------------------------------------------------------------------------- */

/* `latest` leads to the step PREFIX of the folder from now on. */
static int point(struct view *v, struct node *folder, const char *prefix, struct err *e)
{
	CLEANUP(closep) int top = -1;
	const struct listed *item;
	struct snapshot *s;
	int r = snapshot_get(v, folder, &top, &s, e);

	if (r < 0)
		return r;
	item = listing_find(&s->listing, LISTED_STEP, prefix);
	pthread_mutex_lock(&v->committing);
	r = item ? state_point(top, v->state_name, &item->place, e)
		 : err_set(e, -EINVAL, LATEST_NAME " -> %s: expected a step of this folder",
			   prefix);
	pthread_mutex_unlock(&v->committing);
	snapshot_unref(s);
	return r;
}

/* The name of the step that TARGET leads to, from its own folder. */
static int target_step(const char *target, struct buf *out, struct err *e)
{
	CLEANUP(freep) char *copy = strdup(target);
	size_t n;

	if (!copy)
		return err_set(e, -ENOMEM, "no memory");
	for (n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = 0;
	if (!strncmp(target, "./", 2))
		memmove(copy, copy + 2, strlen(copy) - 1);
	if (strchr(copy, '/'))
		return err_set(e, -EINVAL, LATEST_NAME " -> %s: expected a step of this folder",
			       target);
	return step_name(copy, out, e);
}

int view_symlink(struct view *v, uint64_t parent, const char *name, const char *target,
		 struct view_entry *out, struct err *e)
{
	CLEANUP(buf_release) struct buf prefix = {0};
	struct node *folder = view_node(v, parent), *n;
	struct step_place place = {.name = (char *)name};
	struct view_entry entry;
	int r;

	if (!folder || folder->kind != NODE_FOLDER)
		return folder ? -EPERM : -ESTALE;
	if (!v->writable)
		return -EROFS;
	r = target_step(target, &prefix, e);
	if (r == 0 && (r = lookup_in_folder(v, folder, (char *)prefix.p, &entry, e)) == 0)
		view_forget(v, entry.id, 1);
	if (r < 0)
		return r == -ENOENT ? err_set(e, -EINVAL,
					      LATEST_NAME " -> %s: there is no such step", target)
				    : r;
	if (!strcmp(name, LATEST_NAME)) {
		r = point(v, folder, (char *)prefix.p, e);
		return r < 0 ? r : lookup_in_folder(v, folder, name, out, e);
	}
	place.file = (char *)prefix.p;
	pthread_mutex_lock(&v->lock);
	n = node_new(&v->nodes, folder, NODE_LATEST, &place);
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

/* --- the state file ----------------------------------------------------------------------------------------- */

/* rsync copies to a file beside it, whose name begins like this. */
static bool is_beside(const struct view *v, const char *name)
{
	size_t n = strlen(v->state_name);

	return name[0] == '.' && !strncmp(name + 1, v->state_name, n) && name[n + 1] == '.';
}

int step_folder_create(struct view *v, struct node *folder, const char *name,
		       const struct draft_owner *maker, struct view_entry *out, struct err *e)
{
	struct step_place place = {.name = (char *)name, .file = (char *)name};
	struct node *n;
	int fd, r = lookup_in_folder(v, folder, name, out, e);

	if (r == 0)
		view_forget(v, out->id, 1);
	if (r != -ENOENT)
		return r == 0 ? -EEXIST : r;
	if (strcmp(name, v->state_name) != 0 && !is_beside(v, name))
		return err_set(e, -EPERM, "%s: files are made in the folders of steps", name);
	fd = folder_new_state(v, e);
	if (fd < 0)
		return fd;
	if (fchown(fd, maker->uid, maker->gid) < 0 || fchmod(fd, maker->mode & 0666) < 0)
		r = err_sys(e, -errno, "%s", name);
	pthread_mutex_lock(&v->lock);
	n = r == -ENOENT ? node_new(&v->nodes, folder, NODE_STATE, &place) : NULL;
	if (n) {
		n->pending = true;
		n->copy = TAKE(fd, -1);
		n->lookups++; /* a reference for this function */
	}
	pthread_mutex_unlock(&v->lock);
	closep(&fd);
	if (!n)
		return r == -ENOENT ? err_set(e, -ENOMEM, "no memory") : r;
	r = lookup_in_folder(v, folder, name, out, e);
	view_forget(v, node_id(n, NODE_ROOT_ID), 1);
	return r;
}

/* --- renaming ---------------------------------------------------------------------------------------------- */

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

/* Renames a step on disk. What was written in it is committed first. */
static int rename_saved(struct view *v, struct node *n, struct draft *d, const char *to,
			struct buf *changes, struct err *e)
{
	CLEANUP(closep) int top = folder_open_parent(v, n, e);
	struct step_files files = files_of(v, top);
	int r = top < 0 ? top : 0;

	if (r == 0 && d)
		r = view_draft_commit(v, n, d, changes, e);
	if (r == 0)
		r = view_draft_lock_folder(v, n->parent, top, e); /* which makes .ckptfs */
	if (r < 0)
		return r;
	pthread_mutex_lock(&v->committing);
	r = step_rename(&files, n->place, to, e);
	pthread_mutex_unlock(&v->committing);
	view_draft_unlock_folder(v, n->parent, top);
	if (r == 0)
		steps_detach(v, n); /* its files have other names: it is parsed anew */
	return r;
}

static int rename_step(struct view *v, struct node *folder, const char *from, const char *to,
		       struct buf *changes, struct err *e)
{
	CLEANUP(buf_release) struct buf prefix = {0};
	struct view_entry there;
	struct draft *d;
	struct node *n;
	int r = lookup_in_folder(v, folder, to, &there, e);

	if (r == 0)
		view_forget(v, there.id, 1);
	if (r != -ENOENT)
		return r == 0 ? -EEXIST : r;
	r = step_name(to, &prefix, e);
	/* Before anything is renamed. */
	if (r == 0 && buf_reserve(changes, sizeof(struct view_change)) < 0)
		r = err_set(e, -ENOMEM, "no memory");
	if (r == 0)
		r = find_step(v, folder, from, &n, e);
	if (r < 0)
		return r;
	d = view_draft_of(v, n);
	if (d && n->unborn)
		r = rename_unborn(v, n, d, (char *)prefix.p, e);
	else
		r = rename_saved(v, n, d, (char *)prefix.p, changes, e);
	if (r == 0)
		r = view_add_change(changes, node_id(folder, NODE_ROOT_ID), to);
	draft_unref(d);
	view_forget(v, node_id(n, NODE_ROOT_ID), 1);
	return r;
}

int step_folder_rename(struct view *v, struct node *a, const char *from, struct node *b,
		       const char *to, unsigned flags, struct buf *changes, struct err *e)
{
	struct node *link = lookup_pending(v, a, from);
	const char *becomes = link && link->kind == NODE_STATE ? v->state_name : LATEST_NAME;
	int r;

	if (!v->writable)
		return -EROFS;
	if (a != b)
		return -EXDEV;
	if (!link)
		return flags & ~(unsigned)RENAME_NOREPLACE
			       ? -EINVAL
			       : rename_step(v, a, from, to, changes, e);
	if (strcmp(to, becomes) != 0 || flags & RENAME_EXCHANGE)
		return -EPERM;
	if (buf_reserve(changes, sizeof(struct view_change)) < 0)
		return err_set(e, -ENOMEM, "no memory");
	r = link->kind == NODE_STATE ? folder_take_state(v, a, link->copy, e)
				     : point(v, a, link->place->file, e);
	if (r == 0) {
		steps_detach(v, link);
		r = view_add_change(changes, node_id(a, NODE_ROOT_ID), to);
	}
	return r;
}

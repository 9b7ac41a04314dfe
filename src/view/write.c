/* src/view/write.c: the calls of view.h that change what is in a step. The first begins its draft. */
#include "base/cleanup.h"
#include "view/drafts.h"
#include "view/folder.h"
#include "view/in_step.h"
#include "view/lookup.h"
#include "view/open.h"
#include "view/status.h"
#include "view/step_folder.h"
#include "view/steps.h"
#include <fcntl.h>
#include <stdio.h>

/* --- nodes by number --------------------------------------------------------------------------------------- */

/* The step that ID is in, with its draft, which is begun if there is none. */
static int step_of(struct view *v, uint64_t id, struct node **n, struct draft **d, struct err *e)
{
	*n = view_node(v, id);
	if (!*n)
		return -ESTALE;
	if ((*n)->kind != NODE_STEP)
		return -EPERM;
	if (!v->writable)
		return -EROFS;
	return view_draft_need(v, *n, d, e);
}

/* A change in the step that the folder ID is in. It is made again if the draft was committed just before it.
 *
 *     struct attempt a = {0};
 *
 *     while (is_to_be_tried(&a, v, id, &r, e))
 *             r = draft_unlink(a.d, …); */
struct attempt {
	struct node *n;
	struct draft *d; /* NULL between tries */
};

static bool is_to_be_tried(struct attempt *a, struct view *v, uint64_t id, int *r, struct err *e)
{
	if (a->d) {
		bool ended = draft_has_ended(a->d);

		draft_unref(TAKE(a->d, NULL));
		if (*r == DRAFT_LOOK_AGAIN) {
			*r = -ESTALE;
			return false;
		}
		if (*r != -ESTALE || !ended)
			return false;
	}
	*r = step_of(v, id, &a->n, &a->d, e);
	return *r == 0;
}

/* --- files ------------------------------------------------------------------------------------------------- */

/* OUT is for the new item I, whose reference this takes; the kernel gets one. */
static int enter_item(struct view *v, struct node *n, struct draft *d, struct draft_item *i,
		      struct view_entry *out, struct err *e)
{
	int r = in_draft_entry_of(v, n, d, i, out, e);

	draft_release_item(d, i);
	if (r == 0)
		view_hold(v, n);
	return r;
}

/* If the new file can't be opened it is removed again. */
static int create(struct view *v, const struct attempt *a, uint64_t parent, const char *name,
		  const struct draft_owner *owner, struct view_entry *entry, struct view_file **out,
		  struct err *e)
{
	uint32_t dir = node_index(a->n, parent);
	struct draft_item *i;
	int r = draft_create(a->d, dir, name, owner, out, &i, e);

	if (r < 0)
		return r;
	r = enter_item(v, a->n, a->d, i, entry, e);
	if (r < 0 && out)
		draft_close(a->d, i, true);
	if (r == 0 && out && open_created(v, a->n, a->d, i, entry->id, out) < 0) {
		r = err_set(e, -ENOMEM, "no memory");
		view_forget(v, entry->id, 1);
	}
	if (r < 0)
		draft_unlink(a->d, dir, name, NULL);
	return r;
}

/* rsync copies to a file beside it, whose name begins like this. */
static bool is_beside(const struct view *v, const char *name)
{
	size_t n = strlen(v->state_name);

	return name[0] == '.' && !strncmp(name + 1, v->state_name, n) && name[n + 1] == '.';
}

/* OUT is for the new file NAME, of which the state file is to be made (view/folder.h). -EPERM: no file of that name is made in
 * a folder of steps. */
static int make_state(struct view *v, struct node *folder, const char *name,
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

/* In a folder of steps: what is copied back in place of the state file. */
static int create_state(struct view *v, struct node *folder, const char *name,
			const struct draft_owner *owner, struct view_entry *entry,
			struct view_file **out, struct err *e)
{
	int r = make_state(v, folder, name, owner, entry, e);

	if (r < 0 || !out)
		return r;
	r = view_open_to_write(v, entry->id, false, out, e);
	if (r < 0) {
		steps_detach(v, view_node(v, entry->id));
		view_forget(v, entry->id, 1);
	}
	return r;
}

int view_create(struct view *v, uint64_t parent, const char *name, const struct draft_owner *owner,
		struct view_entry *entry, struct view_file **out, struct err *e)
{
	struct node *n = view_node(v, parent);
	struct attempt a = {0};
	int r = lookup_check(v, parent, name, e);

	if (r < 0)
		return r;
	if (n && n->kind == NODE_FOLDER)
		return v->writable ? create_state(v, n, name, owner, entry, out, e) : -EROFS;
	while (is_to_be_tried(&a, v, parent, &r, e))
		r = create(v, &a, parent, name, owner, entry, out, e);
	return r;
}

/* --- in a step --------------------------------------------------------------------------------------------- */

static int make_dir(struct view *v, uint64_t parent, const char *name, struct view_entry *out,
		    struct err *e)
{
	struct attempt a = {0};
	struct draft_item *i;
	int r;

	while (is_to_be_tried(&a, v, parent, &r, e)) {
		i = NULL;
		r = draft_mkdir(a.d, node_index(a.n, parent), name, &i, e);
		if (r == 0)
			r = enter_item(v, a.n, a.d, i, out, e);
		if (r < 0 && i)
			draft_rmdir(a.d, node_index(a.n, parent), name, NULL);
	}
	return r;
}

int view_mkdir(struct view *v, uint64_t parent, const char *name, const struct draft_owner *owner,
	       struct view_entry *out, struct err *e)
{
	struct node *n = view_node(v, parent);
	int r = lookup_check(v, parent, name, e);

	if (!n || r < 0)
		return n ? r : -ESTALE;
	if (n->kind == NODE_STEP)
		return make_dir(v, parent, name, out, e);
	if (n->kind != NODE_FOLDER)
		return -ENOTDIR;
	return v->writable ? step_folder_mkdir(v, n, name, owner, out, e) : -EROFS;
}

int view_unlink(struct view *v, uint64_t parent, const char *name, struct err *e)
{
	struct node *n = view_node(v, parent);
	struct attempt a = {0};
	int r = lookup_check(v, parent, name, e);

	if (r < 0)
		return r;
	if (n && n->kind == NODE_FOLDER)
		return step_folder_unlink(v, n, name, e);
	while (is_to_be_tried(&a, v, parent, &r, e))
		r = draft_unlink(a.d, node_index(a.n, parent), name, e);
	return r;
}

int view_rmdir(struct view *v, uint64_t parent, const char *name, struct buf *changes,
	       struct err *e)
{
	struct node *n = view_node(v, parent);
	struct attempt a = {0};
	int r = lookup_check(v, parent, name, e);

	if (r < 0)
		return r;
	if (n && n->kind == NODE_FOLDER)
		return v->writable ? step_folder_rmdir(v, n, name, changes, e) : -EROFS;
	while (is_to_be_tried(&a, v, parent, &r, e))
		r = draft_rmdir(a.d, node_index(a.n, parent), name, e);
	return r;
}

/* After a rename the kernel remembers under the new name what it knew of the old one, and as long: up to a day. But when
 * the draft ends a file has its old name again, so the kernel must forget the new one. The name of a folder is not
 * forgotten, for somebody may work in it. */
static int renamed(const struct attempt *a, uint64_t dir, const char *name, struct buf *changes)
{
	CLEANUP(draft_seen_release) struct draft_seen s;
	bool is_file =
		draft_see(a->d, node_index(a->n, dir), name, &s, NULL) == 0 && s.what != DRAFT_DIR;

	return is_file ? view_add_change(changes, dir, name) : 0;
}

int view_rename(struct view *v, uint64_t from_dir, const char *from, uint64_t to_dir,
		const char *to, unsigned flags, struct buf *changes, struct err *e)
{
	struct node *n = view_node(v, from_dir), *to_n = view_node(v, to_dir);
	struct attempt a = {0};
	int r = lookup_check(v, from_dir, from, e);

	if (r == 0)
		r = lookup_check(v, to_dir, to, e);
	if (!n || !to_n || r < 0)
		return n && to_n ? r : -ESTALE;
	if (n->kind == NODE_FOLDER)
		return step_folder_rename(v, n, from, to_dir, to, flags, changes, e);
	if (n != to_n) /* another step: mv(1) then copies and removes */
		return -EXDEV;
	/* Before anything is renamed. */
	if (buf_reserve(changes, 2 * sizeof(struct view_change)) < 0)
		return err_set(e, -ENOMEM, "no memory");
	while (is_to_be_tried(&a, v, from_dir, &r, e)) {
		r = draft_rename(a.d, node_index(a.n, from_dir), from, node_index(a.n, to_dir), to,
				 flags, e);
		if (r == 0)
			r = renamed(&a, to_dir, to, changes);
		if (r == 0 && flags & RENAME_EXCHANGE)
			r = renamed(&a, from_dir, from, changes);
	}
	return r;
}

/* --- attributes -------------------------------------------------------------------------------------------- */

/* Cuts the file ID, or makes it longer. */
static int set_size(struct view *v, uint64_t id, struct view_file *f, uint64_t size, struct err *e)
{
	struct view_file *own;
	int r;

	if (f && f->writing)
		return open_truncate(f, size, e);
	r = view_open_to_write(v, id, size == 0, &own, e);
	if (r < 0)
		return r;
	r = size ? open_truncate(own, size, e) : 0;
	view_close(own);
	return r;
}

/* N is not in a step: times are accepted and not kept, for rsync and cp -a set them; of the state file all is. */
static int set_outside(const struct node *n, struct view_file *f, unsigned valid, uint64_t size,
		       struct err *e)
{
	unsigned times = DRAFT_MTIME | DRAFT_MTIME_NOW;

	if (n->kind != NODE_STATE)
		return valid & ~times ? -EPERM : 0;
	if (!(valid & VIEW_SIZE))
		return 0;
	return f && f->writing ? open_truncate(f, size, e) : -EPERM;
}

/* Only a file of the draft's own can have other attributes. For others they are accepted and not kept, since rsync and
 * cp -a would fail. */
static int set_others(struct view *v, struct node *n, uint32_t index, unsigned valid,
		      const struct stat *st, struct err *e)
{
	struct draft *d = view_draft_of(v, n);
	int r = 0;

	if (d)
		r = draft_set_attr(d, index, valid, st, e);
	draft_unref(d);
	return r;
}

int view_setattr(struct view *v, uint64_t id, struct view_file *f, unsigned valid,
		 const struct stat *st, struct view_entry *out, struct err *e)
{
	struct node *n = view_node(v, id);
	int r = 0;

	if (!n)
		return -ESTALE;
	if (!v->writable)
		return -EROFS;
	if (status_is(node_number(id)))
		r = valid & VIEW_SIZE ? -EPERM : 0; /* and the rest is not kept */
	else if (n->kind != NODE_STEP)
		r = set_outside(n, f, valid, (uint64_t)st->st_size, e);
	else if (valid & VIEW_SIZE)
		r = set_size(v, id, f, (uint64_t)st->st_size, e);
	if (r == 0 && n->kind == NODE_STEP && !status_is(node_number(id)) &&
	    valid & ~(unsigned)VIEW_SIZE)
		r = set_others(v, n, node_index(n, id), valid, st, e);
	return r < 0 ? r : view_getattr(v, id, out, e);
}

#include "view/links.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "directory/latest.h"
#include "directory/state_update.h"
#include "view/drafts.h"
#include "view/folder.h"
#include "view/lookup.h"
#include "view/snapshot.h"
#include "view/steps.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

/* The name of the link that is shown as NAME, with a NUL. -EPERM: a link of that name would be something else. */
static int link_name(const struct view *v, const char *name, struct buf *out, struct err *e)
{
	int r = lookup_step_name(name, out, e);

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
	r = strchr(copy, '/') ? -EINVAL : lookup_step_name(copy, out, NULL);
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
	int r = lookup_check(v, parent, name, e);

	if (!folder || r < 0)
		return folder ? r : -ESTALE;
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

int link_remove(struct view *v, struct node *n, struct err *e)
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

int link_rename(struct view *v, struct node *n, const char *to, unsigned flags, struct buf *changes,
		struct err *e)
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
		r = link_remove(v, n, e);
	if (r < 0)
		return r;
	steps_detach(v, n);
	return view_add_change(changes, node_id(folder, NODE_ROOT_ID), to);
}

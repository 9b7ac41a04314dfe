#include "view/changes.h"
#include "base/cleanup.h"
#include "step/sidecar.h"
#include "view/folder.h"
#include "view/snapshot.h"
#include <sys/eventfd.h>
#include <sys/inotify.h>

int changes_init(struct view *v)
{
	pthread_mutex_init(&v->watching, NULL);
	v->heard = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->heard >= 0)
		v->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	return v->inotify < 0 ? -errno : 0;
}

void changes_release(struct view *v)
{
	closep(&v->inotify);
	closep(&v->heard);
	pthread_mutex_destroy(&v->watching);
}

/* --- what has changed -------------------------------------------------------------------------------------- */

/* What inotify has told of a folder. */
struct told {
	bool all; /* anything may have changed */
	struct buf names; /* else these have: each with its NUL */
	struct buf sorted; /* struct bytes: the same, sorted */
};

static void told_release(struct told *t)
{
	buf_release(&t->names);
	buf_release(&t->sorted);
}

static int compare_bytes(const void *a, const void *b)
{
	return bytes_cmp(*(const struct bytes *)a, *(const struct bytes *)b);
}

static int sort_names(struct told *t)
{
	int r = 0;

	for (const char *n = (char *)t->names.p; r == 0 && n < (char *)t->names.p + t->names.n;
	     n += strlen(n) + 1) {
		const struct bytes name = bytes_str(n);

		r = buf_add(&t->sorted, &name, sizeof name);
	}
	if (t->sorted.n)
		qsort(t->sorted.p, t->sorted.n / sizeof(struct bytes), sizeof(struct bytes),
		      compare_bytes);
	return r;
}

/* Takes what was told of FOLDER since the last time. Where a file is a link, a change is told of what it leads to. */
static void take_told(struct view *v, struct node *folder, struct told *out)
{
	pthread_mutex_lock(&v->lock);
	out->all = folder->compare_all || !folder->snapshot ||
		   folder->snapshot->listing.looks_beyond ||
		   !folder_heard_since(folder, folder->compared, &out->names);
	folder->compare_all = false;
	folder->compared = folder->changes;
	folder_drop_heard(folder);
	pthread_mutex_unlock(&v->lock);
	if (!out->all && sort_names(out) < 0)
		out->all = true;
}

/* May T be of what N stands for? All names of a step's files begin in the same way. Other things are few, and may have changed
 * with another name. */
static bool is_told_of(const struct told *t, const struct node *n)
{
	const struct bytes *names = (const struct bytes *)t->sorted.p;
	const char *name = n->place->name;
	const struct bytes stem = bytes_of(name, sidecar_stem(name));
	size_t count = t->sorted.n / sizeof *names, at;

	if (t->all || n->uncompared || n->kind != NODE_STEP)
		return true;
	at = bytes_search(names, count, sizeof *names, stem);
	return at < count && bytes_starts(names[at], stem);
}

/* --- comparing --------------------------------------------------------------------------------------------- */

/* The names under which N may be shown. */
static int add_entry(struct buf *changes, const struct node *n)
{
	CLEANUP(buf_release) struct buf name = {0};
	int r = 0;

	/* A subfolder has one of two names, depending on what else there is. */
	for (int clash = 0; clash <= (n->kind == NODE_FOLDER) && r == 0; clash++) {
		name.n = 0;
		if (name_from_entry(bytes_str(n->place->name), clash, &name) == 0 &&
		    buf_add_byte(&name, 0) == 0)
			r = view_add_change(changes, node_id(n->parent, NODE_ROOT_ID),
					    (char *)name.p);
	}
	return r;
}

/* The nodes in FOLDER of which T is, that have a name and stand for what is on disk, each with a reference. Not steps that have a
 * draft now, which are compared later: the listing may be older than a commit that comes before it is compared, and not have the new
 * step. */
static int children_of(struct view *v, const struct node *folder, const struct told *t,
		       struct buf *out)
{
	int r = 0;

	HOLD(&v->lock);
	for (uint32_t i = 0; i < v->nodes.n_slots && r == 0; i++) {
		struct node *n = v->nodes.slots[i];

		if (!n || n->parent != folder || n->detached || !is_told_of(t, n))
			continue;
		n->uncompared = n->draft || n->pending;
		if (!n->uncompared && (r = buf_add(out, &n, sizeof n)) == 0)
			n->lookups++;
	}
	return r;
}

/* What became of N in its folder, whose listing is S. CHANGED: its attributes are others, but it is the same thing.
 * A step with a draft, or a link that waits for its name, is there whatever is on disk. */
enum fate { FATE_SAME, FATE_CHANGED, FATE_GONE };

static enum fate fate_of(struct view *v, int dirfd, const struct snapshot *s, struct node *n)
{
	static const enum listed_kind listed_as[] = {
		[NODE_FOLDER] = LISTED_FOLDER,
		[NODE_STEP] = LISTED_STEP,
		[NODE_STATE] = LISTED_STATE,
		[NODE_LINK] = LISTED_LINK,
	};
	const struct listed *item = listing_find(&s->listing, listed_as[n->kind], n->place->name);
	struct file_id id, meta = {0};
	bool held, replaced, same;
	struct stat st;

	pthread_mutex_lock(&v->lock);
	held = n->uncompared = n->draft || n->pending;
	pthread_mutex_unlock(&v->lock);
	if (held)
		return FATE_SAME;
	if (!item || folder_stat(v, dirfd, n->kind, &item->place, &st, NULL) < 0)
		return FATE_GONE;
	id = file_id_of(&st);
	if (n->kind == NODE_STEP)
		meta = folder_meta_id(v, dirfd, &item->place);
	pthread_mutex_lock(&v->lock);
	replaced = folder_is_replaced(n, item, &id, &meta);
	same = file_id_eq(&n->id, &id);
	pthread_mutex_unlock(&v->lock);
	return replaced ? FATE_GONE : same ? FATE_SAME : FATE_CHANGED;
}

/* Compares what the kernel knows of the folder with what is there now. */
static int compare_folder(struct view *v, struct node *folder, struct buf *changes)
{
	CLEANUP(buf_release) struct buf children = {0};
	CLEANUP(closep) int fd = -1;
	CLEANUP(told_release) struct told told = {0};
	struct snapshot *s = NULL;
	int r;

	take_told(v, folder, &told);
	r = children_of(v, folder, &told, &children);
	snapshot_get(v, folder, &fd, &s, NULL);
	for (size_t i = 0; i < children.n / sizeof(struct node *); i++) {
		struct node *n = ((struct node **)children.p)[i];
		enum fate fate = s ? fate_of(v, fd, s, n) : FATE_GONE;

		if (r == 0 && fate == FATE_CHANGED)
			r = view_add_change(changes, node_id(n, NODE_ROOT_ID), NULL);
		else if (r == 0 && fate == FATE_GONE)
			r = add_entry(changes, n);
		view_forget(v, node_id(n, NODE_ROOT_ID), 1);
	}
	snapshot_unref(s);
	return r < 0 ? r : view_add_change(changes, node_id(folder, NODE_ROOT_ID), NULL);
}

/* Gives the folders of which something was told, each with a reference. */
static int changed_folders(struct view *v, struct buf *out)
{
	int r = 0;

	HOLD(&v->lock);
	for (uint32_t i = 0; i < v->nodes.n_slots && r == 0; i++) {
		struct node *n = v->nodes.slots[i];

		if (!n || n->compared == n->changes)
			continue;
		r = buf_add(out, &n, sizeof n);
		if (r == 0)
			n->lookups++;
	}
	return r;
}

int changes_read(struct view *v, struct buf *changes)
{
	CLEANUP(buf_release) struct buf folders = {0};
	uint64_t count;
	int r;

	if (read(v->heard, &count, sizeof count) < 0 && errno != EAGAIN)
		return -errno;
	folder_hear(v);
	r = changed_folders(v, &folders);
	if (folders.n)
		kept_close(&v->kept); /* what was removed takes room as long as it is open */
	for (size_t i = 0; i < folders.n / sizeof(struct node *); i++) {
		struct node *n = ((struct node **)folders.p)[i];

		if (r == 0)
			r = compare_folder(v, n, changes);
		view_forget(v, node_id(n, NODE_ROOT_ID), 1);
	}
	return r;
}

#include "view/changes.h"
#include "base/cleanup.h"
#include "view/folder.h"
#include "view/snapshot.h"
#include <sys/inotify.h>

int changes_init(struct view *v)
{
	pthread_mutex_init(&v->watching, NULL);
	v->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	return v->inotify;
}

void changes_release(struct view *v)
{
	closep(&v->inotify);
	pthread_mutex_destroy(&v->watching);
}

enum { BATCH = 64 << 10 };

/* --- reading ----------------------------------------------------------------------------------------------- */

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

/* The nodes in FOLDER that have a name and stand for what is on disk, each with a reference. Not steps that have a
 * draft now: the listing may be older than a commit that comes before it is compared, and not have the new step. */
static int children_of(struct view *v, const struct node *folder, struct buf *out)
{
	int r = 0;

	HOLD(&v->lock);
	for (uint32_t i = 0; i < v->nodes.n_slots && r == 0; i++) {
		struct node *n = v->nodes.slots[i];

		if (n && n->parent == folder && !n->detached && !n->draft && !n->pending &&
		    (r = buf_add(out, &n, sizeof n)) == 0)
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
	held = n->draft || n->pending;
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
	struct snapshot *s = NULL;
	int r = children_of(v, folder, &children);

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

/* Gives the folders that are watched as WD, or with 0 all that are watched, each with a reference. Their listings are
 * not trusted any more. A directory has one watch, but may have several nodes: it was renamed, or is mounted at
 * two places. ENDED: the watch is no more. */
static int watched_folders(struct view *v, int wd, bool ended, struct buf *out)
{
	int r = 0;

	HOLD(&v->lock);
	for (uint32_t i = 0; i < v->nodes.n_slots && r == 0; i++) {
		struct node *n = v->nodes.slots[i];

		if (!n || !n->watch || (wd && n->watch != wd))
			continue;
		r = buf_add(out, &n, sizeof n);
		if (r == 0)
			n->lookups++;
		n->changes++;
		if (ended)
			n->watch = 0;
	}
	return r;
}

/* WD 0: events were lost, so every folder may have changed. */
static int handle_event(struct view *v, int wd, bool ended, struct buf *changes)
{
	CLEANUP(buf_release) struct buf folders = {0};
	int r;

	pthread_mutex_lock(&v->watching);
	r = watched_folders(v, wd, ended, &folders);
	if (r == 0 && !folders.n && wd && !ended)
		inotify_rm_watch(v->inotify, wd); /* their nodes have gone */
	pthread_mutex_unlock(&v->watching);
	for (size_t i = 0; i < folders.n / sizeof(struct node *); i++) {
		struct node *n = ((struct node **)folders.p)[i];

		if (r == 0)
			r = compare_folder(v, n, changes);
		view_forget(v, node_id(n, NODE_ROOT_ID), 1);
	}
	return r;
}

/* Is WD in SEEN? From now on it is. */
static bool is_seen(struct buf *seen, int wd)
{
	for (size_t i = 0; i < seen->n / sizeof wd; i++)
		if (((const int *)seen->p)[i] == wd)
			return true;
	buf_add(seen, &wd, sizeof wd); /* else the folder is compared twice */
	return false;
}

int changes_read(struct view *v, struct buf *changes)
{
	CLEANUP(freep) char *batch = malloc(BATCH);
	CLEANUP(buf_release) struct buf seen = {0};
	ssize_t n = batch ? read(v->inotify, batch, BATCH) : 0;
	int r = batch ? 0 : -ENOMEM;

	if (n > 0)
		kept_close(&v->kept); /* what was removed takes room as long as it is open */
	for (ssize_t at = 0; at < n && r == 0;) {
		const struct inotify_event *event = (const struct inotify_event *)(batch + at);

		/* A save gives many events of one folder, which is compared once for all in a batch. */
		if (event->mask & IN_Q_OVERFLOW)
			r = handle_event(v, 0, false, changes);
		else if (event->mask & IN_IGNORED || !is_seen(&seen, event->wd))
			r = handle_event(v, event->wd, event->mask & IN_IGNORED, changes);
		at += (ssize_t)(sizeof *event + event->len);
	}
	return r;
}

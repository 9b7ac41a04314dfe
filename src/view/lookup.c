#include "view/lookup.h"
#include "base/cleanup.h"
#include "directory/export.h"
#include "directory/latest.h"
#include "step/attr.h"
#include "view/drafts.h"
#include "view/folder.h"
#include "view/in_step.h"
#include "view/open.h"
#include "view/snapshot.h"
#include "view/status.h"
#include "view/steps.h"
#include <limits.h>

/* --- in a step ---------------------------------------------------------------------------------------------- */

/* NAME as for in_draft_entry. */
static int entry_in_base(struct view *v, struct node *n, uint32_t index, const char *name,
			 struct view_entry *out, struct err *e)
{
	struct loaded *l;
	int r = !index || index >= DRAFT_DYNAMIC ? -ESTALE : steps_get(v, n, &l, e);

	if (r < 0)
		return r;
	if (name && (in_step_is_file(l, index) || in_step_is_text(l, index)))
		r = -ENOTDIR;
	else if (name && !(index = in_step_find(l, index, name)))
		r = -ENOENT;
	else
		in_step_entry(v, n, l, index, out);
	loaded_unref(l);
	return r;
}

static int entry_in_step(struct view *v, struct node *n, uint32_t index, const char *name,
			 struct view_entry *out, struct err *e)
{
	struct asking a = {0};
	int r = 0;

	while (view_draft_ask(&a, v, n, r))
		r = a.draft ? in_draft_entry(v, n, a.draft, index, name, out, e)
			    : entry_in_base(v, n, index, name, out, e);
	return r;
}

/* --- what is made up (view/status.h) ---------------------------------------------------------------------------- */

static int stat_node(struct view *v, struct node *n, struct view_entry *out, struct err *e);

/* N, a step or a link to one, as a file. One that can't be made is never empty: it would be taken as read. */
static int entry_of_whole(struct view *v, struct node *n, struct view_entry *out, struct err *e)
{
	struct view_entry of = {0};
	int r = n->kind == NODE_STEP ? in_step_whole_entry(v, n, out, e) : -EUCLEAN;

	if (r == 0 || r == -ENOENT || r == -ESTALE || r == -ENOMEM)
		return r;
	r = stat_node(v, n, &of, e);
	if (r < 0)
		return r;
	*out = (struct view_entry){.id = node_id(n, STATUS_WHOLE_INDEX), .fleeting = true};
	if (n->kind == NODE_LINK)
		in_step_whole_attr(&of.st, S_IFLNK, (uint64_t)of.st.st_size + strlen(VIEW_WHOLE),
				   &out->st);
	else
		in_step_whole_attr(&of.st, S_IFREG, 1, &out->st);
	return 0;
}

/* INDEX is that folder or file of N; with NAME, what that is in it. */
static int entry_of_status(struct view *v, struct node *n, uint32_t index, const char *name,
			   struct view_entry *out, struct err *e)
{
	CLEANUP(buf_release) struct buf text = {0};
	struct view_entry folder = {0};
	int r;

	if (name && index != STATUS_FOLDER_INDEX)
		return -ENOTDIR;
	if (index == STATUS_WHOLE_INDEX)
		return entry_of_whole(v, n, out, e);
	if (name && strcmp(name, STATUS_FILE) != 0)
		return -ENOENT;
	if (name)
		index = STATUS_FILE_INDEX;
	r = stat_node(v, n, &folder, e);
	if (r == 0 && index != STATUS_FOLDER_INDEX)
		r = status_make(v, n, index, &text, e);
	if (r < 0)
		return r;
	*out = (struct view_entry){.id = node_id(n, index), .fleeting = true};
	attr_of_made_up(&folder.st, index, index == STATUS_FOLDER_INDEX ? S_IFDIR : S_IFREG, text.n,
			&out->st);
	return 0;
}

/* A scope of that name goes before. What is made up is there also if the step can't be parsed. */
static int entry_below_step(struct view *v, struct node *n, uint32_t index, const char *name,
			    struct view_entry *out, struct err *e)
{
	int r = status_is(index) ? entry_of_status(v, n, index, name, out, e)
				 : entry_in_step(v, n, index, name, out, e);

	if (r == 0 || r == -ENOMEM || index != NODE_ROOT_ID || !name || !status_find(n, name))
		return r;
	return entry_of_status(v, n, status_find(n, name), NULL, out, e);
}

int lookup_check(struct view *v, uint64_t parent, const char *name, struct err *e)
{
	struct view_entry entry;
	bool is_status = status_is(node_number(parent));

	if (!is_status &&
	    (!strcmp(name, STATUS_FOLDER) || !strcmp(name, STATE_NAME) ||
	     (v->safetensors && status_whole_of(name))) &&
	    view_lookup(v, parent, name, &entry, NULL) == 0) {
		is_status = status_is(node_number(entry.id));
		view_forget(v, entry.id, 1);
	}
	return is_status ? err_set(e, -EPERM, "%s: ckptfs makes it up, it can't be changed", name)
			 : 0;
}

/* --- in a folder -------------------------------------------------------------------------------------------- */

/* The attributes of N, for which ST is on disk. -ENOMEM. */
static int entry_of_node(struct view *v, const struct node *n, const struct stat *st,
			 struct view_entry *out, struct err *e)
{
	CLEANUP(buf_release) struct buf target = {0};
	int r = 0;

	out->id = node_id(n, NODE_ROOT_ID);
	out->fleeting = false;
	pthread_mutex_lock(&v->lock);
	out->stable = n->parent && n->parent->watch;
	pthread_mutex_unlock(&v->lock);
	if (n->kind == NODE_STEP) {
		attr_of_step(st, &out->st);
		out->st.st_ino = n->ino;
	} else if (n->kind == NODE_LINK) {
		r = name_from_entry(bytes_str(n->place->file), false, &target);
		attr_of_link(st, target.n, &out->st);
		out->fleeting = v->writable; /* who writes through it must reach the right step */
	} else {
		attr_of_disk(st, &out->st);
		/* Its name soon leads to what is on disk. And who has committed, or set `latest`, reads the state file next. */
		out->fleeting = n->pending || (n->kind == NODE_STATE && v->writable);
	}
	return r < 0 ? err_set(e, r, "no memory") : 0;
}

/* Does the name of the step N lead to another one after a commit, or a rename? Who asks for it then must reach that at once.
 * DIRFD: the folder that it lies in. */
static bool is_replaceable(const struct view *v, const struct node *n, int dirfd)
{
	return v->writable && n->kind == NODE_STEP && dirfd >= 0 &&
	       !strncmp(n->place->name, EXPORT_STEP, strlen(EXPORT_STEP)) &&
	       export_is(dirfd, NULL) == 1;
}

/* The node for ITEM of PARENT, made if there is none. A step whose file is another than it was, and a link that leads
 * elsewhere, get a new one. The kernel has one reference more on it. */
static int look_up_node(struct view *v, struct node *parent, const struct listed *item,
			const struct stat *st, const struct file_id *meta, struct node **out)
{
	struct file_id id = file_id_of(st);
	struct node *n;

	pthread_mutex_lock(&v->lock);
	n = node_find(&v->nodes, parent, folder_node_kind(item->kind), item->place.name);
	if (n && !n->draft && folder_is_replaced(n, item, &id, meta)) {
		node_detach(&v->nodes, n);
		n = NULL;
	}
	if (!n && (n = node_new(&v->nodes, parent, folder_node_kind(item->kind), &item->place)))
		n->meta = *meta;
	if (n && (n->kind != NODE_STEP || !n->id.dev)) /* of a step it tells which one it is */
		n->id = id;
	if (n && !n->ino)
		n->ino = attr_step_ino(st);
	if (n)
		n->lookups++;
	pthread_mutex_unlock(&v->lock);
	*out = n;
	return n ? 0 : -ENOMEM;
}

/* When inotify tells of a change before the node is made, the kernel is not told of it. So the kernel may remember
 * what was looked up in S only if nothing has changed since S was read. */
int lookup_item(struct view *v, struct node *parent, int dirfd, const struct snapshot *s,
		const struct listed *item, struct view_entry *out, struct err *e)
{
	struct node *n = NULL;
	struct file_id meta = {0};
	struct stat st;
	int r = folder_stat(v, dirfd, folder_node_kind(item->kind), &item->place, &st, e);

	if (r < 0)
		return r;
	if (item->kind == LISTED_STEP)
		meta = folder_meta_id(v, dirfd, &item->place);
	if (look_up_node(v, parent, item, &st, &meta, &n) < 0)
		return err_set(e, -ENOMEM, "no memory");
	r = entry_of_node(v, n, &st, out, e);
	if (r == 0)
		out->fleeting = out->fleeting || is_replaceable(v, n, dirfd);
	else
		view_forget(v, node_id(n, NODE_ROOT_ID), 1);
	out->stable = out->stable && snapshot_is_current(v, parent, s);
	return r;
}

/* The name of an entry in a folder, decoded. */
struct shown {
	struct buf name;
	bool clash;
};

/* Decodes NAME. -ENOENT: no entry can have it. */
static int read_shown(const char *name, struct shown *out, struct err *e)
{
	int r = name_to_entry(bytes_str(name), &out->name, &out->clash);

	if (r == 0)
		r = buf_add_byte(&out->name, 0);
	return r < 0 && r != -ENOENT ? err_set(e, r, "no memory") : r;
}

/* The item of that name. A step goes before a subfolder, and both before the state file and `latest`. */
static const struct listed *find_item(const struct listing *l, const struct shown *shown)
{
	const char *name = (char *)shown->name.p;
	const struct listed *item = listing_find(l, LISTED_STEP, name);

	if (shown->clash)
		return item ? listing_find(l, LISTED_FOLDER, name) : NULL;
	if (!item)
		item = listing_find(l, LISTED_FOLDER, name);
	if (!item)
		item = listing_find(l, LISTED_STATE, name);
	return item ? item : listing_find(l, LISTED_LINK, name);
}

/* The node of that name in N that is there whatever is on disk: a step with a draft, or a link or file that waits to be
 * renamed to `latest` or the state file. NULL: none. The kernel has one reference more on it. */
static struct node *find_held(struct view *v, const struct node *n, const struct shown *shown)
{
	const char *name = (char *)shown->name.p;
	struct node *found;

	if (shown->clash)
		return NULL;
	HOLD(&v->lock);
	found = node_find(&v->nodes, n, NODE_STEP, name);
	if (!found || !found->draft)
		found = node_find(&v->nodes, n, NODE_LINK, name);
	if (!found || (!found->draft && !found->pending))
		found = node_find(&v->nodes, n, NODE_STATE, name);
	if (found && !found->draft && !found->pending)
		found = NULL;
	if (found)
		found->lookups++;
	return found;
}

/* The attributes of such a node. -ENOENT: its draft has ended. */
static int entry_of_held(struct view *v, struct node *n, struct view_entry *out, struct err *e)
{
	struct draft *d = view_draft_of(v, n);
	struct stat st = {.st_mode = 0777};
	int r = 0;

	if (n->kind == NODE_STATE && fstat(n->copy, &st) < 0)
		return err_sys(e, -errno, "%s", n->place->name);
	if (n->kind == NODE_LINK || n->kind == NODE_STATE) {
		r = entry_of_node(v, n, &st, out, e);
	} else if (d) {
		CLEANUP(closep) int dirfd = folder_open_parent(v, n, NULL);

		r = in_draft_entry(v, n, d, NODE_ROOT_ID, NULL, out, e);
		out->fleeting = r == 0 && (out->fleeting || is_replaceable(v, n, dirfd));
		if (r < 0 && draft_has_ended(d))
			r = -ENOENT;
		draft_unref(d);
	} else {
		r = -ENOENT;
	}
	return r;
}

static int look_up_on_disk(struct view *v, struct node *n, const struct shown *shown,
			   struct view_entry *out, struct err *e)
{
	CLEANUP(closep) int fd = -1;
	const struct listed *item;
	struct snapshot *s;
	int r = snapshot_get(v, n, &fd, &s, e);

	if (r < 0)
		return r;
	item = find_item(&s->listing, shown);
	r = item ? lookup_item(v, n, fd, s, item, out, e) : -ENOENT;
	if (!item && s->no_latest.code && !strcmp((char *)shown->name.p, LATEST_NAME))
		r = err_set(e, s->no_latest.code, "%s", s->no_latest.text);
	snapshot_unref(s);
	return r;
}

static int look_up_shown(struct view *v, struct node *n, const struct shown *shown,
			 struct view_entry *out, struct err *e)
{
	bool known = n->recovered;
	struct node *held = find_held(v, n, shown);
	int r = held ? entry_of_held(v, held, out, e) : -ENOENT;

	if (held && r < 0)
		view_forget(v, node_id(held, NODE_ROOT_ID), 1);
	if (r == -ENOENT)
		r = look_up_on_disk(v, n, shown, out, e);
	/* The first look at a folder takes up the drafts in it. */
	return r == -ENOENT && !known && n->recovered ? look_up_shown(v, n, shown, out, e) : r;
}

int lookup_in_folder(struct view *v, struct node *n, const char *name, struct view_entry *out,
		     struct err *e)
{
	struct shown shown = {0};
	int r = read_shown(name, &shown, e);

	if (r == 0)
		r = look_up_shown(v, n, &shown, out, e);
	buf_release(&shown.name);
	return r;
}

/* NAME is STEP.safetensors in N, or of a link. The kernel has one reference more on the step, or link. */
static int look_up_whole(struct view *v, struct node *n, const char *name, struct view_entry *out,
			 struct err *e)
{
	CLEANUP(freep) char *of = strndup(name, status_whole_of(name));
	struct view_entry entry = {0};
	struct node *found;
	int r;

	if (!of || !*of)
		return of ? -ENOENT : err_set(e, -ENOMEM, "no memory");
	r = lookup_in_folder(v, n, of, &entry, e);
	if (r < 0)
		return r;
	found = view_node(v, entry.id);
	r = found->kind == NODE_STEP || found->kind == NODE_LINK ? entry_of_whole(v, found, out, e)
								 : -ENOENT;
	if (r < 0)
		view_forget(v, entry.id, 1);
	return r;
}

/* --- both --------------------------------------------------------------------------------------------------- */

int view_lookup(struct view *v, uint64_t parent, const char *name, struct view_entry *out,
		struct err *e)
{
	struct node *n = view_node(v, parent);
	int r;

	if (!n)
		return -ESTALE;
	if (strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	if (n->kind == NODE_FOLDER && node_number(parent) == NODE_ROOT_ID) {
		r = lookup_in_folder(v, n, name, out, e);
		if (r == -ENOENT && v->safetensors && status_whole_of(name))
			return look_up_whole(v, n, name, out, e);
		if (r != -ENOENT || strcmp(name, STATUS_FOLDER) != 0)
			return r;
		r = entry_of_status(v, n, STATUS_FOLDER_INDEX, NULL, out, e);
	} else if (n->kind == NODE_STEP || n->kind == NODE_FOLDER) {
		r = entry_below_step(v, n, node_index(n, parent), name, out, e);
	} else {
		return -ENOTDIR;
	}
	if (r == 0)
		view_hold(v, n);
	return r;
}

/* --- attributes ---------------------------------------------------------------------------------------------- */

/* The same. -ENOENT: N is no such node, or its draft has ended. */
static int entry_of_held_node(struct view *v, struct node *n, struct view_entry *out, struct err *e)
{
	bool held;

	pthread_mutex_lock(&v->lock);
	held = n->draft || n->pending;
	pthread_mutex_unlock(&v->lock);
	return held ? entry_of_held(v, n, out, e) : -ENOENT;
}

/* N is a folder, and is not on disk any more. -ESTALE the first time: the kernel then looks its name up again, where it has
 * come to N by that. Whoever stands in N goes on asking, and is told that it is an empty folder without a name. */
static int stat_gone(struct view *v, struct node *n, struct view_entry *out, struct err *e)
{
	struct stat st;

	if (!steps_lose(v, n))
		return -ESTALE;
	if (fstat(v->root_fd, &st) < 0)
		return err_sys(e, -errno, "the checkpoint directory");
	attr_of_step(&st, &out->st);
	out->st.st_ino = n->kind == NODE_STEP ? n->ino : n->id.ino;
	out->st.st_nlink = 0;
	out->id = node_id(n, NODE_ROOT_ID);
	out->fleeting = true;
	return 0;
}

static int stat_node(struct view *v, struct node *n, struct view_entry *out, struct err *e)
{
	CLEANUP(closep) int fd = -1;
	struct stat st;
	int r = -ENOENT;

	if (n->kind != NODE_FOLDER)
		r = entry_of_held_node(v, n, out, e);
	if (r != -ENOENT)
		return r;
	fd = folder_open_parent(v, n, e);
	r = fd < 0 ? fd : folder_stat(v, fd, n->kind, n->place, &st, e);
	if (r == -ENOENT && (n->kind == NODE_STEP || (n->kind == NODE_FOLDER && n->parent)))
		return stat_gone(v, n, out, e);
	if (r < 0)
		return r == -ENOENT ? -ESTALE : r;
	if (n->kind != NODE_STEP) { /* of a step it tells which one it is */
		pthread_mutex_lock(&v->lock);
		n->id = file_id_of(&st);
		pthread_mutex_unlock(&v->lock);
	}
	return entry_of_node(v, n, &st, out, e);
}

int view_getattr(struct view *v, uint64_t id, struct view_entry *out, struct err *e)
{
	struct node *n = view_node(v, id);
	int r;

	if (!n)
		return -ESTALE;
	if (node_number(id) == NODE_ROOT_ID)
		return stat_node(v, n, out, e);
	r = entry_below_step(v, n, node_index(n, id), NULL, out, e);
	return r == -ESTALE ? open_getattr(v, n, id, out, e) : r;
}

/* --- links --------------------------------------------------------------------------------------------------- */

int view_readlink(struct view *v, uint64_t id, struct buf *out, struct err *e)
{
	const struct node *n = view_node(v, id);
	int r;

	if (!n || n->kind != NODE_LINK)
		return -EINVAL;
	r = name_from_entry(bytes_str(n->place->file), false, out);
	if (r == 0 && node_number(id) == STATUS_WHOLE_INDEX)
		r = buf_add_str(out, VIEW_WHOLE);
	return r < 0 ? err_set(e, -ENOMEM, "no memory") : 0;
}

/* The names of its shards have to be possible, too. */
enum { STEP_NAME_MAX = NAME_MAX - (sizeof ".data-00000-of-00001" - 1) };

int lookup_step_name(const char *name, struct buf *out, struct err *e)
{
	bool clash;
	int r = name_to_entry(bytes_str(name), out, &clash);

	if (r == -ENOENT || (r == 0 && clash))
		return err_set(e, -EINVAL, "%s: a step can't be shown under this name", name);
	if (r == 0)
		r = buf_add_byte(out, 0);
	if (r == 0 && !strcmp((char *)out->p, ".ckptfs"))
		return err_set(e, -EINVAL, "%s: a name that ckptfs uses itself", name);
	if (r == 0 && out->n - 1 > STEP_NAME_MAX)
		return -ENAMETOOLONG;
	return r;
}

#include "view/view.h"
#include "base/cleanup.h"
#include "format/dtype.h"
#include "view/attr.h"
#include "view/draft_view.h"
#include "view/folder.h"
#include "view/steps.h"
#include "view/xattr.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>

int view_init(struct view *v, int root_fd, const struct view_config *c, struct err *e)
{
	*v = (struct view){.root_fd = root_fd,
			   .inotify = -1,
			   .verify = c->verify,
			   .warn = c->warn,
			   .tell = c->tell,
			   .begun = c->begun,
			   .warn_arg = c->warn_arg,
			   .commit_ms = c->commit_ms,
			   .root_lock = {-1, -1}};
	pthread_mutex_init(&v->recovering, NULL);
	pthread_mutex_init(&v->committing, NULL);
	pthread_mutex_init(&v->loading, NULL);
	pthread_mutex_init(&v->lock, NULL);
	if (fstat(root_fd, &v->root) < 0)
		return err_sys(e, -errno, "fstat");
	v->state_name = strdup(c->state_name);
	v->meta_suffix = strdup(c->meta_suffix);
	v->family = c->family ? strdup(c->family) : NULL;
	v->who = strdup(c->who ? c->who : "");
	if (!v->state_name || !v->meta_suffix || (c->family && !v->family) || !v->who ||
	    node_table_init(&v->nodes) < 0)
		return err_set(e, -ENOMEM, "no memory");
	v->commit = (struct commit_config){.state_name = v->state_name, .compact = c->compact};
	v->writable = c->writable;
	return v->writable ? lock_directory(&v->root_lock, root_fd, e) : 0;
}

void view_release(struct view *v)
{
	node_table_release(&v->nodes);
	lock_release(&v->root_lock, v->root_fd);
	view_forget_kept(v);
	free(v->who);
	free(v->state_name);
	free(v->meta_suffix);
	free(v->family);
	closep(&v->root_fd);
	pthread_mutex_destroy(&v->lock);
	pthread_mutex_destroy(&v->loading);
	pthread_mutex_destroy(&v->committing);
	pthread_mutex_destroy(&v->recovering);
}

int view_add_change(struct buf *changes, uint64_t id, const char *name)
{
	struct view_change c = {.id = id};

	if (name && strlen(name) < sizeof c.name)
		memcpy(c.name, name, strlen(name) + 1);
	return buf_add(changes, &c, sizeof c);
}

struct node *view_node(struct view *v, uint64_t id)
{
	pthread_mutex_lock(&v->lock);

	struct node *n = node_get(&v->nodes, id);

	pthread_mutex_unlock(&v->lock);
	return n;
}

static uint32_t dir_number(const struct loaded *l, uint32_t index)
{
	return index == TREE_ROOT ? 0 : index - tree_dir_index(&l->tree, 1) + 1;
}

static bool is_file(const struct loaded *l, uint32_t index)
{
	return index >= TREE_FIRST && index - TREE_FIRST < l->tree.n_files;
}

static bool is_text(const struct loaded *l, uint32_t index)
{
	return index >= tree_text_index(&l->tree, 0) && index < tree_text_index(&l->tree, N_TEXTS);
}

static enum text_kind text_of(const struct loaded *l, uint32_t index)
{
	return index - tree_text_index(&l->tree, 0);
}

static const struct var *var_of(const struct loaded *l, uint32_t index)
{
	return &l->step->vars[l->tree.files[index - TREE_FIRST].var];
}

static void attr_of_file(struct view *v, const struct node *n, const struct loaded *l,
			 uint32_t index, struct stat *out)
{
	const struct var *var = var_of(l, index);
	CLEANUP(closep) int fd = -1;

	if (var->dtype == DTYPE_STRING) /* they must be read for their size */
		fd = folder_open_parent(v, n, NULL);
	attr_of_var(l->step, var, file_size(l->step, var, fd), out);
}

static void attr_of_made_text(struct view *v, const struct node *n, struct loaded *l,
			      uint32_t index, struct stat *out)
{
	CLEANUP(closep) int fd = folder_open_parent(v, n, NULL);
	enum text_kind kind = text_of(l, index);

	attr_of_text(&l->texts.st[kind], kind, text_size(&l->texts, l->step, fd, kind), out);
}

/* Attributes of what INDEX is in the step of N. */
static void entry_in_step(struct view *v, const struct node *n, struct loaded *l, uint32_t index,
			  struct view_entry *out)
{
	out->id = node_id(n, index);
	out->stable = true;
	if (is_file(l, index))
		attr_of_file(v, n, l, index, &out->st);
	else if (is_text(l, index))
		attr_of_made_text(v, n, l, index, &out->st);
	else
		attr_of_dir(l->step, &l->tree, dir_number(l, index), &out->st);
	out->st.st_dev = v->root.st_dev;
}

/* --- lookup ------------------------------------------------------------------------------------------------ */

/* The index of NAME in the folder INDEX; 0 if there is none. */
static uint32_t find_in_step(const struct loaded *l, uint32_t index, const char *name)
{
	enum text_kind kind = index == NODE_ROOT_ID ? text_kind_of(name) : N_TEXTS;
	struct tree_child child;

	if (kind < N_TEXTS && l->texts.there[kind])
		return tree_text_index(&l->tree, kind);
	if (!tree_lookup(&l->tree, dir_number(l, index), bytes_str(name), &child))
		return 0;
	return child.is_dir ? tree_dir_index(&l->tree, child.index) : tree_file_index(child.index);
}

static int lookup_in_step(struct view *v, struct node *n, uint32_t index, const char *name,
			  struct view_entry *out, struct err *e)
{
	struct draft *d = draft_of(v, n);
	struct loaded *l;
	uint32_t found;
	int r;

	if (d) {
		r = draft_lookup(v, n, d, index, name, out);
		draft_unref(d);
		return r;
	}
	if (index >= DRAFT_DYNAMIC)
		return -ESTALE;
	r = steps_get(v, n, &l, e);
	if (r < 0)
		return r;
	if (is_file(l, index) || is_text(l, index))
		r = -ENOTDIR;
	else if (!(found = find_in_step(l, index, name)))
		r = -ENOENT;
	else
		entry_in_step(v, n, l, found, out);
	loaded_unref(l);
	if (r < 0)
		return r;
	view_hold(v, n);
	return 0;
}

/* The attributes of a node, of which ST is on disk. */
static void entry_of_node(struct view *v, const struct node *n, const struct stat *st,
			  struct view_entry *out)
{
	CLEANUP(buf_release) struct buf target = {0};

	out->id = node_id(n, NODE_ROOT_ID);
	pthread_mutex_lock(&v->lock);
	out->stable = n->parent && n->parent->watch;
	pthread_mutex_unlock(&v->lock);
	if (n->kind == NODE_STEP) {
		attr_of_step(st, &out->st);
	} else if (n->kind == NODE_LATEST) {
		name_from_entry(bytes_str(n->place.file), false, &target);
		attr_of_link(st, target.n, &out->st);
		out->fleeting = v->writable; /* what is written through it must reach the latest */
	} else {
		attr_of_disk(st, &out->st);
	}
}

/* The node for an item of PARENT, made if need be; a step whose file is another than it was, and a
 * link that leads elsewhere, get a new one.
 * The kernel has one reference more on it. */
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
	if (n && (n->kind != NODE_STEP ||
		  !n->id.ino)) /* a step's never changes: who parses it takes no lock */
		n->id = id;
	if (n)
		n->lookups++;
	pthread_mutex_unlock(&v->lock);
	*out = n;
	return n ? 0 : -ENOMEM;
}

/* DIRFD: PARENT's; ITEM is in S. Of a change that is heard of before the node is there the kernel is not told: what was
 * looked up in a listing that is older must not be kept. */
static int lookup_item(struct view *v, struct node *parent, int dirfd, const struct snapshot *s,
		       const struct listed *item, struct view_entry *out, struct err *e)
{
	struct node *n = NULL;
	struct file_id meta = {0};
	struct stat st;
	int r = folder_stat(v, dirfd, folder_node_kind(item->kind), item->place.file, &st, e);

	if (r < 0)
		return r;
	if (item->kind == LISTED_STEP)
		meta = folder_meta_id(v, dirfd, &item->place);
	if (look_up_node(v, parent, item, &st, &meta, &n) < 0)
		return err_set(e, -ENOMEM, "no memory");
	entry_of_node(v, n, &st, out);
	out->stable = out->stable && folder_is_current(v, parent, s);
	return 0;
}

/* The item that is shown as NAME. Steps come before subfolders, and both before the state file and `latest`. */
static const struct listed *find_item(const struct listing *l, const char *name)
{
	CLEANUP(buf_release) struct buf entry = {0};
	const struct listed *item;
	bool clash;

	if (name_to_entry(bytes_str(name), &entry, &clash) < 0 || buf_add_byte(&entry, 0) < 0)
		return NULL;
	name = (char *)entry.p;
	item = listing_find(l, LISTED_STEP, name);
	if (clash)
		return item ? listing_find(l, LISTED_FOLDER, name) : NULL;
	if (!item)
		item = listing_find(l, LISTED_FOLDER, name);
	if (!item)
		item = listing_find(l, LISTED_STATE, name);
	return item ? item : listing_find(l, LISTED_LATEST, name);
}

/* The node in N that is there whatever is on disk: a step with a draft, or a link that waits for its name. The kernel has one
 * reference more on it. */
static struct node *find_held(struct view *v, const struct node *n, const char *name)
{
	CLEANUP(buf_release) struct buf entry = {0};
	struct node *found;
	bool clash;

	if (name_to_entry(bytes_str(name), &entry, &clash) < 0 || clash ||
	    buf_add_byte(&entry, 0) < 0)
		return NULL;
	pthread_mutex_lock(&v->lock);
	found = node_find(&v->nodes, n, NODE_STEP, (char *)entry.p);
	if (!found || !found->draft)
		found = node_find(&v->nodes, n, NODE_LATEST, (char *)entry.p);
	if (found && !found->draft && !found->pending)
		found = NULL;
	if (found)
		found->lookups++;
	pthread_mutex_unlock(&v->lock);
	return found;
}

/* The attributes of such a node. */
static int entry_of_held(struct view *v, struct node *n, struct view_entry *out)
{
	struct draft *d = draft_of(v, n);
	struct stat st = {.st_mode = 0777};
	int r = 0;

	if (n->kind == NODE_LATEST) {
		entry_of_node(v, n, &st, out);
	} else if (d) {
		r = draft_getattr(v, n, d, NODE_ROOT_ID, out);
		draft_unref(d);
	} else {
		r = -ENOENT;
	}
	return r;
}

int view_lookup_in_folder(struct view *v, struct node *n, const char *name, struct view_entry *out,
			  struct err *e)
{
	CLEANUP(closep) int fd = -1;
	const struct listed *item;
	struct snapshot *s;
	struct node *held = find_held(v, n, name);
	int r;

	if (held && entry_of_held(v, held, out) == 0)
		return 0;
	if (held)
		view_forget(v, node_id(held, NODE_ROOT_ID), 1);
	r = folder_snapshot(v, n, &s, e);
	if (r < 0)
		return r;
	item = find_item(&s->listing, name);
	r = item ? fd = folder_open(v, n, e) : -ENOENT;
	if (r >= 0)
		r = lookup_item(v, n, fd, s, item, out, e);
	snapshot_unref(s);
	return r;
}

int view_lookup(struct view *v, uint64_t parent, const char *name, struct view_entry *out,
		struct err *e)
{
	struct node *n = view_node(v, parent);

	if (!n)
		return -ESTALE;
	if (strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	if (n->kind == NODE_STEP)
		return lookup_in_step(v, n, node_index(parent), name, out, e);
	return n->kind == NODE_FOLDER ? view_lookup_in_folder(v, n, name, out, e) : -ENOTDIR;
}

void view_look(struct view *v)
{
	folder_recover(v, view_node(v, NODE_ROOT_ID));
}

void view_hold(struct view *v, struct node *n)
{
	pthread_mutex_lock(&v->lock);
	n->lookups++;
	pthread_mutex_unlock(&v->lock);
}

void view_forget(struct view *v, uint64_t id, uint64_t count)
{
	pthread_mutex_lock(&v->lock);

	struct node *n = node_get(&v->nodes, id);

	if (n)
		node_put(&v->nodes, n, count);
	pthread_mutex_unlock(&v->lock);
}

/* Whether N has a draft, or waits for its name: then OUT is what it is like. */
static bool entry_of_held_node(struct view *v, struct node *n, struct view_entry *out)
{
	bool held;

	pthread_mutex_lock(&v->lock);
	held = n->draft || n->pending;
	pthread_mutex_unlock(&v->lock);
	return held && entry_of_held(v, n, out) == 0;
}

static int stat_node(struct view *v, struct node *n, struct view_entry *out, struct err *e)
{
	CLEANUP(closep) int fd = -1;
	struct stat st;
	int r;

	if ((n->kind == NODE_STEP || n->kind == NODE_LATEST) && entry_of_held_node(v, n, out))
		return 0;
	fd = folder_open_parent(v, n, e);
	r = fd < 0 ? fd : folder_stat(v, fd, n->kind, n->parent ? n->place.file : ".", &st, e);

	if (r < 0)
		return r == -ENOENT ? -ESTALE : r;
	if (n->kind != NODE_STEP) { /* a step's tells which one it is */
		pthread_mutex_lock(&v->lock);
		n->id = file_id_of(&st);
		pthread_mutex_unlock(&v->lock);
	}
	entry_of_node(v, n, &st, out);
	return 0;
}

int view_getattr(struct view *v, uint64_t id, struct view_entry *out, struct err *e)
{
	struct node *n = view_node(v, id);
	struct draft *d;
	struct loaded *l;
	int r;

	if (!n)
		return -ESTALE;
	if (node_index(id) == NODE_ROOT_ID)
		return stat_node(v, n, out, e);
	d = draft_of(v, n);
	if (d) {
		r = draft_getattr(v, n, d, node_index(id), out);
		draft_unref(d);
		return r;
	}
	if (node_index(id) >= DRAFT_DYNAMIC)
		return -ESTALE;
	r = steps_get(v, n, &l, e);
	if (r < 0)
		return r;
	entry_in_step(v, n, l, node_index(id), out);
	loaded_unref(l);
	return 0;
}

/* --- reading folders --------------------------------------------------------------------------------------- */

struct view_dir {
	struct node *node;
	int fd; /* of a folder, with */
	struct snapshot *snapshot; /* what was in it, or */
	struct loaded *loaded; /* of a step, and */
	uint32_t dir; /* in its tree, or */
	struct buf items,
		names; /* of a draft: struct draft_name; of a folder: the new steps in it */
	bool drafted;
	uint32_t parent; /* then: of the folder */
	const struct listed *item; /* what was given last, or */
	uint32_t index; /* of what was given last */
	mode_t type; /* and S_IFDIR, S_IFREG or S_IFLNK */
	struct buf name;
};

enum { POS_DOT, POS_DOTDOT, POS_FIRST };

/* Steps that are not on disk yet: nothing but their drafts. */
static int list_new_steps(struct view *v, const struct node *n, const struct snapshot *s,
			  struct buf *items, struct buf *names)
{
	int r = 0;

	pthread_mutex_lock(&v->lock);
	for (uint32_t i = 0; i < v->nodes.n_slots && r == 0 && n->drafts; i++) {
		const struct node *step = v->nodes.slots[i];
		struct draft_name name = {NODE_ROOT_ID, S_IFDIR, names->n};

		if (!step || step->parent != n || !step->draft || step->detached ||
		    listing_find(&s->listing, LISTED_STEP, step->place.name))
			continue;
		r = name_from_entry(bytes_str(step->place.name), false, names);
		if (r == 0)
			r = buf_add_byte(names, 0);
		if (r == 0)
			r = buf_add(items, &name, sizeof name);
	}
	pthread_mutex_unlock(&v->lock);
	return r;
}

int view_opendir(struct view *v, uint64_t id, struct view_dir **out, bool *stable, struct err *e)
{
	struct node *n = view_node(v, id);
	struct draft *draft;
	struct view_dir *d;
	int r;

	if (!n)
		return -ESTALE;
	d = calloc(1, sizeof *d);
	if (!d)
		return err_set(e, -ENOMEM, "no memory");
	d->node = n;
	d->fd = -1;
	draft = n->kind == NODE_STEP ? draft_of(v, n) : NULL;
	if (draft) {
		d->drafted = true;
		d->parent = node_index(id);
		r = draft_list(draft, node_index(id), &d->items, &d->names);
		draft_unref(draft);
	} else if (n->kind == NODE_STEP && node_index(id) >= DRAFT_DYNAMIC) {
		r = -ESTALE;
	} else if (n->kind == NODE_STEP) {
		r = steps_get(v, n, &d->loaded, e);
		if (r == 0 &&
		    (is_file(d->loaded, node_index(id)) || is_text(d->loaded, node_index(id))))
			r = -ENOTDIR;
		else if (r == 0)
			d->dir = dir_number(d->loaded, node_index(id));
	} else {
		r = n->kind == NODE_FOLDER ? folder_snapshot(v, n, &d->snapshot, e) : -ENOTDIR;
		if (r == 0 && (d->fd = folder_open(v, n, e)) < 0)
			r = d->fd;
		if (r == 0)
			r = list_new_steps(v, n, d->snapshot, &d->items, &d->names);
	}
	if (r < 0) {
		view_closedir(d);
		return r;
	}
	*stable = d->loaded;
	*out = d;
	return 0;
}

void view_closedir(struct view_dir *d)
{
	closep(&d->fd);
	snapshot_unref(d->snapshot);
	loaded_unref(d->loaded);
	buf_release(&d->items);
	buf_release(&d->names);
	buf_release(&d->name);
	free(d);
}

/* The name under which an item is shown; -ENOENT if another one has that name already. */
static int item_name(const struct listing *l, const struct listed *item, struct buf *out)
{
	bool step_too = item->kind != LISTED_STEP && listing_find(l, LISTED_STEP, item->place.name);
	bool folder_too = listing_find(l, LISTED_FOLDER, item->place.name);
	bool state_too = listing_find(l, LISTED_STATE, item->place.name);

	if (item->kind == LISTED_STATE && (step_too || folder_too))
		return -ENOENT;
	if (item->kind == LISTED_LATEST && (step_too || folder_too || state_too))
		return -ENOENT;
	return name_from_entry(bytes_str(item->place.name), step_too, out);
}

static int next_item(struct view_dir *d, uint32_t *pos)
{
	const struct listing *l = &d->snapshot->listing;

	while (*pos < l->n) {
		d->item = &l->items[(*pos)++];
		int r = item_name(l, d->item, &d->name);

		d->type = d->item->kind == LISTED_STATE    ? S_IFREG
			  : d->item->kind == LISTED_LATEST ? S_IFLNK
							   : S_IFDIR;
		if (r == 0)
			return 1;
		if (r == -ENOMEM)
			return r;
	}
	return 0;
}

static int next_text(struct view_dir *d, uint32_t *pos)
{
	const struct loaded *l = d->loaded;

	while (*pos - l->tree.n_files < N_TEXTS) {
		enum text_kind kind = (*pos)++ - l->tree.n_files;

		if (l->texts.there[kind]) {
			d->index = tree_text_index(&l->tree, kind);
			d->type = S_IFREG;
			return buf_add_str(&d->name, text_name(kind)) < 0 ? -ENOMEM : 1;
		}
	}
	return 0;
}

/* In the step's own folder the texts stand behind the variables. */
static int next_child(struct view_dir *d, uint32_t *pos)
{
	struct tree_child child;
	int r;

	if (!tree_next(&d->loaded->tree, d->dir, pos, &child))
		return d->dir ? 0 : next_text(d, pos);
	d->index = child.is_dir ? tree_dir_index(&d->loaded->tree, child.index)
				: tree_file_index(child.index);
	d->type = child.is_dir ? S_IFDIR : S_IFREG;
	r = buf_add(&d->name, child.name.p, child.name.n);
	if (r == 0 && !child.is_dir)
		r = buf_add_str(&d->name, ".npy");
	return r < 0 ? r : 1;
}

/* What is not in a listing or a tree: NUMBER of d->items. */
static int next_named(struct view_dir *d, uint32_t number)
{
	const struct draft_name *item = (const struct draft_name *)d->items.p + number;

	if (number >= d->items.n / sizeof *item)
		return 0;
	d->item = NULL;
	d->index = item->index;
	d->type = item->type;
	return buf_add_str(&d->name, (char *)d->names.p + item->name) < 0 ? -ENOMEM : 1;
}

/* The entry at *POS, which is moved on: of a folder first what is on disk. */
static int next_entry(struct view_dir *d, uint32_t *pos)
{
	uint32_t on_disk = d->snapshot ? d->snapshot->listing.n : 0;
	int r = 0;

	if (d->loaded)
		return next_child(d, pos);
	if (*pos < on_disk)
		r = next_item(d, pos);
	return r ? r : next_named(d, (*pos)++ - on_disk);
}

int view_readdir(struct view_dir *d, uint64_t pos, struct view_dirent *out, struct err *e)
{
	uint32_t at = pos < POS_FIRST ? 0 : (uint32_t)(pos - POS_FIRST);
	int r;

	d->name.n = 0;
	if (pos < POS_FIRST) {
		*out = (struct view_dirent){pos == POS_DOT ? "." : "..", S_IFDIR, pos + 1};
		return 1;
	}
	r = next_entry(d, &at);
	if (r > 0)
		r = buf_add_byte(&d->name, 0) < 0 ? -ENOMEM : 1;
	if (r < 0)
		return err_set(e, r, "no memory");
	out->name = (char *)d->name.p;
	out->next = (uint64_t)at + POS_FIRST;
	out->type = d->type;
	return r;
}

int view_dirent_lookup(struct view *v, struct view_dir *d, struct view_entry *out, struct err *e)
{
	if (d->drafted || (!d->loaded && !d->item))
		return view_lookup(v, node_id(d->node, d->drafted ? d->parent : NODE_ROOT_ID),
				   (char *)d->name.p, out, e);
	/* Where the link leads is in the listing, which may be old; all else is looked at on disk. */
	if (!d->loaded && d->item->kind == LISTED_LATEST &&
	    !folder_is_current(v, d->node, d->snapshot))
		return view_lookup_in_folder(v, d->node, d->item->place.name, out, e);
	if (!d->loaded)
		return lookup_item(v, d->node, d->fd, d->snapshot, d->item, out, e);
	entry_in_step(v, d->node, d->loaded, d->index, out);
	view_hold(v, d->node);
	return 0;
}

/* --- files ------------------------------------------------------------------------------------------------- */

static int open_state(struct view *v, const struct node *n, struct view_file *f, struct err *e)
{
	CLEANUP(closep) int dirfd = folder_open_parent(v, n, e);

	if (dirfd < 0)
		return dirfd;
	f->fd = openat(dirfd, n->place.file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return f->fd < 0 ? err_sys(e, -errno, "%s", n->place.file) : 0;
}

/* Whether the pages that the kernel has of a variable may stay. They were verified together with what is read now if
 * the step was not dropped and parsed again in between; else half a variable would be of the one reading, half of the
 * other, and neither be seen whole. */
static bool may_keep_pages(const struct view *v, struct loaded *l, uint32_t index)
{
	return atomic_exchange(&l->opened[index - TREE_FIRST], 1) || v->verify != VERIFY_READ;
}

/* Whether there is a draft of N, in which F is then to be opened. */
static bool draft_of_file(struct view *v, const struct node *n, uint32_t index, struct view_file *f)
{
	f->draft = draft_of(v, n);
	f->index = index;
	return f->draft;
}

static int draft_open_file(struct view *v, const struct node *n, struct view_file *f, bool *stable,
			   struct err *e)
{
	int r;

	pthread_mutex_lock(&f->draft->lock);
	f->item = draft_item(f->draft, f->index);
	if (f->item)
		f->item->refs++;
	pthread_mutex_unlock(&f->draft->lock);
	if (!f->item)
		return -ESTALE;
	r = draft_open(f->draft, f->item, false, false, e);
	pthread_mutex_lock(&f->draft->lock);
	draft_item_put(f->draft, f->item);
	if (r < 0)
		f->item = NULL;
	pthread_mutex_unlock(&f->draft->lock);
	return r < 0 ? r : draft_open_base(v, n, f->draft, f->item, &f->file, &f->text, stable, e);
}

static int open_in_step(struct view *v, struct node *n, uint32_t index, struct view_file *f,
			bool *stable, struct err *e)
{
	CLEANUP(closep) int dirfd = folder_open_parent(v, n, e);
	struct loaded *l;
	int r;

	if (draft_of_file(v, n, index, f))
		return draft_open_file(v, n, f, stable, e);
	if (index >= DRAFT_DYNAMIC)
		return -ESTALE;
	r = dirfd < 0 ? dirfd : steps_get(v, n, &l, e);
	if (r < 0)
		return r;
	*stable = true;
	if (is_file(l, index))
		r = file_open(l->step, var_of(l, index), dirfd, &f->file, e);
	else if (is_text(l, index))
		r = text_make(&l->texts, l->step, dirfd, text_of(l, index), &f->text, e);
	else
		r = -EISDIR;
	if (r == 0 && is_file(l, index))
		*stable = may_keep_pages(v, l, index);
	if (r < 0)
		folder_wrap(n->parent, r, e);
	if (r == -ESTALE) /* its name leads to a new node from now on */
		steps_detach(v, n);
	f->loaded = l;
	f->index = index;
	return r;
}

int view_open(struct view *v, uint64_t id, struct view_file **out, bool *stable, struct err *e)
{
	struct node *n = view_node(v, id);
	struct view_file *f;
	int r;

	if (!n)
		return -ESTALE;
	if (n->kind == NODE_FOLDER)
		return -EISDIR;
	if (n->kind == NODE_LATEST)
		return -ELOOP;
	f = calloc(1, sizeof *f);
	if (!f)
		return err_set(e, -ENOMEM, "no memory");
	f->node = n;
	f->fd = -1;
	*stable = false;
	r = n->kind == NODE_STEP ? open_in_step(v, n, node_index(id), f, stable, e)
				 : open_state(v, n, f, e);
	if (r < 0)
		view_close(f);
	else
		*out = f;
	return r;
}

void view_close(struct view_file *f)
{
	if (f->item)
		draft_close(f->draft, f->item, f->writing);
	draft_unref(f->draft);
	file_close(f->file);
	loaded_unref(f->loaded);
	buf_release(&f->text);
	closep(&f->fd);
	free(f);
}

static int64_t read_text(const struct buf *text, uint64_t off, size_t len, uint8_t *dst)
{
	if (off >= text->n)
		return 0;
	if (len > text->n - off)
		len = text->n - off;
	memcpy(dst, text->p + off, len);
	return (int64_t)len;
}

int64_t view_read(const struct view_file *f, uint64_t off, size_t len, uint8_t *dst, struct err *e)
{
	int64_t n;

	if (f->item && (f->file || !f->text.p)) {
		n = draft_read(f->draft, f->item, f->file, off, len, dst, e);
		return n < 0 ? folder_wrap(f->node->parent, (int)n, e) : n;
	}
	if (f->file) {
		n = file_read(f->file, off, len, dst, e);
		return n < 0 ? folder_wrap(f->node->parent, (int)n, e) : n;
	}
	if (f->fd < 0)
		return read_text(&f->text, off, len, dst);
	n = pread(f->fd, dst, len, (off_t)off);
	return n < 0 ? err_sys(e, -errno, "pread") : n;
}

/* --- the link `latest` ------------------------------------------------------------------------------------- */

int view_readlink(struct view *v, uint64_t id, struct buf *out, struct err *e)
{
	const struct node *n = view_node(v, id);

	if (!n || n->kind != NODE_LATEST)
		return -EINVAL;
	return name_from_entry(bytes_str(n->place.file), false, out) < 0
		       ? err_set(e, -ENOMEM, "no memory")
		       : 0;
}

/* --- xattrs ------------------------------------------------------------------------------------------------ */

/* A step that can't be parsed has the one attribute `error`. */
static int error_of_step(struct view *v, struct node *n, struct bytes name, struct buf *out)
{
	struct err why = {0};
	struct loaded *l;

	if (!bytes_eq(name, bytes_str("error")))
		return -ENODATA;
	if (steps_get(v, n, &l, &why) < 0)
		return buf_add_str(out, why.text);
	loaded_unref(l);
	return -ENODATA;
}

/* The value of NAME, or with NAME.p NULL the names. */
static int xattr_in_step(struct view *v, struct node *n, uint32_t index, struct bytes name,
			 struct buf *out, struct err *e)
{
	CLEANUP(closep) int fd = folder_open_parent(v, n, e);
	struct loaded *l;
	int r = fd < 0 ? fd : steps_get(v, n, &l, e);

	if (r < 0)
		return r;
	if (!is_file(l, index))
		r = -ENODATA;
	else if (name.p)
		r = xattr_get(l->step, var_of(l, index), &l->texts, fd, name, out, e);
	else
		r = xattr_list(l->step, var_of(l, index), &l->texts, fd, out);
	loaded_unref(l);
	return r;
}

int view_getxattr(struct view *v, uint64_t id, const char *name, struct buf *out, struct err *e)
{
	struct bytes full = bytes_str(name), ours = bytes_str("user.ckptfs."), rest;
	struct draft *d;
	struct node *n;
	int r;

	/* `ls -l` asks every file for security and ACL attributes: answered before anything is looked up. */
	if (!bytes_starts(full, ours))
		return -ENODATA;
	rest = bytes_of(full.p + ours.n, full.n - ours.n);
	n = view_node(v, id);
	if (n && node_index(id) == NODE_ROOT_ID &&
	    (n->kind == NODE_STEP || n->kind == NODE_FOLDER)) {
		r = view_draft_xattr(v, n, rest, out);
		if (r != -ENODATA)
			return r;
	}
	if (!n || n->kind != NODE_STEP)
		return -ENODATA;
	d = node_index(id) == NODE_ROOT_ID ? NULL : draft_of(v, n);
	if (d) {
		r = draft_xattr(n, d, node_index(id), rest, out, e);
		draft_unref(d);
		return r;
	}
	if (node_index(id) == NODE_ROOT_ID)
		return error_of_step(v, n, rest, out);
	return xattr_in_step(v, n, node_index(id), rest, out, e);
}

int view_listxattr(struct view *v, uint64_t id, struct buf *out, struct err *e)
{
	struct node *n = view_node(v, id);
	struct draft *d;
	int r;

	if (!n || n->kind != NODE_STEP || node_index(id) == NODE_ROOT_ID)
		return 0;
	d = draft_of(v, n);
	if (d) {
		r = draft_xattr(n, d, node_index(id), bytes_of(NULL, 0), out, e);
		draft_unref(d);
		return r == -ENODATA ? 0 : r;
	}
	r = xattr_in_step(v, n, node_index(id), bytes_of(NULL, 0), out, e);
	return r == -ENODATA ? 0 : r;
}

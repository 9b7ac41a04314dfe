#include "view/view.h"
#include "base/cleanup.h"
#include "format/dtype.h"
#include "view/attr.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>

enum {
	LOADED_BUDGET = 64 << 20, /* bytes of parsed steps that are kept without being in use */
	FIRST_FILE = 2, /* index of tree->files[0] in an inode number */
	SETTLED_MS = 100, /* a folder's times are trusted if it was still for this long */
};

int view_init(struct view *v, int root_fd, const struct view_config *c, struct err *e)
{
	*v = (struct view){.root_fd = root_fd, .verify = c->verify};
	pthread_mutex_init(&v->loading, NULL);
	pthread_mutex_init(&v->lock, NULL);
	if (fstat(root_fd, &v->root) < 0)
		return err_sys(e, -errno, "fstat");
	v->state_name = strdup(c->state_name);
	v->family = c->family ? strdup(c->family) : NULL;
	if (!v->state_name || (c->family && !v->family) || node_table_init(&v->nodes) < 0)
		return err_set(e, -ENOMEM, "no memory");
	return 0;
}

void view_release(struct view *v)
{
	node_table_release(&v->nodes);
	free(v->state_name);
	free(v->family);
	closep(&v->root_fd);
	pthread_mutex_destroy(&v->lock);
	pthread_mutex_destroy(&v->loading);
}

static struct node *get_node(struct view *v, uint64_t id)
{
	pthread_mutex_lock(&v->lock);

	struct node *n = node_get(&v->nodes, id);

	pthread_mutex_unlock(&v->lock);
	return n;
}

/* --- folders on disk --------------------------------------------------------------------------------------- */

static int add_path(const struct node *n, struct buf *path)
{
	int r;

	if (!n->parent)
		return buf_add_str(path, ".");
	r = add_path(n->parent, path);
	return r < 0 ? r : buf_printf(path, "/%s", n->place.name);
}

/* Opens the directory that N, a folder, is. What lies on the way is not followed if it is a link. */
static int open_folder(const struct view *v, const struct node *n, struct err *e)
{
	CLEANUP(buf_release) struct buf path = {0};
	int fd;

	if (add_path(n, &path) < 0 || buf_add_byte(&path, 0) < 0)
		return err_set(e, -ENOMEM, "no memory");
	fd = openat(v->root_fd, (char *)path.p, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(e, -errno, "%s", (char *)path.p) : fd;
}

/* The directory that holds N's file. The kernel refers to N, and so N's parents stay. */
static int open_parent(const struct view *v, const struct node *n, struct err *e)
{
	return open_folder(v, n->parent ? n->parent : n, e);
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_older_than_ms(struct timespec t, int64_t ms)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (now.tv_sec - t.tv_sec) * 1000 + (now.tv_nsec - t.tv_nsec) / 1000000 > ms;
}

static struct snapshot *current_snapshot(struct view *v, struct node *n, const struct stat *st)
{
	struct snapshot *s;

	pthread_mutex_lock(&v->lock);
	s = n->snapshot;
	if (s && s->settled && same_time(s->mtime, st->st_mtim) && same_time(s->ctime, st->st_ctim))
		atomic_fetch_add(&s->refs, 1);
	else
		s = NULL;
	pthread_mutex_unlock(&v->lock);
	return s;
}

static bool is_shown(const struct view *v, const struct listed *item)
{
	if (!v->family)
		return true;
	return item->kind == LISTED_STATE ||
	       (item->kind == LISTED_STEP && same_family(item->place.name, v->family));
}

static void drop_hidden(const struct view *v, struct listing *l)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < l->n; i++) {
		if (is_shown(v, &l->items[i]))
			l->items[kept++] = l->items[i];
		else
			step_place_release(&l->items[i].place);
	}
	l->n = kept;
}

/* What folder N holds now; read again only if its times have changed. */
static int get_snapshot(struct view *v, struct node *n, struct snapshot **out, struct err *e)
{
	CLEANUP(closep) int fd = open_folder(v, n, e);
	struct snapshot *s, *old;
	struct stat st;
	int r;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys(e, -errno, "fstat");
	*out = current_snapshot(v, n, &st);
	if (*out)
		return 0;
	s = calloc(1, sizeof *s);
	if (!s)
		return err_set(e, -ENOMEM, "no memory");
	r = listing_read(fd, v->state_name, &s->listing, e);
	if (r < 0) {
		free(s);
		return r;
	}
	drop_hidden(v, &s->listing);
	s->mtime = st.st_mtim;
	s->ctime = st.st_ctim;
	s->settled = is_older_than_ms(st.st_ctim, SETTLED_MS);
	atomic_init(&s->refs, 2); /* the node's and the caller's */
	pthread_mutex_lock(&v->lock);
	old = n->snapshot;
	n->snapshot = s;
	pthread_mutex_unlock(&v->lock);
	snapshot_unref(old);
	*out = s;
	return 0;
}

/* --- steps ------------------------------------------------------------------------------------------------- */

static struct loaded *use_loaded(struct view *v, struct node *n)
{
	struct loaded *l;

	pthread_mutex_lock(&v->lock);
	l = n->loaded;
	if (l) {
		atomic_fetch_add(&l->refs, 1);
		n->last_used = ++v->clock;
	}
	pthread_mutex_unlock(&v->lock);
	return l;
}

static size_t memory_of(const struct loaded *l)
{
	return l->step->memory + l->tree.memory;
}

/* Takes the parsed step that was used longest ago, other than KEEP's, from its node; NULL if there is none. */
static struct loaded *evict_one(struct view *v, const struct node *keep)
{
	struct node *oldest = NULL;
	struct loaded *l;

	for (uint32_t i = 0; i < v->nodes.n_slots; i++) {
		struct node *n = v->nodes.slots[i];

		if (n && n != keep && n->loaded && (!oldest || n->last_used < oldest->last_used))
			oldest = n;
	}
	if (!oldest)
		return NULL;
	l = oldest->loaded;
	oldest->loaded = NULL;
	v->loaded_memory -= memory_of(l);
	return l;
}

static void install_loaded(struct view *v, struct node *n, struct loaded *l)
{
	pthread_mutex_lock(&v->lock);
	n->loaded = l;
	n->last_used = ++v->clock;
	v->loaded_memory += memory_of(l);
	while (v->loaded_memory > LOADED_BUDGET) {
		struct loaded *old = evict_one(v, n);

		if (!old)
			break;
		loaded_unref(old);
	}
	pthread_mutex_unlock(&v->lock);
}

static int parse_step(struct view *v, struct node *n, struct loaded **out, struct err *e)
{
	CLEANUP(closep) int fd = open_parent(v, n, e);
	struct loaded *l;
	int r;

	if (fd < 0)
		return fd;
	l = calloc(1, sizeof *l);
	if (!l)
		return err_set(e, -ENOMEM, "no memory");
	r = step_open(fd, &n->place, v->verify, &l->step, e);
	if (r == 0 && !file_id_eq(&l->step->id, &n->id))
		r = err_set(e, -ESTALE, "%s: was replaced", n->place.file);
	if (r == 0)
		r = tree_init(&l->tree, l->step, e);
	if (r < 0) {
		step_unref(l->step);
		free(l);
		return r;
	}
	atomic_init(&l->refs, 2); /* the node's and the caller's */
	*out = l;
	return 0;
}

static void detach(struct view *v, struct node *n)
{
	pthread_mutex_lock(&v->lock);
	node_detach(&v->nodes, n);
	pthread_mutex_unlock(&v->lock);
}

/* The step of N, parsed now if it isn't yet. The caller unrefs it. An index that can't be parsed is not tried
 * again until it is another file. */
static int get_loaded(struct view *v, struct node *n, struct loaded **out, struct err *e)
{
	int r = 0;

	if ((*out = use_loaded(v, n)))
		return 0;
	pthread_mutex_lock(&v->loading);
	*out = use_loaded(v, n);
	if (!*out && n->failure.code) {
		if (e)
			*e = n->failure;
		r = n->failure.code;
	} else if (!*out) {
		struct err why = {0};

		r = parse_step(v, n, out, &why);
		if (r == 0)
			install_loaded(v, n, *out);
		else if (r == -ESTALE || r == -ENOENT)
			detach(v, n);
		else if (r != -ENOMEM && r != -EMFILE && r != -ENFILE)
			n->failure = why;
		if (r < 0 && e)
			*e = why;
	}
	pthread_mutex_unlock(&v->loading);
	return r;
}

static uint32_t dir_number(const struct loaded *l, uint32_t index)
{
	return index == NODE_ROOT_ID ? 0 : index - FIRST_FILE - l->tree.n_files + 1;
}

static uint32_t dir_index(const struct loaded *l, uint32_t dir)
{
	return dir ? FIRST_FILE + l->tree.n_files + dir - 1 : NODE_ROOT_ID;
}

static bool is_file(const struct loaded *l, uint32_t index)
{
	return index >= FIRST_FILE && index - FIRST_FILE < l->tree.n_files;
}

static const struct var *var_of(const struct loaded *l, uint32_t index)
{
	return &l->step->vars[l->tree.files[index - FIRST_FILE].var];
}

static uint64_t size_of(struct view *v, const struct node *n, const struct loaded *l,
			const struct var *var)
{
	CLEANUP(closep) int fd = -1;

	if (var->dtype == DTYPE_STRING)
		fd = open_parent(v, n, NULL);
	return file_size(l->step, var, fd);
}

/* Attributes of what INDEX is in the step of N. */
static void entry_in_step(struct view *v, const struct node *n, const struct loaded *l,
			  uint32_t index, struct view_entry *out)
{
	out->id = node_id(n, index);
	out->stable = true;
	if (is_file(l, index)) {
		const struct var *var = var_of(l, index);

		attr_of_var(l->step, var, size_of(v, n, l, var), &out->st);
	} else {
		attr_of_dir(l->step, &l->tree, dir_number(l, index), &out->st);
	}
	out->st.st_dev = v->root.st_dev;
}

/* --- lookup ------------------------------------------------------------------------------------------------ */

static int lookup_in_step(struct view *v, struct node *n, uint32_t index, struct bytes name,
			  struct view_entry *out, struct err *e)
{
	struct tree_child child;
	struct loaded *l;
	int r = get_loaded(v, n, &l, e);

	if (r < 0)
		return r;
	if (is_file(l, index))
		r = -ENOTDIR;
	else if (!tree_lookup(&l->tree, dir_number(l, index), name, &child))
		r = -ENOENT;
	else
		entry_in_step(v, n, l,
			      child.is_dir ? dir_index(l, child.index) : FIRST_FILE + child.index,
			      out);
	loaded_unref(l);
	if (r < 0)
		return r;
	pthread_mutex_lock(&v->lock);
	n->lookups++;
	pthread_mutex_unlock(&v->lock);
	return 0;
}

/* The file that stands for an item on disk. */
static int stat_item(int dirfd, const struct listed *item, struct stat *st, struct err *e)
{
	if (fstatat(dirfd, item->place.file, st,
		    item->kind == LISTED_FOLDER ? AT_SYMLINK_NOFOLLOW : 0) < 0)
		return err_sys(e, -errno, "%s", item->place.file);
	return 0;
}

static const enum node_kind kind_of[] = {
	[LISTED_STEP] = NODE_STEP,
	[LISTED_FOLDER] = NODE_FOLDER,
	[LISTED_STATE] = NODE_STATE,
};

/* The node for an item of PARENT, made if need be; a step whose index is another file than it was gets a new one.
 * The kernel has one reference more on it. */
static int look_up_node(struct view *v, struct node *parent, const struct listed *item,
			const struct stat *st, struct node **out)
{
	struct file_id id = file_id_of(st);
	struct node *n;

	pthread_mutex_lock(&v->lock);
	n = node_find(&v->nodes, parent, kind_of[item->kind], item->place.name);
	if (n && n->kind == NODE_STEP && !file_id_eq(&n->id, &id)) {
		node_detach(&v->nodes, n);
		n = NULL;
	}
	if (!n)
		n = node_new(&v->nodes, parent, kind_of[item->kind], &item->place);
	if (n) {
		n->id = id;
		n->lookups++;
	}
	pthread_mutex_unlock(&v->lock);
	*out = n;
	return n ? 0 : -ENOMEM;
}

static int lookup_item(struct view *v, struct node *parent, const struct listed *item,
		       struct view_entry *out, struct err *e)
{
	CLEANUP(closep) int fd = open_folder(v, parent, e);
	struct node *n = NULL;
	struct stat st;
	int r;

	if (fd < 0)
		return fd;
	r = stat_item(fd, item, &st, e);
	if (r == 0 && (r = look_up_node(v, parent, item, &st, &n)) < 0)
		err_set(e, r, "no memory");
	if (r < 0)
		return r;
	out->id = node_id(n, NODE_ROOT_ID);
	out->stable = false;
	if (item->kind == LISTED_STEP)
		attr_of_step(&st, &out->st);
	else
		attr_of_disk(&st, &out->st);
	return 0;
}

/* The item that is shown as NAME. Steps come before subfolders, and both before the state file. */
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
	return item ? item : listing_find(l, LISTED_STATE, name);
}

static int lookup_in_folder(struct view *v, struct node *n, const char *name,
			    struct view_entry *out, struct err *e)
{
	const struct listed *item;
	struct snapshot *s;
	int r = get_snapshot(v, n, &s, e);

	if (r < 0)
		return r;
	item = find_item(&s->listing, name);
	r = item ? lookup_item(v, n, item, out, e) : -ENOENT;
	snapshot_unref(s);
	return r;
}

int view_lookup(struct view *v, uint64_t parent, const char *name, struct view_entry *out,
		struct err *e)
{
	struct node *n = get_node(v, parent);

	if (!n)
		return -ESTALE;
	if (strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	if (n->kind == NODE_STEP)
		return lookup_in_step(v, n, node_index(parent), bytes_str(name), out, e);
	return n->kind == NODE_FOLDER ? lookup_in_folder(v, n, name, out, e) : -ENOTDIR;
}

void view_forget(struct view *v, uint64_t id, uint64_t count)
{
	pthread_mutex_lock(&v->lock);

	struct node *n = node_get(&v->nodes, id);

	if (n)
		node_put(&v->nodes, n, count);
	pthread_mutex_unlock(&v->lock);
}

static int stat_node(struct view *v, const struct node *n, struct view_entry *out, struct err *e)
{
	const struct listed item = {
		n->kind == NODE_FOLDER ? LISTED_FOLDER : LISTED_STATE,
		{.file = n->parent ? n->place.file : (char *)"."},
	};
	CLEANUP(closep) int fd = open_parent(v, n, e);
	struct stat st;
	int r = fd < 0 ? fd : stat_item(fd, &item, &st, e);

	if (r < 0)
		return r == -ENOENT ? -ESTALE : r;
	if (n->kind == NODE_STEP)
		attr_of_step(&st, &out->st);
	else
		attr_of_disk(&st, &out->st);
	out->id = node_id(n, NODE_ROOT_ID);
	out->stable = false;
	return 0;
}

int view_getattr(struct view *v, uint64_t id, struct view_entry *out, struct err *e)
{
	struct node *n = get_node(v, id);
	struct loaded *l;
	int r;

	if (!n)
		return -ESTALE;
	if (node_index(id) == NODE_ROOT_ID)
		return stat_node(v, n, out, e);
	r = get_loaded(v, n, &l, e);
	if (r < 0)
		return r;
	entry_in_step(v, n, l, node_index(id), out);
	loaded_unref(l);
	return 0;
}

/* --- reading folders --------------------------------------------------------------------------------------- */

struct view_dir {
	struct node *node;
	struct snapshot *snapshot; /* of a folder, or */
	struct loaded *loaded; /* of a step, and */
	uint32_t dir; /* in its tree */
	const struct listed *item; /* what was given last, or */
	struct tree_child child;
	struct buf name;
};

enum { POS_DOT, POS_DOTDOT, POS_FIRST };

int view_opendir(struct view *v, uint64_t id, struct view_dir **out, bool *stable, struct err *e)
{
	struct node *n = get_node(v, id);
	struct view_dir *d;
	int r;

	if (!n)
		return -ESTALE;
	d = calloc(1, sizeof *d);
	if (!d)
		return err_set(e, -ENOMEM, "no memory");
	d->node = n;
	if (n->kind == NODE_STEP) {
		r = get_loaded(v, n, &d->loaded, e);
		if (r == 0 && is_file(d->loaded, node_index(id)))
			r = -ENOTDIR;
		else if (r == 0)
			d->dir = dir_number(d->loaded, node_index(id));
	} else {
		r = n->kind == NODE_FOLDER ? get_snapshot(v, n, &d->snapshot, e) : -ENOTDIR;
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
	snapshot_unref(d->snapshot);
	loaded_unref(d->loaded);
	buf_release(&d->name);
	free(d);
}

/* The name under which an item is shown; -ENOENT if another one has that name already. */
static int item_name(const struct listing *l, const struct listed *item, struct buf *out)
{
	bool step_too = item->kind != LISTED_STEP && listing_find(l, LISTED_STEP, item->place.name);
	bool folder_too =
		item->kind == LISTED_STATE && listing_find(l, LISTED_FOLDER, item->place.name);

	if (item->kind == LISTED_STATE && (step_too || folder_too))
		return -ENOENT;
	return name_from_entry(bytes_str(item->place.name), step_too, out);
}

static int next_item(struct view_dir *d, uint32_t *pos)
{
	const struct listing *l = &d->snapshot->listing;

	while (*pos < l->n) {
		d->item = &l->items[(*pos)++];
		int r = item_name(l, d->item, &d->name);

		if (r == 0)
			return 1;
		if (r == -ENOMEM)
			return r;
	}
	return 0;
}

static int next_child(struct view_dir *d, uint32_t *pos)
{
	int r;

	if (!tree_next(&d->loaded->tree, d->dir, pos, &d->child))
		return 0;
	r = buf_add(&d->name, d->child.name.p, d->child.name.n);
	if (r == 0 && !d->child.is_dir)
		r = buf_add_str(&d->name, ".npy");
	return r < 0 ? r : 1;
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
	r = d->loaded ? next_child(d, &at) : next_item(d, &at);
	if (r > 0)
		r = buf_add_byte(&d->name, 0) < 0 ? -ENOMEM : 1;
	if (r < 0)
		return err_set(e, r, "no memory");
	out->name = (char *)d->name.p;
	out->next = (uint64_t)at + POS_FIRST;
	if (r > 0 && d->loaded)
		out->type = d->child.is_dir ? S_IFDIR : S_IFREG;
	else if (r > 0)
		out->type = d->item->kind == LISTED_STATE ? S_IFREG : S_IFDIR;
	return r;
}

int view_dirent_lookup(struct view *v, struct view_dir *d, struct view_entry *out, struct err *e)
{
	uint32_t index;

	if (!d->loaded)
		return lookup_item(v, d->node, d->item, out, e);
	index = d->child.is_dir ? dir_index(d->loaded, d->child.index)
				: FIRST_FILE + d->child.index;
	entry_in_step(v, d->node, d->loaded, index, out);
	pthread_mutex_lock(&v->lock);
	d->node->lookups++;
	pthread_mutex_unlock(&v->lock);
	return 0;
}

/* --- files ------------------------------------------------------------------------------------------------- */

struct view_file {
	struct file *file; /* a variable's, or */
	int fd; /* the state file */
};

static int open_state(struct view *v, const struct node *n, struct view_file *f, struct err *e)
{
	CLEANUP(closep) int dirfd = open_parent(v, n, e);

	if (dirfd < 0)
		return dirfd;
	f->fd = openat(dirfd, n->place.file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return f->fd < 0 ? err_sys(e, -errno, "%s", n->place.file) : 0;
}

static int open_var(struct view *v, struct node *n, uint32_t index, struct view_file *f,
		    struct err *e)
{
	CLEANUP(closep) int dirfd = open_parent(v, n, e);
	struct loaded *l;
	int r = dirfd < 0 ? dirfd : get_loaded(v, n, &l, e);

	if (r < 0)
		return r;
	r = is_file(l, index) ? file_open(l->step, var_of(l, index), dirfd, &f->file, e) : -EISDIR;
	if (r == -ESTALE) /* its name leads to a new node from now on */
		detach(v, n);
	loaded_unref(l);
	return r;
}

int view_open(struct view *v, uint64_t id, struct view_file **out, bool *stable, struct err *e)
{
	struct node *n = get_node(v, id);
	struct view_file *f;
	int r;

	if (!n)
		return -ESTALE;
	if (n->kind == NODE_FOLDER)
		return -EISDIR;
	f = calloc(1, sizeof *f);
	if (!f)
		return err_set(e, -ENOMEM, "no memory");
	f->fd = -1;
	*stable = n->kind == NODE_STEP;
	r = n->kind == NODE_STEP ? open_var(v, n, node_index(id), f, e) : open_state(v, n, f, e);
	if (r < 0)
		view_close(f);
	else
		*out = f;
	return r;
}

void view_close(struct view_file *f)
{
	file_close(f->file);
	closep(&f->fd);
	free(f);
}

int64_t view_read(const struct view_file *f, uint64_t off, size_t len, uint8_t *dst, struct err *e)
{
	ssize_t n;

	if (f->file)
		return file_read(f->file, off, len, dst, e);
	n = pread(f->fd, dst, len, (off_t)off);
	return n < 0 ? err_sys(e, -errno, "pread") : n;
}

/* --- xattrs ------------------------------------------------------------------------------------------------ */

/* Calls GET for the variable that ID is; -ENODATA for anything else. */
static int with_var(struct view *v, uint64_t id, struct bytes name, struct buf *out, struct err *e)
{
	struct node *n = get_node(v, id);
	struct loaded *l;
	int r;

	if (!n || n->kind != NODE_STEP || node_index(id) == NODE_ROOT_ID)
		return -ENODATA;
	r = get_loaded(v, n, &l, e);
	if (r < 0)
		return r;
	if (!is_file(l, node_index(id)))
		r = -ENODATA;
	else if (name.p)
		r = attr_value(l->step, var_of(l, node_index(id)), name, out);
	else
		r = attr_names(out);
	loaded_unref(l);
	return r;
}

int view_getxattr(struct view *v, uint64_t id, const char *name, struct buf *out, struct err *e)
{
	struct bytes full = bytes_str(name), ours = bytes_str("user.ckptfs.");

	/* `ls -l` asks every file for security and ACL attributes: answered before anything is looked up. */
	if (!bytes_starts(full, ours))
		return -ENODATA;
	return with_var(v, id, bytes_of(full.p + ours.n, full.n - ours.n), out, e);
}

int view_listxattr(struct view *v, uint64_t id, struct buf *out, struct err *e)
{
	int r = with_var(v, id, bytes_of(NULL, 0), out, e);

	return r == -ENODATA ? 0 : r;
}

#include "draft/items.h"
#include "base/cleanup.h"
#include "draft/pins.h"
#include "step/name.h"
#include <fcntl.h>
#include <time.h>

enum { FIRST_BUCKETS = 64 };

/* --- the table of names ------------------------------------------------------------------------------------ */

/* FNV-1a over the name and the parent. */
static uint32_t hash(const struct draft_item *parent, const char *name, size_t n)
{
	uint32_t h = (2166136261u ^ parent->index) * 16777619u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)name[i]) * 16777619u;
	return h;
}

static struct draft_item **bucket_of(const struct draft *d, const struct draft_item *i)
{
	return &d->buckets[hash(i->parent, i->name, strlen(i->name)) & (d->n_buckets - 1)];
}

static void link_item(struct draft *d, struct draft_item *i)
{
	struct draft_item **b = bucket_of(d, i), *last = i->parent->last;

	i->chain = *b;
	*b = i;
	i->before = last;
	i->after = NULL;
	*(last ? &last->after : &i->parent->first) = i;
	i->parent->last = i;
}

static void unlink_item(struct draft *d, struct draft_item *i)
{
	struct draft_item **at = bucket_of(d, i);

	while (*at != i)
		at = &(*at)->chain;
	*at = i->chain;
	*(i->before ? &i->before->after : &i->parent->first) = i->after;
	*(i->after ? &i->after->before : &i->parent->last) = i->before;
}

/* Twice as many buckets; with no memory for them the chains just get longer. */
static void grow_buckets(struct draft *d)
{
	struct draft_item **old = d->buckets, **new = calloc((size_t)d->n_buckets * 2, sizeof *new);
	uint32_t n_old = d->n_buckets;

	if (!new)
		return;
	d->buckets = new;
	d->n_buckets = n_old * 2;
	for (uint32_t b = 0; b < n_old; b++)
		for (struct draft_item *i = old[b], *next; i; i = next) {
			struct draft_item **to = bucket_of(d, i);

			next = i->chain;
			i->chain = *to;
			*to = i;
		}
	free(old);
}

struct draft_item *draft_find(const struct draft *d, const struct draft_item *dir, const char *name)
{
	size_t n = strlen(name);
	struct draft_item *i =
		d->n_buckets ? d->buckets[hash(dir, name, n) & (d->n_buckets - 1)] : NULL;

	while (i && (i->parent != dir || strcmp(i->name, name) != 0))
		i = i->chain;
	return i;
}

/* --- the table of indexes ---------------------------------------------------------------------------------- */

static struct draft_item **slot_of(const struct draft *d, uint32_t index)
{
	if (index < d->n_fixed)
		return &d->fixed[index];
	if (index < d->first_dynamic || index - d->first_dynamic >= d->n_dynamic)
		return NULL;
	return &d->dynamic[index - d->first_dynamic];
}

struct draft_item *draft_item(const struct draft *d, uint32_t index)
{
	struct draft_item **slot = slot_of(d, index);

	return slot ? *slot : NULL;
}

uint32_t draft_new_number(struct draft *d)
{
	if (d->n_dynamic == d->cap_dynamic) {
		uint32_t cap = d->cap_dynamic ? d->cap_dynamic * 2 : FIRST_BUCKETS;
		struct draft_item **p = realloc(d->dynamic, cap * sizeof *p);

		if (!p || d->first_dynamic + cap < DRAFT_DYNAMIC)
			return 0;
		d->dynamic = p;
		d->cap_dynamic = cap;
	}
	d->dynamic[d->n_dynamic] = NULL;
	return d->first_dynamic + d->n_dynamic++;
}

/* --- items ------------------------------------------------------------------------------------------------- */

bool draft_has_own_name(const struct draft *d, const struct draft_item *i)
{
	const struct step *s = d->pins[i->pin].step;
	CLEANUP(buf_release) struct buf path = {0};
	const uint8_t *name;

	if (name_to_path(s->object_based ? NAME_OBJECT : NAME_PLAIN, var_key(s, draft_var(d, i)),
			 &path) < 0 ||
	    buf_add_str(&path, ".npy") < 0)
		return false;
	name = memrchr(path.p, '/', path.n);
	name = name ? name + 1 : path.p;
	return bytes_eq(bytes_of(name, path.n - (size_t)(name - path.p)), bytes_str(i->name));
}

struct draft_item *items_add(struct draft *d, struct draft_item *parent, const char *name, size_t n,
			     enum draft_what what, uint32_t index)
{
	struct draft_item *i = calloc(1, sizeof *i);

	if (i)
		*i = (struct draft_item){.index = index ? index : draft_new_number(d),
					 .refs = 1,
					 .what = what,
					 .pin = DRAFT_NONE,
					 .number = DRAFT_NONE,
					 .expect_pin = DRAFT_NONE,
					 .expect_var = DRAFT_NONE,
					 .name = strndup(name, n),
					 .parent = parent};
	if (!i || !i->index || !i->name) {
		if (i)
			free(i->name);
		free(i);
		return NULL;
	}
	*slot_of(d, i->index) = i;
	if (parent)
		link_item(d, i);
	if (++d->n_items > d->n_buckets)
		grow_buckets(d);
	return i;
}

int items_stage(struct draft_item *i, const struct draft_owner *owner)
{
	struct staged *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	*s = (struct staged){.fd = -1,
			     .mode = owner->mode & 0666,
			     .uid = owner->uid,
			     .gid = owner->gid,
			     .version = 1,
			     .seq = true,
			     .ref_pin = DRAFT_NONE};
	clock_gettime(CLOCK_REALTIME, &s->mtime);
	pthread_mutex_init(&s->seq_lock, NULL);
	i->staged = s;
	i->what = DRAFT_STAGED;
	return 0;
}

void items_unstage(struct draft_item *i)
{
	if (!i->staged)
		return;
	closep(&i->staged->fd);
	pthread_mutex_destroy(&i->staged->seq_lock);
	free(i->staged);
	i->staged = NULL;
}

void draft_item_unref(struct draft *d, struct draft_item *i)
{
	struct draft_item **slot = slot_of(d, i->index);

	if (--i->refs)
		return;
	if (slot && *slot == i)
		*slot = NULL;
	items_unstage(i);
	free(i->name);
	free(i);
}

void items_remove(struct draft *d, struct draft_item *i)
{
	unlink_item(d, i);
	d->n_items--;
	i->parent = NULL;
	i->gone = true;
	draft_item_unref(d, i);
}

void items_move(struct draft *d, struct draft_item *i, struct draft_item *parent, char *name)
{
	unlink_item(d, i);
	free(i->name);
	i->name = name;
	i->parent = parent;
	link_item(d, i);
	if (i->what == DRAFT_VAR)
		i->own_name = draft_has_own_name(d, i);
}

struct draft_item *items_next(const struct draft_item *root, struct draft_item *i)
{
	if (i->first)
		return i->first;
	while (i != root && !i->after)
		i = i->parent;
	return i == root ? NULL : i->after;
}

void items_entered(struct draft_item *dir)
{
	clock_gettime(CLOCK_REALTIME, &dir->entered);
}

int64_t draft_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void items_changed(struct draft *d)
{
	d->changed_at = draft_now_ms();
	d->changes++;
}

/* --- what they are --------------------------------------------------------------------------------------------------- */

/* The components that TensorFlow puts into keys of object-based checkpoints. */
static bool is_keyword(const char *name)
{
	return !strcmp(name, ".ATTRIBUTES") || !strcmp(name, ".OPTIMIZER_SLOT");
}

/* A tool's temporary folder, or in one; the base's are scopes of its variables. */
bool draft_is_hidden(const struct draft_item *i)
{
	for (; i && i->parent; i = i->parent)
		if (i->name[0] == '.' && !i->under && !is_keyword(i->name))
			return true;
	return false;
}

bool draft_is_variable(const struct draft_item *i)
{
	bool hidden = i->name[0] == '.' || draft_is_hidden(i->parent);

	if (i->what == DRAFT_DIR || i->what == DRAFT_TEXT ||
	    !bytes_ends(bytes_str(i->name), bytes_str(".npy")))
		return false;
	return !hidden ||
	       (i->what == DRAFT_VAR ? i->own_name : i->under && i->expect_var != DRAFT_NONE);
}

int draft_path(const struct draft_item *i, struct buf *out)
{
	int r = i->parent && i->parent->parent ? draft_path(i->parent, out) : 0;

	if (r == 0 && out->n)
		r = buf_add_byte(out, '/');
	return r == 0 ? buf_add_str(out, i->name) : r;
}

/* --- the base ---------------------------------------------------------------------------------------------- */

static void make_fixed(struct draft *d, uint32_t n)
{
	d->fixed = calloc(n, sizeof *d->fixed);
	d->n_fixed = d->fixed ? n : 0;
}

int items_init_empty(struct draft *d)
{
	if (!d->fixed)
		make_fixed(d, TREE_FIRST);
	d->buckets = calloc(FIRST_BUCKETS, sizeof *d->buckets);
	d->n_buckets = d->buckets ? FIRST_BUCKETS : 0;
	if (!d->fixed || !d->buckets)
		return -ENOMEM;
	d->root = items_add(d, NULL, "", 0, DRAFT_DIR, TREE_ROOT);
	return d->root ? 0 : -ENOMEM;
}

static struct draft_item *add_base_item(struct draft *d, struct draft_item *parent,
					const char *name, size_t n, enum draft_what what,
					uint32_t index, uint32_t number)
{
	struct draft_item *i = items_add(d, parent, name, n, what, index);

	if (i) {
		i->under = true;
		i->pin = 0;
		i->number = number;
		i->own_name = true;
	}
	return i;
}

/* A file that is not there, or a link to what can't be read. */
static bool leads_nowhere(int error)
{
	return error == ENOENT || error == ELOOP || error == ENOTDIR || error == ENAMETOOLONG ||
	       error == EACCES;
}

/* 1, 0, or why that can't be known: a text that is overlooked would be lost with the next commit. */
static int has_text(const struct draft *d, enum text_kind kind)
{
	CLEANUP(buf_release) struct buf name = {0};
	const struct pin *base = &d->pins[0];
	CLEANUP(closep) int dir = -1;
	struct stat st;

	if (!text_sidecar(kind, d->meta))
		return kind != TEXT_OBJECT_GRAPH || base->step->object_based;
	if (sidecar_name(&base->step->place, text_sidecar(kind, d->meta), &name) < 0)
		return -ENOMEM;
	dir = draft_pin_dir(d, base, NULL);
	if (dir < 0)
		return dir;
	if (fstatat(dir, (char *)name.p, &st, 0) < 0)
		return leads_nowhere(errno) ? 0 : -errno;
	return S_ISREG(st.st_mode);
}

static int add_texts(struct draft *d, const struct tree *t)
{
	for (enum text_kind kind = 0; kind < N_TEXTS; kind++) {
		const char *name = text_name(kind);
		int has = has_text(d, kind);

		if (has < 0)
			return has;
		if (has && !add_base_item(d, d->root, name, strlen(name), DRAFT_TEXT,
					  tree_text_index(t, kind), kind))
			return -ENOMEM;
		if (kind == TEXT_META_GRAPH)
			d->base_meta = has;
	}
	return 0;
}

/* Folder DIR of the tree, with what is in it; folders come before their children. */
static int add_folder(struct draft *d, const struct tree *t, uint32_t dir)
{
	struct draft_item *parent = draft_item(d, tree_dir_index(t, dir));
	struct tree_child child;
	uint32_t pos = 0;

	while (tree_next(t, dir, &pos, &child)) {
		CLEANUP(buf_release) struct buf name = {0};
		uint32_t index = child.is_dir ? tree_dir_index(t, child.index)
					      : tree_file_index(child.index);
		uint32_t number = child.is_dir ? DRAFT_NONE : t->files[child.index].var;

		if (buf_add(&name, child.name.p, child.name.n) < 0 ||
		    buf_add_str(&name, child.is_dir ? "" : ".npy") < 0 ||
		    !add_base_item(d, parent, (char *)name.p, name.n,
				   child.is_dir ? DRAFT_DIR : DRAFT_VAR, index, number))
			return -ENOMEM;
	}
	return 0;
}

int items_init(struct draft *d, const struct tree *t)
{
	int r;

	make_fixed(d, tree_text_index(t, N_TEXTS));
	r = d->fixed ? items_init_empty(d) : -ENOMEM;
	if (r == 0)
		d->root->under = true;
	for (uint32_t dir = 0; dir < t->n_dirs && r == 0; dir++)
		r = add_folder(d, t, dir);
	d->base_files = t->n_files;
	return r < 0 ? r : add_texts(d, t);
}

/* --- a fresh start ----------------------------------------------------------------------------------------- */

void items_detach(struct draft *d, struct draft_item *i)
{
	unlink_item(d, i);
	d->n_items--;
	i->parent = NULL;
	i->left = true;
}

void items_reattach(struct draft *d, struct draft_item *i, struct draft_item *parent)
{
	struct draft_item **slot = slot_of(d, i->index), *base = slot ? *slot : NULL;

	if (base && base != i) {
		i->under = base->under;
		items_remove(d, base);
	}
	if (slot)
		*slot = i;
	i->parent = parent;
	i->left = false;
	link_item(d, i);
	d->n_items++;
}

void items_leave(struct draft *d)
{
	struct draft_item *i, *next;

	for (i = d->root; i; i = next) {
		for (next = i; next->first;)
			next = next->first;
		i = next;
		next = i->parent;
		if (next)
			items_detach(d, i);
		draft_item_unref(d, i);
	}
	d->root = NULL;
	free(d->buckets);
	d->buckets = NULL;
	free(d->fixed);
	d->fixed = NULL;
	d->n_fixed = d->n_buckets = d->n_items = 0;
}

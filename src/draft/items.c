#include "draft/items.h"
#include "base/cleanup.h"
#include "base/scratch.h"
#include "step/full_names.h"
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

static uint32_t bucket_of(const struct draft *d, uint32_t hashed)
{
	return hashed & (d->n_buckets - 1);
}

static struct draft_item **name_bucket(const struct draft *d, const struct draft_item *i)
{
	return &d->names[bucket_of(d, hash(i->parent, i->name, strlen(i->name)))];
}

static struct draft_item **index_bucket(const struct draft *d, uint32_t index)
{
	return &d->fixed[bucket_of(d, index * 2654435769u >> 7)];
}

static void link_item(struct draft *d, struct draft_item *i)
{
	struct draft_item **b = name_bucket(d, i), *last = i->parent->last;

	i->same_name = *b;
	*b = i;
	i->before = last;
	i->after = NULL;
	*(last ? &last->after : &i->parent->first) = i;
	i->parent->last = i;
}

static void unlink_item(struct draft *d, struct draft_item *i)
{
	struct draft_item **at = name_bucket(d, i);

	while (*at != i)
		at = &(*at)->same_name;
	*at = i->same_name;
	*(i->before ? &i->before->after : &i->parent->first) = i->after;
	*(i->after ? &i->after->before : &i->parent->last) = i->before;
}

struct draft_item *items_find(const struct draft *d, const struct draft_item *dir, const char *name)
{
	struct draft_item *i = NULL;

	if (d->n_buckets)
		i = d->names[bucket_of(d, hash(dir, name, strlen(name)))];
	while (i && (i->parent != dir || strcmp(i->name, name) != 0))
		i = i->same_name;
	return i;
}

/* --- the table of indexes ---------------------------------------------------------------------------------- */

static struct draft_item **dynamic_slot(const struct draft *d, uint32_t index)
{
	if (index < d->first_dynamic || index - d->first_dynamic >= d->n_dynamic)
		return NULL;
	return &d->dynamic[index - d->first_dynamic];
}

struct draft_item *items_at(const struct draft *d, uint32_t index)
{
	struct draft_item **slot, *i;

	if (index >= DRAFT_DYNAMIC) {
		slot = dynamic_slot(d, index);
		return slot ? *slot : NULL;
	}
	i = d->n_buckets ? *index_bucket(d, index) : NULL;
	while (i && i->index != index)
		i = i->same_index;
	return i;
}

static void enter_index(struct draft *d, struct draft_item *i)
{
	struct draft_item **at =
		i->index < DRAFT_DYNAMIC ? index_bucket(d, i->index) : dynamic_slot(d, i->index);

	if (i->index < DRAFT_DYNAMIC)
		i->same_index = *at;
	*at = i;
}

static void leave_index(struct draft *d, const struct draft_item *i)
{
	struct draft_item **at;

	if (i->index >= DRAFT_DYNAMIC) {
		at = dynamic_slot(d, i->index);
		if (at && *at == i)
			*at = NULL;
		return;
	}
	at = d->n_buckets ? index_bucket(d, i->index) : NULL;
	while (at && *at && *at != i)
		at = &(*at)->same_index;
	if (at && *at)
		*at = i->same_index;
}

/* Twice as many buckets; with no memory for them the chains just get longer. */
static void grow_buckets(struct draft *d)
{
	uint32_t n_old = d->n_buckets;
	struct draft_item **names = calloc((size_t)n_old * 2, sizeof *names);
	struct draft_item **fixed = calloc((size_t)n_old * 2, sizeof *fixed);
	struct draft_item **old_names = d->names, **old_fixed = d->fixed, *next, **to;

	if (!names || !fixed) {
		free(names);
		free(fixed);
		return;
	}
	d->names = names;
	d->fixed = fixed;
	d->n_buckets = n_old * 2;
	for (uint32_t b = 0; b < n_old; b++) {
		for (struct draft_item *i = old_names[b]; i; i = next) {
			next = i->same_name;
			to = name_bucket(d, i);
			i->same_name = *to;
			*to = i;
		}
		for (struct draft_item *i = old_fixed[b]; i; i = next) {
			next = i->same_index;
			enter_index(d, i);
		}
	}
	free(old_names);
	free(old_fixed);
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

static int add_path(const struct step *s, const struct full_names *names, uint32_t number,
		    struct buf *out)
{
	int r = full_names_path(names, s->object_based ? NAME_OBJECT : NAME_PLAIN,
				var_key(s, &s->vars[number]), out);

	return r < 0 ? r : buf_add_str(out, ".npy");
}

int draft_var_path(const struct step *s, uint32_t number, struct buf *out)
{
	return add_path(s, NULL, number, out);
}

int draft_shown_path(const struct draft *d, uint32_t pin, uint32_t number, struct buf *out)
{
	const struct step *s = d->pins[pin].step;

	return add_path(s, d->has_base && pin == 0 ? d->base_names : s->full, number, out);
}

bool draft_has_own_name(const struct draft *d, const struct draft_item *i)
{
	CLEANUP(buf_release) struct buf path = {0};
	const uint8_t *name;

	if (draft_shown_path(d, i->pin, i->number, &path) < 0)
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
					 .base_dir = DRAFT_NONE,
					 .name = strndup(name, n),
					 .parent = parent};
	if (!i || !i->index || !i->name) {
		if (i)
			free(i->name);
		free(i);
		return NULL;
	}
	enter_index(d, i);
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
			     .ref_pin = DRAFT_NONE};
	clock_gettime(CLOCK_REALTIME, &s->mtime);
	pthread_mutex_init(&s->sums_lock, NULL);
	if (i->what == DRAFT_VAR) {
		i->expect_pin = i->pin;
		i->expect_var = i->number;
	}
	i->staged = s;
	i->what = DRAFT_STAGED;
	return 0;
}

void items_unstage(struct draft_item *i)
{
	if (!i->staged)
		return;
	closep(&i->staged->fd);
	pthread_mutex_destroy(&i->staged->sums_lock);
	crc_pieces_release(&i->staged->sums);
	free(i->staged);
	i->staged = NULL;
}

void draft_item_unref(struct draft *d, struct draft_item *i)
{
	if (--i->refs)
		return;
	leave_index(d, i);
	items_unstage(i);
	free(i->name);
	free(i);
}

static void take_out(struct draft *d, struct draft_item *i)
{
	unlink_item(d, i);
	d->n_items--;
	i->parent = NULL;
}

void items_remove(struct draft *d, struct draft_item *i)
{
	take_out(d, i);
	i->gone = true;
	draft_item_unref(d, i);
}

void items_move(struct draft *d, struct draft_item *i, struct draft_item *parent, char *name)
{
	unlink_item(d, i);
	free(i->name);
	i->name = name;
	i->parent = parent;
	i->in_place = false;
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

bool draft_is_in_the_way(const struct draft_item *i)
{
	bool is_text = i->parent && !i->parent->parent && text_kind_of(i->name) < N_TEXTS;

	return i->what != DRAFT_DIR && !is_text &&
	       !bytes_ends(bytes_str(i->name), bytes_str(".npy")) &&
	       !scratch_is_leftover(i->name) && !draft_is_hidden(i->parent);
}

int draft_path(const struct draft_item *i, struct buf *out)
{
	int r = i->parent && i->parent->parent ? draft_path(i->parent, out) : 0;

	if (r == 0 && out->n)
		r = buf_add_byte(out, '/');
	return r == 0 ? buf_add_str(out, i->name) : r;
}

/* --- all of them ------------------------------------------------------------------------------------------------ */

int items_init(struct draft *d)
{
	d->names = calloc(FIRST_BUCKETS, sizeof *d->names);
	d->fixed = calloc(FIRST_BUCKETS, sizeof *d->fixed);
	d->n_buckets = d->names && d->fixed ? FIRST_BUCKETS : 0;
	if (d->n_buckets)
		d->root = items_add(d, NULL, "", 0, DRAFT_DIR, TREE_ROOT);
	return d->root ? 0 : -ENOMEM;
}

void items_reattach(struct draft *d, struct draft_item *i, struct draft_item *parent)
{
	enter_index(d, i);
	i->parent = parent;
	i->left = false;
	i->in_place = false;
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
		if (next) {
			take_out(d, i);
			i->left = true;
		}
		draft_item_unref(d, i);
	}
	d->root = NULL;
	free(d->names);
	free(d->fixed);
	d->names = d->fixed = NULL;
	d->n_buckets = d->n_items = 0;
}

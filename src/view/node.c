#include "view/node.h"
#include "base/cleanup.h"
#include "safetensors/safetensors.h"
#include <stdlib.h>

enum { FIRST_BUCKETS = 64 };

struct loaded *loaded_ref(struct loaded *l)
{
	atomic_fetch_add(&l->refs, 1);
	return l;
}

void loaded_unref(struct loaded *l)
{
	if (!l || atomic_fetch_sub(&l->refs, 1) != 1)
		return;
	tree_release(&l->tree);
	texts_release(&l->texts);
	free(l->opened);
	if (l->whole)
		safetensors_release(l->whole);
	free(l->whole);
	step_unref(l->step);
	free(l);
}

void snapshot_unref(struct snapshot *s)
{
	if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	listing_release(&s->listing);
	free(s->latest);
	free(s);
}

/* --- numbers that are no indexes ----------------------------------------------------------------------------- */

struct numbers {
	struct numbers *before;
	struct number *by_index, *by_number;
	size_t n;
};

static int compare_index(const void *a, const void *b)
{
	const struct number *x = a, *y = b;

	return (x->index > y->index) - (x->index < y->index);
}

static int compare_number(const void *a, const void *b)
{
	const struct number *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

/* Of equal indexes the highest number is the newest: numbers ascend. */
static int compare_both(const void *a, const void *b)
{
	int c = compare_index(a, b);

	return c ? c : compare_number(b, a);
}

static size_t keep_newest(struct number *p, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (!kept || p[i].index != p[kept - 1].index)
			p[kept++] = p[i];
	return kept;
}

static void numbers_release(struct numbers *t)
{
	for (struct numbers *before; t; t = before) {
		before = t->before;
		free(t->by_index);
		free(t->by_number);
		free(t);
	}
}

/* A new table with what is in OLD, which may be NULL, and MORE. OLD may still be read, so it is released with the new
 * one. NULL: no memory. */
static struct numbers *numbers_new(struct numbers *old, const struct number *more, size_t count)
{
	struct numbers *t = calloc(1, sizeof *t);
	size_t n_old = old ? old->n : 0, n = n_old + count;

	if (!t)
		return NULL;
	t->by_index = malloc((n + 1) * sizeof *t->by_index);
	t->by_number = malloc((n + 1) * sizeof *t->by_number);
	if (!t->by_index || !t->by_number) {
		numbers_release(t);
		return NULL;
	}
	if (n_old)
		memcpy(t->by_index, old->by_index, n_old * sizeof *t->by_index);
	if (count)
		memcpy(t->by_index + n_old, more, count * sizeof *more);
	qsort(t->by_index, n, sizeof *t->by_index, compare_both);
	t->n = keep_newest(t->by_index, n);
	memcpy(t->by_number, t->by_index, t->n * sizeof *t->by_number);
	qsort(t->by_number, t->n, sizeof *t->by_number, compare_number);
	t->before = old;
	return t;
}

static const struct number *find(const struct number *sorted, size_t n, struct number key,
				 int (*compare)(const void *, const void *))
{
	return n ? bsearch(&key, sorted, n, sizeof key, compare) : NULL;
}

static uint32_t number_of(const struct numbers *t, uint32_t index)
{
	const struct number *is =
		t ? find(t->by_index, t->n, (struct number){.index = index}, compare_index) : NULL;

	return is ? is->number : index;
}

uint64_t node_id(const struct node *n, uint32_t index)
{
	return (uint64_t)n->slot << 32 | number_of(n->numbers, index);
}

uint32_t node_index(const struct node *n, uint64_t id)
{
	const struct numbers *t = n->numbers;
	const struct number *is = NULL;
	uint32_t number = node_number(id);

	if (t)
		is = find(t->by_number, t->n, (struct number){.number = number}, compare_number);
	if (is)
		return is->index;
	return number_of(t, number) == number ? number : 0;
}

int node_add_numbers(struct node *n, const struct number *more, size_t count)
{
	struct numbers *t = count ? numbers_new(n->numbers, more, count) : NULL;

	if (!t)
		return count ? -ENOMEM : 0;
	n->numbers = t;
	return 0;
}

/* --- the table ------------------------------------------------------------------------------------------------ */

/* FNV-1a over the name, the parent and the kind. */
static uint32_t hash(const struct node *parent, enum node_kind kind, const char *name)
{
	uint32_t h = 2166136261u ^ (parent ? parent->slot * 4 + 4 : 0) ^ (uint32_t)kind;

	for (h *= 16777619u; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h;
}

static struct node **bucket_of(const struct node_table *t, const struct node *n)
{
	return &t->buckets[hash(n->parent, n->kind, n->place->name) & (t->n_buckets - 1)];
}

static void link_node(struct node_table *t, struct node *n)
{
	struct node **b = bucket_of(t, n);

	n->next = *b;
	*b = n;
}

/* Doubles the buckets. Without memory for that the chains get longer. */
static void grow_buckets(struct node_table *t)
{
	struct node **old = t->buckets;
	uint32_t n_old = t->n_buckets;
	struct node **new = calloc((size_t)n_old * 2, sizeof *new);

	if (!new)
		return;
	t->buckets = new;
	t->n_buckets = n_old * 2;
	for (uint32_t i = 0; i < n_old; i++)
		for (struct node *n = old[i], *next; n; n = next) {
			next = n->next;
			link_node(t, n);
		}
	free(old);
}

static bool take_slot(struct node_table *t, struct node *n)
{
	if (t->n_free) {
		n->slot = t->free_slots[--t->n_free];
	} else {
		if (t->n_slots == t->cap) {
			uint32_t cap = t->cap ? t->cap * 2 : FIRST_BUCKETS;
			struct node **slots = realloc(t->slots, cap * sizeof *slots);

			if (!slots)
				return false;
			t->slots = slots;

			uint32_t *free_slots = realloc(t->free_slots, cap * sizeof *free_slots);

			if (!free_slots)
				return false;
			t->free_slots = free_slots;
			t->cap = cap;
		}
		n->slot = t->n_slots++;
	}
	t->slots[n->slot] = n;
	return true;
}

int node_table_init(struct node_table *t)
{
	const struct step_place root = {.name = (char *)"", .file = (char *)""};

	*t = (struct node_table){.n_buckets = FIRST_BUCKETS};
	t->buckets = calloc(t->n_buckets, sizeof *t->buckets);
	if (!t->buckets || !node_new(t, NULL, NODE_FOLDER, &root)) {
		node_table_release(t);
		return -ENOMEM;
	}
	return 0;
}

/* Adds PLACE as N's newest. */
static int add_place(struct node *n, const struct step_place *place)
{
	struct node_place *p = malloc(sizeof *p);

	if (!p || step_place_copy(place, &p->place) < 0) {
		free(p);
		return -ENOMEM;
	}
	p->before = n->places;
	n->places = p;
	return 0;
}

static void free_node(struct node_table *t, struct node *n)
{
	loaded_unref(node_unload(t, n));
	draft_unref(n->draft);
	if (n->lock) /* there is a draft, which stays on disk */
		closep(&n->lock->file);
	free(n->lock);
	seen_release(&n->seen);
	closep(&n->copy);
	snapshot_unref(n->snapshot);
	buf_release(&n->heard);
	numbers_release(n->numbers);
	for (struct node_place *p = n->places, *before; p; p = before) {
		before = p->before;
		step_place_release(&p->place);
		free(p);
	}
	free(n);
}

void node_table_release(struct node_table *t)
{
	for (uint32_t i = 0; i < t->n_slots; i++)
		if (t->slots[i])
			free_node(t, t->slots[i]);
	free(t->slots);
	free(t->free_slots);
	free(t->buckets);
	*t = (struct node_table){0};
}

struct node *node_get(const struct node_table *t, uint64_t id)
{
	uint32_t slot = (uint32_t)(id >> 32);

	return slot < t->n_slots ? t->slots[slot] : NULL;
}

struct node *node_find(const struct node_table *t, const struct node *parent, enum node_kind kind,
		       const char *name)
{
	struct node *n = t->buckets[hash(parent, kind, name) & (t->n_buckets - 1)];

	while (n && (n->parent != parent || n->kind != kind || strcmp(n->place->name, name) != 0))
		n = n->next;
	return n;
}

struct node *node_new(struct node_table *t, struct node *parent, enum node_kind kind,
		      const struct step_place *place)
{
	struct node *n = calloc(1, sizeof *n);

	if (!n)
		return NULL;
	n->kind = kind;
	n->copy = -1;
	n->parent = parent;
	n->next_dynamic = DRAFT_DYNAMIC;
	if (add_place(n, place) < 0 || !take_slot(t, n)) {
		free_node(t, n);
		return NULL;
	}
	n->place = &n->places->place;
	if (parent)
		parent->children++;
	if (++t->n_nodes > t->n_buckets)
		grow_buckets(t);
	link_node(t, n);
	return n;
}

void node_detach(struct node_table *t, struct node *n)
{
	struct node **at = bucket_of(t, n);

	if (n->detached)
		return;
	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	n->detached = true;
}

void node_rename_back(struct node_table *t, struct node *n, const struct step_place *place)
{
	node_detach(t, n);
	n->place = place;
	n->detached = false;
	link_node(t, n);
}

int node_rename(struct node_table *t, struct node *n, const struct step_place *place)
{
	if (add_place(n, place) < 0)
		return -ENOMEM;
	node_rename_back(t, n, &n->places->place);
	return 0;
}

int node_become_folder(struct node_table *t, struct node *n)
{
	const char *name = n->place->name;
	const struct step_place place = {.name = (char *)name, .file = (char *)name};

	if (add_place(n, &place) < 0)
		return -ENOMEM;
	node_detach(t, n);
	n->kind = NODE_FOLDER;
	n->unborn = false;
	node_rename_back(t, n, &n->places->place);
	return 0;
}

void node_become_step(struct node_table *t, struct node *n, const struct step_place *place)
{
	node_detach(t, n);
	n->kind = NODE_STEP;
	n->unborn = true;
	node_rename_back(t, n, place);
}

/* --- parsed steps ------------------------------------------------------------------------------------------ */

static size_t memory_of_whole(const struct safetensors *s)
{
	return s ? s->head.n + s->items.n + s->lacks.n : 0;
}

static size_t memory_of(const struct loaded *l)
{
	return l->step->memory + l->tree.memory + l->tree.n_files + memory_of_whole(l->whole);
}

bool node_keep_whole(struct node_table *t, const struct node *n, struct loaded *l,
		     struct safetensors *s)
{
	if (l->whole)
		return false;
	l->whole = s;
	if (n->loaded == l)
		t->loaded_memory += memory_of_whole(s);
	return true;
}

struct loaded *node_unload(struct node_table *t, struct node *n)
{
	struct loaded *l = n->loaded;

	n->loaded = NULL;
	if (l)
		t->loaded_memory -= memory_of(l);
	return l;
}

void node_load(struct node_table *t, struct node *n, struct loaded *l)
{
	n->loaded = l;
	t->loaded_memory += memory_of(l);
}

/* --- the kernel's references ------------------------------------------------------------------------------- */

struct loaded *node_put(struct node_table *t, struct node *n, uint64_t lookups)
{
	struct loaded *l = NULL;

	n->lookups -= lookups < n->lookups ? lookups : n->lookups;
	while (n->parent && !n->lookups && !n->children) {
		struct node *parent = n->parent;

		node_detach(t, n);
		t->slots[n->slot] = NULL;
		t->free_slots[t->n_free++] = n->slot;
		t->n_nodes--;
		if (n->loaded) /* a step, which has no children: there is one at the most */
			l = node_unload(t, n);
		free_node(t, n);
		parent->children--;
		n = parent;
	}
	return l;
}

#include "draft/overlay.h"
#include "base/cleanup.h"
#include "draft/items.h"
#include "draft/pins.h"
#include "draft/seal.h"
#include "step/name.h"
#include <fcntl.h>

/* --- indexes of the base ----------------------------------------------------------------------------------- */

enum { WORD = 64 };

static size_t claimed_words(const struct draft *d)
{
	return d->n_fixed / WORD + (size_t)1;
}

uint64_t *overlay_copy_claimed(const struct draft *d)
{
	uint64_t *copy = malloc(claimed_words(d) * sizeof *copy);

	return copy ? memcpy(copy, d->claimed, claimed_words(d) * sizeof *copy) : NULL;
}

bool overlay_claims(const uint64_t *claimed, uint32_t index)
{
	return claimed[index / WORD] >> index % WORD & 1;
}

void overlay_note_claimed(uint64_t *claimed, uint32_t index)
{
	claimed[index / WORD] |= UINT64_C(1) << index % WORD;
}

uint32_t overlay_next_claimed(const uint64_t *claimed, uint32_t index, uint32_t end)
{
	while (index < end && !overlay_claims(claimed, index))
		index = claimed[index / WORD] >> index % WORD ? index + 1
							      : (index / WORD + 1) * WORD;
	return index < end ? index : end;
}

static bool is_claimed(const struct draft *d, uint32_t index)
{
	return overlay_claims(d->claimed, index);
}

static bool is_file(const struct draft *d, uint32_t index)
{
	return index >= TREE_FIRST && index - TREE_FIRST < d->tree->n_files;
}

bool overlay_claim(struct draft *d, uint32_t index)
{
	if (is_claimed(d, index))
		return false;
	overlay_note_claimed(d->claimed, index);
	d->unclaimed_files -= is_file(d, index);
	return true;
}

static void give_back(struct draft *d, uint32_t index)
{
	d->claimed[index / WORD] &= ~(UINT64_C(1) << index % WORD);
	d->unclaimed_files += is_file(d, index);
}

bool overlay_is_gone(const struct draft *d, uint32_t index)
{
	const struct draft_item *i;

	if (!d->claimed || index >= d->n_fixed || !is_claimed(d, index))
		return false;
	i = items_at(d, index);
	return !i || i->gone;
}

/* The folder of T that file FILE is in. */
static uint32_t dir_of_file(const struct tree *t, uint32_t file)
{
	uint32_t lo = 0, hi = t->n_dirs;

	while (lo + 1 < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (t->dirs[mid].lo <= file)
			lo = mid;
		else
			hi = mid;
	}
	while (t->dirs[lo].hi <= file)
		lo = t->dirs[lo].parent;
	return lo;
}

/* What a folder or file of T is in its own folder, whose number it returns. */
static uint32_t child_of_index(const struct tree *t, uint32_t index, struct tree_child *out)
{
	bool is_dir = index - TREE_FIRST >= t->n_files;
	uint32_t number = index - TREE_FIRST - (is_dir ? t->n_files - 1 : 0);
	uint32_t dir = is_dir ? t->dirs[number].parent : dir_of_file(t, number);
	const struct tree_file *f = &t->files[is_dir ? t->dirs[number].lo : number];
	uint32_t prefix = t->dirs[dir].prefix, end = is_dir ? t->dirs[number].prefix - 1 : f->n;

	*out = (struct tree_child){is_dir, number, bytes_of(f->stem + prefix, end - prefix)};
	return dir;
}

static uint32_t index_of_child(const struct tree *t, const struct tree_child *c)
{
	return c->is_dir ? tree_dir_index(t, c->index) : tree_file_index(c->index);
}

/* --- looking ----------------------------------------------------------------------------------------------- */

/* C, which the base shows in DIR. */
static struct draft_item *make_up(const struct draft *d, struct draft_item *dir,
				  const struct tree_child *c, struct draft_glance *g)
{
	memcpy(g->name, c->name.p, c->name.n);
	strcpy(g->name + c->name.n, c->is_dir ? "" : ".npy");
	g->item = (struct draft_item){
		.index = index_of_child(d->tree, c),
		.what = c->is_dir ? DRAFT_DIR : DRAFT_VAR,
		.on_disk = c->is_dir ? !dir->under : dir->links != LINKS_NONE,
		.under = dir->under,
		.in_place = true,
		.own_name = true,
		.pin = 0,
		.number = c->is_dir ? DRAFT_NONE : d->tree->files[c->index].var,
		.expect_pin = DRAFT_NONE,
		.expect_var = DRAFT_NONE,
		.base_dir = c->is_dir ? c->index : DRAFT_NONE,
		.links = dir->links,
		.name = g->name,
		.parent = dir,
	};
	return &g->item;
}

struct draft_item *overlay_child(const struct draft *d, struct draft_item *dir,
				 const struct tree_child *c, struct draft_glance *g)
{
	uint32_t index = index_of_child(d->tree, c);
	struct draft_item *i;

	if (!is_claimed(d, index))
		return make_up(d, dir, c, g);
	i = items_at(d, index);
	return i && i->in_place && i->parent == dir ? i : NULL;
}

/* The item of the base's folder DIR, or of the next one above it that has one. */
static struct draft_item *folder_above(const struct draft *d, uint32_t dir)
{
	struct draft_item *i;

	while (!(i = items_at(d, tree_dir_index(d->tree, dir))))
		dir = d->tree->dirs[dir].parent;
	return i;
}

struct draft_item *draft_item(const struct draft *d, uint32_t index, struct draft_glance *g)
{
	struct draft_item *i = items_at(d, index);
	struct tree_child child;
	uint32_t dir;

	if (i || !d->root || !d->tree || index < TREE_FIRST ||
	    index >= tree_text_index(d->tree, 0) || is_claimed(d, index))
		return i;
	dir = child_of_index(d->tree, index, &child);
	return make_up(d, folder_above(d, dir), &child, g);
}

struct draft_item *draft_find(const struct draft *d, struct draft_item *dir, const char *name,
			      struct draft_glance *g)
{
	struct draft_item *i = items_find(d, dir, name);
	struct tree_child child;

	if (i || !d->root || dir->base_dir == DRAFT_NONE ||
	    !tree_lookup(d->tree, dir->base_dir, bytes_str(name), &child) ||
	    is_claimed(d, index_of_child(d->tree, &child)))
		return i;
	return make_up(d, dir, &child, g);
}

/* Is what has that index, or a folder that it is in, not where the base has it? */
static bool is_moved(const struct draft *d, uint32_t index)
{
	struct draft_glance g;
	const struct draft_item *i = draft_item(d, index, &g);

	while (i && (!i->parent || i->in_place || i->index >= d->n_fixed))
		i = i->parent;
	return i != NULL;
}

int draft_lock_to_change_in(struct draft *d, uint32_t a, uint32_t b)
{
	uint64_t before;
	bool moved;

	pthread_mutex_lock(&d->lock);
	if (!d->sealed && !d->ended)
		return 0;
	moved = is_moved(d, a) || is_moved(d, b);
	before = d->times_gone_on;
	draft_await_unsealed(d);
	return moved && (d->ended || d->times_gone_on != before) ? DRAFT_LOOK_AGAIN : 0;
}

/* --- items that are needed --------------------------------------------------------------------------------- */

/* G as an item below PARENT, which has one. NULL: no memory. */
static struct draft_item *make_item(struct draft *d, const struct draft_glance *g,
				    struct draft_item *parent)
{
	const struct draft_item *of = &g->item;
	struct draft_item *i =
		items_add(d, parent, of->name, strlen(of->name), of->what, of->index);

	if (!i)
		return NULL;
	i->on_disk = of->on_disk;
	i->under = of->under;
	i->in_place = of->in_place;
	i->own_name = of->own_name;
	i->pin = of->pin;
	i->number = of->number;
	i->base_dir = of->base_dir;
	i->links = of->links;
	overlay_claim(d, i->index);
	return i;
}

/* Folder number DIR of the base, and from the top on all those above it that have none. NULL: no memory. */
static struct draft_item *need_folder(struct draft *d, uint32_t dir)
{
	const struct tree *t = d->tree;
	struct draft_item *i, *made;
	struct draft_glance g;
	uint32_t top, below;

	for (;;) {
		for (below = top = dir; !(i = items_at(d, tree_dir_index(t, top)));
		     top = t->dirs[top].parent)
			below = top;
		if (top == dir)
			return i;
		draft_item(d, tree_dir_index(t, below), &g);
		made = make_item(d, &g, i);
		if (!made) {
			overlay_let_go(d, i->index);
			return NULL;
		}
	}
}

/* FOUND, which may be made up in G, as an item. */
static int need_item(struct draft *d, struct draft_item *found, const struct draft_glance *g,
		     struct draft_item **out)
{
	struct draft_item *dir;
	struct tree_child child;
	uint32_t parent;

	*out = found;
	if (found != &g->item)
		return 0;
	parent = child_of_index(d->tree, found->index, &child);
	dir = need_folder(d, parent);
	*out = dir ? make_item(d, g, dir) : NULL;
	if (dir && !*out)
		overlay_let_go(d, dir->index);
	return *out ? 0 : -ENOMEM;
}

int overlay_need(struct draft *d, uint32_t index, struct draft_item **out)
{
	struct draft_glance g;
	struct draft_item *found = draft_item(d, index, &g);

	return found ? need_item(d, found, &g, out) : -ESTALE;
}

int overlay_need_named(struct draft *d, struct draft_item *dir, const char *name,
		       struct draft_item **out)
{
	struct draft_glance g;
	struct draft_item *found = draft_find(d, dir, name, &g);

	return found ? need_item(d, found, &g, out) : -ENOENT;
}

/* Is I what would be made up in its place? */
static bool is_as_shown(const struct draft *d, const struct draft_item *i)
{
	const struct draft_item *dir = i->parent;

	if (!dir || !i->in_place || i->refs > 1 || i->under != dir->under)
		return false;
	if (i->what == DRAFT_DIR)
		return !i->first && !i->entered.tv_sec && i->on_disk == !dir->under &&
		       i->links == dir->links;
	return i->what == DRAFT_VAR && !i->opens && !i->committed && i->pin == 0 &&
	       i->number == d->tree->files[i->index - TREE_FIRST].var &&
	       i->expect_pin == DRAFT_NONE && i->on_disk == (dir->links != LINKS_NONE);
}

void overlay_let_go(struct draft *d, uint32_t index)
{
	struct draft_item *i = items_at(d, index), *dir;

	for (; i && is_as_shown(d, i); i = dir) {
		dir = i->parent;
		give_back(d, i->index);
		items_remove(d, i);
	}
}

/* --- what is gone ------------------------------------------------------------------------------------------ */

/* All of the base's folder DIR that shows. */
static void claim_folder(struct draft *d, uint32_t dir)
{
	const struct tree *t = d->tree;
	const struct tree_dir *of = &t->dirs[dir];

	for (uint32_t k = of->lo; k < of->hi; k++)
		overlay_claim(d, tree_file_index(k));
	for (uint32_t k = dir; k < t->n_dirs && t->dirs[k].lo < of->hi; k++)
		overlay_claim(d, tree_dir_index(t, k));
}

void overlay_hide(struct draft *d, struct draft_item *dir, const char *name)
{
	struct draft_glance g;
	struct draft_item *i = draft_find(d, dir, name, &g);

	if (i && i != &g.item)
		items_remove(d, i);
	else if (i && i->what == DRAFT_DIR)
		claim_folder(d, i->base_dir);
	else if (i)
		overlay_claim(d, i->index);
}

/* --- counting ---------------------------------------------------------------------------------------------- */

static int compare_numbers(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

bool overlay_find_file(const struct tree *t, struct bytes path, struct tree_child *out)
{
	const uint8_t *slash;
	uint32_t dir = 0;

	while ((slash = memchr(path.p, '/', path.n))) {
		size_t n = (size_t)(slash - path.p);

		if (!tree_lookup(t, dir, bytes_of(path.p, n), out) || !out->is_dir)
			return false;
		dir = out->index;
		path = bytes_of(slash + 1, path.n - n - 1);
	}
	return tree_lookup(t, dir, path, out) && !out->is_dir;
}

/* Whether variable VAR of the base shows, without an item. */
static bool shows(const struct draft *d, uint32_t var)
{
	CLEANUP(buf_release) struct buf path = {0};
	struct tree_child child;

	return draft_shown_path(d, 0, var, &path) == 0 &&
	       overlay_find_file(d->tree, buf_bytes(&path), &child) &&
	       !is_claimed(d, tree_file_index(child.index));
}

int overlay_add_replaced(const struct draft *d, const struct draft_item *i, struct buf *vars)
{
	CLEANUP(buf_release) struct buf path = {0};
	struct tree_child child;

	if (draft_path(i, &path) < 0)
		return -ENOMEM;
	return overlay_find_file(d->tree, buf_bytes(&path), &child)
		       ? buf_add(vars, &d->tree->files[child.index].var, sizeof(uint32_t))
		       : 0;
}

int64_t overlay_count_kept(const struct draft *d, struct buf *vars)
{
	uint32_t last = DRAFT_NONE, *p;
	int64_t kept = d->unclaimed_files;

	for (struct draft_item *i = d->root; i && (i = items_next(d->root, i));) {
		uint32_t var = !draft_is_variable(i)                 ? DRAFT_NONE
			       : i->what == DRAFT_VAR && i->pin == 0 ? i->number
			       : i->under && i->expect_pin == 0      ? i->expect_var
								     : DRAFT_NONE;

		if (var != DRAFT_NONE && buf_add(vars, &var, sizeof var) < 0)
			return -ENOMEM;
	}
	p = (uint32_t *)vars->p;
	if (p)
		qsort(p, vars->n / sizeof *p, sizeof *p, compare_numbers);
	for (size_t k = 0; k < vars->n / sizeof *p; k++) {
		kept += p[k] != last && !shows(d, p[k]);
		last = p[k];
	}
	return kept;
}

int overlay_add_removed(const struct draft *d, const struct buf *vars, struct buf *out)
{
	int r = 0;

	for (uint32_t k = 0; k < d->tree->n_files && r == 0; k++) {
		CLEANUP(buf_release) struct buf path = {0};
		uint32_t var = d->tree->files[k].var;

		if (!is_claimed(d, tree_file_index(k)) ||
		    (vars->n &&
		     bsearch(&var, vars->p, vars->n / sizeof var, sizeof var, compare_numbers)))
			continue;
		r = draft_shown_path(d, 0, var, &path);
		if (r == 0)
			r = buf_printf(out, "removed: %.*s\n", (int)path.n, (char *)path.p);
	}
	return r;
}

/* --- beginning --------------------------------------------------------------------------------------------- */

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

static int add_text(struct draft *d, enum text_kind kind)
{
	const char *name = text_name(kind);
	struct draft_item *i = items_add(d, d->root, name, strlen(name), DRAFT_TEXT,
					 tree_text_index(d->tree, kind));

	if (!i)
		return -ENOMEM;
	overlay_claim(d, i->index);
	i->under = true;
	i->own_name = true;
	i->pin = 0;
	i->number = kind;
	return 0;
}

static int add_texts(struct draft *d)
{
	int r = 0;

	for (enum text_kind kind = 0; kind < N_TEXTS && r == 0; kind++) {
		int has = has_text(d, kind);

		r = has > 0 ? add_text(d, kind) : has;
		if (kind == TEXT_META_GRAPH)
			d->base_meta = has > 0;
	}
	return r;
}

int overlay_init(struct draft *d, const struct tree *t)
{
	int r;

	d->tree = t;
	d->n_fixed = t ? tree_text_index(t, N_TEXTS) : TREE_FIRST;
	d->unclaimed_files = t ? t->n_files : 0;
	d->claimed = calloc(claimed_words(d), sizeof *d->claimed);
	r = d->claimed ? items_init(d) : -ENOMEM;
	if (r < 0 || !t)
		return r;
	overlay_claim(d, TREE_ROOT);
	d->root->under = true;
	d->root->base_dir = 0;
	return add_texts(d);
}

void overlay_release(struct draft *d)
{
	items_leave(d);
	free(d->claimed);
	d->claimed = NULL;
}

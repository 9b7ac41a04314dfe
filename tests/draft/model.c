#include "draft/model.h"
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "draft/items.h"
#include "draft/overlay.h"
#include "draft/walk.h"
#include "lib/step.h"
#include <check.h>
#include <stdio.h>

enum { DT_FLOAT = 1 };

void must(int r, const struct err *e)
{
	if (r < 0)
		ck_abort_msg("%d %s", r, e->text);
}

/* --- a draft of a step with scopes ------------------------------------------------------------------------- */

struct draft_config trial_config(const struct trial *t)
{
	return (struct draft_config){.top = t->top.fd,
				     .name = "base-0",
				     .meta = "meta",
				     .mode = VERIFY_OFF,
				     .first_dynamic = DRAFT_DYNAMIC};
}

/* A draft over a step with N variables of one element, which NAMES are. */
void trial_setup(struct trial *t, char *const *names, size_t n)
{
	static const int64_t dims[] = {1};
	struct item *items = calloc(n, sizeof *items);
	uint8_t *shard = calloc(n, 4);
	struct draft_config c;
	struct err e = {0};

	*t = (struct trial){.top = folder_new()};
	for (size_t i = 0; i < n; i++)
		items[i] = (struct item){.name = names[i],
					 .spec = {.dtype = DT_FLOAT,
						  .rank = 1,
						  .dims = dims,
						  .off = 4 * i,
						  .size = 4,
						  .crc = crc32c_mask(crc32c(shard, 4))}};
	step_put(&t->top, "base-0", 1, items, n);
	folder_put(&t->top, bytes_of(shard, 4 * n), "base-0.data-00000-of-00001");
	must(step_open_v2(t->top.fd, "base-0", VERIFY_OFF, &t->base, &e), &e);
	must(tree_init(&t->tree, t->base, &e), &e);
	c = trial_config(t);
	must(draft_begin(&c, t->base, &t->tree, t->top.fd, &t->d, &e), &e);
	free(items);
	free(shard);
}

void trial_teardown(struct trial *t)
{
	draft_unref(t->d);
	tree_release(&t->tree);
	step_unref(t->base);
	folder_remove(&t->top);
}

int trial_take_up(struct trial *t, struct err *e)
{
	const struct draft_config c = trial_config(t);

	draft_unref(t->d);
	t->d = NULL;
	return draft_take_up(&c, "base-0", &t->d, e);
}

/* --- its files --------------------------------------------------------------------------------------------- */

struct draft_item *trial_find(const struct trial *t, const char *path)
{
	static struct draft_glance glances[2];
	struct draft_item *i = t->d->root;
	char copy[256], *rest = copy;
	unsigned k = 0;

	snprintf(copy, sizeof copy, "%s", path);
	for (char *name; i && (name = strsep(&rest, "/"));)
		i = draft_find(t->d, i, name, &glances[k++ % 2]);
	return i;
}

uint32_t trial_index(const struct trial *t, const char *path)
{
	struct draft_item *i = *path ? trial_find(t, path) : t->d->root;

	ck_assert_msg(i, "%s is not there", path);
	return i->index;
}

static struct draft_item *create(const struct trial *t, const char *path)
{
	const struct draft_owner owner = {getuid(), getgid(), 0644};
	const char *slash = strrchr(path, '/');
	char folder[256] = "";
	struct draft_item *i;
	struct err e = {0};

	if (slash)
		snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
	must(draft_create(t->d, trial_index(t, folder), slash ? slash + 1 : path, &owner, true, &i,
			  &e),
	     &e);
	draft_item_unref(t->d, i); /* it has another as it is open */
	return i;
}

struct draft_item *trial_open(const struct trial *t, const char *path)
{
	struct draft_item *i;
	struct err e = {0};

	if (!trial_find(t, path))
		return create(t, path);
	must(draft_open(t->d, trial_index(t, path), true, true, &i, &e), &e);
	return i;
}

void trial_put(const struct trial *t, const char *path, struct bytes b)
{
	struct draft_item *i = trial_open(t, path);
	struct err e = {0};

	must(draft_write(t->d, i, NULL, b, 0, &e), &e);
	draft_close(t->d, i, true);
}

struct buf trial_npy(const char *descr, const char *shape, size_t n)
{
	struct buf b = {0};
	char dict[128];

	snprintf(dict, sizeof dict, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr,
		 shape);
	buf_add(&b, "\x93NUMPY\1\0\x76\0", 10);
	buf_printf(&b, "%-117s\n", dict);
	for (size_t i = 0; i < n; i++)
		buf_add_byte(&b, (uint8_t)(i + 1));
	return b;
}

/* --- the model: each folder is a list of entries ----------------------------------------------------------- */

struct entry *model_add(struct entry *parent, const struct draft_item *i)
{
	struct entry *made = calloc(1, sizeof *made), **at = &parent->first;

	*made = (struct entry){.index = i->index,
			       .what = i->what,
			       .under = i->under,
			       .number = i->number,
			       .expect = DRAFT_NONE,
			       .parent = parent};
	ck_assert_uint_lt(strlen(i->name), sizeof made->name);
	strcpy(made->name, i->name);
	while (*at)
		at = &(*at)->next;
	*at = made;
	return made;
}

void model_copy(struct draft *d, struct draft_item *dir, struct entry *to)
{
	struct draft_children c = {0};
	struct draft_item *i;

	while ((i = draft_child(d, dir, &c))) {
		struct entry *made = model_add(to, i);

		if (i->what == DRAFT_DIR)
			model_copy(d, i, made);
	}
}

void model_take_out(struct entry *e)
{
	struct entry **at = &e->parent->first;

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	e->next = NULL;
	e->parent = NULL;
}

void model_free(struct entry *e)
{
	for (struct entry *c = e->first, *next; c; c = next) {
		next = c->next;
		model_free(c);
	}
	free(e);
}

struct entry *model_find(struct entry *dir, const char *name)
{
	struct entry *e = dir->first;

	while (e && strcmp(e->name, name) != 0)
		e = e->next;
	return e;
}

bool model_is_below(const struct entry *e, const struct entry *dir)
{
	while (e && e != dir)
		e = e->parent;
	return e;
}

static void forget_place(struct entry *e)
{
	e->under = false;
	e->on_disk = true;
	for (struct entry *c = e->first; c; c = c->next)
		forget_place(c);
}

/* At the end of the list of DIR. */
void model_move(struct entry *e, struct entry *dir, const char *name)
{
	struct entry **at = &dir->first;

	strcpy(e->name, name);
	while (*at)
		at = &(*at)->next;
	*at = e;
	e->parent = dir;
	forget_place(e);
}

/* --- comparing --------------------------------------------------------------------------------------------- */

static void compare_item(const struct entry *e, const struct draft_item *i)
{
	ck_assert_str_eq(i->name, e->name);
	ck_assert_uint_eq(i->index, e->index);
	ck_assert_uint_eq(i->what, e->what);
	ck_assert_uint_eq(i->under, e->under);
	if (e->what == DRAFT_VAR) {
		ck_assert_uint_eq(i->number, e->number);
		ck_assert_uint_eq(i->pin, 0);
		ck_assert_uint_eq(i->on_disk, e->on_disk);
		ck_assert(i->own_name || e->on_disk);
	}
	ck_assert_uint_eq(i->expect_var, e->expect);
}

/* The list, and each of its entries by its name and its number. */
static void compare_folder(struct draft *d, struct draft_item *dir, const struct entry *model)
{
	struct draft_children c = {0};
	struct draft_glance g;
	struct draft_item *i;

	ck_assert_uint_eq(draft_is_empty(d, dir), !model->first);
	for (const struct entry *e = model->first; e; e = e->next) {
		i = draft_child(d, dir, &c);
		ck_assert_msg(i, "%s is not there", e->name);
		compare_item(e, i);
		ck_assert_ptr_eq(i->parent, dir);
		if (i->what == DRAFT_DIR)
			compare_folder(d, i, e);
		i = draft_find(d, dir, e->name, &g);
		ck_assert_ptr_nonnull(i);
		compare_item(e, i);
		i = draft_item(d, e->index, &g);
		ck_assert_ptr_nonnull(i);
		compare_item(e, i);
	}
	i = draft_child(d, dir, &c);
	ck_assert_msg(!i, "%s is there", i ? i->name : "");
}

static void walk_entries(struct draft *d, struct draft_walk *w, const struct entry *dir)
{
	for (const struct entry *e = dir->first; e; e = e->next) {
		CLEANUP(buf_release) struct buf path = {0}, expected = {0};
		struct draft_item *i = draft_walk(d, w);

		ck_assert_ptr_nonnull(i);
		compare_item(e, i);
		ck_assert_int_eq(draft_path(i, &path), 0);
		for (const struct entry *p = e; p->parent; p = p->parent) {
			CLEANUP(buf_release) struct buf rest = {0};

			buf_swap(&expected, &rest);
			buf_printf(&expected, "%s%s", p->name, p == e ? "" : "/");
			buf_add(&expected, rest.p, rest.n);
		}
		ck_assert(bytes_eq(buf_bytes(&path), buf_bytes(&expected)));
		walk_entries(d, w, e);
	}
}

/* What was changed is given by a walk through that alone. */
static uint32_t count_changed(const struct entry *dir)
{
	uint32_t n = 0;

	for (const struct entry *e = dir->first; e; e = e->next)
		n += !(e->under && e->what != DRAFT_STAGED &&
		       !(e->what == DRAFT_VAR && e->on_disk)) +
		     count_changed(e);
	return n;
}

static void compare_changed(struct draft *d, const struct entry *root)
{
	struct draft_walk w = {.below = d->root, .changed_only = true};
	struct draft_item *i;
	uint32_t n = 0;

	while ((i = draft_walk(d, &w)))
		n += !(i->under && i->what != DRAFT_STAGED &&
		       !(i->what == DRAFT_VAR && i->on_disk));
	ck_assert_int_eq(draft_walk_end(&w), 0);
	ck_assert_uint_eq(n, count_changed(root));
}

static void mark_shown(const struct entry *dir, uint8_t *shown)
{
	for (const struct entry *e = dir->first; e; e = e->next) {
		if (e->index < DRAFT_DYNAMIC)
			shown[e->index] = 1;
		mark_shown(e, shown);
	}
}

/* The variable of S in whose place E is: what has its name counts once with it. */
static const struct var *replaced(const struct step *s, const struct entry *e)
{
	char key[256] = "";
	size_t n = sizeof key;

	for (const struct entry *p = e; p->parent; p = p->parent) {
		size_t len = strlen(p->name) - (p == e ? strlen(".npy") : 0);

		n -= len + (p != e);
		memcpy(key + n, p->name, len);
		if (p != e)
			key[n + len] = '/';
	}
	return step_find(s, bytes_of((uint8_t *)key + n, sizeof key - n));
}

static uint32_t mark_kept(const struct step *s, const struct entry *dir, uint8_t *seen)
{
	uint32_t changed = 0;

	for (const struct entry *e = dir->first; e; e = e->next) {
		uint32_t var = e->what == DRAFT_VAR ? e->number : e->under ? e->expect : DRAFT_NONE;

		if (var != DRAFT_NONE)
			seen[var] = 1;
		if (e->what == DRAFT_STAGED || (e->what == DRAFT_VAR && e->on_disk)) {
			const struct var *old = replaced(s, e);

			changed++;
			if (old)
				seen[old - s->vars] = 1;
		}
		changed += mark_kept(s, e, seen);
	}
	return changed;
}

void model_compare(struct trial *t, const struct entry *root)
{
	struct draft *d = t->d;
	struct draft_walk w = {.below = d->root};
	uint8_t *seen = calloc(t->base->n_vars + (size_t)1, 1), *shown = calloc(d->n_fixed, 1);
	uint32_t changed;

	compare_folder(d, d->root, root);
	walk_entries(d, &w, root);
	ck_assert_ptr_null(draft_walk(d, &w));
	ck_assert_int_eq(draft_walk_end(&w), 0);
	compare_changed(d, root);
	changed = mark_kept(t->base, root, seen);
	for (uint32_t v = 0; v < t->base->n_vars; v++)
		changed += !seen[v];
	ck_assert_uint_eq(draft_count(d), changed);
	mark_shown(root, shown);
	for (uint32_t k = TREE_FIRST; k < tree_text_index(&t->tree, 0); k++)
		ck_assert_int_eq(overlay_is_gone(d, k), !shown[k]);
	free(seen);
	free(shown);
}

/* As a later process sees it; numbers are others then. */
static void compare_taken_up(struct draft *d, struct draft_item *dir, const struct entry *model)
{
	struct draft_children c = {0};
	uint32_t n = 0;

	for (const struct entry *e = model->first; e; e = e->next, n++) {
		struct draft_glance g;
		struct draft_item *i = draft_find(d, dir, e->name, &g);

		ck_assert_msg(i, "%s is not there", e->name);
		ck_assert_uint_eq(i->what, e->what);
		if (e->what == DRAFT_VAR)
			ck_assert_uint_eq(i->number, e->number);
		compare_taken_up(d, i, e);
	}
	while (draft_child(d, dir, &c))
		n--;
	ck_assert_uint_eq(n, 0);
}

void model_take_up(const struct trial *t, const struct entry *root)
{
	const struct draft_config c = trial_config(t);
	struct draft *d;
	struct err e = {0};

	must(draft_take_up(&c, "base-0", &d, &e), &e);
	compare_taken_up(d, d->root, root);
	draft_unref(d);
}

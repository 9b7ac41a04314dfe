/* Tests of src/draft/overlay.[ch] and walk.[ch]: after each of many changes, what a draft shows is compared with a model. */
#include "base/cleanup.h"
#include "base/io.h"
#include "draft/check_draft.h"
#include "draft/model.h"
#include "draft/walk.h"
#include "lib/random.h"
#include <fcntl.h>
#include <stdio.h>

enum { ROUNDS = 25, CHANGES = 100 };

/* --- random changes ---------------------------------------------------------------------------------------- */

enum { MAX_OPEN = 3 };

struct play {
	struct trial t;
	struct entry *root, *base; /* as it is, and as it was at first */
	struct draft_item *open[MAX_OPEN]; /* for reading */
	uint64_t seed;
};

/* Any entry but a text; ROOT for want of one. KIND: 0 any, 1 a folder, 2 a file. */
static void pick(struct play *p, struct entry *dir, int kind, uint32_t *n, struct entry **out)
{
	for (struct entry *e = dir->first; e; e = e->next) {
		bool folder = e->what == DRAFT_DIR;

		if (e->what != DRAFT_TEXT && (!kind || (kind == 1) == folder) &&
		    random_below(&p->seed, ++*n) == 0)
			*out = e;
		pick(p, e, kind, n, out);
	}
}

static struct entry *any(struct play *p, int kind)
{
	struct entry *e = p->root;
	uint32_t n = 1;

	pick(p, p->root, kind, &n, &e);
	return e;
}

static void make(struct play *p, struct entry *dir, const char *name, bool folder)
{
	const struct draft_owner owner = {getuid(), getgid(), 0644};
	struct draft *d = p->t.d;
	struct draft_item *i;
	int r = folder ? draft_mkdir(d, dir->index, name, &i, NULL)
		       : draft_create(d, dir->index, name, &owner, false, &i, NULL);

	ck_assert_int_eq(r, model_find(dir, name) ? -EEXIST : 0);
	if (r < 0)
		return;
	model_add(dir, i);
	pthread_mutex_lock(&d->lock);
	if (!folder)
		must(draft_item_open(d, i, NULL), &(struct err){.text = "not made"});
	if (!folder)
		closep(&i->staged->fd);
	draft_item_unref(d, i);
	pthread_mutex_unlock(&d->lock);
}

static void drop(struct play *p, struct entry *e)
{
	struct draft *d = p->t.d;
	int r;

	if (!e->parent)
		return;
	if (e->what == DRAFT_DIR)
		r = draft_rmdir(d, e->parent->index, e->name, NULL);
	else
		r = draft_unlink(d, e->parent->index, e->name, NULL);
	ck_assert_int_eq(r, e->first ? -ENOTEMPTY : 0);
	if (r == 0) {
		model_take_out(e);
		model_free(e);
	}
}

static void inherit(struct entry *e, const struct entry *from)
{
	if (from->what == DRAFT_VAR)
		e->expect = from->number;
	else if (from->expect != DRAFT_NONE)
		e->expect = from->expect;
}

static int expected_of_rename(const struct entry *e, const struct entry *to_dir,
			      const struct entry *target)
{
	if (e == target)
		return 0;
	if (model_is_below(to_dir, e))
		return -EINVAL;
	if (target && (e->what == DRAFT_DIR) != (target->what == DRAFT_DIR))
		return e->what == DRAFT_DIR ? -ENOTDIR : -EISDIR;
	return target && target->first ? -ENOTEMPTY : 0;
}

static void rename_to(struct play *p, struct entry *e, struct entry *to_dir, const char *to)
{
	struct entry *target = model_find(to_dir, to);
	bool under = target && target->under && target->what != DRAFT_DIR;
	int r;

	if (!e->parent)
		return;
	r = draft_rename(p->t.d, e->parent->index, e->name, to_dir->index, to, 0, NULL);
	ck_assert_int_eq(r, expected_of_rename(e, to_dir, target));
	if (r < 0 || e == target)
		return;
	if (target) {
		inherit(e, target);
		model_take_out(target);
		model_free(target);
	}
	model_take_out(e);
	model_move(e, to_dir, to);
	e->under = under;
}

static void exchange(struct play *p, struct entry *a, struct entry *b)
{
	struct entry *a_dir = a->parent, *b_dir = b->parent;
	char to_a[64], to_b[64];
	int r;

	if (!a_dir || !b_dir || (a->what == DRAFT_DIR) != (b->what == DRAFT_DIR) || a == b)
		return;
	r = draft_rename(p->t.d, a_dir->index, a->name, b_dir->index, b->name, RENAME_EXCHANGE,
			 NULL);
	ck_assert_int_eq(r, model_is_below(a, b) || model_is_below(b, a) ? -EINVAL : 0);
	if (r < 0)
		return;
	strcpy(to_a, b->name);
	strcpy(to_b, a->name);
	model_take_out(a);
	model_take_out(b);
	model_move(b, a_dir, to_b);
	model_move(a, b_dir, to_a);
}

static void write_to(struct play *p, struct entry *e, bool truncate)
{
	uint64_t bytes = random_next(&p->seed);
	struct draft *d = p->t.d;
	struct draft_item *i;
	struct err why = {0};

	if (e->what == DRAFT_DIR)
		return;
	must(draft_open(d, e->index, true, truncate, &i, &why), &why);
	must(draft_write(d, i, NULL, bytes_of(&bytes, sizeof bytes), 0, &why), &why);
	draft_close(d, i, true);
	if (e->what == DRAFT_VAR)
		e->expect = e->number;
	e->what = DRAFT_STAGED;
}

static void open_or_close(struct play *p, const struct entry *e)
{
	struct draft_item **o = &p->open[random_below(&p->seed, MAX_OPEN)];

	if (*o)
		draft_close(p->t.d, TAKE(*o, NULL), false);
	else if (e->what != DRAFT_DIR)
		ck_assert_int_eq(draft_open(p->t.d, e->index, false, false, o, NULL), 0);
}

static void change(struct play *p)
{
	struct entry *dir = any(p, 1), *file = any(p, 2), *folder = any(p, 1), *e = any(p, 0);
	unsigned kind = (unsigned)random_below(&p->seed, 10);
	bool is_dir = e->what == DRAFT_DIR;
	char name[64];

	snprintf(name, sizeof name, "n%u%s", (unsigned)random_below(&p->seed, 6),
		 kind == 1 || ((kind == 4 || kind == 5) && is_dir) ? "" : ".npy");
	/* Over another, or back. */
	if (kind == 5 && dir->first && dir->first->what != DRAFT_TEXT &&
	    (dir->first->what == DRAFT_DIR) == is_dir)
		strcpy(name, dir->first->name);
	if (kind == 0)
		make(p, dir, name, false);
	else if (kind == 1)
		make(p, dir, name, true);
	else if (kind == 2)
		drop(p, file);
	else if (kind == 3)
		drop(p, folder);
	else if (kind == 4 || kind == 5)
		rename_to(p, e, dir, name);
	else if (kind == 6)
		write_to(p, file, random_below(&p->seed, 2));
	else if (kind == 7)
		exchange(p, e, any(p, is_dir ? 1 : 2));
	else if (kind == 8)
		open_or_close(p, file);
	else /* all of a folder */
		while (folder->parent && folder->first && !folder->first->first)
			drop(p, folder->first);
}

static char *const scopes[] = {
	"a",           "b",          "s0/a",       "s0/b",      "s0/c",     "s1/a",
	"s1/in/a",     "s1/in/b",    "s1/in/c",    "s1/on/a",   "s1/on/b",  "s2/in/x/y/a",
	"s2/in/x/y/b", "s2/in/x/za", "s2/in/x.za", "s2/in-a",   "s3/v",     "s3/w",
	"s3/x",        "s3/y",       "z/a/a/a/a",  "z/a/a/a/b", "z/a/b/a/a"};

START_TEST(a_draft_shows_what_the_model_has)
{
	struct play p = {.seed = 1 + (uint64_t)_i,
			 .root = calloc(1, sizeof *p.root),
			 .base = calloc(1, sizeof *p.base)};

	trial_setup(&p.t, scopes, sizeof scopes / sizeof *scopes);
	p.root->index = p.base->index = TREE_ROOT;
	p.root->under = p.base->under = true;
	model_copy(p.t.d, p.t.d->root, p.root);
	model_copy(p.t.d, p.t.d->root, p.base);
	model_compare(&p.t, p.root);
	for (int k = 0; k < CHANGES; k++) {
		change(&p);
		model_compare(&p.t, p.root);
		if (k % 10 == 0)
			model_take_up(&p.t, p.root);
	}
	for (int k = 0; k < MAX_OPEN; k++)
		if (p.open[k])
			draft_close(p.t.d, p.open[k], false);
	model_compare(&p.t, p.root);
	model_free(p.root);
	model_free(p.base);
	trial_teardown(&p.t);
}
END_TEST

/* --- a rename that fails ----------------------------------------------------------------------------------- */

START_TEST(a_rename_of_a_scope_that_fails_on_the_way_is_none)
{
	struct play p = {.root = calloc(1, sizeof *p.root)};
	CLEANUP(closep) int tree = -1;
	struct draft *d;
	struct entry *s1, *in;

	trial_setup(&p.t, scopes, sizeof scopes / sizeof *scopes);
	d = p.t.d;
	p.root->index = TREE_ROOT;
	p.root->under = true;
	model_copy(d, d->root, p.root);
	s1 = model_find(p.root, "s1");
	in = model_find(s1, "in");
	tree = openat(p.t.top.fd, ".ckptfs/drafts/base-0/tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(tree, 0);
	ck_assert_int_eq(mkdirat(tree, "s1", 0777), 0);
	close(io_create(tree, "s1/on", 0600, NULL)); /* where a folder has to be */
	ck_assert_int_lt(draft_rename(d, TREE_ROOT, "s1", TREE_ROOT, "new", 0, NULL), 0);
	ck_assert_int_eq(unlinkat(tree, "s1/on", 0), 0);
	model_take_up(&p.t, p.root);
	/* Some variables are links, and some are not. */
	drop(&p, model_find(in, "a.npy"));
	drop(&p, model_find(model_find(s1, "on"), "a.npy"));
	write_to(&p, model_find(in, "b.npy"), false);
	write_to(&p, model_find(model_find(s1, "on"), "b.npy"), false);
	model_take_up(&p.t, p.root);
	rename_to(&p, model_find(in, "c.npy"), p.root, "c.npy");
	model_take_up(&p.t, p.root);
	rename_to(&p, s1, p.root, "new");
	model_compare(&p.t, p.root);
	model_take_up(&p.t, p.root);
	model_free(p.root);
	trial_teardown(&p.t);
}
END_TEST

/* --- after a commit ---------------------------------------------------------------------------------------- */

START_TEST(a_draft_that_goes_on_is_its_base_but_for_what_is_written)
{
	struct play p = {.seed = 100 + (uint64_t)_i,
			 .root = calloc(1, sizeof *p.root),
			 .base = calloc(1, sizeof *p.base)};
	struct entry *in, *written;
	struct draft_item *i;
	struct draft *d;

	trial_setup(&p.t, scopes, sizeof scopes / sizeof *scopes);
	d = p.t.d;
	p.root->index = p.base->index = TREE_ROOT;
	p.root->under = p.base->under = true;
	model_copy(d, d->root, p.root);
	model_copy(d, d->root, p.base);
	in = model_find(model_find(p.base, "s1"), "in");
	written = model_find(in, "b.npy");
	ck_assert_int_eq(draft_open(d, written->index, true, true, &i, NULL), 0);
	rename_to(&p, model_find(p.root, "s2"), p.root, "moved");
	drop(&p, model_find(p.root, "a.npy"));
	make(&p, p.root, "n1.npy", false);
	pthread_mutex_lock(&d->lock);
	ck_assert_int_eq(draft_can_go_on(d, NULL), 0);
	draft_go_on(d);
	pthread_mutex_unlock(&d->lock);
	ck_assert(!d->ended);
	written->what = DRAFT_STAGED;
	written->expect = written->number;
	model_take_out(written);
	model_move(written, in, "b.npy");
	written->under = true;
	model_compare(&p.t, p.base);
	draft_close(d, i, true);
	model_compare(&p.t, p.base);
	model_take_up(&p.t, p.base);
	model_free(p.root);
	model_free(p.base);
	trial_teardown(&p.t);
}
END_TEST

/* --- how much there is in memory --------------------------------------------------------------------------- */

enum { MANY = 10000, FEW = 12 };

static void look_at_all(struct draft *d)
{
	for (uint32_t k = 0; k < MANY; k++) {
		struct draft_glance g, of_folder;
		struct draft_item *dir, *i;
		char name[32];

		snprintf(name, sizeof name, "f%u", k % 100);
		dir = draft_find(d, d->root, name, &of_folder);
		snprintf(name, sizeof name, "v%u.npy", k);
		ck_assert(dir && draft_find(d, dir, name, &g));
		ck_assert_ptr_nonnull(draft_item(d, g.item.index, &g));
		ck_assert_int_eq(draft_open(d, g.item.index, false, false, &i, NULL), 0);
		draft_close(d, i, false);
	}
}

START_TEST(what_was_not_changed_has_no_item)
{
	char **names = calloc(MANY, sizeof *names);
	struct draft_glance g;
	struct trial t;
	struct draft *d;
	struct draft_item *i;

	for (uint32_t k = 0; k < MANY; k++)
		ck_assert_int_gt(asprintf(&names[k], "f%u/v%u", k % 100, k), 0);
	trial_setup(&t, names, MANY);
	d = t.d;
	ck_assert_uint_le(d->n_items, FEW);
	look_at_all(d);
	ck_assert_uint_le(d->n_items, FEW);
	i = draft_find(d, draft_find(d, d->root, "f7", &g), "v107.npy", &g);
	write_to(&(struct play){.t = t}, &(struct entry){.index = i->index, .what = i->what}, true);
	ck_assert_uint_le(d->n_items, FEW);
	ck_assert_int_eq(draft_rename(d, TREE_ROOT, "f8", TREE_ROOT, "g8", 0, NULL), 0);
	ck_assert_int_eq(draft_unlink(d, draft_find(d, d->root, "f9", &g)->index, "v9.npy", NULL),
			 0);
	ck_assert_uint_le(d->n_items, FEW);
	ck_assert_uint_eq(draft_count(d), 1 + MANY / 100 + 1);
	ck_assert_uint_le(d->n_items, FEW);
	trial_teardown(&t);
	for (uint32_t k = 0; k < MANY; k++)
		free(names[k]);
	free(names);
}
END_TEST

TCase *overlay_tests(void)
{
	TCase *t = tcase_create("overlay");

	tcase_add_loop_test(t, a_draft_shows_what_the_model_has, 0, ROUNDS);
	tcase_add_test(t, a_rename_of_a_scope_that_fails_on_the_way_is_none);
	tcase_add_test(t, a_draft_that_goes_on_is_its_base_but_for_what_is_written);
	tcase_add_test(t, what_was_not_changed_has_no_item);
	return t;
}

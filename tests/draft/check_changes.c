/* Tests of src/draft/draft.[ch]: after each of many changes, what is on disk is taken up again and compared. */
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "base/io.h"
#include "draft/check_draft.h"
#include "draft/walk.h"
#include "lib/random.h"
#include <fcntl.h>
#include <stdio.h>

enum { ROUNDS = 30, CHANGES = 60 };

static void must(int r, const struct err *e)
{
	if (r < 0)
		ck_abort_msg("%d %s", r, e->text);
}

/* --- a draft of a fixture ------------------------------------------------------------------------------ */

struct trial {
	char path[64];
	int top;
	struct step *base;
	struct tree tree;
	struct draft *d;
};

static struct draft_config config_of(const struct trial *t)
{
	return (struct draft_config){.top = t->top,
				     .name = "my-model-0",
				     .meta = "meta",
				     .first_dynamic = DRAFT_DYNAMIC};
}

static void setup(struct trial *t)
{
	static const char *const files[] = {"my-model-0.index", "my-model-0.data-00000-of-00001",
					    "my-model-0.meta"};
	const struct step_place place = {.name = (char *)"my-model-0",
					 .file = (char *)"my-model-0.index"};
	CLEANUP(closep)
	int from = open(ASSETS "/fixtures/linear", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct draft_config c;
	struct err e = {0};

	strcpy(t->path, "/tmp/check_draft.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(t->path));
	t->top = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(t->top, 0);
	ck_assert_int_ge(from, 0);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		CLEANUP(closep) int in = openat(from, files[i], O_RDONLY | O_CLOEXEC);
		CLEANUP(closep) int out = io_create(t->top, files[i], 0644, &e);
		struct stat st;

		ck_assert_int_eq(fstat(in, &st), 0);
		must(io_copy_range(in, 0, out, 0, (uint64_t)st.st_size, &e), &e);
	}
	must(step_open(t->top, &place, VERIFY_READ, &t->base, &e), &e);
	must(tree_init(&t->tree, t->base, &e), &e);
	c = config_of(t);
	must(draft_begin(&c, t->base, &t->tree, t->top, &t->d, &e), &e);
}

static void teardown(struct trial *t)
{
	struct err e = {0};

	draft_unref(t->d);
	tree_release(&t->tree);
	step_unref(t->base);
	close(t->top);
	must(io_remove_all(AT_FDCWD, t->path, &e), &e);
}

/* --- what it holds ------------------------------------------------------------------------------------- */

static void add_item(struct draft *d, struct draft_item *i, struct buf *out)
{
	CLEANUP(buf_release) struct buf bytes = {0};
	struct source src;
	struct err e = {0};

	must(draft_path(i, out), &e);
	if (i->what == DRAFT_DIR) {
		buf_printf(out, " folder\n");
	} else if (i->what == DRAFT_TEXT) {
		buf_printf(out, " text %u of %u\n", i->number, i->pin);
	} else if (i->what == DRAFT_VAR) {
		struct bytes key = var_key(d->pins[i->pin].step, draft_var(d, i));

		buf_printf(out, " variable %.*s\n", (int)key.n, (const char *)key.p);
	} else {
		must(draft_item_open(d, i, &e), &e);
		must(source_of_fd(i->staged->fd, &src, &e), &e);
		must(source_read(&src, 0, src.size, &bytes, &e), &e);
		buf_printf(out, " file %08x\n", crc32c(bytes.p, bytes.n));
	}
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A line for each item, sorted. */
static char *dump(struct draft *d)
{
	CLEANUP(buf_release) struct buf list = {0};
	struct draft_walk w = {0};
	struct buf text = {0};
	struct draft_item *i;

	pthread_mutex_lock(&d->lock);
	w.below = d->root;
	while ((i = draft_walk(d, &w))) {
		struct buf line = {0};

		add_item(d, i, &line);
		buf_add_byte(&line, 0);
		buf_add(&list, &line.p, sizeof line.p);
	}
	ck_assert_int_eq(draft_walk_end(&w), 0);
	pthread_mutex_unlock(&d->lock);
	qsort(list.p, list.n / sizeof(char *), sizeof(char *), compare_lines);
	for (size_t k = 0; k < list.n / sizeof(char *); k++) {
		buf_add_str(&text, ((char **)list.p)[k]);
		free(((char **)list.p)[k]);
	}
	buf_add_byte(&text, 0);
	return (char *)text.p;
}

static void assert_taken_up_is_the_same(const struct trial *t, const char *after)
{
	const struct draft_config c = config_of(t);
	CLEANUP(freep) char *have = dump(t->d);
	CLEANUP(freep) char *again = NULL;
	struct draft *d;
	struct err e = {0};

	must(draft_take_up(&c, "my-model-0", &d, &e), &e);
	again = dump(d);
	if (strcmp(have, again) != 0)
		ck_abort_msg("after %s it is\n%sand taken up\n%s", after, have, again);
	draft_unref(d);
}

/* --- random changes ------------------------------------------------------------------------------------ */

/* What was picked, with or without an item. */
struct picked {
	uint32_t index, dir; /* 0: in none */
	enum draft_what what;
	char name[256];
};

/* Something, or the root for want of one that is as WANTED. */
static struct picked pick(struct draft *d, uint64_t *seed, bool folder)
{
	struct draft_walk w = {.below = d->root};
	struct picked found = {.index = d->root->index, .what = DRAFT_DIR};
	struct draft_item *i;
	uint32_t n = 0;

	while ((i = draft_walk(d, &w)))
		if ((i->what == DRAFT_DIR) == folder && random_below(seed, ++n) == 0) {
			found = (struct picked){i->index, i->parent->index, i->what, ""};
			strcpy(found.name, i->name);
		}
	ck_assert_int_eq(draft_walk_end(&w), 0);
	return found;
}

static void new_name(uint64_t *seed, bool folder, char out[16])
{
	snprintf(out, 16, "n%u%s", (unsigned)random_below(seed, 6), folder ? "" : ".npy");
}

static void write_new(struct draft *d, uint32_t dir, const char *name, uint64_t *seed)
{
	const struct draft_owner owner = {getuid(), getgid(), 0644};
	struct draft_item *i;
	uint64_t bytes = random_next(seed);

	if (draft_create(d, dir, name, &owner, true, &i, NULL) < 0)
		return;
	ck_assert_int_eq(draft_write(d, i, NULL, bytes_of(&bytes, sizeof bytes), 0, NULL), 0);
	pthread_mutex_lock(&d->lock);
	draft_item_unref(d, i); /* draft_create's */
	pthread_mutex_unlock(&d->lock);
	draft_close(d, i, true);
}

static void write_over(struct draft *d, const struct picked *p, bool truncate, uint64_t *seed)
{
	uint64_t bytes = random_next(seed);
	struct draft_item *i;

	if (p->what == DRAFT_TEXT && !truncate)
		return;
	if (draft_open(d, p->index, true, truncate, &i, NULL) < 0)
		return;
	ck_assert_int_eq(draft_write(d, i, NULL, bytes_of(&bytes, sizeof bytes), 0, NULL), 0);
	draft_close(d, i, true);
}

static void change(struct draft *d, uint64_t *seed, char what[200])
{
	struct picked dir = pick(d, seed, true), file = pick(d, seed, false);
	struct picked other = pick(d, seed, random_below(seed, 2));
	struct draft_item *made;
	char name[16], to[64];
	unsigned kind = (unsigned)random_below(seed, 8);
	int r = 0;

	new_name(seed, kind == 1 || kind == 5, name);
	snprintf(to, sizeof to, "%.63s", other.name);
	snprintf(what, 200, "change %u of %.40s, %.40s, %.40s, %s", kind, dir.name, file.name,
		 other.name, name);
	if (kind == 0)
		write_new(d, dir.index, name, seed);
	else if (kind == 1 && (r = draft_mkdir(d, dir.index, name, &made, NULL)) == 0)
		draft_item_unref(d, made);
	else if (kind == 2 && file.dir)
		r = draft_unlink(d, file.dir, file.name, NULL);
	else if (kind == 3 && dir.dir)
		r = draft_rmdir(d, dir.dir, dir.name, NULL);
	else if (kind == 4 && file.dir) /* a file, to a new name or over another */
		r = draft_rename(d, file.dir, file.name, dir.index,
				 random_below(seed, 2) || other.what == DRAFT_DIR ? name : to, 0,
				 NULL);
	else if (kind == 5 && other.dir && other.what == DRAFT_DIR)
		r = draft_rename(d, other.dir, to, dir.index, name, 0, NULL);
	else if (kind == 6 && file.dir)
		write_over(d, &file, random_below(seed, 2), seed);
	else if (kind == 7 && file.dir && other.dir)
		r = draft_rename(d, file.dir, file.name, other.dir, to, RENAME_EXCHANGE, NULL);
	(void)r; /* many a change is refused, and then must have changed nothing */
}

START_TEST(whatever_was_changed_is_taken_up)
{
	uint64_t seed = 1 + (uint64_t)_i;
	struct trial t = {0};
	char what[200];

	setup(&t);
	for (int i = 0; i < CHANGES; i++) {
		change(t.d, &seed, what);
		assert_taken_up_is_the_same(&t, what);
	}
	teardown(&t);
}
END_TEST

START_TEST(a_discarded_draft_leaves_nothing)
{
	struct trial t = {0};
	struct err e = {0};
	struct stat st;

	setup(&t);
	must(draft_discard(t.d, &e), &e);
	ck_assert_int_lt(fstatat(t.top, ".ckptfs/drafts", &st, 0), 0);
	teardown(&t);
}
END_TEST

TCase *changes_tests(void)
{
	TCase *t = tcase_create("draft");

	tcase_add_loop_test(t, whatever_was_changed_is_taken_up, 0, ROUNDS);
	tcase_add_test(t, a_discarded_draft_leaves_nothing);
	return t;
}

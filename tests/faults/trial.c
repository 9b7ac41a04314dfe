#include "faults/trial.h"
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "base/dir.h"
#include "base/io.h"
#include "commit/recover.h"
#include "directory/listing.h"
#include "draft/walk.h"
#include "faults/faults.h"
#include "step/tensor.h"
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>

#define FIXTURE ASSETS "/fixtures/net"

char context[256];
static char current[64]; /* directory */

void fail(const char *fmt, ...)
{
	va_list ap;

	fault_disarm();
	fprintf(stderr, "FAIL: %s: ", context);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	if (*current)
		io_remove_all(AT_FDCWD, current, NULL);
	exit(EXIT_FAILURE);
}

void must(int r, const struct err *e)
{
	if (r < 0)
		fail("%d %s", r, e->text);
}

unsigned count_descriptors(void)
{
	CLEANUP(dir_closep) DIR *s = opendir("/proc/self/fd");
	unsigned n = 0;

	while (s && dir_next(s))
		n++;
	return n;
}

/* Of many calls some are left out: what they are in has tests of its own. */
enum { CLOSE = 10 };

#ifdef __SANITIZE_ADDRESS__
enum { EACH = 3 }; /* it is slow */
#else
enum { EACH = 1 };
#endif

void try_each(bool (*try)(const void *s, enum fault f, unsigned long n), const void *s, bool each)
{
	for (enum fault f = 0; f < N_FAULTS; f++) {
		unsigned fds = count_descriptors();
		long live = fault_live();

		for (unsigned long n = 1; try(s, f, n); n += each ? EACH : EACH + n / CLOSE) {
			if (fault_live() != live)
				fail("%ld allocations are left", fault_live() - live);
			if (count_descriptors() != fds)
				fail("%d descriptors are left", (int)(count_descriptors() - fds));
		}
	}
}

bool is_named(int argc, char *argv[], const char *name)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return argc < 2;
}

/* --- the directory ------------------------------------------------------------------------------------- */

static const char *const files[] = {"checkpoint", BASE ".index", BASE ".data-00000-of-00001",
				    BASE ".meta"};

/* In memory, if that can be had: there are thousands of them. */
static void make_directory(struct trial *t)
{
	const char *tmp = getenv("TMPDIR");

	strcpy(t->path, "/dev/shm/ckptfs-faults.XXXXXX");
	if (!mkdtemp(t->path)) {
		snprintf(t->path, sizeof t->path, "%.40s/faults.XXXXXX", tmp ? tmp : "/tmp");
		if (!mkdtemp(t->path))
			fail("%s: %s", t->path, strerror(errno));
	}
	snprintf(current, sizeof current, "%s", t->path);
}

void trial_begin(struct trial *t)
{
	const struct step_place place = {.name = (char *)BASE, .file = (char *)BASE ".index"};
	CLEANUP(closep) int from = open(FIXTURE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err e = {0};

	*t = (struct trial){.own = t->own, .v1 = t->v1, .sharded = t->sharded};
	make_directory(t);
	t->top = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		CLEANUP(closep) int fd = openat(from, files[i], O_RDONLY | O_CLOEXEC);

		must(io_copy(fd, t->top, files[i], &e), &e);
		/* distcheck's assets are read-only. */
		if (fchmodat(t->top, files[i], 0644, 0) < 0)
			fail("%s: %s", files[i], strerror(errno));
	}
	must(step_open(t->top, &place, VERIFY_READ, &t->base, &e), &e);
	must(tree_init(&t->tree, t->base, &e), &e);
}

void trial_end(struct trial *t)
{
	struct err e = {0};

	if (t->open)
		draft_close(t->d, t->open, true);
	draft_unref(t->d);
	rescue_release(&t->rescue);
	tree_release(&t->tree);
	step_unref(t->base);
	close(t->top);
	must(io_remove_all(AT_FDCWD, t->path, &e), &e);
	*current = 0;
}

void check_base(const struct trial *t)
{
	for (size_t i = 1; i < sizeof files / sizeof *files; i++) {
		CLEANUP(buf_release) struct buf want = {0}, have = {0};
		CLEANUP(closep)
		int fd = -1, dir = open(FIXTURE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		CLEANUP(closep) int old = source_open(dir, files[i], &(struct source){0}, NULL);
		struct source a, b;

		fd = source_open(t->top, files[i], &a, NULL);
		if (fd < 0)
			continue;
		must(source_of_fd(old, &b, NULL), &(struct err){0});
		must(source_read(&a, 0, a.size, &have, NULL), &(struct err){0});
		must(source_read(&b, 0, b.size, &want, NULL), &(struct err){0});
		if (!bytes_eq(buf_bytes(&want), buf_bytes(&have)))
			fail("%s was changed", files[i]);
	}
}

struct draft_config trial_config(const struct trial *t)
{
	return (struct draft_config){
		.top = t->top, .name = BASE, .meta = "meta", .first_dynamic = DRAFT_DYNAMIC};
}

int trial_draft(struct trial *t, struct err *e)
{
	const struct draft_config c = trial_config(t);

	return draft_begin(&c, t->base, &t->tree, t->top, &t->d, e);
}

static const struct commit_config commit_config = {
	.state_name = "checkpoint", .write_state = true, .compact = 1};

static int commit_with(struct trial *t, struct commit_config c, struct err *e)
{
	struct commit_done done = {.result = COMMIT_NOTHING};
	int r, swept;

	c.write_v1 = t->v1;
	c.sharded = t->sharded;
	r = commit(t->d, &c, &done, e);
	swept = done.ended ? draft_sweep(t->d, r < 0 ? NULL : e) : 0;
	if (done.ended)
		drafts_tidy(t->top);
	rescue_release(&t->rescue);
	t->rescue = done.rescue;
	buf_release(&done.name);
	return r < 0 ? r : swept;
}

int trial_commit(struct trial *t, struct err *e)
{
	return commit_with(t, commit_config, e);
}

int trial_publish(struct trial *t, struct err *e)
{
	struct commit_config c = commit_config;

	c.goes_on = true;
	return commit_with(t, c, e);
}

static void found(void *arg, struct draft *d)
{
	struct trial *t = arg;

	if (t->d)
		fail("two drafts");
	t->d = d;
}

static void say(void *arg, const char *text)
{
	(void)arg;
	if (!*text)
		fail("says nothing");
}

int trial_recover(struct trial *t, struct err *e)
{
	const struct draft_config c = trial_config(t);
	const struct recovery r = {found, say, t};

	return recover(&c, &commit_config, &r, e);
}

/* --- changes ------------------------------------------------------------------------------------------- */

struct draft_item *item(const struct trial *t, const char *path)
{
	static struct draft_glance glances[2];
	struct draft_item *i = t->d->root;
	char copy[256], *rest = copy;
	unsigned k = 0;

	snprintf(copy, sizeof copy, "%s", path);
	for (char *name; i && (name = strsep(&rest, "/"));)
		i = *name ? draft_find(t->d, i, name, &glances[k++ % 2]) : i;
	if (!i)
		fail("%s is not there", path);
	return i;
}

struct bytes make_npy(unsigned count)
{
	static uint8_t file[128 + LARGE * 4];
	char dict[128];

	snprintf(dict, sizeof dict, "{'descr': '<f4', 'fortran_order': False, 'shape': (%u,), }",
		 count);
	memcpy(file, "\x93NUMPY\1\0\x76\0", 10);
	snprintf((char *)file + 10, sizeof file - 10, "%-117s\n", dict);
	memset(file + 128, 1, count * (size_t)4);
	return bytes_of(file, 128 + count * (size_t)4);
}

int write_item(struct trial *t, struct draft_item *i, struct bytes b, uint64_t off, bool truncate,
	       struct err *e)
{
	int r = draft_open(t->d, i->index, true, truncate, &i, e);

	if (r < 0)
		return r;
	r = draft_write(t->d, i, NULL, b, off, e);
	if (r == 0)
		r = draft_check(t->d, i, false, e);
	draft_close(t->d, i, true);
	return r;
}

int create_file(struct trial *t, const char *dir, const char *name, struct bytes b, struct err *e)
{
	const struct draft_owner owner = {getuid(), getgid(), 0644};
	struct draft_item *i;
	int r = draft_create(t->d, item(t, dir)->index, name, &owner, false, &i, e);

	if (r < 0)
		return r;
	r = write_item(t, i, b, 0, false, e);
	pthread_mutex_lock(&t->d->lock);
	draft_item_unref(t->d, i);
	pthread_mutex_unlock(&t->d->lock);
	return r;
}

/* --- what there is ------------------------------------------------------------------------------------- */

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char *sorted(struct buf *text)
{
	struct buf lines = {0}, out = {0};
	char *rest, *line;

	if (buf_add_byte(text, 0) < 0)
		abort();
	for (rest = (char *)text->p; (line = strsep(&rest, "\n")) && *line;)
		if (buf_add(&lines, &line, sizeof line) < 0)
			abort();
	if (lines.n)
		qsort(lines.p, lines.n / sizeof line, sizeof line, compare_lines);
	for (size_t i = 0; i < lines.n / sizeof line; i++)
		buf_printf(&out, "%s\n", ((char **)lines.p)[i]);
	buf_add_byte(&out, 0);
	buf_release(&lines);
	buf_release(text);
	return (char *)out.p;
}

static void add_staged(struct draft *d, struct draft_item *i, struct buf *out)
{
	CLEANUP(buf_release) struct buf bytes = {0};
	struct source src;
	struct err e = {0};

	must(draft_item_open(d, i, &e), &e);
	must(source_of_fd(i->staged->fd, &src, &e), &e);
	must(source_read(&src, 0, src.size, &bytes, &e), &e);
	buf_printf(out, " file %08x %o\n", crc32c(bytes.p, bytes.n), i->staged->mode);
	if (!i->opens)
		closep(&i->staged->fd);
}

char *dump_draft(struct draft *d)
{
	struct draft_walk w = {.below = d ? d->root : NULL};
	struct buf text = {0};
	struct draft_item *i;

	while (d && (i = draft_walk(d, &w))) {
		CLEANUP(buf_release) struct buf path = {0};

		must(draft_path(i, &path), &(struct err){0});
		buf_add(&text, path.p, path.n);
		if (i->what == DRAFT_DIR) {
			buf_printf(&text, " folder\n");
		} else if (i->what == DRAFT_TEXT) {
			buf_printf(&text, " text %u of %u\n", i->number, i->pin);
		} else if (i->what == DRAFT_VAR) {
			struct bytes key = var_key(d->pins[i->pin].step, draft_var(d, i));

			buf_printf(&text, " variable %.*s\n", (int)key.n, (const char *)key.p);
		} else {
			add_staged(d, i, &text);
		}
	}
	must(draft_walk_end(&w), &(struct err){0});
	return sorted(&text);
}

char *dump_disk(const struct trial *t)
{
	const struct draft_config c = trial_config(t);
	struct draft *d = NULL;
	struct err e = {0};
	struct stat st;
	char *text;

	if (fstatat(t->top, ".ckptfs/drafts/" BASE, &st, 0) == 0)
		must(draft_take_up(&c, BASE, &d, &e), &e);
	text = dump_draft(d);
	draft_unref(d);
	return text;
}

static void add_var(struct step *s, const struct var *v, int top, struct buf *out)
{
	struct bytes key = var_key(s, v);
	struct tensor_shape shape;
	struct tensor *tensor;
	struct err e = {0};
	uint8_t *bytes;

	must(tensor_shape(s, v, top, &shape, &e), &e);
	must(tensor_open(s, v, top, &tensor, &e), &e);
	bytes = malloc(shape.size + 1);
	must(tensor_read(tensor, 0, shape.size, bytes, &e), &e);
	buf_printf(out, "%s %.*s %08x\n", s->place.name, (int)key.n, (const char *)key.p,
		   crc32c(bytes, shape.size));
	free(bytes);
	tensor_close(tensor);
}

static void add_step(const struct trial *t, const struct step_place *p, struct buf *out)
{
	struct err e = {0};
	struct step *s;

	must(step_open(t->top, p, VERIFY_READ, &s, &e), &e);
	buf_printf(out, "%s of %u shards\n", p->name, s->num_shards);
	for (uint32_t i = 0; i < s->n_vars; i++)
		if (s->vars[i].kind != VAR_PART)
			add_var(s, &s->vars[i], t->top, out);
	step_unref(s);
}

/* Each file is a step's, or `checkpoint`. */
static void check_strays(const struct trial *t, const struct listing *l)
{
	CLEANUP(dir_closep) DIR *s = dir_open(t->top, ".");
	const struct dirent *de;

	while ((de = dir_next(s))) {
		bool known = !strcmp(de->d_name, "checkpoint") || !strcmp(de->d_name, ".ckptfs");

		for (uint32_t i = 0; i < l->n && !known; i++) {
			size_t n = l->items[i].kind == LISTED_STEP ? strlen(l->items[i].place.name)
								   : 0;

			known = n && !strncmp(de->d_name, l->items[i].place.name, n) &&
				(de->d_name[n] == '.' || !de->d_name[n]);
		}
		if (!known)
			fail("%s is left in the directory", de->d_name);
	}
}

char *dump_steps(const struct trial *t)
{
	CLEANUP(listing_release) struct listing l = {0};
	struct buf text = {0};
	struct err e = {0};

	must(listing_read(t->top, "checkpoint", &l, &e), &e);
	for (uint32_t i = 0; i < l.n; i++)
		if (l.items[i].kind == LISTED_STEP)
			add_step(t, &l.items[i].place, &text);
	check_strays(t, &l);
	return sorted(&text);
}

#include "edit/change.h"
#include "base/cleanup.h"
#include "edit/path.h"
#include "edit/writer.h"
#include "tool/terminal.h"
#include <fcntl.h>
#include <stdio.h>

struct touched_step {
	uint64_t id;
	char *name;
};

int changing_failed(const char *path, int r, struct err *e)
{
	if (r >= 0)
		return r;
	return e->code ? err_wrap(e, r, "%s", path) : err_sys(e, r, "%s", path);
}

/* --- opening ------------------------------------------------------------------------------------------------- */

static void tell(void *arg, const char *text)
{
	struct changing *c = arg;

	if (!c->committing)
		fprintf(stderr, "%s: %s\n", c->program, text);
	else if (puts(text) >= 0)
		c->said = true;
}

static void warn(void *arg, const struct err *e)
{
	const struct changing *c = arg;

	fprintf(stderr, "%s: %s\n", c->program, e->text);
}

static void remind(void *arg, const char *why)
{
	const struct changing *c = arg;

	fprintf(stderr, "%s: %s: so it could not be committed before\n", c->program, why);
}

/* A mount may have the directory DIR below the root, and have no draft there. */
static int lock_below(struct changing *c, const char *dir, struct err *e)
{
	CLEANUP(closep) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct lock lock;
	int r = fd < 0 ? err_sys(e, -errno, "%s", dir)
		       : writer_refused(lock_directory(&lock, fd, e), e);

	if (r == 0 && buf_add(&c->locks, &lock, sizeof lock) < 0) {
		closep(&lock.dir);
		r = err_set(e, -ENOMEM, "no memory");
	}
	return r < 0 ? err_wrap(e, r, "%s", dir) : 0;
}

/* Each of the N directories DIRS once. */
static int lock_all_below(struct changing *c, char *const *dirs, size_t n, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		bool again = !strcmp(dirs[i], c->root);

		for (size_t k = 0; k < i && !again; k++)
			again = !strcmp(dirs[i], dirs[k]);
		r = again ? 0 : lock_below(c, dirs[i], e);
	}
	return r;
}

int changing_open(struct changing *c, const char *program, char *const *paths, size_t n,
		  struct err *e)
{
	CLEANUP(freep) char **dirs = calloc(n + 1, sizeof *dirs);
	const struct writer_says says = {warn, tell, remind, c};
	int fd = -1, r = dirs ? 0 : err_set(e, -ENOMEM, "no memory");

	*c = (struct changing){.program = program, .owner = writer_owner()};
	for (size_t i = 0; i < n && r == 0; i++)
		r = path_directory(paths[i], &dirs[i], e);
	if (r == 0)
		r = path_common(dirs, n, &c->root, e);
	if (r == 0 && (fd = open(c->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		r = err_sys(e, -errno, "%s", c->root);
	if (r == 0) {
		writer_hold_signals();
		c->opened = true;
		r = changing_failed(c->root, writer_open(&c->view, fd, program, &says, e), e);
	}
	if (r == 0)
		r = lock_all_below(c, dirs, n, e);
	for (size_t i = 0; i < n && dirs; i++)
		free(dirs[i]);
	return r;
}

/* --- drafts -------------------------------------------------------------------------------------------------- */

static struct touched_step *touched_steps(const struct changing *c, size_t *n)
{
	*n = c->touched.n / sizeof(struct touched_step);
	return (struct touched_step *)c->touched.p;
}

void changing_print_line(struct bytes line)
{
	static const struct {
		const char *start;
		enum colour colour;
	} sorts[] = {{"new: ", COLOUR_ADDED},       {"copied: ", COLOUR_ADDED},
		     {"removed: ", COLOUR_REMOVED}, {"written: ", COLOUR_CHANGED},
		     {"moved: ", COLOUR_CHANGED},   {"error: ", COLOUR_BAD},
		     {"step: ", COLOUR_FOLDER}};
	enum colour colour = COLOUR_NONE;

	for (size_t i = 0; i < sizeof sorts / sizeof *sorts && colours_wanted(stdout); i++)
		if (bytes_starts(line, bytes_str(sorts[i].start)))
			colour = sorts[i].colour;
	colour_begin(colour, stdout);
	terminal_put(line, "", stdout);
	colour_end(colour, stdout);
	putchar('\n');
}

int changing_count(struct changing *c, uint64_t id, uint64_t *out, struct err *e)
{
	CLEANUP(buf_release) struct buf text = {0};
	int r = view_getxattr(&c->view, id, "user.ckptfs.draft", NULL, &text, e);

	*out = 0;
	if (r == 0 && buf_add_byte(&text, 0) < 0)
		r = err_set(e, -ENOMEM, "no memory");
	if (r == 0)
		*out = strtoull((char *)text.p, NULL, 10);
	return r == -ENODATA ? 0 : r;
}

int changing_touch_new(struct changing *c, uint64_t id, const char *name, struct err *e)
{
	struct touched_step t = {id, strdup(name)};

	if (t.name && buf_add(&c->touched, &t, sizeof t) == 0)
		return 0;
	free(t.name);
	return err_set(e, -ENOMEM, "no memory");
}

int changing_check(struct changing *c, uint64_t id, const char *name, struct err *e)
{
	uint64_t count;
	int r = changing_failed(name, changing_count(c, id, &count, e), e);
	if (r == 0 && count)
		r = err_set(e, -EBUSY,
			    "%s: a mount or a crash has left %llu change%s that %s not committed: "
			    "'ckptfs commit' or 'ckptfs discard' ends that",
			    name, (unsigned long long)count, count == 1 ? "" : "s",
			    count == 1 ? "is" : "are");
	return r;
}

int changing_touch(struct changing *c, uint64_t id, const char *name, struct err *e)
{
	size_t n;
	const struct touched_step *all = touched_steps(c, &n);
	int r = writer_interrupted(e);

	if (r < 0)
		return r;
	if (c->only && id != c->only)
		return err_set(e, -EINVAL, "%s: is another step, only one is edited at a time",
			       name);
	for (size_t i = 0; i < n; i++)
		if (all[i].id == id)
			return 0;
	r = changing_check(c, id, name, e);
	return r < 0 ? r : changing_touch_new(c, id, name, e);
}

static void discard_all(struct changing *c)
{
	size_t n;
	struct touched_step *all = touched_steps(c, &n);

	for (size_t i = 0; i < n; i++) {
		struct err e = {0};
		int r = view_setxattr(&c->view, all[i].id, "user.ckptfs.draft",
				      bytes_str("discard"), &c->changes, &e);

		if (changing_failed(all[i].name, r, &e) < 0 && r != -ESTALE)
			warn(c, &e);
		free(all[i].name);
	}
	c->touched.n = 0;
}

int changing_commit_step(struct changing *c, uint64_t id, const char *name, struct err *e)
{
	int r;

	c->committing = true;
	c->said = false;
	r = view_sync(&c->view, id, NULL, &c->changes, e); /* E names the step */
	c->committing = false;
	if (r < 0 && !e->code)
		err_sys(e, r, "%s", name);
	if (r == 0 && !c->said)
		printf("%s: nothing differs, so no step was made\n", name);
	return r;
}

int changing_commit(struct changing *c, struct err *e)
{
	size_t n;
	struct touched_step *all = touched_steps(c, &n);
	int r = writer_interrupted(e);

	for (size_t i = 0; i < n && r == 0; i++)
		r = changing_commit_step(c, all[i].id, all[i].name, e);
	discard_all(c); /* what could not be committed, or had no changes */
	if (fflush(stdout) != 0 && r == 0)
		r = err_sys(e, -errno, "stdout");
	return r;
}

int changing_status(struct changing *c, uint64_t id, struct buf *out, struct err *e)
{
	enum { PIECE = 4096 };
	struct view_entry entry;
	struct view_file *f;
	bool stable;
	int64_t n = 1;
	int r = view_lookup(&c->view, id, ".ckptfs", &entry, e);

	if (r == 0)
		r = view_lookup(&c->view, entry.id, "status", &entry, e);
	if (r == 0)
		r = view_open(&c->view, entry.id, &f, &stable, e);
	if (r < 0)
		return r;
	for (uint64_t at = 0; n > 0 && r == 0; at += (uint64_t)n) {
		r = buf_reserve(out, PIECE) < 0 ? err_set(e, -ENOMEM, "no memory") : 0;
		n = r < 0 ? 0 : view_read(f, at, PIECE, out->p + out->n, e);
		out->n += n > 0 ? (size_t)n : 0;
	}
	view_close(f);
	return n < 0 ? (int)n : r;
}

void changing_close(struct changing *c)
{
	discard_all(c);
	if (c->opened)
		view_release(&c->view);
	for (size_t i = 0; i < c->locks.n / sizeof(struct lock); i++)
		closep(&((struct lock *)c->locks.p)[i].dir);
	buf_release(&c->locks);
	buf_release(&c->touched);
	buf_release(&c->changes);
	freep(&c->root);
}

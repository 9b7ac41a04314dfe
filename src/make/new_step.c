#include "make/new_step.h"
#include "base/cleanup.h"
#include "edit/writer.h"
#include "format/npy.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/* The file that keeps the draft from being committed. No scope has a name with this ending (step/name.h). */
#define GUARD "not-whole.tsv"

/* Not each error of the view has a sentence. */
static int say(int r, const char *what, struct err *e)
{
	return r < 0 && e && !*e->text ? err_sys(e, r, "%s", what) : r;
}

/* --- the view ----------------------------------------------------------------------------------------------------- */

static void warn(void *arg, const struct err *e)
{
	(void)arg;
	fprintf(stderr, "ckptfs: %s\n", e->text);
}

static void remind(void *arg, const char *line)
{
	(void)arg;
	fprintf(stderr, "ckptfs: %s\n", line);
}

static int open_view(struct new_step *n, int dirfd, struct err *e)
{
	const struct writer_says says = {.warn = warn, .remind = remind};
	int r;

	n->open = true;
	r = writer_open(&n->view, dirfd, "ckptfs", &says, e);
	if (r == 0)
		view_look(&n->view);
	return r;
}

static struct draft_owner file_maker(const struct new_step *n)
{
	return (struct draft_owner){n->owner.uid, n->owner.gid, n->owner.mode & 0666};
}

static int make_guard(struct new_step *n, struct err *e)
{
	const struct draft_owner owner = file_maker(n);
	struct view_entry entry;
	struct view_file *f;
	int r = view_create(&n->view, n->id, GUARD, &owner, &entry, &f, e);

	if (r < 0)
		return r;
	r = view_write(f, bytes_str("Who made this step was killed. It is not whole.\n"), 0, e);
	view_close(f);
	view_forget(&n->view, entry.id, 1);
	return r;
}

int new_step_begin(struct new_step *n, int dirfd, const char *name, struct err *e)
{
	const struct draft_owner owner = writer_owner();
	struct view_entry entry;
	int r;

	writer_hold_signals();
	r = open_view(n, dirfd, e);
	n->name = strdup(name);
	n->owner = owner;
	if (r == 0 && !n->name)
		r = err_set(e, -ENOMEM, "no memory");
	if (r == 0)
		r = view_mkdir(&n->view, NODE_ROOT_ID, name, &owner, &entry, e);
	if (r == -EEXIST)
		return err_set(e, r, "%s: is there already", name);
	if (r < 0)
		return say(r, name, e);
	n->id = entry.id;
	return say(make_guard(n, e), name, e);
}

/* Opens DIR, which is made if it is not there. */
static int make_directory(struct new_step *n, const char *dir, struct err *e)
{
	int fd;

	if (mkdir(dir, 0777) == 0) {
		n->made = strdup(dir);
		if (!n->made) {
			rmdir(dir);
			return err_set(e, -ENOMEM, "no memory");
		}
	} else if (errno != EEXIST) {
		return err_sys(e, -errno, "%s", dir);
	}
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, -errno, "%s", dir) : fd;
}

int new_step_begin_at(struct new_step *n, const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	CLEANUP(freep)
	char *dir = slash == path ? strdup("/")
		    : slash       ? strndup(path, (size_t)(slash - path))
				  : strdup(".");
	const char *name = slash ? slash + 1 : path;
	int fd;

	if (!dir)
		return err_set(e, -ENOMEM, "no memory");
	if (!*name)
		return err_set(e, -EINVAL, "%s: expected DIRECTORY/STEP", path);
	writer_hold_signals();
	fd = make_directory(n, dir, e);
	return fd < 0 ? fd : new_step_begin(n, fd, name, e);
}

static void leave_scope(struct new_step *n)
{
	if (n->scope_id)
		view_forget(&n->view, n->scope_id, 1);
	n->scope_id = 0;
	n->scope.n = 0;
}

static void discard(struct new_step *n)
{
	CLEANUP(buf_release) struct buf changes = {0};
	struct err why = {0};
	int r = view_setxattr(&n->view, n->id, "user.ckptfs.draft", bytes_str("discard"), &changes,
			      &why);

	if (r < 0)
		fprintf(stderr, "ckptfs: %s: its draft can't be discarded: %s\n", n->name,
			*why.text ? why.text : strerror(-r));
	view_forget(&n->view, n->id, 1);
	n->id = 0;
}

void new_step_release(struct new_step *n)
{
	if (n->open)
		leave_scope(n);
	if (n->id)
		discard(n);
	if (n->open)
		view_release(&n->view);
	if (n->made && !n->committed)
		rmdir(n->made);
	buf_release(&n->scope);
	freep(&n->name);
	freep(&n->made);
	n->open = false;
}

/* --- names -------------------------------------------------------------------------------------------------------- */

/* The folder NAME in PARENT, which is made if it is not there; with a reference. */
static int enter(struct new_step *n, uint64_t parent, const char *name, uint64_t *out,
		 struct err *e)
{
	struct view_entry entry;
	int r = view_lookup(&n->view, parent, name, &entry, NULL);

	if (r == -ENOENT)
		r = view_mkdir(&n->view, parent, name, &n->owner, &entry, e);
	if (r == 0)
		*out = entry.id;
	return say(r, name, e);
}

/* n->scope_id becomes the folder PATH, which is empty or ends in '/'. */
static int go_to_scope(struct new_step *n, struct bytes path, struct err *e)
{
	CLEANUP(freep) char *copy = strndup((const char *)path.p, path.n);
	char *at = copy, *name;
	int r = 0;

	if (n->scope_id && bytes_eq(buf_bytes(&n->scope), path))
		return 0;
	leave_scope(n);
	if (!copy || buf_add(&n->scope, path.p, path.n) < 0)
		return err_set(e, -ENOMEM, "no memory");
	view_remember(&n->view, n->id);
	n->scope_id = n->id;
	while (r == 0 && (name = strsep(&at, "/")) && *name) {
		uint64_t inner = 0;

		r = enter(n, n->scope_id, name, &inner, e);
		if (r == 0) {
			view_forget(&n->view, n->scope_id, 1);
			n->scope_id = inner;
		}
	}
	if (r < 0)
		leave_scope(n);
	return r;
}

/* Makes the file whose path is PATH with ENDING behind it. */
static int create(struct new_step *n, struct bytes path, const char *ending, struct view_file **out,
		  struct err *e)
{
	const uint8_t *slash = memrchr(path.p, '/', path.n);
	size_t scope = slash ? (size_t)(slash - path.p) + 1 : 0;
	const struct draft_owner owner = file_maker(n);
	CLEANUP(buf_release) struct buf name = {0};
	struct view_entry entry;
	int r = go_to_scope(n, bytes_of(path.p, scope), e);

	if (r < 0)
		return r;
	if (buf_add(&name, path.p + scope, path.n - scope) < 0 || buf_add_str(&name, ending) < 0 ||
	    buf_add_byte(&name, 0) < 0)
		return err_set(e, -ENOMEM, "no memory");
	r = view_create(&n->view, n->scope_id, (char *)name.p, &owner, &entry, out, e);
	if (r == 0)
		view_forget(&n->view, entry.id, 1);
	return say(r, (char *)name.p, e);
}

/* Is a part of STEM one that programs leave behind, and no variable of a new step has (base/scratch.h)? */
static bool is_hidden(struct bytes stem)
{
	static const char *const keywords[] = {"/.ATTRIBUTES/", "/.OPTIMIZER_SLOT/"};

	for (size_t i = 0; i < stem.n; i++) {
		struct bytes rest = bytes_of(stem.p + i, stem.n - i);

		if (stem.p[i] == '.' && i == 0)
			return true;
		if (stem.p[i] == '/' && rest.n > 1 && rest.p[1] == '.' &&
		    !bytes_starts(rest, bytes_str(keywords[0])) &&
		    !bytes_starts(rest, bytes_str(keywords[1])))
			return true;
	}
	return false;
}

/* --- arrays ------------------------------------------------------------------------------------------------------- */

int new_array_begin(struct new_step *n, struct bytes stem, int dtype, unsigned rank,
		    const int64_t *dims, struct new_array *out, struct err *e)
{
	CLEANUP(buf_release) struct buf descr = {0}, header = {0};
	int r = npy_descr(&descr, dtype, false);

	if (is_hidden(stem))
		return err_set(
			e, -EINVAL,
			"no new variable can have a name with a part that begins with a dot");
	if (r == 0)
		r = npy_header(&header, buf_bytes(&descr), rank, dims);
	if (r < 0)
		return err_set(e, r, "no .npy header can be made");
	*out = (struct new_array){.in = n};
	r = create(n, stem, VAR_ENDING, &out->file, e);
	if (r < 0)
		return r;
	n->variables++;
	r = new_array_put(out, buf_bytes(&header), e);
	return r < 0 ? new_array_end(out, r, e) : 0;
}

int new_array_put(struct new_array *a, struct bytes b, struct err *e)
{
	int r = writer_interrupted(e);

	if (r == 0)
		r = say(view_write(a->file, b, a->at, e), "write", e);
	a->at += b.n;
	return r;
}

int new_array_end(struct new_array *a, int r, struct err *e)
{
	return say(writer_close(TAKE(a->file, NULL), r, e), "close", e);
}

/* --- copies ------------------------------------------------------------------------------------------------------- */

int new_step_copy(struct new_step *n, const struct place *from, struct err *e)
{
	const struct tree *t = &from->loaded->tree;
	bool is_var = from->kind == PLACE_VAR;
	const struct tree_file *f = is_var ? &t->files[from->at] : NULL;
	uint32_t index = is_var ? tree_file_index(from->at) : tree_text_index(t, from->at);
	struct view_file *in, *out;
	bool stable;
	int r = view_open(from->view, (from->id & ~(uint64_t)UINT32_MAX) | index, &in, &stable, e);

	if (r < 0)
		return say(r, "open", e);
	r = create(n, is_var ? bytes_of(f->stem, f->n) : bytes_str(text_name(from->at)),
		   is_var ? VAR_ENDING : "", &out, e);
	if (r == 0)
		r = say(writer_close(out, writer_copy(in, out, e), e), "copy", e);
	if (r == 0 && (is_var || from->at == TEXT_META_GRAPH))
		n->variables++;
	view_close(in);
	return r;
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

/* All that was put into it will be in the step. */
static int check_count(struct new_step *n, struct err *e)
{
	CLEANUP(buf_release) struct buf text = {0};
	int r = view_getxattr(&n->view, n->id, "user.ckptfs.draft", NULL, &text, e);

	if (r == 0 && buf_add_byte(&text, 0) < 0)
		r = err_set(e, -ENOMEM, "no memory");
	if (r < 0 || strtoul((char *)text.p, NULL, 10) == n->variables)
		return r;
	return err_set(
		e, -EINVAL,
		"only %s of %u variables can be in it; others have names that no new one has",
		(char *)text.p, n->variables);
}

int new_step_commit(struct new_step *n, struct err *e)
{
	CLEANUP(buf_release) struct buf changes = {0};
	int r = writer_interrupted(e);

	leave_scope(n);
	if (r == 0)
		r = view_unlink(&n->view, n->id, GUARD, e);
	if (r == 0)
		r = check_count(n, e);
	if (r == 0)
		r = view_sync(&n->view, n->id, NULL, &changes, e);
	if (r < 0)
		return say(r, n->name, e);
	view_forget(&n->view, n->id, 1);
	n->id = 0;
	n->committed = true;
	return 0;
}

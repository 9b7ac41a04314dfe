#include "make/new_step.h"
#include "base/cleanup.h"
#include "edit/writer.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

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

/* What is found there is told, what is made is what was asked for. */
static void tell(void *arg, const char *line)
{
	const struct new_step *n = arg;

	if (!n->id)
		fprintf(stderr, "ckptfs: %s\n", line);
}

static int open_view(struct new_step *n, int dirfd, struct err *e)
{
	const struct writer_says says = {warn, tell, remind, n};
	int r;

	n->open = true;
	r = writer_open(&n->view, dirfd, "ckptfs", &says, e);
	if (r == 0)
		view_look(&n->view);
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
	if (r == 0 && !n->name)
		r = err_set(e, -ENOMEM, "no memory");
	if (r == 0)
		r = view_mkdir(&n->view, NODE_ROOT_ID, name, &owner, &entry, e);
	if (r == -EEXIST)
		return err_set(e, r, "%s: is there already", name);
	if (r < 0)
		return put_say(r, name, e);
	n->id = entry.id;
	n->put = (struct put){.view = &n->view, .dir = entry.id, .owner = owner};
	return 0;
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
		put_release(&n->put);
	if (n->id)
		discard(n);
	if (n->open)
		view_release(&n->view);
	if (n->made && !n->committed)
		rmdir(n->made);
	freep(&n->name);
	freep(&n->made);
	n->open = false;
}

/* --- copies ------------------------------------------------------------------------------------------------------- */

int new_step_copy(struct new_step *n, const struct place *from, struct err *e)
{
	const struct tree *t = &from->loaded->tree;
	bool is_var = from->kind == PLACE_VAR;
	const struct tree_file *f = is_var ? &t->files[from->at] : NULL;
	uint32_t index = is_var ? tree_file_index(from->at) : tree_text_index(t, from->at);
	struct put_file out;
	struct view_file *in;
	bool stable;
	int r = view_open(from->view, (from->id & ~(uint64_t)UINT32_MAX) | index, &in, &stable, e);

	if (r < 0)
		return put_say(r, "open", e);
	r = put_begin(&n->put, is_var ? bytes_of(f->stem, f->n) : bytes_str(text_name(from->at)),
		      is_var ? VAR_ENDING : "", &out, e);
	if (r == 0)
		r = put_end(&out, writer_copy(in, out.file, e), e);
	if (r == 0 && (is_var || from->at == TEXT_META_GRAPH))
		n->put.count++;
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
	if (r < 0 || strtoul((char *)text.p, NULL, 10) == n->put.count)
		return r;
	return err_set(
		e, -EINVAL,
		"only %s of %u variables can be in it; others have names that no new one has",
		(char *)text.p, n->put.count);
}

int new_step_commit(struct new_step *n, struct err *e)
{
	CLEANUP(buf_release) struct buf changes = {0};
	int r = writer_interrupted(e);

	put_release(&n->put);
	if (r == 0)
		r = check_count(n, e);
	if (r == 0)
		r = view_sync(&n->view, n->id, NULL, &changes, e);
	if (r < 0)
		return put_say(r, n->name, e);
	view_forget(&n->view, n->id, 1);
	n->id = 0;
	n->committed = true;
	return 0;
}

#include "edit/put.h"
#include "base/cleanup.h"
#include "edit/writer.h"
#include "format/npy.h"
#include "step/text_kind.h"
#include <sys/stat.h>

int put_say(int r, const char *what, struct err *e)
{
	return r < 0 && e && !*e->text ? err_sys(e, r, "%s", what) : r;
}

static struct draft_owner file_maker(const struct put *p)
{
	return (struct draft_owner){p->owner.uid, p->owner.gid, p->owner.mode & 0666};
}

/* --- scopes ------------------------------------------------------------------------------------------------------- */

void put_release(struct put *p)
{
	if (p->scope_id)
		view_forget(p->view, p->scope_id, 1);
	p->scope_id = 0;
	buf_release(&p->scope);
}

/* The folder NAME in PARENT, which is made if it is not there; with a reference. */
static int enter(struct put *p, uint64_t parent, const char *name, uint64_t *out, struct err *e)
{
	struct view_entry entry;
	int r = view_lookup(p->view, parent, name, &entry, NULL);

	if (r == -ENOENT)
		r = view_mkdir(p->view, parent, name, &p->owner, &entry, e);
	if (r == 0)
		*out = entry.id;
	return put_say(r, name, e);
}

/* p->scope_id becomes the folder PATH, which is empty or ends in '/'. */
static int go_to_scope(struct put *p, struct bytes path, struct err *e)
{
	CLEANUP(freep) char *copy = strndup((const char *)path.p, path.n);
	char *at = copy, *name;
	int r = 0;

	if (p->scope_id && bytes_eq(buf_bytes(&p->scope), path))
		return 0;
	put_release(p);
	if (!copy || buf_add(&p->scope, path.p, path.n) < 0)
		return err_set(e, -ENOMEM, "no memory");
	view_remember(p->view, p->dir);
	p->scope_id = p->dir;
	while (r == 0 && (name = strsep(&at, "/")) && *name) {
		uint64_t inner = 0;

		r = enter(p, p->scope_id, name, &inner, e);
		if (r == 0) {
			view_forget(p->view, p->scope_id, 1);
			p->scope_id = inner;
		}
	}
	if (r < 0)
		put_release(p);
	return r;
}

/* --- files -------------------------------------------------------------------------------------------------------- */

/* The file NAME in p->scope_id, empty. */
static int open_file(struct put *p, const char *name, struct view_file **out, struct err *e)
{
	const struct draft_owner owner = file_maker(p);
	struct view_entry entry;
	int r = p->over ? view_lookup(p->view, p->scope_id, name, &entry, NULL) : -ENOENT;

	if (r == -ENOENT)
		r = view_create(p->view, p->scope_id, name, &owner, &entry, out, e);
	else if (r == 0 && S_ISDIR(entry.st.st_mode))
		r = err_set(e, -EISDIR, "a scope has the name %s", name);
	else if (r == 0)
		r = view_open_to_write(p->view, entry.id, true, out, e);
	if (r == 0)
		view_forget(p->view, entry.id, 1);
	return put_say(r, name, e);
}

int put_begin(struct put *p, struct bytes path, const char *ending, struct put_file *out,
	      struct err *e)
{
	const uint8_t *slash = memrchr(path.p, '/', path.n);
	size_t scope = slash ? (size_t)(slash - path.p) + 1 : 0;
	CLEANUP(buf_release) struct buf name = {0};
	int r = go_to_scope(p, bytes_of(path.p, scope), e);

	*out = (struct put_file){0};
	if (r < 0)
		return r;
	if (buf_add(&name, path.p + scope, path.n - scope) < 0 || buf_add_str(&name, ending) < 0 ||
	    buf_add_byte(&name, 0) < 0)
		return err_set(e, -ENOMEM, "no memory");
	return open_file(p, (char *)name.p, &out->file, e);
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

int put_begin_var(struct put *p, struct bytes stem, struct put_file *out, struct err *e)
{
	int r;

	if (is_hidden(stem))
		return err_set(
			e, -EINVAL,
			"no new variable can have a name with a part that begins with a dot");
	r = put_begin(p, stem, VAR_ENDING, out, e);
	p->count += r == 0;
	return r;
}

int put_begin_array(struct put *p, struct bytes stem, int dtype, unsigned rank, const int64_t *dims,
		    struct put_file *out, struct err *e)
{
	CLEANUP(buf_release) struct buf descr = {0}, header = {0};
	int r = npy_descr(&descr, dtype, false);

	if (r == 0)
		r = npy_header(&header, buf_bytes(&descr), rank, dims);
	if (r < 0)
		return err_set(e, r, "no .npy header can be made");
	r = put_begin_var(p, stem, out, e);
	if (r < 0)
		return r;
	r = put_bytes(out, buf_bytes(&header), e);
	return r < 0 ? put_end(out, r, e) : 0;
}

int put_bytes(struct put_file *f, struct bytes b, struct err *e)
{
	int r = writer_interrupted(e);

	if (r == 0)
		r = put_say(view_write(f->file, b, f->at, e), "write", e);
	f->at += b.n;
	return r;
}

int put_end(struct put_file *f, int r, struct err *e)
{
	return put_say(writer_close(TAKE(f->file, NULL), r, e), "close", e);
}

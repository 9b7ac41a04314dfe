/* src/view/xattr.c: the extended attributes user.ckptfs.*. Of a variable:
 *
 *   key, dtype, shape, crc32c, shard   what the index says of it (step/var_field.h)
 *   collections                        those of the meta graph that hold it, with commas between
 *   full_name                          what the object graph calls it
 * and, worked out when asked for and not listed:
 *   stats                              count, mean, std, min, max, norm, zeros, nans, infs
 *   error                              why it can't be read
 *
 * Of a step error, and of a step or folder draft: how many variables differ in its drafts. Of the mount commits: which steps
 * were made, and what to know of them. */
#include "base/cleanup.h"
#include "format/dtype.h"
#include "step/name.h"
#include "step/stats.h"
#include "step/var_field.h"
#include "view/drafts.h"
#include "view/drafts_end.h"
#include "view/folder.h"
#include "view/in_step.h"
#include "view/status.h"
#include "view/steps.h"
#include <fcntl.h>
#include <inttypes.h>

#define PREFIX "user.ckptfs."

/* The names of what a written variable has, as listxattr(2) gives them. */
#define LISTED PREFIX "key\0" PREFIX "dtype\0" PREFIX "shape\0"

/* Listed besides the fields of the index. */
static const char *const others[] = {"collections", "full_name"};

enum { N_OTHERS = sizeof others / sizeof *others };

/* --- of a variable ------------------------------------------------------------------------------------------ */

static int print_stats(const struct stats *n, struct buf *out)
{
	return buf_printf(
		out,
		"count=%" PRIu64 " mean=%.9g std=%.9g min=%.9g max=%.9g norm=%.9g zeros=%" PRIu64
		" nans=%" PRIu64 " infs=%" PRIu64,
		n->count, n->mean, n->std, n->min, n->max, n->norm, n->zeros, n->nans, n->infs);
}

static int put_stats(struct step *s, const struct var *v, int dirfd, const struct stop *stop,
		     struct buf *out, struct err *e)
{
	struct stats n;
	int r = stats_of(s, v, dirfd, stop, &n, e);

	return r < 0 ? r : print_stats(&n, out);
}

/* What open(2) would fail with, for what is in the index or what reading has shown. */
static int put_error(struct step *s, const struct var *v, int dirfd, struct buf *out)
{
	struct err why = {0};
	struct tensor *t;

	if (tensor_open(s, v, dirfd, &t, &why) < 0)
		return buf_add_str(out, why.text);
	tensor_close(t);
	return -ENODATA;
}

/* Appends the value of NAME, less PREFIX. -ENODATA if V has none; or of reading. DIRFD: the step's. */
static int get_of_var(struct step *s, const struct var *v, struct texts *texts, int dirfd,
		      struct bytes name, const struct stop *stop, struct buf *out, struct err *e)
{
	enum var_field field = var_field_of(name);

	if (field < N_VAR_FIELDS)
		return var_field_put(s, v, field, out);
	if (bytes_eq(name, bytes_str("collections")))
		return text_collections(texts, s, dirfd, var_key(s, v), out, e);
	if (bytes_eq(name, bytes_str("full_name")))
		return text_full_name(texts, s, dirfd, var_key(s, v), out, e);
	if (bytes_eq(name, bytes_str("stats")))
		return put_stats(s, v, dirfd, stop, out, e);
	if (bytes_eq(name, bytes_str("error")))
		return put_error(s, v, dirfd, out);
	return -ENODATA;
}

/* Appends the names of those that V has and that are listed, each with its NUL. */
static int list_of_var(struct step *s, const struct var *v, struct texts *texts, int dirfd,
		       struct buf *out)
{
	CLEANUP(buf_release) struct buf value = {0};
	int r = 0;

	for (unsigned i = 0; i < N_VAR_FIELDS + N_OTHERS && r == 0; i++) {
		const char *name = i < N_VAR_FIELDS ? var_field_name(i) : others[i - N_VAR_FIELDS];

		if (get_of_var(s, v, texts, dirfd, bytes_str(name), NULL, &value, NULL) == 0)
			r = buf_printf(out, PREFIX "%s%c", name, 0);
	}
	return r;
}

/* --- in a draft ------------------------------------------------------------------------------------------- */

/* Whether the file was cut since it was opened as SRC. */
static bool was_cut(const struct source *src)
{
	struct source now;

	return source_of_fd(src->fd, &now, NULL) == 0 && now.size < src->size;
}

/* A file that is not whole has no stats. */
static int put_stats_of_file(const struct source *src, const struct npy *npy,
			     const struct stop *stop, struct buf *out, struct err *e)
{
	struct stats n;
	int r;

	if (npy->stored != npy->size)
		return -ENODATA;
	r = stats_of_file(src, npy, stop, &n, e);
	if (r < 0)
		return was_cut(src) ? -ENODATA : r;
	return print_stats(&n, out);
}

/* Appends key, dtype, shape or stats of a variable that was written and is not committed yet: the .npy file
 * SRC. -ENODATA. */
static int get_of_file(const struct source *src, struct bytes key, struct bytes name,
		       const struct stop *stop, struct buf *out, struct err *e)
{
	CLEANUP(freep) struct npy *npy = malloc(sizeof *npy);
	int r = 0;

	if (!npy)
		return err_set(e, -ENOMEM, "no memory");
	if (bytes_eq(name, bytes_str("key")))
		return buf_add(out, key.p, key.n);
	if (npy_parse(src, 0, npy, NULL) < 0)
		return -ENODATA;
	if (bytes_eq(name, bytes_str("dtype")))
		return buf_add_str(out, dtype_info(npy->dtype)->name);
	if (bytes_eq(name, bytes_str("stats")))
		return put_stats_of_file(src, npy, stop, out, e);
	if (!bytes_eq(name, bytes_str("shape")))
		return -ENODATA;
	for (unsigned k = 0; k < npy->rank && r == 0; k++)
		r = buf_printf(out, "%s%" PRId64, k ? "," : "", npy->dims[k]);
	return r;
}

static int of_written(struct draft *d, uint32_t index, struct bytes name, const struct stop *stop,
		      struct buf *out, struct err *e)
{
	CLEANUP(draft_written_release) struct draft_written w;
	struct source src;
	int r = draft_open_written(d, index, &w, e);

	if (r < 0)
		return r;
	if (name.p && bytes_eq(name, bytes_str("error")))
		return w.refusal.code ? buf_add_str(out, w.refusal.text) : -ENODATA;
	if (w.fd < 0)
		return -ENODATA;
	if (!name.p)
		return buf_add(out, LISTED, sizeof LISTED - 1);
	r = source_of_fd(w.fd, &src, e);
	return r < 0 ? r : get_of_file(&src, buf_bytes(&w.key), name, stop, out, e);
}

static int of_var(const struct view *v, struct draft *d, const struct draft_seen *s,
		  struct bytes name, const struct stop *stop, struct buf *out, struct err *e)
{
	const struct var *var = &s->step->vars[s->number];
	CLEANUP(in_draft_close_step) struct in_draft_step of;
	int r = in_draft_open_step(v, d, s, &of, e);

	if (r < 0)
		return r;
	return name.p ? get_of_var(s->step, var, of.texts, of.dir, name, stop, out, e)
		      : list_of_var(s->step, var, of.texts, of.dir, out);
}

/* The value of NAME, or with NAME.p NULL the names. */
static int xattr_in_draft(const struct view *v, struct draft *d, uint32_t index, struct bytes name,
			  const struct stop *stop, struct buf *out, struct err *e)
{
	CLEANUP(draft_seen_release) struct draft_seen s;
	int r = draft_see(d, index, NULL, &s, e);

	if (r == 0 && s.what == DRAFT_STAGED)
		return of_written(d, index, name, stop, out, e);
	if (r == 0 && s.what == DRAFT_VAR)
		return of_var(v, d, &s, name, stop, out, e);
	return r == 0 || r == -ESTALE ? -ENODATA : r;
}

/* --- in a saved step --------------------------------------------------------------------------------------- */

/* A step that can't be parsed, or lacks a shard, has the one attribute `error`. */
static int error_of_step(struct view *v, struct node *n, struct bytes name, struct buf *out)
{
	int r = bytes_eq(name, bytes_str("error")) ? status_of_saved(v, n, out) : -ENODATA;

	return r == 0 && !out->n ? -ENODATA : r;
}

static int xattr_in_base(struct view *v, struct node *n, uint32_t index, struct bytes name,
			 const struct stop *stop, struct buf *out, struct err *e)
{
	CLEANUP(closep) int fd = folder_open_parent(v, n, e);
	struct loaded *l;
	int r = fd < 0 ? fd : steps_get(v, n, &l, e);

	if (r < 0)
		return r;
	if (!in_step_is_file(l, index))
		r = -ENODATA;
	else if (name.p)
		r = get_of_var(l->step, in_step_var(l, index), &l->texts, fd, name, stop, out, e);
	else
		r = list_of_var(l->step, in_step_var(l, index), &l->texts, fd, out);
	loaded_unref(l);
	return r;
}

static int xattr_in_step(struct view *v, struct node *n, uint32_t index, struct bytes name,
			 const struct stop *stop, struct buf *out, struct err *e)
{
	struct asking a = {0};
	int r = 0;

	while (view_draft_ask(&a, v, n, r)) {
		out->n = 0;
		r = a.draft ? xattr_in_draft(v, a.draft, index, name, stop, out, e)
			    : xattr_in_base(v, n, index, name, stop, out, e);
	}
	return r;
}

/* --- of a step or folder ------------------------------------------------------------------------------------ */

/* Each of LINES, behind "PATH: ". */
static int add_lines(const struct buf *path, const struct buf *lines, struct buf *out)
{
	struct bytes line, rest = buf_bytes(lines);
	int r = 0;

	while (r == 0 && bytes_next_line(&rest, &line))
		r = buf_printf(out, "%s%.*s: %.*s", out->n ? "\n" : "", (int)path->n,
			       (char *)path->p, (int)line.n, (char *)line.p);
	return r;
}

/* Why the draft of N, which is in FOLDER or below it, can't be committed. */
static int add_why(struct view *v, struct node *n, const struct node *folder, struct buf *out)
{
	struct draft *d = view_draft_of(v, n);
	CLEANUP(buf_release) struct buf why = {0}, path = {0};
	int r = d ? draft_why(d, &why) : 0;

	if (r == 0)
		r = folder_add_path(n, folder, &path);
	if (r == 0)
		r = add_lines(&path, &why, out);
	draft_unref(d);
	return r;
}

static int xattr_of_drafts(struct view *v, struct node *n, struct bytes name, struct buf *out)
{
	CLEANUP(buf_release) struct buf nodes = {0};
	bool error = bytes_eq(name, bytes_str("error"));
	struct draft *d = view_draft_of(v, n);
	uint32_t count = d ? draft_count(d) : 0;
	int r = 0;

	if (!error && !bytes_eq(name, bytes_str("draft"))) {
		draft_unref(d);
		return -ENODATA;
	}
	if (n->kind == NODE_FOLDER)
		r = view_list_drafted(v, n, &nodes);
	for (size_t i = 0; i < nodes.n / sizeof(struct node *); i++) {
		struct node *step = ((struct node **)nodes.p)[i];
		struct draft *own = view_draft_of(v, step);

		count += own && !error ? draft_count(own) : 0;
		if (r == 0 && error)
			r = add_why(v, step, n, out);
		draft_unref(own);
		view_forget(v, node_id(step, NODE_ROOT_ID), 1);
	}
	if (r == 0 && d && error)
		r = draft_why(d, out);
	draft_unref(d);
	if (r == 0 && !error)
		r = buf_printf(out, "%u", count);
	return r == 0 && !out->n ? -ENODATA : r;
}

/* -ENODATA: none was made. */
static int xattr_of_mount(struct view *v, struct buf *out)
{
	HOLD(&v->lock);
	return v->commits.n ? buf_add(out, v->commits.p, v->commits.n) : -ENODATA;
}

/* --- all ---------------------------------------------------------------------------------------------------- */

int view_getxattr(struct view *v, uint64_t id, const char *name, const struct stop *stop,
		  struct buf *out, struct err *e)
{
	struct bytes full = bytes_str(name), ours = bytes_str(PREFIX), rest;
	struct node *n;
	int r;

	/* `ls -l` asks every file for security and ACL attributes, which needs no look-up. */
	if (!bytes_starts(full, ours))
		return -ENODATA;
	rest = bytes_of(full.p + ours.n, full.n - ours.n);
	n = view_node(v, id);
	if (!n || (n->kind != NODE_STEP && n->kind != NODE_FOLDER) || status_is(node_number(id)))
		return -ENODATA;
	if (node_number(id) != NODE_ROOT_ID)
		return xattr_in_step(v, n, node_index(n, id), rest, stop, out, e);
	if (!n->parent && bytes_eq(rest, bytes_str("commits")))
		return xattr_of_mount(v, out);
	r = xattr_of_drafts(v, n, rest, out);
	return r == -ENODATA && n->kind == NODE_STEP ? error_of_step(v, n, rest, out) : r;
}

int view_listxattr(struct view *v, uint64_t id, struct buf *out, struct err *e)
{
	struct node *n = view_node(v, id);
	int r;

	if (!n || n->kind != NODE_STEP || node_number(id) == NODE_ROOT_ID ||
	    status_is(node_number(id)))
		return 0;
	r = xattr_in_step(v, n, node_index(n, id), bytes_of(NULL, 0), NULL, out, e);
	return r == -ENODATA ? 0 : r;
}

/* Is NAME a listed one? cp -a and rsync -X try to set those. */
static bool is_derived(const char *name)
{
	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
		return false;
	name += strlen(PREFIX);
	for (size_t i = 0; i < N_OTHERS; i++)
		if (!strcmp(name, others[i]))
			return true;
	return var_field_of(bytes_str(name)) < N_VAR_FIELDS;
}

int view_setxattr(struct view *v, uint64_t id, const char *name, struct bytes value,
		  struct buf *changes, struct err *e)
{
	struct node *n = view_node(v, id);
	struct draft *d;
	int r;

	if (!n)
		return -ESTALE;
	if (!v->writable)
		return -EROFS;
	if (strcmp(name, PREFIX "draft") != 0 || n->kind != NODE_STEP ||
	    node_number(id) != NODE_ROOT_ID)
		return is_derived(name) ? 0 : -EOPNOTSUPP;
	if (bytes_eq(value, bytes_str("commit")))
		return view_sync(v, id, NULL, changes, e);
	if (!bytes_eq(value, bytes_str("discard")))
		return err_set(e, -EINVAL, "%s: expected commit or discard", name);
	d = view_draft_of(v, n);
	r = d ? view_draft_discard(v, n, d, changes, e) : 0;
	if (d && draft_has_ended(d) && n->unborn) {
		steps_detach(v, n);
		if (r == 0)
			r = view_add_change(changes, node_id(n->parent, NODE_ROOT_ID),
					    n->place->name);
	}
	draft_unref(d);
	return r;
}

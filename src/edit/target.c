#include "edit/target.h"
#include "base/cleanup.h"
#include "base/glob.h"
#include "edit/path.h"
#include "edit/writer.h"
#include "step/name.h"
#include "step/text_kind.h"
#include "tool/match.h"
#include <stdio.h>

void target_release(struct target *t)
{
	freep(&t->name);
	freep(&t->as);
	freep(&t->step_name);
	freep(&t->where);
	freep(&t->path);
}

static int no_memory(struct err *e)
{
	return err_set(e, -ENOMEM, "no memory");
}

static bool set(char **to, const char *text)
{
	char *copy = strdup(text);

	free(*to);
	*to = copy;
	return copy;
}

static bool is_in_step(const struct target *t)
{
	return t->kind == TARGET_STEP || t->kind == TARGET_SCOPE;
}

/* T gets the name NAME, in what it was before. */
static int set_name(struct target *t, const char *name, struct err *e)
{
	char *where = NULL;

	if (!set(&t->name, name) || asprintf(&where, "%s/%s", t->where, name) < 0)
		return no_memory(e);
	free(t->where);
	t->where = where;
	return 0;
}

bool target_is_in(const struct target *t, const struct target *in)
{
	size_t n = strlen(in->where);

	return !strncmp(t->where, in->where, n) && (!t->where[n] || t->where[n] == '/');
}

/* --- one name -------------------------------------------------------------------------------------------------- */

/* What the folder ID, which is in a folder of steps, is. */
static enum target_kind kind_of_folder(struct changing *c, uint64_t id)
{
	CLEANUP(closep) int fd = view_open_folder(&c->view, id, NULL);

	return fd < 0 ? TARGET_STEP : TARGET_FOLDER;
}

/* T becomes the ENTRY that is NAME in it. */
static int become(struct changing *c, struct target *t, const struct view_entry *entry,
		  const char *name, struct err *e)
{
	bool in_step = is_in_step(t);

	t->dir = t->id;
	t->id = entry->id;
	if (S_ISLNK(entry->st.st_mode))
		t->kind = TARGET_LINK;
	else if (!S_ISDIR(entry->st.st_mode))
		t->kind = in_step ? TARGET_FILE : TARGET_STATE;
	else
		t->kind = in_step ? TARGET_SCOPE : kind_of_folder(c, entry->id);
	if (t->kind == TARGET_STEP)
		t->step = t->id;
	if (t->kind == TARGET_STEP && !set(&t->step_name, name))
		return no_memory(e);
	return set_name(t, name, e);
}

/* Nothing has the name in T: it becomes NONE. */
static int become_none(struct target *t, const char *name, struct err *e)
{
	t->dir = t->id;
	t->id = 0;
	t->kind = TARGET_NONE;
	return set_name(t, name, e);
}

/* The variable of the name NAME without .npy. */
static int look_up_var(struct changing *c, const struct target *t, const char *name,
		       struct view_entry *out, char **full, struct err *e)
{
	int r;

	if (asprintf(full, "%s%s", name, VAR_ENDING) < 0)
		return no_memory(e);
	r = view_lookup(&c->view, t->id, *full, out, e);
	return r == 0 && S_ISDIR(out->st.st_mode) ? -ENOENT : r;
}

static int make_scope(struct changing *c, const struct target *t, const char *name,
		      struct view_entry *out, struct err *e)
{
	int r = changing_touch(c, t->step, t->step_name, e);

	return r < 0 ? r : view_mkdir(&c->view, t->id, name, &c->owner, out, e);
}

/* The last name of a path. */
static int go_last(struct changing *c, struct target *t, const char *name, unsigned wish,
		   struct err *e)
{
	CLEANUP(freep) char *full = NULL;
	struct view_entry entry, var;
	int r = view_lookup(&c->view, t->id, name, &entry, e), as_var = -ENOENT;
	bool scope = r == 0 && S_ISDIR(entry.st.st_mode);

	if (!set(&t->as, name))
		return no_memory(e);
	if (r < 0 && r != -ENOENT && r != -ENAMETOOLONG)
		return r;
	if (is_in_step(t) && !t->slash && (r < 0 || (scope && !(wish & TARGET_SCOPE_FIRST))))
		as_var = look_up_var(c, t, name, &var, &full, e);
	if (as_var == 0)
		return become(c, t, &var, full, e);
	if (as_var != -ENOENT)
		return as_var;
	*e = (struct err){0};
	if (r == -ENOENT && t->slash && wish & TARGET_MAKE_LAST && is_in_step(t))
		r = make_scope(c, t, name, &entry, e);
	if (r < 0 && e->code)
		return r;
	return r < 0 ? become_none(t, name, e) : become(c, t, &entry, name, e);
}

/* A name with others behind it. */
static int go_through(struct changing *c, struct target *t, const char *name, unsigned wish,
		      struct err *e)
{
	struct view_entry entry;
	int r = view_lookup(&c->view, t->id, name, &entry, e);

	if (r == -ENOENT && wish & TARGET_MAKE && is_in_step(t))
		r = make_scope(c, t, name, &entry, e);
	if (r == 0)
		r = become(c, t, &entry, name, e);
	return r == 0 && t->kind == TARGET_LINK ? target_follow(c, t, e) : r;
}

int target_follow(struct changing *c, struct target *t, struct err *e)
{
	CLEANUP(buf_release) struct buf name = {0};
	struct view_entry entry;
	int r = view_readlink(&c->view, t->id, &name, e);

	if (r == 0 && buf_add_byte(&name, 0) < 0)
		return no_memory(e);
	if (r == 0)
		r = view_lookup(&c->view, t->dir, (char *)name.p, &entry, e);
	if (r < 0)
		return r;
	t->id = t->dir;
	t->kind = TARGET_FOLDER;
	*strrchr(t->where, '/') = 0;
	return become(c, t, &entry, (char *)name.p, e);
}

/* --- paths ----------------------------------------------------------------------------------------------------- */

/* What the directory DIR has behind the root, as the view shows it. The caller frees it. */
static int shown_below(const struct changing *c, const char *dir, char **out, struct err *e)
{
	const char *below = path_below(c->root, dir);
	CLEANUP(freep) char *copy = below ? strdup(below) : NULL;
	CLEANUP(buf_release) struct buf shown = {0};
	char *at = copy, *name;
	int r = 0;

	if (!below)
		return err_set(e, -EXDEV, "is not in %s, which is being changed", c->root);
	while (r == 0 && at && *at && (name = strsep(&at, "/"))) {
		r = name_from_entry(bytes_str(name), false, &shown);
		if (r == 0 && at)
			r = buf_add_byte(&shown, '/');
	}
	if (!copy || r < 0 || buf_add_byte(&shown, 0) < 0)
		return no_memory(e);
	*out = (char *)TAKE(shown.p, NULL);
	return 0;
}

/* From the folder T on, along PATH. */
static int walk(struct changing *c, char *path, unsigned wish, struct target *t, struct err *e)
{
	char *at = path, *name;
	int r = 0;

	while (r == 0 && *at && (name = strsep(&at, "/"))) {
		if (t->kind != TARGET_FOLDER && !is_in_step(t))
			return -ENOTDIR;
		r = at && *at ? go_through(c, t, name, wish, e) : go_last(c, t, name, wish, e);
		if (!at)
			break;
	}
	return r == 0 && t->kind == TARGET_LINK && t->slash ? target_follow(c, t, e) : r;
}

static int begin(struct target *t, const char *path, struct err *e)
{
	*t = (struct target){.kind = TARGET_FOLDER, .id = NODE_ROOT_ID, .dir = NODE_ROOT_ID};
	return set(&t->path, path) && set(&t->name, "") && set(&t->as, "") && set(&t->where, "")
		       ? 0
		       : no_memory(e);
}

/* SPLIT's directory, and then its rest, or REST in the place of that. */
static int find_split(struct changing *c, const struct split_path *split, const char *rest,
		      unsigned wish, struct target *out, struct err *e)
{
	CLEANUP(freep) char *below = NULL, *copy = strdup(rest);
	int r = copy ? shown_below(c, split->dir, &below, e) : no_memory(e);

	out->slash = split->slash;
	if (r == 0)
		r = walk(c, below, TARGET_SCOPE_FIRST, out, e);
	if (r == 0 && out->kind == TARGET_NONE)
		r = -ENOENT;
	return r < 0 ? r : walk(c, copy, wish, out, e);
}

static int say(const char *path, int r, struct err *e)
{
	if (r == -ENOENT && !e->code)
		return err_set(e, r, "%s: there is no such step, variable or scope", path);
	if (r == -ENOTDIR && !e->code)
		return err_set(e, r, "%s: a part of it is a variable or a text, and no scope",
			       path);
	return changing_failed(path, r, e);
}

int target_find(struct changing *c, const char *path, unsigned wish, struct target *out,
		struct err *e)
{
	CLEANUP(split_path_release) struct split_path split = {0};
	int r = begin(out, path, e);

	if (r == 0)
		r = path_split(path, &split, e);
	if (r == 0)
		r = say(path, find_split(c, &split, split.rest, wish, out, e), e);
	if (r < 0)
		target_release(out);
	return r;
}

/* --- many ---------------------------------------------------------------------------------------------------- */

void targets_release(struct targets *ts)
{
	for (size_t i = 0; i < ts->n; i++)
		target_release(&ts->all[i]);
	buf_release(&ts->array);
}

/* Takes T. */
static int append(struct targets *ts, struct target *t, struct err *e)
{
	for (size_t i = 0; i < ts->earlier; i++) /* one path names nothing twice */
		if (ts->all[i].id == t->id) {
			target_release(t);
			return 0;
		}
	if (buf_add(&ts->array, t, sizeof *t) < 0) {
		target_release(t);
		return no_memory(e);
	}
	ts->all = (struct target *)ts->array.p;
	ts->n++;
	return 0;
}

/* CHILD is NAME in T. */
static int child_of(struct changing *c, const struct target *t, const char *name,
		    struct target *child, struct err *e)
{
	struct view_entry entry;
	char *path = NULL;
	int r;

	if (asprintf(&path, "%s%s%s", t->path, t->slash || !*t->path ? "" : "/", name) < 0)
		return no_memory(e);
	*child = (struct target){.kind = t->kind, .id = t->id, .step = t->step, .path = path};
	r = view_lookup(&c->view, t->id, name, &entry, e);
	if (r == 0 && (!set(&child->where, t->where) ||
		       (t->step_name && !set(&child->step_name, t->step_name))))
		r = no_memory(e);
	if (r == 0)
		r = set(&child->as, name) ? become(c, child, &entry, name, e) : no_memory(e);
	if (r < 0)
		target_release(child);
	return r;
}

int target_each(struct changing *c, const struct target *t, target_visit *visit, void *arg,
		struct err *e)
{
	struct view_dir *d;
	struct view_dirent entry = {0};
	bool stable;
	int r = view_opendir(&c->view, t->id, &d, &stable, e);

	if (r < 0)
		return changing_failed(t->path, r, e);
	while (r == 0 && (r = view_readdir(d, entry.next, &entry, e)) == 1) {
		struct target child;

		r = writer_interrupted(e);
		if (r < 0 || !strcmp(entry.name, ".") || !strcmp(entry.name, ".."))
			continue;
		r = child_of(c, t, entry.name, &child, e);
		if (r == 0) {
			r = visit(arg, &child, e);
			target_release(&child);
		}
	}
	view_closedir(d);
	return r;
}

struct globbing {
	struct changing *c;
	struct targets *found;
	char *first, *rest; /* as lists of globs: of the step; of what is in it, or NULL */
	size_t from; /* a path has so many bytes before what REST is of */
};

static int add_match(struct globbing *g, struct target *t, struct err *e)
{
	struct target taken = *t;

	*t = (struct target){0};
	return append(g->found, &taken, e);
}

static int match_in_step(void *arg, struct target *t, struct err *e)
{
	struct globbing *g = arg;
	struct bytes path = bytes_str(t->path + g->from), ending = bytes_str(VAR_ENDING);

	if (t->kind == TARGET_SCOPE)
		return target_each(g->c, t, match_in_step, g, e);
	if (!bytes_ends(path, ending) ||
	    !(globs_match(g->rest, path) ||
	      globs_match(g->rest, bytes_of(path.p, path.n - ending.n))))
		return 0;
	return add_match(g, t, e);
}

static int match_step(void *arg, struct target *t, struct err *e)
{
	struct globbing *g = arg;

	if (t->kind != TARGET_STEP || !globs_match(g->first, bytes_str(t->name)))
		return 0;
	if (!g->rest)
		return add_match(g, t, e);
	g->from = strlen(t->path) + 1;
	return target_each(g->c, t, match_in_step, g, e);
}

/* IN is where the first glob is; GLOB is from there on. */
static int match_all(struct globbing *g, const struct target *in, const char *glob, struct err *e)
{
	const char *slash = strchr(glob, '/');
	CLEANUP(freep) char *name = strndup(glob, slash ? (size_t)(slash - glob) : strlen(glob));

	if (!name)
		return no_memory(e);
	if (is_in_step(in)) {
		g->rest = match_list(glob);
		g->from = strlen(in->path) + !in->slash;
		return g->rest ? target_each(g->c, in, match_in_step, g, e) : no_memory(e);
	}
	g->first = match_list(name);
	g->rest = slash ? match_list(slash + 1) : NULL;
	return g->first && (g->rest || !slash) ? target_each(g->c, in, match_step, g, e)
					       : no_memory(e);
}

/* SPLIT's rest has globs. */
static int find_matches(struct changing *c, const struct split_path *split, struct targets *ts,
			struct err *e)
{
	struct globbing g = {.c = c, .found = ts};
	size_t n = strcspn(split->rest, "*?["), before = ts->n;
	CLEANUP(target_release) struct target in = {0};
	CLEANUP(freep) char *path = NULL, *start = NULL;
	int r;

	while (n && split->rest[n - 1] != '/')
		n--;
	start = strndup(split->rest, n);
	if (!start || asprintf(&path, "%s/%s", split->dir, start) < 0)
		return no_memory(e);
	r = begin(&in, path, e);
	if (r == 0)
		r = find_split(c, split, start, TARGET_SCOPE_FIRST, &in, e);
	if (r == 0 && in.kind == TARGET_LINK)
		r = target_follow(c, &in, e);
	in.slash = true;
	if (r == 0 && (is_in_step(&in) || in.kind == TARGET_FOLDER))
		r = match_all(&g, &in, split->rest + n, e);
	free(g.first);
	free(g.rest);
	return r == 0 && ts->n == before ? -ENOENT : r;
}

int targets_find(struct changing *c, const char *path, struct targets *ts, struct err *e)
{
	CLEANUP(split_path_release) struct split_path split = {0};
	struct target t;
	int r = target_find(c, path, TARGET_VAR, &t, e);

	ts->earlier = ts->n;
	if (r == 0 && t.kind != TARGET_NONE)
		return append(ts, &t, e);
	if (r == 0) {
		target_release(&t);
		r = -ENOENT;
	}
	if (r != -ENOENT)
		return r;
	*e = (struct err){0};
	if (strpbrk(path, "*?[")) {
		r = path_split(path, &split, e);
		if (r == 0)
			r = find_matches(c, &split, ts, e);
	}
	if (r == -ENOENT && strpbrk(path, "*?["))
		return err_set(e, r, "%s: no step or variable matches", path);
	return say(path, r, e);
}

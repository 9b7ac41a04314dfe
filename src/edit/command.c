#include "edit/command.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "edit/copy.h"
#include "edit/path.h"
#include "step/name.h"
#include "step/text_kind.h"
#include <stdio.h>

void command_release(struct command *k)
{
	targets_release(&k->whole);
}

static bool is_whole(const struct target *t)
{
	return t->kind == TARGET_STEP || t->kind == TARGET_LINK || t->kind == TARGET_FOLDER ||
	       t->kind == TARGET_STATE;
}

/* Is T a folder? What is put there keeps its name. */
static bool holds_others(const struct target *t)
{
	return t->kind == TARGET_STEP || t->kind == TARGET_SCOPE || t->kind == TARGET_FOLDER;
}

/* -EINVAL: an edit changes what is in one step. */
static int refuse_in_edit(const struct changing *c, const struct target *t, struct err *e)
{
	return c->only ? err_set(e, -EINVAL, "%s: is not in the step that is edited", t->path) : 0;
}

/* Before something is done to T, or in its step. */
static int touch(struct changing *c, const struct target *t, struct err *e)
{
	if (!t->step)
		return 0;
	return is_whole(t) ? changing_check(c, t->step, t->step_name, e)
			   : changing_touch(c, t->step, t->step_name, e);
}

/* --- rm ------------------------------------------------------------------------------------------------------ */

static int remove_child(void *arg, struct target *t, struct err *e);

/* All that is in the step or scope T. */
static int remove_below(struct changing *c, const struct target *t, struct err *e)
{
	return target_each(c, t, remove_child, c, e);
}

static int remove_child(void *arg, struct target *t, struct err *e)
{
	struct changing *c = arg;
	int r;

	if (t->kind == TARGET_FILE)
		return changing_failed(t->path, view_unlink(&c->view, t->dir, t->name, e), e);
	r = remove_below(c, t, e);
	return r < 0 ? r
		     : changing_failed(t->path,
				       view_rmdir(&c->view, t->dir, t->name, &c->changes, e), e);
}

static int check_removable(struct changing *c, const struct command *k, const struct target *t,
			   struct err *e)
{
	bool folder = t->kind == TARGET_SCOPE || t->kind == TARGET_STEP;

	if (folder && !k->recursive)
		return err_set(e, -EISDIR, "%s: is a %s, -r removes it", t->path,
			       t->kind == TARGET_STEP ? "step" : "scope");
	if (!t->name[0])
		return err_set(e, -EINVAL, "%s: is the directory itself, it is not removed",
			       t->path);
	if (is_whole(t) && refuse_in_edit(c, t, e) < 0)
		return e->code;
	return touch(c, t, e);
}

/* Is the step of T removed as a whole, too? */
static bool goes_anyway(const struct targets *ts, const struct target *t)
{
	for (size_t i = 0; i < ts->n; i++)
		if (ts->all[i].kind == TARGET_STEP && ts->all[i].id == t->step)
			return true;
	return false;
}

static int find_all(struct changing *c, char **paths, size_t n, struct targets *ts, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = targets_find(c, paths[i], ts, e);
	return r;
}

static int run_rm(struct changing *c, struct command *k, struct err *e)
{
	struct targets *ts = &k->whole;
	bool any_step = false;
	int r = find_all(c, k->paths, k->n, ts, e);

	for (size_t i = 0; i < ts->n && r == 0; i++) {
		any_step |= ts->all[i].kind == TARGET_STEP;
		r = check_removable(c, k, &ts->all[i], e);
	}
	for (size_t i = 0; i < ts->n && r == 0; i++)
		if (!is_whole(&ts->all[i]) && !(any_step && goes_anyway(ts, &ts->all[i])))
			r = remove_child(c, &ts->all[i], e);
	return r;
}

/* A step goes with its last variable. */
static int finish_rm(struct changing *c, struct command *k, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < k->whole.n && r == 0; i++) {
		struct target *t = &k->whole.all[i];

		if (t->kind == TARGET_LINK || t->kind == TARGET_STATE)
			r = changing_failed(t->path, view_unlink(&c->view, t->dir, t->name, e), e);
		else if (t->kind == TARGET_FOLDER)
			r = changing_failed(
				t->path, view_rmdir(&c->view, t->dir, t->name, &c->changes, e), e);
		else if (t->kind == TARGET_STEP &&
			 (r = changing_touch(c, t->step, t->name, e)) == 0)
			r = remove_child(c, t, e);
	}
	return r;
}

/* --- mv ------------------------------------------------------------------------------------------------------ */

/* Where T goes, if DST is named for it. The caller frees NAME. */
static int place_of(const struct target *t, const struct target *dst, uint64_t *dir, char **name,
		    struct err *e)
{
	bool into = holds_others(dst);
	size_t n = strlen(dst->as), ending = strlen(VAR_ENDING);
	bool is_var = t->kind == TARGET_FILE &&
		      bytes_ends(bytes_str(t->name), bytes_str(VAR_ENDING)) &&
		      (n < ending || strcmp(dst->as + n - ending, VAR_ENDING) != 0);

	*dir = into ? dst->id : dst->dir;
	if (!into && dst->slash && t->kind == TARGET_FILE)
		return err_set(e, -ENOTDIR, "%s: there is no such scope or step", dst->path);
	if (asprintf(name, "%s%s", into ? t->name : dst->as, !into && is_var ? VAR_ENDING : "") < 0)
		return err_set(e, -ENOMEM, "no memory");
	return 0;
}

static int check_many(size_t n, const struct target *dst, struct err *e)
{
	return n > 1 && !holds_others(dst)
		       ? err_set(e, -ENOTDIR,
				 "%s: is no scope, step or directory, and there are "
				 "several things to put there",
				 dst->path)
		       : 0;
}

static int move_one(struct changing *c, const struct target *t, const struct target *dst,
		    struct err *e)
{
	CLEANUP(freep) char *name = NULL;
	uint64_t dir;
	int r = place_of(t, dst, &dir, &name, e);

	if (r == 0)
		r = changing_failed(
			t->path,
			view_rename(&c->view, t->dir, t->name, dir, name, 0, &c->changes, e), e);
	return r;
}

/* T and DST are in one step; or T is a step or a link, and DST is in no step. */
static int check_movable(struct changing *c, const struct target *t, const struct target *dst,
			 struct err *e)
{
	if (!t->name[0] || t->kind == TARGET_STATE)
		return err_set(e, -EINVAL, "%s: is not moved", t->path);
	if (is_whole(t) && refuse_in_edit(c, t, e) < 0)
		return e->code;
	if (!is_whole(t) && t->step != dst->step)
		return err_set(e, -EXDEV, "%s: is moved in its own step only; cp and rm do it",
			       t->path);
	return touch(c, t, e);
}

/* As finish_mv: those before number N are moved back. */
static void move_back(struct changing *c, const struct targets *ts, const struct target *dst,
		      size_t n)
{
	while (n--) {
		CLEANUP(freep) char *name = NULL;
		uint64_t dir;

		if (place_of(&ts->all[n], dst, &dir, &name, NULL) == 0)
			view_rename(&c->view, dir, name, ts->all[n].dir, ts->all[n].name, 0,
				    &c->changes, NULL);
	}
}

/* Where TS go, and so many others from outside. A variable alone does not go into the scope that has the name of another one, as
 * w/ beside w.npy. */
static int find_destination(struct changing *c, const struct command *k, const struct targets *ts,
			    size_t outside, struct target *dst, struct err *e)
{
	bool one = ts->n + outside == 1;
	bool is_var = one && (outside || ts->all[0].kind == TARGET_FILE);
	unsigned wish = TARGET_MAKE | (is_var ? TARGET_VAR : TARGET_SCOPE_FIRST) |
			(is_var || !one ? TARGET_MAKE_LAST : 0);

	return target_find(c, k->paths[k->n - 1], wish, dst, e);
}

static int run_mv(struct changing *c, struct command *k, struct err *e)
{
	CLEANUP(targets_release) struct targets ts = {0};
	CLEANUP(target_release) struct target dst = {0};
	size_t done = 0;
	int r = find_all(c, k->paths, k->n - 1, &ts, e);

	if (r == 0)
		r = find_destination(c, k, &ts, 0, &dst, e);
	if (r == 0)
		r = check_many(ts.n, &dst, e);
	for (size_t i = 0; i < ts.n && r == 0; i++)
		r = check_movable(c, &ts.all[i], &dst, e);
	for (; done < ts.n && r == 0; done += r == 0)
		r = move_one(c, &ts.all[done], &dst, e);
	if (r < 0 && ts.n && is_whole(&ts.all[0]))
		move_back(c, &ts, &dst, done);
	return r;
}

/* --- cp ------------------------------------------------------------------------------------------------------ */

static int copy_target(struct changing *c, const struct command *k, struct target *t,
		       const struct target *dst, struct err *e)
{
	CLEANUP(freep) char *name = NULL;
	uint64_t dir;
	int r = t->kind == TARGET_LINK ? target_follow(c, t, e) : 0;

	if (r == 0 && t->kind != TARGET_FILE && t->kind != TARGET_SCOPE && t->kind != TARGET_STEP)
		return err_set(e, -EINVAL, "%s: is no step, scope or variable", t->path);
	if (r == 0 && t->kind != TARGET_FILE && !k->recursive)
		return err_set(e, -EISDIR, "%s: is a %s, -r copies it", t->path,
			       t->kind == TARGET_STEP ? "step" : "scope");
	if (r == 0)
		r = place_of(t, dst, &dir, &name, e);
	return r < 0 ? r : copy_in_view(c, t, dst, dir, name, e);
}

/* PATH is a file on disk, or a variable in another directory. */
static int copy_from_outside(struct changing *c, const char *path, bool on_disk,
			     const struct target *dst, struct err *e)
{
	CLEANUP(freep) char *name = NULL, *base = NULL;
	const char *slash = strrchr(path, '/');
	const char *last = slash ? slash + 1 : path;
	bool ends = bytes_ends(bytes_str(last), bytes_str(VAR_ENDING));
	struct target t = {.kind = TARGET_FILE};
	uint64_t dir;
	int r;

	if (copy_is_archive(path))
		return copy_from_archive(c, path, dst, e);
	if (asprintf(&base, "%s%s", last, ends ? "" : VAR_ENDING) < 0)
		return err_set(e, -ENOMEM, "no memory");
	t.name = base;
	r = place_of(&t, dst, &dir, &name, e);
	if (r < 0)
		return r;
	return on_disk ? copy_from_disk(c, path, dst, dir, name, e)
		       : copy_from_other(c, path, dst, dir, name, e);
}

static int copy_all_from_outside(struct changing *c, const struct outside *o,
				 const struct target *dst, struct err *e)
{
	const char *path = (const char *)o->paths.p;
	int r = 0;

	for (size_t i = 0; i < o->n && r == 0; i++, path += strlen(path) + 1)
		r = copy_from_outside(c, path, copy_is_file(path), dst, e);
	return r;
}

static int find_sources(struct changing *c, const struct command *k, struct targets *ts,
			struct outside *o, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i + 1 < k->n && r == 0; i++)
		r = copy_is_outside(c, k->paths[i]) ? copy_find_outside(k->paths[i], o, e)
						    : targets_find(c, k->paths[i], ts, e);
	return r;
}

static int run_cp(struct changing *c, struct command *k, struct err *e)
{
	CLEANUP(target_release) struct target dst = {0};
	CLEANUP(targets_release) struct targets ts = {0};
	struct outside outside = {0};
	int r = find_sources(c, k, &ts, &outside, e);

	if (r == 0)
		r = find_destination(c, k, &ts, outside.n + outside.archives, &dst, e);
	if (r == 0 && dst.kind == TARGET_LINK)
		r = target_follow(c, &dst, e);
	if (r == 0 && outside.archives && dst.kind == TARGET_NONE)
		r = copy_make_folder(c, &dst, e);
	if (r == 0)
		r = check_many(outside.n + outside.archives + ts.n, &dst, e);
	for (size_t i = 0; i < ts.n && r == 0; i++)
		r = copy_target(c, k, &ts.all[i], &dst, e);
	if (r == 0)
		r = copy_all_from_outside(c, &outside, &dst, e);
	buf_release(&outside.paths);
	return r;
}

/* --- ln, mkdir ------------------------------------------------------------------------------------------------- */

/* As ln -f does: under a name of its own first, which then replaces the other. */
static int replace_link(struct changing *c, const struct target *dst, const char *step,
			struct err *e)
{
	static const char beside[] = "Cuckptfs";
	struct view_entry entry;
	int r = view_symlink(&c->view, dst->dir, beside, step, &entry, e);

	if (r == 0)
		r = view_rename(&c->view, dst->dir, beside, dst->dir, dst->name, 0, &c->changes, e);
	return r;
}

static int run_ln(struct changing *c, struct command *k, struct err *e)
{
	CLEANUP(target_release) struct target step = {0}, dst = {0};
	struct view_entry entry;
	int r = target_find(c, k->paths[0], TARGET_VAR, &step, e);

	if (r == 0 && step.kind == TARGET_LINK)
		r = target_follow(c, &step, e);
	if (r == 0)
		r = target_find(c, k->paths[1], TARGET_VAR, &dst, e);
	if (r < 0 || (r = refuse_in_edit(c, &dst, e)) < 0)
		return r;
	if (step.kind != TARGET_STEP || step.dir != dst.dir || dst.step)
		return err_set(e, -EPERM, "%s -> %s: expected a step, and a name in its folder",
			       dst.path, step.path);
	if (dst.kind == TARGET_NONE || !strcmp(dst.name, "latest"))
		r = view_symlink(&c->view, dst.dir, dst.name, step.name, &entry, e);
	else if (dst.kind == TARGET_LINK && k->force)
		r = replace_link(c, &dst, step.name, e);
	else
		return err_set(e, -EEXIST, "%s: is there already%s", dst.path,
			       dst.kind == TARGET_LINK ? ", -f replaces it" : "");
	return changing_failed(dst.path, r, e);
}

/* A directory for steps, as a mount makes it when the first one is moved there. */
static int make_folder(struct changing *c, const struct target *t, struct err *e)
{
	CLEANUP(closep) int fd = view_open_folder(&c->view, t->dir, e);
	CLEANUP(buf_release) struct buf name = {0};
	bool clash;
	int r = fd < 0 ? fd : name_to_entry(bytes_str(t->as), &name, &clash);

	if (r == 0 && buf_add_byte(&name, 0) < 0)
		r = err_set(e, -ENOMEM, "no memory");
	if (r == 0 && (!name.p[0] || name.p[0] == '.'))
		r = err_set(e, -EINVAL, "a directory of this name is not shown");
	if (r == 0)
		r = io_make_folder(fd, (char *)name.p, 0777, e);
	return changing_failed(t->path, r, e);
}

static int run_mkdir(struct changing *c, struct command *k, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < k->n && r == 0; i++) {
		CLEANUP(target_release) struct target t = {0};
		struct view_entry entry;

		r = target_find(c, k->paths[i], TARGET_SCOPE_FIRST, &t, e);
		if (r == 0 && t.kind != TARGET_NONE && t.kind != TARGET_FILE)
			r = err_set(e, -EEXIST, "%s: is there already", t.path);
		else if (r == 0 && !t.step)
			r = refuse_in_edit(c, &t, e) < 0 ? e->code : make_folder(c, &t, e);
		else if (r == 0 && !c->only)
			r = err_set(
				e, -EINVAL,
				"%s: a step has no empty scopes; mv and cp make those that they "
				"need",
				t.path);
		else if (r == 0 && (r = changing_touch(c, t.step, t.step_name, e)) == 0)
			r = changing_failed(
				t.path, view_mkdir(&c->view, t.dir, t.as, &c->owner, &entry, e), e);
	}
	return r;
}

/* --- all ------------------------------------------------------------------------------------------------------- */

static const struct kind {
	const char *name, *switches;
	size_t min, max; /* paths; max 0: any */
	int (*run)(struct changing *c, struct command *k, struct err *e);
	const char *needed;
} kinds[] = {
	{"rm", "rRf", 1, 0, run_rm, "paths to remove"},
	{"mv", "", 2, 0, run_mv, "what to move, and where to"},
	{"cp", "rR", 2, 0, run_cp, "what to copy, and where to"},
	{"ln", "sfn", 2, 2, run_ln, "a step and the name of a link"},
	{"mkdir", "p", 1, 0, run_mkdir, "paths to make"},
};

static const struct kind *kind_of(const char *name)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

/* The letters of one word, as "-rf". */
static int take_switches(struct command *k, const struct kind *kind, const char *letters,
			 struct err *e)
{
	for (; *letters; letters++) {
		if (!strchr(kind->switches, *letters))
			return err_set(e, -EINVAL, "%s: there is no option -%c", k->name, *letters);
		k->recursive |= *letters == 'r' || *letters == 'R';
		k->force |= *letters == 'f';
	}
	return 0;
}

int command_parse(struct command *k, char **words, size_t n, struct err *e)
{
	const struct kind *kind = n ? kind_of(words[0]) : NULL;
	size_t i = 1;
	int r = 0;

	if (!kind)
		return err_set(e, -EINVAL, "%s: expected rm, mv, cp or mkdir", n ? words[0] : "");
	*k = (struct command){.name = kind->name};
	for (; i < n && words[i][0] == '-' && words[i][1] && r == 0; i++) {
		if (!strcmp(words[i], "--")) {
			i++;
			break;
		}
		r = take_switches(k, kind, words[i] + 1, e);
	}
	k->paths = words + i;
	k->n = n - i;
	if (r == 0 && (k->n < kind->min || (kind->max && k->n > kind->max)))
		r = err_set(e, -EINVAL, "%s: expected %s", k->name, kind->needed);
	return r;
}

/* Is the directory of PATH in that of DST, or the other way round? */
static bool is_near(const char *path, const char *dst)
{
	CLEANUP(split_path_release) struct split_path a = {0}, b = {0};

	return path_split(path, &a, NULL) == 0 && path_split(dst, &b, NULL) == 0 &&
	       (path_below(a.dir, b.dir) || path_below(b.dir, a.dir));
}

/* What is only read may be elsewhere. */
int command_open(struct changing *c, const char *program, const struct command *k, struct err *e)
{
	CLEANUP(freep) char **paths = calloc(k->n, sizeof *paths);
	bool is_cp = !strcmp(k->name, "cp");
	size_t n = 0;

	if (!paths)
		return err_set(e, -ENOMEM, "no memory");
	for (size_t i = 0; i < k->n; i++)
		if (!is_cp || i + 1 == k->n ||
		    (!copy_is_file(k->paths[i]) &&
		     (k->recursive || is_near(k->paths[i], k->paths[k->n - 1]))))
			paths[n++] = k->paths[i];
	return changing_open(c, program, paths, n, e);
}

int command_run(struct changing *c, struct command *k, struct err *e)
{
	return kind_of(k->name)->run(c, k, e);
}

int command_finish(struct changing *c, struct command *k, struct err *e)
{
	return !strcmp(k->name, "rm") ? finish_rm(c, k, e) : 0;
}

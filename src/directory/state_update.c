#include "directory/state_update.h"
#include "base/cleanup.h"
#include "directory/latest.h"
#include "directory/state_edit.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>

enum kind { ADD, POINT, DROP, PRESERVE, RENAME };

struct change {
	enum kind kind;
	const struct step_place *step;
	const struct step_place *as; /* RENAME: what it becomes; else the same */
	const char *const *after; /* ADD: one of these steps has to be the latest; or NULL */
	enum state_paths paths; /* ADD */
};

/* One try: a change of the file as it was read once. */
struct update {
	int made_in, dirfd;
	const char *file;
	const struct change *change;
	struct state_text was;
	struct state_edit edit;
	struct bytes folder; /* of a new path; it points into edit.old or `own` */
	char *own; /* the real path of the folder, if that is needed */
	bool listed, is_latest; /* whether edit.old lists the step, or calls it the latest */
	char *latest; /* owns edit.new.latest if that is not listed */
};

static void update_release(struct update *u)
{
	state_edit_release(&u->edit);
	state_text_release(&u->was);
	freep(&u->latest);
	freep(&u->own);
}

/* --- paths ------------------------------------------------------------------------------------------------- */

static struct bytes folder_of(const char *path)
{
	return bytes_of(path, (size_t)((const char *)state_step(path, false).p - path));
}

/* Is FOLDER the one that the state file is in? It may be the mount that this process serves: so nothing is asked
 * that could wait for a daemon or a server, and nothing is mounted. */
static bool is_this_folder(int dirfd, struct bytes folder)
{
	enum { FLAGS = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT };
	char path[PATH_MAX];
	struct statx a, b;

	if (!folder.n)
		return true;
	if (folder.n >= sizeof path)
		return false;
	memcpy(path, folder.p, folder.n);
	path[folder.n] = 0;
	return statx(dirfd, path, FLAGS, STATX_INO, &a) == 0 &&
	       statx(dirfd, "", FLAGS | AT_EMPTY_PATH, STATX_INO, &b) == 0 &&
	       a.stx_ino == b.stx_ino && a.stx_dev_major == b.stx_dev_major &&
	       a.stx_dev_minor == b.stx_dev_minor;
}

static bool is_file(int dirfd, struct bytes name, const char *suffix)
{
	char file[NAME_MAX + 1];
	int n = snprintf(file, sizeof file, "%.*s%s", (int)name.n, (const char *)name.p, suffix);

	return n > 0 && n <= NAME_MAX && faccessat(dirfd, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Does PATH stand for the step? As in latest_resolve, '\' ends a folder only if there is no step with all of that
 * name. */
static bool names(int dirfd, const char *path, const struct step_place *step)
{
	struct bytes name = bytes_str(step->name), last = state_step(path, false);

	return bytes_eq(last, name) ||
	       (bytes_eq(state_step(path, true), name) && !is_file(dirfd, last, ".index") &&
		!is_file(dirfd, last, ""));
}

/* The folder of the paths, if all are absolute and lead to this folder; else it is empty. */
static struct bytes absolute_folder(const struct update *u)
{
	struct bytes folder = {0};

	if (!u->edit.old.latest)
		return folder;
	for (size_t i = 0; i <= u->edit.old.n_paths; i++) {
		const char *path =
			i < u->edit.old.n_paths ? u->edit.old.paths[i] : u->edit.old.latest;

		folder = folder_of(path);
		if (*path != '/' || !is_this_folder(u->dirfd, folder))
			return (struct bytes){0};
	}
	return folder;
}

/* The path that takes the place of PATH, which stands for the step. If its folder leads here it is kept as it is
 * written; by another, or by one of Windows, TensorFlow would not find the step. */
static char *respell(const struct update *u, const char *path)
{
	struct bytes folder = folder_of(path);
	bool kept = u->change->paths == STATE_PATHS_KEPT &&
		    bytes_eq(state_step(path, false), bytes_str(u->change->step->name)) &&
		    is_this_folder(u->dirfd, folder);

	return state_path(kept ? folder : u->folder, u->change->as);
}

/* PATH, which stands for another step, as u->change->paths wants it. */
static char *carried(const struct update *u, const char *path)
{
	struct bytes folder = folder_of(path);
	char *new = NULL;

	if (u->change->paths == STATE_PATHS_KEPT || !is_this_folder(u->dirfd, folder))
		return strdup(path);
	return asprintf(&new, "%.*s%s", (int)u->folder.n, (const char *)u->folder.p,
			path + folder.n) < 0
		       ? NULL
		       : new;
}

/* The folder of all paths that are written, as u->change->paths wants it. */
static int choose_folder(struct update *u, struct err *e)
{
	char link[32], path[PATH_MAX];
	ssize_t n;

	if (u->change->paths == STATE_PATHS_RELATIVE)
		return 0;
	u->folder = absolute_folder(u);
	if (u->change->paths == STATE_PATHS_KEPT || u->folder.n)
		return 0;
	snprintf(link, sizeof link, "/proc/self/fd/%d", u->dirfd);
	n = readlink(link, path, sizeof path - 1);
	if (n < 1 || *path != '/')
		return err_set(e, -ENOENT, "%s: the path of its folder is not known", u->file);
	path[n] = '/';
	u->own = strndup(path, (size_t)n + (path[n - 1] != '/'));
	if (!u->own)
		return err_set(e, -ENOMEM, "%s: no memory", u->file);
	u->folder = bytes_str(u->own);
	return 0;
}

static int check_name(const struct step_place *step, const char *file, struct err *e)
{
	CLEANUP(freep) char *path = state_path((struct bytes){0}, step);

	if (!path)
		return err_set(e, -ENOMEM, "no memory");
	if (!*path || !bytes_eq(state_step(path, false), bytes_str(step->name)))
		return err_set(e, -EINVAL, "%s: can't name a step \"%s\"", file, step->name);
	return 0;
}

/* --- the old text ------------------------------------------------------------------------------------------ */

static int read_old(struct update *u, struct err *e)
{
	int r = state_text_read(u->dirfd, u->file, &u->was, e);

	if (r < 0)
		return err_wrap(e, r, "%s", u->file);
	if (!u->was.exists)
		return choose_folder(u, e);
	if (state_edit_begin(&u->edit, buf_bytes(&u->was.text), NULL) == -ENOMEM)
		return err_set(e, -ENOMEM, "%s: no memory", u->file);
	r = choose_folder(u, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < u->edit.old.n_paths && !u->listed; i++)
		u->listed = names(u->dirfd, u->edit.old.paths[i], u->change->step);
	u->is_latest = u->edit.old.latest && names(u->dirfd, u->edit.old.latest, u->change->step);
	return 0;
}

/* --- the new one ------------------------------------------------------------------------------------------- */

/* Lists what becomes of the path I, if it stays. */
static int carry_path(struct update *u, size_t i)
{
	const struct change *c = u->change;
	const char *path = u->edit.old.paths[i];
	const double *at = state_edit_time(&u->edit, i);

	if (!names(u->dirfd, path, c->step)) {
		if (c->kind == RENAME && u->listed && names(u->dirfd, path, c->as))
			return 0;
		return state_edit_add(&u->edit, carried(u, path), at);
	}
	if (c->kind == PRESERVE && at)
		u->edit.new.last_preserved = *at;
	if (c->kind == ADD || c->kind == DROP || c->kind == PRESERVE)
		return 0;
	return state_edit_add(&u->edit, respell(u, path), at);
}

/* The last path that stood for the step; NULL: none did. */
static const char *old_path(const struct update *u)
{
	for (size_t i = u->edit.old.n_paths; i-- > 0;)
		if (names(u->dirfd, u->edit.old.paths[i], u->change->step))
			return u->edit.old.paths[i];
	return u->is_latest ? u->edit.old.latest : NULL;
}

static int append(struct update *u)
{
	const char *old = old_path(u);
	struct timespec t;
	double now;

	clock_gettime(CLOCK_REALTIME, &t);
	now = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
	return state_edit_add(&u->edit,
			      old ? respell(u, old) : state_path(u->folder, u->change->as),
			      state_is_timed(&u->edit.old) ? &now : NULL);
}

/* The last path of the new list that stands for the step, or with ANY the last of all; NULL: there is none. */
static const char *last_listed(const struct update *u, bool any)
{
	for (size_t i = u->edit.new.n_paths; i-- > 0;)
		if (any || names(u->dirfd, u->edit.new.paths[i], u->change->as))
			return u->edit.new.paths[i];
	return NULL;
}

static int choose_latest(struct update *u)
{
	enum kind kind = u->change->kind;

	if (kind == ADD || kind == POINT) {
		u->edit.new.latest = last_listed(u, false);
	} else if (!u->is_latest) {
		u->edit.new.latest = u->edit.old.latest;
	} else if (kind == DROP || kind == PRESERVE) {
		u->edit.new.latest = last_listed(u, true);
	} else {
		u->edit.new.latest = u->latest = respell(u, u->edit.old.latest);
		return u->latest ? 0 : -ENOMEM;
	}
	return 0;
}

static int make_new(struct update *u)
{
	enum kind kind = u->change->kind;
	int r = 0;

	for (size_t i = 0; i < u->edit.old.n_paths && r == 0; i++)
		r = carry_path(u, i);
	if (r == 0 && (kind == ADD || (kind == POINT && !u->listed)))
		r = append(u);
	return r < 0 ? r : choose_latest(u);
}

/* --- the change ------------------------------------------------------------------------------------------ */

/* Writes it, if it differs. 1: another was written meanwhile. */
static int put_new(const struct update *u, struct err *e)
{
	CLEANUP(buf_release) struct buf text = {0};
	int r = u->edit.new.latest ? state_print(&u->edit.new, &text, e) : 0;

	if (r < 0)
		return err_wrap(e, r, "%s", u->file);
	if (u->was.exists && text.n && bytes_eq(buf_bytes(&text), buf_bytes(&u->was.text)))
		return 0;
	return state_text_replace(&u->was, u->made_in, u->dirfd, u->file, buf_bytes(&text), e);
}

/* Does the change apply to what the file says? */
static bool applies(const struct update *u)
{
	const char *const *after = u->change->after, *latest = u->edit.old.latest;
	bool found = u->is_latest || (u->listed && u->change->kind != ADD);

	if (u->change->kind == POINT || (u->change->kind == ADD && !after))
		return true;
	for (; after && *after && latest && !found; after++)
		found = names(u->dirfd, latest, &(struct step_place){.name = (char *)*after});
	return found;
}

static int try(struct update *u, struct err *e)
{
	enum kind kind = u->change->kind;
	int r = read_old(u, e);

	if (r < 0)
		return r;
	if (!applies(u))
		return 0;
	if (kind != DROP && kind != PRESERVE && (r = check_name(u->change->as, u->file, e)) < 0)
		return r;
	r = make_new(u);
	return r < 0 ? err_set(e, r, "%s: no memory", u->file) : put_new(u, e);
}

static int update(int made_in, int dirfd, const char *file, const struct change *c, struct err *e)
{
	enum { TRIES = 10 };

	for (int i = 0; i < TRIES; i++) {
		CLEANUP(update_release)
		struct update u = {.made_in = made_in, .dirfd = dirfd, .file = file, .change = c};
		int r = try(&u, e);

		if (r <= 0)
			return r;
	}
	return err_set(e, -EBUSY, "%s: another program writes it all the time", file);
}

int state_add(int made_in, int dirfd, const char *state_name, const char *const *after,
	      const struct step_place *place, enum state_paths paths, struct err *e)
{
	return update(made_in, dirfd, state_name, &(struct change){ADD, place, place, after, paths},
		      e);
}

int state_point(int dirfd, const char *state_name, const struct step_place *place, struct err *e)
{
	return update(dirfd, dirfd, state_name,
		      &(struct change){POINT, place, place, NULL, STATE_PATHS_KEPT}, e);
}

/* The step that the state file calls the latest; NULL: none is known. */
static const struct listed *find_latest(int dirfd, const char *state_name, const struct listing *l)
{
	struct state now = {0};
	const struct listed *item = NULL;

	if (latest_read(dirfd, state_name, &now, NULL) == 0)
		item = latest_resolve(l, now.latest);
	state_release(&now);
	return item;
}

int state_follow(int dirfd, const char *state_name, struct bytes text, struct err *e)
{
	CLEANUP(listing_release) struct listing l = {0};
	struct state state = {0};
	const struct listed *item = NULL;
	int r = listing_read(dirfd, state_name, &l, e);

	if (r == 0)
		r = state_parse(text, &state, e);
	if (r == 0 && !(item = latest_resolve(&l, state.latest)))
		r = err_set(e, -EINVAL, "it names %s, which is not in the directory", state.latest);
	if (r == 0 && item != find_latest(dirfd, state_name, &l))
		r = state_point(dirfd, state_name, &item->place, e);
	state_release(&state);
	return r;
}

int state_drop(int dirfd, const char *state_name, const struct step_place *place, struct err *e)
{
	return update(dirfd, dirfd, state_name,
		      &(struct change){DROP, place, place, NULL, STATE_PATHS_KEPT}, e);
}

int state_preserve(int dirfd, const char *state_name, const struct step_place *place, struct err *e)
{
	return update(dirfd, dirfd, state_name,
		      &(struct change){PRESERVE, place, place, NULL, STATE_PATHS_KEPT}, e);
}

int state_rename(int dirfd, const char *state_name, const struct step_place *from,
		 const struct step_place *to, struct err *e)
{
	return update(dirfd, dirfd, state_name,
		      &(struct change){RENAME, from, to, NULL, STATE_PATHS_KEPT}, e);
}

#include "tool/place.h"
#include "base/cleanup.h"
#include "directory/locate.h"
#include "message/state.h"
#include <fcntl.h>
#include <sys/stat.h>

struct opened_dir {
	struct view view;
	dev_t dev;
	ino_t ino;
};

/* Parsed steps may take so much memory; more only if they are in use. */
enum { CACHE = 256 << 20 };

void places_release(struct places *ps)
{
	struct opened_dir **all = (struct opened_dir **)(void *)ps->opened.p;

	for (size_t i = 0; i < ps->opened.n / sizeof *all; i++) {
		view_release(&all[i]->view);
		free(all[i]);
	}
	buf_release(&ps->opened);
}

void place_release(struct place *p)
{
	loaded_unref(p->loaded);
	closep(&p->dirfd);
	if (p->view)
		view_forget(p->view, p->id, 1);
	*p = PLACE_EMPTY;
}

/* --- directories --------------------------------------------------------------------------------------------- */

static struct view *find_opened(const struct places *ps, const struct stat *st)
{
	struct opened_dir **all = (struct opened_dir **)(void *)ps->opened.p;

	for (size_t i = 0; i < ps->opened.n / sizeof *all; i++)
		if (all[i]->dev == st->st_dev && all[i]->ino == st->st_ino)
			return &all[i]->view;
	return NULL;
}

/* Takes DIRFD, also if it fails. */
static int open_view(struct places *ps, int dirfd, const struct stat *st, struct view **out,
		     struct err *e)
{
	const struct view_config c = {
		.state_name = STATE_NAME,
		.meta_suffix = META_SUFFIX,
		.verify = VERIFY_READ,
		.commit_ms = -1,
		.cache = CACHE,
	};
	struct opened_dir *o = calloc(1, sizeof *o);
	int r;

	if (!o || buf_add(&ps->opened, &o, sizeof o) < 0) {
		free(o);
		close(dirfd);
		return err_set(e, -ENOMEM, "no memory");
	}
	o->dev = st->st_dev;
	o->ino = st->st_ino;
	r = view_init(&o->view, dirfd, &c, e);
	*out = &o->view;
	return r;
}

/* The view of the directory DIRFD, which is taken. */
static int view_of(struct places *ps, int dirfd, struct view **out, struct err *e)
{
	struct stat st;

	if (fstat(dirfd, &st) < 0) {
		close(dirfd);
		return err_sys(e, -errno, "fstat");
	}
	*out = find_opened(ps, &st);
	if (!*out)
		return open_view(ps, dirfd, &st, out, e);
	close(dirfd);
	return 0;
}

/* OUT is the directory DIRFD, which is taken. */
static int begin_at(struct places *ps, int dirfd, struct place *out, struct err *e)
{
	int r = view_of(ps, dirfd, &out->view, e);

	if (r < 0) {
		out->view = NULL;
		return r;
	}
	view_remember(out->view, NODE_ROOT_ID);
	out->kind = PLACE_FOLDER;
	out->id = NODE_ROOT_ID;
	r = out->dirfd = view_open_folder(out->view, out->id, e);
	return r < 0 ? r : 0;
}

/* --- names in a folder of steps ---------------------------------------------------------------------------- */

/* ENTRY is a link in the folder ID. It becomes what the link leads to. */
static int follow(struct view *v, uint64_t id, struct view_entry *entry, struct err *e)
{
	CLEANUP(buf_release) struct buf target = {0};
	int r = view_readlink(v, entry->id, &target, e);

	view_forget(v, entry->id, 1);
	if (r == 0 && buf_add_byte(&target, 0) < 0)
		r = err_set(e, -ENOMEM, "no memory");
	return r < 0 ? r : view_lookup(v, id, (char *)target.p, entry, e);
}

/* OUT, a folder by its attributes, has its id. IN: the folder that holds it. */
static int enter(const struct place *in, struct place *out, struct err *e)
{
	int r = view_saved_step(out->view, out->id, &out->loaded, e);

	out->kind = PLACE_STEP;
	if (r == 0) {
		/* One reference more: for the next path it is still parsed, within CACHE. */
		view_remember(out->view, out->id);
		r = out->dirfd = fcntl(in->dirfd, F_DUPFD_CLOEXEC, 0);
		return r < 0 ? err_sys(e, -errno, "dup") : 0;
	}
	if (r != -ENOTDIR)
		return r;
	out->kind = PLACE_FOLDER;
	r = out->dirfd = view_open_folder(out->view, out->id, e);
	return r < 0 ? r : 0;
}

int place_in(const struct place *in, const char *name, struct place *out, struct err *e)
{
	struct view_entry entry;
	int r = view_lookup(in->view, in->id, name, &entry, e);

	if (r == 0 && S_ISLNK(entry.st.st_mode))
		r = follow(in->view, in->id, &entry, e);
	if (r < 0)
		return r;
	*out = (struct place){.kind = PLACE_STATE, .view = in->view, .id = entry.id, .dirfd = -1};
	return S_ISDIR(entry.st.st_mode) ? enter(in, out, e) : 0;
}

/* --- names in a step ------------------------------------------------------------------------------------------ */

static bool find_var(const struct place *p, struct bytes name, struct tree_child *out)
{
	CLEANUP(buf_release) struct buf file = {0};
	uint32_t dir = p->kind == PLACE_SCOPE ? p->at : 0;

	return buf_add(&file, name.p, name.n) == 0 && buf_add_str(&file, VAR_ENDING) == 0 &&
	       tree_lookup(&p->loaded->tree, dir, buf_bytes(&file), out);
}

static bool find_name(const struct place *p, struct bytes name, struct tree_child *out)
{
	return tree_lookup(&p->loaded->tree, p->kind == PLACE_SCOPE ? p->at : 0, name, out);
}

/* P, a step or scope, becomes what NAME is in it. -ENOENT; -ENOTDIR: P is a file. */
static int go_into(struct place *p, const char *name, enum place_wish wish)
{
	enum text_kind text = p->kind == PLACE_STEP ? text_kind_of(name) : N_TEXTS;
	struct bytes n = bytes_str(name);
	struct tree_child child;
	bool there;

	if (p->kind != PLACE_STEP && p->kind != PLACE_SCOPE)
		return -ENOTDIR;
	if (text < N_TEXTS && p->loaded->texts.there[text]) {
		p->kind = PLACE_TEXT;
		p->at = text;
		return 0;
	}
	there = find_name(p, n, &child);
	if (!there || (child.is_dir && wish == WISH_VAR))
		there |= find_var(p, n, &child);
	if (!there)
		return -ENOENT;
	p->kind = child.is_dir ? PLACE_SCOPE : PLACE_VAR;
	p->at = child.index;
	return 0;
}

/* --- paths --------------------------------------------------------------------------------------------------- */

static int go_on(struct place *p, const char *name, enum place_wish wish, struct err *e)
{
	struct place next = PLACE_EMPTY;
	int r;

	if (p->kind != PLACE_FOLDER)
		return go_into(p, name, wish);
	r = place_in(p, name, &next, e);
	place_release(p);
	*p = next;
	return r;
}

/* How many bytes of PATH name a directory that is there: the longest; 0: the current one. */
static size_t directory_length(const char *path)
{
	CLEANUP(freep) char *copy = strdup(path);
	struct stat st;
	char *slash;

	while (copy && (slash = strrchr(copy, '/'))) {
		slash[slash == copy] = 0; /* that of "/" stays */
		if ((stat(copy, &st) == 0 && S_ISDIR(st.st_mode)) || slash == copy)
			return strlen(copy);
	}
	return 0;
}

static int open_directory(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_sys(e, -errno, "%s", path) : fd;
}

/* PATH is not on disk. */
static int find_below(struct places *ps, const char *path, enum place_wish wish, struct place *out,
		      struct err *e)
{
	size_t n = directory_length(path);
	CLEANUP(freep) char *dir = n ? strndup(path, n) : strdup(".");
	CLEANUP(freep) char *rest = strdup(path + n);
	char *at = rest, *name;
	int r = dir && rest ? open_directory(dir, e) : err_set(e, -ENOMEM, "no memory");

	if (r >= 0)
		r = begin_at(ps, r, out, e);
	while (r == 0 && (name = strsep(&at, "/")))
		if (*name && strcmp(name, ".") != 0)
			r = go_on(out, name, at ? WISH_SCOPE : wish, e);
	if (r == -ENOENT)
		return err_set(e, r, "%s: there is no such step, variable or scope", path);
	if (r == -ENOTDIR)
		return err_set(e, r, "%s: a part of it is a variable or a text, and no scope",
			       path);
	return r < 0 ? err_wrap(e, r, "%s", path) : 0;
}

/* PATH is a file on disk: one of a checkpoint. */
static int find_file(struct places *ps, const char *path, struct place *out, struct err *e)
{
	CLEANUP(freep) char *shown = NULL;
	CLEANUP(buf_release) struct buf name = {0};
	struct location where;
	int r = locate(path, STATE_NAME, &where, e);

	if (r < 0)
		return r;
	shown = where.step;
	r = shown ? name_from_entry(bytes_str(shown), false, &name)
		  : buf_add_str(&name, STATE_NAME);
	if (r < 0 || buf_add_byte(&name, 0) < 0) {
		close(where.dirfd);
		return err_set(e, -ENOMEM, "no memory");
	}
	r = begin_at(ps, where.dirfd, out, e);
	return r < 0 ? r : go_on(out, (char *)name.p, WISH_SCOPE, e);
}

int place_find(struct places *ps, const char *path, enum place_wish wish, struct place *out,
	       struct err *e)
{
	struct stat st;
	int r;

	*out = PLACE_EMPTY;
	if (stat(path, &st) < 0) {
		r = find_below(ps, path, wish, out, e);
	} else if (!S_ISDIR(st.st_mode)) {
		r = find_file(ps, path, out, e);
	} else {
		r = open_directory(path, e);
		if (r >= 0)
			r = begin_at(ps, r, out, e);
	}
	if (r < 0)
		place_release(out);
	return r;
}

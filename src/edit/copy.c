#include "edit/copy.h"
#include "base/cleanup.h"
#include "edit/archive.h"
#include "edit/path.h"
#include "edit/writer.h"
#include "step/npy_file.h"
#include "step/text_kind.h"
#include "tool/match.h"
#include "tool/place.h"
#include <fcntl.h>
#include <sys/stat.h>

enum { PIECE = 256 << 10 };

/* --- what is written to ---------------------------------------------------------------------------------------- */

/* OUT is NAME in the folder DIR, empty. FROM: what is copied to it; 0: it is none of the view. */
static int open_to_write(struct changing *c, uint64_t dir, const char *name, uint64_t from,
			 struct view_file **out, struct err *e)
{
	struct draft_owner owner = c->owner;
	struct view_entry entry;
	int r = view_lookup(&c->view, dir, name, &entry, e);

	owner.mode &= 0666;
	if (r == -ENOENT)
		return view_create(&c->view, dir, name, &owner, &entry, out, e);
	if (r == 0 && entry.id == from)
		r = err_set(e, -EINVAL, "is copied to itself");
	if (r == 0 && S_ISDIR(entry.st.st_mode))
		r = err_set(e, -EISDIR, "a scope has the name %s", name);
	return r < 0 ? r : view_open_to_write(&c->view, entry.id, true, out, e);
}

static int need_step(struct changing *c, const struct target *dst, struct err *e)
{
	if (!dst->step)
		return err_set(
			e, -EPERM,
			"%s: is no step, and in none; a file on disk ends with .npy, .npz or .safetensors",
			dst->path);
	return changing_touch(c, dst->step, dst->step_name, e);
}

/* --- within the directory ---------------------------------------------------------------------------------------- */

static int copy_file(struct changing *c, const struct target *t, uint64_t dir, const char *name,
		     struct err *e)
{
	struct view_file *from, *to;
	bool stable;
	int r = view_open(&c->view, t->id, &from, &stable, e);

	if (r < 0)
		return changing_failed(t->path, r, e);
	r = open_to_write(c, dir, name, t->id, &to, e);
	if (r == 0)
		r = writer_close(to, writer_copy(from, to, e), e);
	view_close(from);
	return changing_failed(t->path, r, e);
}

struct copying {
	struct changing *c;
	uint64_t dir;
};

static int copy_child(void *arg, struct target *t, struct err *e)
{
	const struct copying *to = arg;
	struct copying in = {to->c, 0};
	struct view_entry entry;
	int r;

	if (t->kind == TARGET_FILE)
		return copy_file(to->c, t, to->dir, t->name, e);
	r = view_mkdir(&to->c->view, to->dir, t->name, &to->c->owner, &entry, e);
	if (r == -EEXIST)
		r = view_lookup(&to->c->view, to->dir, t->name, &entry, e);
	if (r < 0)
		return changing_failed(t->path, r, e);
	in.dir = entry.id;
	return target_each(to->c, t, copy_child, &in, e);
}

int copy_in_view(struct changing *c, const struct target *t, const struct target *dst, uint64_t dir,
		 const char *name, struct err *e)
{
	struct copying to = {c, 0};
	struct view_entry entry;
	int r = dst->step || t->kind == TARGET_FILE ? need_step(c, dst, e) : 0;

	if (r < 0)
		return r;
	if (t->kind == TARGET_FILE)
		return copy_file(c, t, dir, name, e);
	if (target_is_in(dst, t) || (t->kind == TARGET_STEP && dst->step))
		return err_set(e, -EINVAL, "%s: can't be copied into %s", t->path,
			       t->kind == TARGET_STEP ? "a step" : "itself");
	r = view_mkdir(&c->view, dir, name, &c->owner, &entry, e);
	if (r == 0 && !dst->step)
		r = changing_touch_new(c, entry.id, name, e);
	else if (r == -EEXIST && dst->step)
		r = view_lookup(&c->view, dir, name, &entry, e);
	if (r < 0)
		return changing_failed(dst->path, r, e);
	to.dir = entry.id;
	return target_each(c, t, copy_child, &to, e);
}

/* --- from elsewhere ---------------------------------------------------------------------------------------------- */

static bool is_regular(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool copy_is_archive(const char *path)
{
	return archive_named(path) && is_regular(path);
}

bool copy_is_file(const char *path)
{
	return copy_is_archive(path) ||
	       (bytes_ends(bytes_str(path), bytes_str(VAR_ENDING)) && is_regular(path));
}

bool copy_is_outside(const struct changing *c, const char *path)
{
	CLEANUP(split_path_release) struct split_path split = {0};

	return copy_is_file(path) ||
	       (path_split(path, &split, NULL) == 0 && !path_below(c->root, split.dir));
}

static int add_outside(void *arg, const char *path, const struct place *p, struct err *e)
{
	struct outside *o = arg;

	(void)p;
	o->n++;
	o->archives += copy_is_archive(path);
	return buf_add(&o->paths, path, strlen(path) + 1) < 0 ? err_set(e, -ENOMEM, "no memory")
							      : 0;
}

int copy_find_outside(const char *path, struct outside *o, struct err *e)
{
	CLEANUP(places_release) struct places places = {0};

	return copy_is_file(path) ? add_outside(o, path, NULL, e)
				  : match_each(&places, path, WISH_VAR, add_outside, o, e);
}

/* Reads up to LEN bytes at OFF of FROM. How many; 0 at the end. */
typedef int64_t reader(void *from, uint64_t off, size_t len, uint8_t *dst, struct err *e);

static int write_all(reader *read, void *from, struct view_file *to, struct err *e)
{
	CLEANUP(freep) uint8_t *piece = malloc(PIECE);
	uint64_t at = 0;
	int64_t n = 1;
	int r = piece ? 0 : err_set(e, -ENOMEM, "no memory");

	while (r == 0 && (r = writer_interrupted(e)) == 0 &&
	       (n = read(from, at, PIECE, piece, e)) > 0) {
		r = view_write(to, bytes_of(piece, (size_t)n), at, e);
		at += (uint64_t)n;
	}
	return r < 0 ? r : n < 0 ? (int)n : 0;
}

static int64_t read_disk(void *from, uint64_t off, size_t len, uint8_t *dst, struct err *e)
{
	int64_t n = pread(*(int *)from, dst, len, (off_t)off);

	return n < 0 ? err_sys(e, -errno, "reading") : n;
}

static int64_t read_npy(void *from, uint64_t off, size_t len, uint8_t *dst, struct err *e)
{
	return npy_file_read(from, off, len, dst, e);
}

static int write_new(struct changing *c, reader *read, void *from, const struct target *dst,
		     uint64_t dir, const char *name, struct err *e)
{
	struct view_file *to;
	int r = need_step(c, dst, e);

	if (r == 0)
		r = open_to_write(c, dir, name, 0, &to, e);
	return r < 0 ? r : writer_close(to, write_all(read, from, to, e), e);
}

int copy_from_disk(struct changing *c, const char *path, const struct target *dst, uint64_t dir,
		   const char *name, struct err *e)
{
	CLEANUP(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? err_sys(e, -errno, "%s", path)
		       : write_new(c, read_disk, &fd, dst, dir, name, e);

	return fd < 0 ? r : changing_failed(path, r, e);
}

/* P is a variable. */
static int open_var(const struct place *p, const char *path, struct npy_file **out, struct err *e)
{
	if (p->kind != PLACE_VAR)
		return err_set(e, -EISDIR,
			       "%s: is no variable; only these are copied to or from "
			       "another directory",
			       path);
	return changing_failed(path, npy_file_open(p->loaded->step, place_var(p), p->dirfd, out, e),
			       e);
}

int copy_from_other(struct changing *c, const char *path, const struct target *dst, uint64_t dir,
		    const char *name, struct err *e)
{
	CLEANUP(places_release) struct places places = {0};
	struct place p = PLACE_EMPTY;
	struct npy_file *f;
	int r = place_find(&places, path, WISH_VAR, &p, e);

	if (r == 0 && (r = open_var(&p, path, &f, e)) == 0) {
		r = changing_failed(path, write_new(c, read_npy, f, dst, dir, name, e), e);
		npy_file_close(f);
	}
	place_release(&p);
	return r;
}

/* --- archives ---------------------------------------------------------------------------------------------------- */

int copy_make_folder(struct changing *c, struct target *dst, struct err *e)
{
	struct view_entry entry;
	int r = dst->step ? need_step(c, dst, e) : 0;

	if (r == 0 && !dst->step && c->only)
		return err_set(e, -EINVAL, "%s: is not in the step that is edited", dst->path);
	if (r == 0)
		r = view_mkdir(&c->view, dst->dir, dst->name, &c->owner, &entry, e);
	if (r < 0)
		return changing_failed(dst->path, r, e);
	dst->kind = dst->step ? TARGET_SCOPE : TARGET_STEP;
	dst->id = entry.id;
	if (dst->step)
		return 0;
	dst->step = entry.id;
	dst->step_name = strdup(dst->name);
	return dst->step_name ? changing_touch_new(c, entry.id, dst->name, e)
			      : err_set(e, -ENOMEM, "no memory");
}

int copy_from_archive(struct changing *c, const char *path, const struct target *dst, struct err *e)
{
	CLEANUP(put_release)
	struct put to = {.view = &c->view,
			 .dir = dst->id,
			 .owner = c->owner,
			 .is_step = dst->kind == TARGET_STEP,
			 .over = true};
	int r = need_step(c, dst, e);

	return r < 0 ? r : archive_read(archive_named(path), path, &to, e);
}

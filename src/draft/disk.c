#include "draft/disk.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/io.h"
#include "draft/draft_own.h"
#include "draft/items.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#define GONE ".gone"

/* Where a file or link is made before it is moved into the tree. */
#define NEW "new"

bool disk_is_reserved(const char *name)
{
	return !strcmp(name, GONE);
}

/* --- folders ----------------------------------------------------------------------------------------------- */

int disk_folder(const struct draft *d, const struct draft_item *dir, bool make, struct err *e)
{
	CLEANUP(closep) int parent = -1;

	if (!dir->parent)
		return dir_fd(d->fd, "tree", e);
	parent = disk_folder(d, dir->parent, make, e);
	return parent < 0 ? parent : draft_folder(parent, dir->name, make, e);
}

int disk_mark_gone(const struct draft *d, const struct draft_item *i, struct err *e)
{
	CLEANUP(closep) int dir = disk_folder(d, i->parent, true, e);
	CLEANUP(closep) int gone = dir < 0 ? dir : draft_folder(dir, GONE, true, e);

	return gone < 0 ? gone : io_mark(gone, i->name, e);
}

/* --- files and links --------------------------------------------------------------------------------------- */

/* "my-model-0/dense/kernel.npy": what I is, as a path into a pinned step. */
static int add_target(const struct draft *d, const struct draft_item *i, struct buf *out)
{
	const struct pin *p = &d->pins[i->pin];
	int r = buf_printf(out, "%s/", p->name);

	if (r == 0 && i->what == DRAFT_TEXT)
		r = buf_add_str(out, text_name(i->number));
	else if (r == 0)
		r = name_to_path(p->step->object_based ? NAME_OBJECT : NAME_PLAIN,
				 var_key(p->step, draft_var(d, i)), out);
	if (r == 0 && i->what == DRAFT_VAR)
		r = buf_add_str(out, ".npy");
	return r == 0 ? buf_add_byte(out, 0) : r;
}

/* Moves what is in NEW to I's place. */
static int put_new(const struct draft *d, const struct draft_item *i, struct err *e)
{
	CLEANUP(closep) int dir = disk_folder(d, i->parent, true, e);
	int r = dir < 0 ? dir : io_move(d->fd, NEW, dir, i->name, e);

	if (r < 0)
		io_remove_all(d->fd, NEW, NULL);
	return r;
}

int disk_put_link(const struct draft *d, const struct draft_item *i, struct err *e)
{
	CLEANUP(buf_release) struct buf target = {0};
	CLEANUP(closep) int dir = -1;
	int r = add_target(d, i, &target);

	if (r < 0)
		return err_set(e, r, "no memory");
	if (target.n > PATH_MAX)
		return err_set(e, -ENAMETOOLONG, "%s: its path is too long", i->name);
	if (i->on_disk) {
		r = io_remove_all(d->fd, NEW, e); /* a file that was removed while it was open */
		if (r == 0)
			r = io_make_link((char *)target.p, d->fd, NEW, e);
		return r < 0 ? r : put_new(d, i, e);
	}
	dir = disk_folder(d, i->parent, true, e);
	return dir < 0 ? dir : io_make_link((char *)target.p, dir, i->name, e);
}

int disk_new_file(const struct draft *d, const struct staged *s, struct err *e)
{
	CLEANUP(closep) int fd = -1;
	int r = io_remove_all(d->fd, NEW, e);

	if (r == 0)
		r = fd = io_create(d->fd, NEW, 0600, e);
	if (r < 0)
		return r;
	if ((geteuid() == 0 && fchown(fd, s->uid, s->gid) < 0) ||
	    fchmod(fd, s->mode | 0600) < 0) /* whose draft it is must be able to read it */
		return err_sys(e, -errno, "%s", NEW);
	return TAKE(fd, -1);
}

int disk_put_file(const struct draft *d, const struct draft_item *i, struct err *e)
{
	return put_new(d, i, e);
}

int disk_open(const struct draft *d, const struct draft_item *i, struct err *e)
{
	CLEANUP(closep) int dir = disk_folder(d, i->parent, false, e);
	int fd;

	if (dir < 0)
		return dir;
	fd = openat(dir, i->name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? err_sys(e, -errno, "%s", i->name) : fd;
}

int disk_remove(const struct draft *d, const struct draft_item *i, struct err *e)
{
	CLEANUP(closep) int dir = disk_folder(d, i->parent, false, e);

	return dir < 0 ? dir : io_remove_file(dir, i->name, e);
}

int disk_remove_folder(const struct draft *d, const struct draft_item *dir, struct err *e)
{
	CLEANUP(closep) int parent = disk_folder(d, dir->parent, false, e);

	if (parent < 0)
		return parent == -ENOENT ? 0 : parent;
	return io_remove_all(parent, dir->name, e);
}

int disk_remove_marks(const struct draft *d, const struct draft_item *dir, struct err *e)
{
	CLEANUP(closep) int fd = disk_folder(d, dir, false, e);

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	return io_remove_all(fd, GONE, e);
}

int disk_move(const struct draft *d, const struct draft_item *i, const struct draft_item *to_dir,
	      const char *to, struct err *e)
{
	CLEANUP(closep) int from_fd = disk_folder(d, i->parent, true, e);
	CLEANUP(closep) int to_fd = from_fd < 0 ? from_fd : disk_folder(d, to_dir, true, e);

	return to_fd < 0 ? to_fd : io_move(from_fd, i->name, to_fd, to, e);
}

int disk_exchange(const struct draft *d, const struct draft_item *a, const struct draft_item *b,
		  struct err *e)
{
	CLEANUP(closep) int a_fd = disk_folder(d, a->parent, true, e);
	CLEANUP(closep) int b_fd = a_fd < 0 ? a_fd : disk_folder(d, b->parent, true, e);

	return b_fd < 0 ? b_fd : io_exchange(a_fd, a->name, b_fd, b->name, e);
}

/* --- reading it back --------------------------------------------------------------------------------------- */

struct reading {
	struct draft *d;
	struct tree *trees; /* of each pin; n_dirs 0: not yet made */
};

static int read_folder(struct reading *r, struct draft_item *dir, int fd, struct err *e);

/* A name that no item can have is no mark. */
static void hide(struct draft *d, struct draft_item *dir, const char *name)
{
	struct draft_item *i = draft_find(d, dir, name);

	while (i && i->first)
		hide(d, i, i->first->name);
	if (i)
		items_remove(d, i);
}

static int read_gone(struct draft *d, struct draft_item *dir, int fd, struct err *e)
{
	CLEANUP(dir_closep) DIR *s = dir_open(fd, GONE);
	const struct dirent *de;

	if (!s)
		return errno == ENOENT ? 0 : err_sys(e, -errno, "%s", GONE);
	while ((de = dir_next(s)))
		hide(d, dir, de->d_name);
	return errno ? err_sys(e, -errno, "%s", GONE) : 0;
}

static int find_pin(const struct draft *d, struct bytes name)
{
	for (uint32_t i = 0; i < d->n_pins; i++)
		if (bytes_eq(bytes_str(d->pins[i].name), name))
			return (int)i;
	return -1;
}

static int pin_by_name(struct draft *d, struct bytes name, struct err *e)
{
	CLEANUP(freep) char *copy = strndup((const char *)name.p, name.n);
	CLEANUP(closep) int steps = dir_fd(d->fd, "steps", e);
	struct pin *pins = realloc(d->pins, (d->n_pins + (size_t)1) * sizeof *pins);
	int r;

	if (pins)
		d->pins = pins;
	if (steps < 0)
		return steps;
	if (!pins || !copy)
		return err_set(e, -ENOMEM, "no memory");
	r = pin_open(steps, copy, d->meta, d->mode, &pins[d->n_pins], e);
	return r < 0 ? r : (int)d->n_pins++;
}

/* Descends into T along PATH; the file it leads to. */
static bool find_path(const struct tree *t, struct bytes path, struct tree_child *out)
{
	const uint8_t *slash;
	uint32_t dir = 0;

	while ((slash = memchr(path.p, '/', path.n))) {
		size_t n = (size_t)(slash - path.p);

		if (!tree_lookup(t, dir, bytes_of(path.p, n), out) || !out->is_dir)
			return false;
		dir = out->index;
		path = bytes_of(slash + 1, path.n - n - 1);
	}
	return tree_lookup(t, dir, path, out) && !out->is_dir;
}

/* What the link's target says: pin, kind and number. */
static int resolve(struct reading *rd, struct bytes target, struct draft_item *i, struct err *e)
{
	const uint8_t *slash = memchr(target.p, '/', target.n);
	size_t n = slash ? (size_t)(slash - target.p) : target.n;
	struct bytes path = bytes_of(target.p + n + 1, slash ? target.n - n - 1 : 0);
	CLEANUP(freep) char *text = strndup((const char *)path.p, path.n);
	int pin = find_pin(rd->d, bytes_of(target.p, n));
	struct tree_child found;
	struct tree *t, *trees;
	int r = 0;

	if (pin < 0) {
		pin = pin_by_name(rd->d, bytes_of(target.p, n), e);
		trees = pin < 0 ? NULL : realloc(rd->trees, rd->d->n_pins * sizeof *trees);
		if (!trees)
			return pin < 0 ? pin : err_set(e, -ENOMEM, "no memory");
		rd->trees = trees;
		trees[pin] = (struct tree){0};
	}
	t = &rd->trees[pin];
	if (!t->n_dirs)
		r = tree_init(t, rd->d->pins[pin].step, e);
	if (r < 0 || !text)
		return r < 0 ? r : -ENOMEM;
	i->pin = (uint32_t)pin;
	i->what = text_kind_of(text) < N_TEXTS ? DRAFT_TEXT : DRAFT_VAR;
	i->number = text_kind_of(text);
	if (i->what == DRAFT_TEXT)
		return 0;
	if (!find_path(t, path, &found))
		return err_set(e, -EUCLEAN, "leads to %.*s, which is not there", (int)target.n,
			       (const char *)target.p);
	i->number = t->files[found.index].var;
	i->own_name = draft_has_own_name(rd->d, i);
	return 0;
}

static int read_link(struct reading *rd, struct draft_item *i, int fd, struct err *e)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(fd, i->name, target, sizeof target);

	if (n < 0)
		return err_sys(e, -errno, "readlink");
	i->on_disk = true;
	return resolve(rd, bytes_of(target, (size_t)n), i, e);
}

/* A file in the tree lies over what the base shows there. */
static int read_file(struct draft_item *i, int fd, struct err *e)
{
	struct draft_owner owner = {0};
	struct stat st;

	if (fstatat(fd, i->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, -errno, "stat");
	owner = (struct draft_owner){st.st_uid, st.st_gid, st.st_mode};
	if (i->what == DRAFT_VAR) {
		i->expect_pin = i->pin;
		i->expect_var = i->number;
	}
	if (items_stage(i, &owner) < 0)
		return err_set(e, -ENOMEM, "no memory");
	i->staged->seq = false;
	i->on_disk = true;
	return 0;
}

static int read_subfolder(struct reading *rd, struct draft_item *i, int fd, struct err *e)
{
	CLEANUP(closep) int sub = dir_fd(fd, i->name, e);

	i->on_disk = true;
	return sub < 0 ? sub : read_folder(rd, i, sub, e);
}

static int read_item(struct reading *rd, struct draft_item *dir, int fd, const struct dirent *de,
		     struct err *e)
{
	struct draft *d = rd->d;
	struct draft_item *i = draft_find(d, dir, de->d_name);
	int type = dir_type(fd, de);
	enum draft_what what = type == DT_DIR ? DRAFT_DIR : DRAFT_STAGED;

	if (type == DT_UNKNOWN)
		return err_sys(e, -errno, "looking at it");
	if (i && (i->what == DRAFT_DIR) != (what == DRAFT_DIR))
		return err_set(e, -EUCLEAN, "is a folder here and none in the base");
	if (!i)
		i = items_add(d, dir, de->d_name, strlen(de->d_name), what, 0);
	if (!i)
		return err_set(e, -ENOMEM, "no memory");
	if (type == DT_DIR)
		return read_subfolder(rd, i, fd, e);
	return type == DT_LNK ? read_link(rd, i, fd, e) : read_file(i, fd, e);
}

static int read_folder(struct reading *rd, struct draft_item *dir, int fd, struct err *e)
{
	int r = read_gone(rd->d, dir, fd, e);
	CLEANUP(dir_closep) DIR *s = r < 0 ? NULL : dir_open(fd, ".");
	const struct dirent *de;
	struct stat st;

	if (fstat(fd, &st) == 0)
		dir->entered = st.st_mtim;

	if (r == 0 && !s)
		r = err_sys(e, -errno, "opening a folder");
	while (r == 0 && (de = dir_next(s))) {
		if (disk_is_reserved(de->d_name))
			continue;
		r = read_item(rd, dir, fd, de, e);
		if (r < 0)
			err_wrap(e, r, "%s", de->d_name);
	}
	return r < 0 || !errno ? r : err_sys(e, -errno, "reading a folder");
}

int disk_read(struct draft *d, struct err *e)
{
	struct reading rd = {.d = d, .trees = calloc(d->n_pins + (size_t)1, sizeof *rd.trees)};
	CLEANUP(closep) int tree = dir_fd(d->fd, "tree", e);
	int r = rd.trees ? io_remove_all(d->fd, NEW, e) : err_set(e, -ENOMEM, "no memory");

	if (r == 0)
		r = tree < 0 ? tree : read_folder(&rd, d->root, tree, e);
	for (uint32_t i = 0; rd.trees && i < d->n_pins; i++)
		tree_release(&rd.trees[i]);
	free(rd.trees);
	return r;
}

#include "draft/disk.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/io.h"
#include "base/lacks.h"
#include "draft/items.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

/* --- folders ----------------------------------------------------------------------------------------------- */

int draft_folder(int dirfd, const char *name, bool make, struct err *e)
{
	bool missing = make && faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0;
	int r = missing ? io_make_folder(dirfd, name, 0777, e) : 0;

	if (r == -EEXIST) /* another draft has just made it */
		r = 0;
	return r < 0 ? r : dir_fd(dirfd, name, e);
}

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
		r = draft_var_path(p->step, i->number, out);
	return r == 0 ? buf_add_byte(out, 0) : r;
}

int disk_place_file(const struct draft *d, const struct draft_item *i, struct err *e)
{
	CLEANUP(closep) int dir = disk_folder(d, i->parent, true, e);
	int r = dir < 0 ? dir : io_move(d->fd, NEW, dir, i->name, e);

	if (r < 0)
		io_remove_all(d->fd, NEW, NULL);
	return r;
}

int disk_place_link(const struct draft *d, const struct draft_item *i, struct err *e)
{
	CLEANUP(buf_release) struct buf target = {0};
	CLEANUP(closep) int dir = -1;
	int r = add_target(d, i, &target);

	if (r < 0)
		return err_set(e, r, "no memory");
	if (target.n > PATH_MAX)
		return err_set(e, -ENAMETOOLONG, "%s: its path is too long", i->name);
	if (i->on_disk || lacks_at(d->fd) & LACKS_SYMLINKS) { /* then it is not made at once */
		r = io_remove_all(d->fd, NEW, e); /* a file that was removed while it was open */
		if (r == 0)
			r = io_make_link((char *)target.p, d->fd, NEW, e);
		return r < 0 ? r : disk_place_file(d, i, e);
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

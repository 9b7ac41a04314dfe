#include "directory/placed.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/io.h"
#include "base/source.h"
#include "directory/file_stamp.h"
#include <fcntl.h>

#define OWN   ".ckptfs"
#define ASIDE OWN "/aside"

/* --- one name ---------------------------------------------------------------------------------------------- */

int file_id_at(int dirfd, const char *name, struct file_id *out, struct err *e)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, -errno, "%s", name);
	*out = file_id_of(&st);
	return 0;
}

/* A placed_fn: ours is the file with the struct file_id ARG. */
static int has_id(const void *arg, int dirfd, const char *name, struct err *e)
{
	struct file_id now;
	int r = file_id_at(dirfd, name, &now, e);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return file_id_eq(&now, arg);
}

struct stamped {
	int stamps;
	const char *stamp;
	bool or_mark;
};

/* The same, for a struct stamped. */
static int is_stamped(const void *arg, int dirfd, const char *name, struct err *e)
{
	const struct stamped *s = arg;
	int r = file_stamp_fits(s->stamps, s->stamp, dirfd, name, e);

	return r == 0 && s->or_mark ? io_is_mark(dirfd, name, e) : r;
}

/* A descriptor of .ckptfs/aside; negative if it can't be made, as on a full disk. MADE: .ckptfs was made, too. */
static int open_aside(int top, bool *made)
{
	int fd = dir_fd(top, ASIDE, NULL);

	*made = false;
	if (fd >= 0)
		return fd;
	if (io_make_folder(top, ASIDE, 0777, NULL) == -ENOENT) {
		*made = io_make_folder(top, OWN, 0777, NULL) == 0;
		io_make_folder(top, ASIDE, 0777, NULL);
	}
	return dir_fd(top, ASIDE, NULL);
}

static void close_aside(int top, int aside, bool made)
{
	closep(&aside);
	io_remove_folder(top, ASIDE, NULL);
	if (made)
		io_remove_folder(top, OWN, NULL);
}

/* Removes NAME, which was moved to ASIDE, if it is ours. Else it gets its name back; unless another file has that
 * by now, which would have replaced it where it was. Returns as placed_remove_if. */
static int remove_aside(int top, int aside, const char *name, placed_fn is_ours, const void *arg,
			struct err *e)
{
	int ours = is_ours(arg, aside, name, e);
	int r = ours == 1 ? io_remove_file(aside, name, e) : 0, back;

	if (ours == 1 && r == 0)
		return 1;
	back = io_move_new(aside, name, top, name, r < 0 || ours < 0 ? NULL : e);
	if (back == -EEXIST)
		back = io_remove_file(aside, name, r < 0 || ours < 0 ? NULL : e);
	return ours < 0 ? ours : r < 0 ? r : back;
}

int placed_remove_if(int top, const char *name, placed_fn is_ours, const void *arg, struct err *e)
{
	int aside, r = is_ours(arg, top, name, e);
	bool made;

	if (r <= 0)
		return r;
	aside = open_aside(top, &made);
	if (aside >= 0 && io_move_new(top, name, aside, name, NULL) == 0) {
		r = remove_aside(top, aside, name, is_ours, arg, e);
	} else { /* then it is removed where it is, although it could be replaced right before that */
		r = is_ours(arg, top, name, e);
		if (r == 1) {
			int removed = io_remove_file(top, name, e);

			r = removed < 0 ? removed : 1;
		}
	}
	close_aside(top, aside, made);
	return r;
}

int placed_remove(int top, const char *name, const struct file_id *id, struct err *e)
{
	return placed_remove_if(top, name, has_id, id, e);
}

int placed_remove_stamped(int top, const char *name, int stamps, const char *stamp, bool or_mark,
			  struct err *e)
{
	const struct stamped s = {stamps, stamp, or_mark};

	return placed_remove_if(top, name, is_stamped, &s, e);
}

int placed_put_back(int top, struct err *e)
{
	CLEANUP(dir_closep) DIR *s = dir_open(top, ASIDE);
	const struct dirent *de;
	int r = 0;

	if (!s)
		return errno == ENOENT ? 0 : err_sys(e, -errno, ASIDE);
	while (r == 0 && (de = dir_next(s))) {
		r = io_move_new(dirfd(s), de->d_name, top, de->d_name, e);
		if (r == -EEXIST)
			r = io_remove_file(dirfd(s), de->d_name, e);
	}
	return r < 0 ? r : io_remove_folder(top, ASIDE, e);
}

/* --- several ----------------------------------------------------------------------------------------------- */

void placed_release(struct placed *p)
{
	buf_release(&p->names);
	buf_release(&p->ids);
}

int placed_reserve(struct placed *p, const char *name)
{
	return buf_reserve(&p->names, strlen(name) + 1) < 0 ||
			       buf_reserve(&p->ids, sizeof(struct file_id)) < 0
		       ? -ENOMEM
		       : 0;
}

void placed_add(struct placed *p, const char *name, const struct file_id *id)
{
	buf_add(&p->names, name, strlen(name) + 1);
	buf_add(&p->ids, id, sizeof *id);
}

void placed_take_back(struct placed *p, int top)
{
	const struct file_id *ids = (const struct file_id *)p->ids.p;
	size_t left = p->ids.n / sizeof *ids;

	while (left) { /* the last may be an index: while that is there, so is the step */
		const char *name = (char *)p->names.p, *end = name + p->names.n - 1;

		while (end > name && end[-1])
			end--;
		placed_remove(top, end, &ids[--left], NULL);
		p->names.n = (size_t)(end - name);
	}
	p->ids.n = 0;
}

/* --- giving a name ----------------------------------------------------------------------------------------- */

int placed_check(int fd, const char *name, const struct file_id *id, struct err *e)
{
	struct file_id now;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, -errno, "%s", name);
	now = file_id_of(&st);
	return file_id_eq(&now, id)
		       ? 0
		       : err_set(e, -ESTALE, "%s: was replaced or changed meanwhile", name);
}

int placed_open(int dirfd, const char *name, const struct file_id *id, struct err *e)
{
	struct source src;
	CLEANUP(closep) int fd = source_open(dirfd, name, &src, e);
	int r = fd < 0 ? err_wrap(e, fd, "%s", name) : placed_check(fd, name, id, e);

	return r < 0 ? r : TAKE(fd, -1);
}

int placed_link(int from_dir, const char *from, const struct file_id *id, int to_dir,
		const char *to, struct file_id *placed, struct err *e)
{
	CLEANUP(closep) int fd = placed_open(from_dir, from, id, e);
	int r;

	if (fd < 0)
		return fd;
	*placed = *id;
	r = io_link_fd(fd, to_dir, to, e);
	if (r != -ENOENT && !io_needs_copy(r))
		return r;
	r = io_copy(fd, to_dir, to, e);
	if (r < 0)
		return r;
	r = file_id_at(to_dir, to, placed, e);
	if (r < 0) {
		io_remove_file(to_dir, to, NULL);
		return r;
	}
	r = placed_check(fd, from, id, e);
	if (r < 0)
		placed_remove(to_dir, to, placed, NULL);
	return r;
}

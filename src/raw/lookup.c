/* src/raw/lookup.c: names become numbers; attributes. */
#include "base/cleanup.h"
#include "base/io.h"
#include "raw/gone.h"
#include "raw/node.h"
#include "raw/place.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

/* st_ino of folders that are gone. Nobody relies on it. */
#define GONE_INO 0xfffffffeu

/* OUT is for NAME in PARENT, which is the file ST; the kernel has one reference more on it. */
static int enter(struct raw *r, uint64_t parent, const char *name, const struct stat *st,
		 struct view_entry *out, struct err *e)
{
	*out = (struct view_entry){
		.id = raw_node_enter(r, parent, name, st), .st = *st, .fleeting = true};
	return out->id ? 0 : err_set(e, -ENOMEM, "no memory");
}

/* A file of a step is read by its name also where it is not listed. */
static int look_up_unlisted(struct raw *r, uint64_t parent, const char *name,
			    struct view_entry *out, struct err *e)
{
	CLEANUP(closep) int dirfd = -1;
	struct stat st;

	if (!raw_place_is_of_step(r, name))
		return -ENOENT;
	dirfd = raw_node_open_folder(r, parent, NULL);
	if (dirfd < 0 || fstatat(dirfd, name, &st, 0) < 0 || !S_ISREG(st.st_mode))
		return -ENOENT;
	return enter(r, parent, name, &st, out, e);
}

/* An empty folder or file in PARENT, with its owner and mode, or a link. */
static int attr_of_gone(struct raw *r, uint64_t parent, mode_t type, struct stat *st, struct err *e)
{
	CLEANUP(closep) int dirfd = raw_node_open_folder(r, parent, e);

	if (dirfd < 0)
		return dirfd;
	if (fstat(dirfd, st) < 0)
		return err_sys(e, -errno, "fstat");
	st->st_mode = type | (st->st_mode & 07777);
	st->st_dev = 0;
	st->st_ino = GONE_INO;
	st->st_nlink = 2;
	st->st_size = 0;
	return 0;
}

static int look_up_gone(struct raw *r, uint64_t parent, const char *name, pid_t pid,
			struct view_entry *out, struct err *e)
{
	mode_t type = raw_gone_find(r, parent, name, pid);
	struct stat st;
	int found = type ? attr_of_gone(r, parent, type, &st, e) : -ENOENT;

	return found < 0 ? found : enter(r, parent, name, &st, out, e);
}

int raw_lookup(struct raw *r, uint64_t parent, const char *name, pid_t pid, struct view_entry *out,
	       struct err *e)
{
	CLEANUP(raw_place_release) struct raw_place p = {.dirfd = -1};
	int found;

	if (strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	found = raw_place_find(r, parent, name, &p, e);
	if (found < 0)
		return found;
	if (p.is_ours)
		return p.is_there ? enter(r, parent, name, &p.st, out, e) : -ENOENT;
	found = view_lookup(r->view, parent, p.name, out, e);
	if (found == -ENOENT && p.is_there) /* it was shown a moment ago */
		return enter(r, parent, name, &p.st, out, e);
	if (found == -ENOENT && !r->all)
		found = look_up_unlisted(r, parent, name, out, e);
	if (found == -ENOENT)
		found = look_up_gone(r, parent, name, pid, out, e);
	/* With its index a step's folder goes at once. */
	if (found == 0 && p.dirfd >= 0)
		out->fleeting = true;
	return found;
}

static int attr_of_held(int fd, uint64_t id, struct view_entry *out, struct err *e)
{
	*out = (struct view_entry){.id = id, .fleeting = true};
	return fstat(fd, &out->st) < 0 ? err_sys(e, -errno, "fstat") : 0;
}

int raw_getattr(struct raw *r, uint64_t id, struct view_entry *out, struct err *e)
{
	CLEANUP(closep) int fd = -1;
	uint64_t parent;
	mode_t type;

	if (!raw_is(id))
		return view_getattr(r->view, id, out, e);
	if ((type = raw_node_is_gone(r, id, &parent))) {
		*out = (struct view_entry){.id = id, .fleeting = true};
		return attr_of_gone(r, parent, type, &out->st, e);
	}
	fd = raw_node_hold(r, id, e);
	return fd < 0 ? fd : attr_of_held(fd, id, out, e);
}

/* A link to a step leads to its folder, which has another name if a file has the step's. */
static int read_shown_link(struct raw *r, uint64_t id, struct buf *out, struct err *e)
{
	CLEANUP(closep) int dirfd = -1;
	size_t start = out->n;
	int done = view_readlink(r->view, id, out, e);

	if (done < 0 || !r->all)
		return done;
	dirfd = view_open_folder_of_link(r->view, id, e);
	if (dirfd < 0) /* -ENOTDIR: to a file */
		return dirfd == -ENOTDIR ? 0 : dirfd;
	if (buf_add_byte(out, 0) < 0)
		return err_set(e, -ENOMEM, "no memory");
	out->n--;
	if (raw_place_hides(dirfd, (char *)out->p + start) && buf_add_str(out, RAW_CLASH) < 0)
		return err_set(e, -ENOMEM, "no memory");
	return 0;
}

int raw_readlink(struct raw *r, uint64_t id, struct buf *out, struct err *e)
{
	CLEANUP(closep) int fd = -1;
	char target[PATH_MAX];
	ssize_t n;

	if (!raw_is(id))
		return read_shown_link(r, id, out, e);
	fd = raw_node_hold(r, id, e);
	if (fd < 0)
		return fd;
	n = readlinkat(fd, "", target, sizeof target);
	if (n < 0)
		return err_sys(e, -errno, "readlink");
	return buf_add(out, target, (size_t)n) < 0 ? err_set(e, -ENOMEM, "no memory") : 0;
}

/* --- extended attributes ------------------------------------------------------------------------------------------ */

int raw_getxattr(struct raw *r, uint64_t id, const char *name, const struct stop *stop,
		 struct buf *out, struct err *e)
{
	return raw_is(id) ? -ENODATA : view_getxattr(r->view, id, name, stop, out, e);
}

int raw_listxattr(struct raw *r, uint64_t id, struct buf *out, struct err *e)
{
	return raw_is(id) ? 0 : view_listxattr(r->view, id, out, e);
}

int raw_setxattr(struct raw *r, uint64_t id, const char *name, struct bytes value,
		 struct buf *changes, struct err *e)
{
	return raw_is(id) ? -EOPNOTSUPP : view_setxattr(r->view, id, name, value, changes, e);
}

int raw_sync(struct raw *r, uint64_t id, const struct view_asker *who, struct buf *changes,
	     struct err *e)
{
	CLEANUP(closep) int fd = -1;

	if (!raw_is(id))
		return view_sync(r->view, id, who, changes, e);
	fd = raw_node_open_folder(r, id, e);
	return fd < 0 ? fd : io_sync(fd, ".", e);
}

/* --- setting attributes --------------------------------------------------------------------------------------------- */

static struct timespec time_to_set(unsigned valid, unsigned given, unsigned now, struct timespec t)
{
	const struct timespec omit = {0, UTIME_OMIT}, current = {0, UTIME_NOW};

	return valid & now ? current : valid & given ? t : omit;
}

/* The file that FD holds. */
static int set(int fd, unsigned valid, const struct stat *st, struct err *e)
{
	const struct timespec times[2] = {
		time_to_set(valid, RAW_ATIME, RAW_ATIME_NOW, st->st_atim),
		time_to_set(valid, DRAFT_MTIME, DRAFT_MTIME_NOW, st->st_mtim)};
	char path[32];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if ((valid & DRAFT_MODE && chmod(path, st->st_mode & 07777) < 0) ||
	    (valid & (DRAFT_UID | DRAFT_GID) &&
	     fchownat(fd, "", valid & DRAFT_UID ? st->st_uid : (uid_t)-1,
		      valid & DRAFT_GID ? st->st_gid : (gid_t)-1, AT_EMPTY_PATH) < 0) ||
	    (valid & VIEW_SIZE && truncate(path, st->st_size) < 0) ||
	    (valid & (RAW_ATIME | RAW_ATIME_NOW | DRAFT_MTIME | DRAFT_MTIME_NOW) &&
	     utimensat(fd, "", times, AT_EMPTY_PATH) < 0))
		return err_sys(e, -errno, "setting attributes");
	return 0;
}

int raw_setattr(struct raw *r, uint64_t id, struct raw_file *f, unsigned valid,
		const struct stat *st, struct view_entry *out, struct err *e)
{
	CLEANUP(closep) int fd = -1;
	int done;

	/* A folder of the directory is set there. */
	if (!raw_is(id) && r->all && !f)
		fd = view_open_folder(r->view, id, NULL);
	if (!raw_is(id) && fd < 0)
		return view_setattr(r->view, id, f ? f->view : NULL,
				    valid & ~(unsigned)(RAW_ATIME | RAW_ATIME_NOW), st, out, e);
	if (!r->all || !r->view->writable)
		return r->view->writable ? -EPERM : -EROFS;
	if (raw_is(id))
		fd = raw_node_hold(r, id, e);
	if (fd < 0)
		return fd;
	done = set(fd, valid, st, e);
	if (done < 0 || !raw_is(id))
		return done < 0 ? done : view_getattr(r->view, id, out, e);
	return attr_of_held(fd, id, out, e);
}

#include "base/io.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/lacks.h"
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

enum { RANDOM = 16 };

/* For files without a name where the directory's own filesystem can't have any. */
#define ELSEWHERE "/var/tmp"

/* "NAME.tmp" and 32 random hex digits. */
static int temporary_name(const char *name, char out[NAME_MAX + 1])
{
	uint8_t random[RANDOM];
	int n = snprintf(out, NAME_MAX + 1, "%s.tmp", name);

	if (n < 0 || n + 2 * RANDOM > NAME_MAX)
		return -ENAMETOOLONG;
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return -EIO;
	for (int i = 0; i < RANDOM; i++)
		snprintf(out + n + 2 * i, 3, "%02x", random[i]);
	return 0;
}

static int fill_file(int dirfd, const char *name, int fd, struct bytes b, mode_t mode)
{
	struct stat old;
	int r = io_write_at(fd, b, 0, NULL);

	if (r < 0)
		return r;
	/* The owner first: chown takes away bits of the mode. */
	if (fstatat(dirfd, name, &old, AT_SYMLINK_NOFOLLOW) == 0 &&
	    fchown(fd, old.st_uid, old.st_gid) < 0 && errno != EPERM)
		return -errno;
	if (fchmod(fd, mode & 07777) < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

/* Removes the name of FD, a file that was made here, unless it leads to another file by now: somebody may have saved
 * under it. A file that takes the name between the look and the removal is lost; where that matters directory/placed.h
 * is used. */
static int unmake(int dirfd, const char *name, int fd)
{
	struct stat ours, now;

	if (fstat(fd, &ours) < 0 || fstatat(dirfd, name, &now, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (ours.st_dev != now.st_dev ||
	    (ours.st_ino != now.st_ino && !(lacks_of(now.st_dev) & LACKS_INODES)))
		return -ESTALE;
	return unlinkat(dirfd, name, 0) < 0 ? -errno : 0;
}

/* Writes NAME.tmp… in MADE_IN and renames it to NAME; with NEW only if there is no NAME. */
static int put_file(int made_in, int dirfd, const char *name, struct bytes b, mode_t mode, bool new,
		    struct err *e)
{
	CLEANUP(closep) int fd = -1;
	char temporary[NAME_MAX + 1];
	int r = temporary_name(name, temporary);

	if (r < 0)
		return err_sys(e, r, "%s", name);
	fd = openat(made_in, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(e, -errno, "%s", temporary);
	r = fill_file(dirfd, name, fd, b, mode);
	if (r == 0)
		r = new ? io_move_new(made_in, temporary, dirfd, name, NULL)
			: io_move(made_in, temporary, dirfd, name, NULL);
	if (r < 0) {
		unlinkat(made_in, temporary, 0);
		return err_sys(e, r, "%s", temporary);
	}
	if (fsync(dirfd) == 0)
		return 0;
	r = err_sys(e, -errno, "%s: syncing its directory", name);
	if (new) /* a call that fails makes no file */
		unmake(dirfd, name, fd);
	return r;
}

int io_replace_file(int made_in, int dirfd, const char *name, struct bytes b, mode_t mode,
		    struct err *e)
{
	return put_file(made_in, dirfd, name, b, mode, false, e);
}

int io_put_new(int dirfd, const char *name, struct bytes b, mode_t mode, struct err *e)
{
	return put_file(dirfd, dirfd, name, b, mode, true, e);
}

/* --- files ------------------------------------------------------------------------------------------------- */

int io_create(int dirfd, const char *name, mode_t mode, struct err *e)
{
	int fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

	return fd < 0 ? err_sys(e, -errno, "%s", name) : fd;
}

int io_nameless_elsewhere(struct err *e)
{
	int fd = openat(AT_FDCWD, ELSEWHERE, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd < 0 ? err_sys(e, -errno, "a file without a name in " ELSEWHERE) : fd;
}

/* Where there is no O_TMPFILE, the file has a name for a moment; if it is of no use without one, it is elsewhere. */
int io_nameless(int dirfd, struct err *e)
{
	char name[NAME_MAX + 1];
	int fd, r;

	if (lacks_at(dirfd) & LACKS_NAMELESS)
		return io_nameless_elsewhere(e);
	fd = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL && errno != ENOENT)
		return err_sys(e, -errno, "a file without a name");
	r = temporary_name(".ckptfs", name);
	if (r < 0)
		return err_sys(e, r, "a file without a name");
	fd = io_create(dirfd, name, 0600, e);
	if (fd >= 0)
		unlinkat(dirfd, name, 0);
	return fd;
}

int io_mark(int dirfd, const char *name, struct err *e)
{
	return mknodat(dirfd, name, S_IFREG | 0644, 0) < 0 && errno != EEXIST
		       ? err_sys(e, -errno, "%s", name)
		       : 0;
}

int io_make_folder(int dirfd, const char *name, mode_t mode, struct err *e)
{
	return mkdirat(dirfd, name, mode) < 0 ? err_sys(e, -errno, "%s", name) : 0;
}

/* A file in place of a symbolic link: LINK_MAGIC, the target, and a newline. */
#define LINK_MAGIC "ckptfs link\n"

static int make_link_file(const char *target, int dirfd, const char *name, struct err *e)
{
	CLEANUP(closep) int fd = io_create(dirfd, name, 0666, e);
	char text[sizeof LINK_MAGIC + PATH_MAX];
	int n = snprintf(text, sizeof text, LINK_MAGIC "%s\n", target), r;

	if (fd < 0)
		return fd;
	r = n < (int)sizeof text ? io_write_at(fd, bytes_of(text, (size_t)n), 0, e)
				 : err_sys(e, -ENAMETOOLONG, "%s", name);
	if (r < 0)
		unmake(dirfd, name, fd);
	return r;
}

/* As io_read_link. */
static ssize_t read_link_file(int dirfd, const char *name, char *target, size_t size)
{
	static const size_t magic = sizeof LINK_MAGIC - 1;
	char text[sizeof LINK_MAGIC + PATH_MAX];
	struct stat st;
	CLEANUP(closep) int fd = -1;
	ssize_t n;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size >= (off_t)sizeof text)
		return -EINVAL;
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	n = fd < 0 ? -1 : pread(fd, text, sizeof text, 0);
	if (n < 0)
		return -errno;
	if ((size_t)n <= magic || memcmp(text, LINK_MAGIC, magic) != 0 || text[n - 1] != '\n')
		return -EINVAL; /* also one that was being made when the process was killed */
	n -= (ssize_t)magic + 1;
	n = (size_t)n < size ? n : (ssize_t)size;
	memcpy(target, text + magic, (size_t)n);
	return n;
}

int io_make_link(const char *target, int dirfd, const char *name, struct err *e)
{
	if (lacks_at(dirfd) & LACKS_SYMLINKS)
		return make_link_file(target, dirfd, name, e);
	return symlinkat(target, dirfd, name) < 0 ? err_sys(e, -errno, "%s", name) : 0;
}

int io_make_name_link(const char *target, int dirfd, const char *name, struct err *e)
{
	int r = lacks_at(dirfd) & LACKS_NAME_LINKS ? -EOPNOTSUPP : 0;

	if (r == 0 && symlinkat(target, dirfd, name) < 0)
		r = -errno;
	return r < 0 ? err_sys(e, r, "%s", name) : 0;
}

ssize_t io_read_link(int dirfd, const char *name, char *target, size_t size)
{
	ssize_t n = readlinkat(dirfd, name, target, size);

	return n >= 0 ? n : errno == EINVAL ? read_link_file(dirfd, name, target, size) : -errno;
}

/* More is not written at once: into the large folios that it then makes the kernel took more than twice as long to copy it. */
enum { WRITE_PIECE = 256 << 10 };

int io_write_at(int fd, struct bytes b, uint64_t off, struct err *e)
{
	while (b.n) {
		ssize_t n = pwrite(fd, b.p, b.n < WRITE_PIECE ? b.n : WRITE_PIECE, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, -errno, "writing at %" PRIu64, off);
		b = bytes_of(b.p + n, b.n - (size_t)n);
		off += (uint64_t)n;
	}
	return 0;
}

void io_write_out(int fd, uint64_t off, uint64_t n)
{
	const uint64_t at_once = 8 << 20;
	uint64_t from = off / at_once * at_once, to = (off + n) / at_once * at_once;

	if (from < to)
		sync_file_range(fd, (off_t)from, (off_t)(to - from), SYNC_FILE_RANGE_WRITE);
}

int io_truncate(int fd, uint64_t size, struct err *e)
{
	return ftruncate(fd, (off_t)size) < 0 ? err_sys(e, -errno, "cutting to %" PRIu64, size) : 0;
}

int io_sync(int fd, const char *name, struct err *e)
{
	return fsync(fd) < 0 ? err_sys(e, -errno, "%s: syncing", name) : 0;
}

/* --- copies ------------------------------------------------------------------------------------------------ */

enum { COPY_PIECE = 1 << 20 };

static int copy_by_hand(int from, uint64_t from_off, int to, uint64_t to_off, uint64_t len,
			struct err *e)
{
	CLEANUP(freep) uint8_t *piece = malloc(COPY_PIECE);
	int r = piece ? 0 : err_set(e, -ENOMEM, "no memory");

	while (r == 0 && len) {
		ssize_t n =
			pread(from, piece, len < COPY_PIECE ? len : COPY_PIECE, (off_t)from_off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? err_sys(e, -errno, "reading at %" PRIu64, from_off)
				     : err_set(e, -EIO, "ends at %" PRIu64, from_off);
		r = io_write_at(to, bytes_of(piece, (size_t)n), to_off, e);
		from_off += (uint64_t)n;
		to_off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return r;
}

int io_copy_range(int from, uint64_t from_off, int to, uint64_t to_off, uint64_t len, struct err *e)
{
	while (len) {
		off_t a = (off_t)from_off, b = (off_t)to_off;
		ssize_t n = copy_file_range(from, &a, to, &b, len < SSIZE_MAX ? len : SSIZE_MAX, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG))
			return err_sys(e, -errno, "copying");
		if (n <= 0) /* the filesystem can't, or FROM ends here, which copy_by_hand tells */
			return copy_by_hand(from, from_off, to, to_off, len, e);
		from_off += (uint64_t)n;
		to_off += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}

bool io_clone(int from, int to)
{
	return ioctl(to, FICLONE, from) == 0;
}

static int fill_copy(int from, int to, struct err *e)
{
	struct stat st;
	int r;

	if (fstat(from, &st) < 0)
		return err_sys(e, -errno, "fstat");
	r = io_clone(from, to) ? 0 : io_copy_range(from, 0, to, 0, (uint64_t)st.st_size, e);
	if (r == 0 && fchown(to, st.st_uid, st.st_gid) < 0 && errno != EPERM)
		r = err_sys(e, -errno, "fchown");
	if (r == 0 && fchmod(to, st.st_mode & 0666) < 0)
		r = err_sys(e, -errno, "fchmod");
	return r;
}

int io_copy(int from, int to_dir, const char *to, struct err *e)
{
	CLEANUP(closep) int out = io_create(to_dir, to, 0600, e);
	int r;

	if (out < 0)
		return out;
	r = fill_copy(from, out, e);
	if (r == 0)
		r = io_sync(out, to, e);
	if (r == 0)
		return 0;
	unmake(to_dir, to, out);
	return err_wrap(e, r, "%s", to);
}

/* --- names ------------------------------------------------------------------------------------------------- */

static int no_links(const char *to, struct err *e)
{
	return err_sys(e, -EOPNOTSUPP, "%s", to);
}

/* FOLLOW: the file that FROM leads to. */
static int link_file(int from_dir, const char *from, bool follow, int to_dir, const char *to,
		     struct err *e)
{
	struct stat st;

	if (lacks_at(to_dir) & LACKS_LINKS) /* first what a copy could not help either */
		return fstatat(from_dir, from, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0
			       ? err_sys(e, -errno, "%s", to)
			       : no_links(to, e);
	return linkat(from_dir, from, to_dir, to, follow ? AT_SYMLINK_FOLLOW : 0) < 0
		       ? err_sys(e, -errno, "%s", to)
		       : 0;
}

int io_link(int from_dir, const char *from, int to_dir, const char *to, struct err *e)
{
	return link_file(from_dir, from, false, to_dir, to, e);
}

int io_link_target(int from_dir, const char *from, int to_dir, const char *to, struct err *e)
{
	return link_file(from_dir, from, true, to_dir, to, e);
}

int io_link_fd(int fd, int to_dir, const char *to, struct err *e)
{
	char path[32];

	if (lacks_at(to_dir) & LACKS_LINKS)
		return no_links(to, e);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, to_dir, to, AT_SYMLINK_FOLLOW) < 0
		       ? err_sys(e, -errno, "%s", to)
		       : 0;
}

bool io_needs_copy(int r)
{
	return r == -EPERM || r == -EXDEV || r == -EMLINK || r == -ENOSYS || r == -EOPNOTSUPP ||
	       r == -EACCES;
}

int io_place(int from_dir, const char *from, int to_dir, const char *to, struct err *e)
{
	CLEANUP(closep) int in = -1;
	int r = io_link(from_dir, from, to_dir, to, e);

	if (!io_needs_copy(r))
		return r;
	in = openat(from_dir, from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return in < 0 ? err_sys(e, -errno, "%s", from) : io_copy(in, to_dir, to, e);
}

int io_move(int from_dir, const char *from, int to_dir, const char *to, struct err *e)
{
	return renameat(from_dir, from, to_dir, to) < 0 ? err_sys(e, -errno, "%s", to) : 0;
}

/* With FLAGS of renameat2(2). */
static int move_with(int from_dir, const char *from, int to_dir, const char *to, unsigned flags,
		     struct err *e)
{
	return renameat2(from_dir, from, to_dir, to, flags) < 0 ? err_sys(e, -errno, "%s", to) : 0;
}

enum { MARK_MODE = 0600 };

int io_is_mark(int dirfd, const char *name, struct err *e)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, -errno, "%s", name);
	return st.st_size == 0 && S_ISREG(st.st_mode) &&
	       ((st.st_mode & 07777) == MARK_MODE || lacks_of(st.st_dev) & LACKS_MODES);
}

/* An empty file takes the name TO, and only then is that replaced. It is made without being opened, for what is replaced
 * while it is open gets another name on some filesystems. */
static int move_over_mark(int from_dir, const char *from, int to_dir, const char *to, struct err *e)
{
	CLEANUP(closep) int mark = -1;
	int r;

	if (mknodat(to_dir, to, S_IFREG | MARK_MODE, 0) < 0)
		return err_sys(e, -errno, "%s", to);
	mark = openat(to_dir, to, O_PATH | O_CLOEXEC | O_NOFOLLOW); /* tells it from another's */
	r = io_move(from_dir, from, to_dir, to, e);
	if (r < 0 && mark >= 0)
		unmake(to_dir, to, mark);
	return r;
}

/* Links FROM to TO and removes FROM. If that can't be removed, TO goes again: the file has not moved. */
static int move_by_link(int from_dir, const char *from, int to_dir, const char *to, struct err *e)
{
	CLEANUP(closep) int fd = openat(from_dir, from, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	int r = fd < 0 ? err_sys(e, -errno, "%s", from) : io_link(from_dir, from, to_dir, to, e);

	if (r < 0)
		return r;
	r = io_remove_file(from_dir, from, e);
	if (r < 0)
		unmake(to_dir, to, fd);
	return r;
}

static int move_new_otherwise(int from_dir, const char *from, int to_dir, const char *to,
			      struct err *e)
{
	struct stat st;
	int r;

	if (fstatat(from_dir, from, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, -errno, "%s", from);
	/* rename(2) replaces no folder but an empty one. And where nothing new may be replaced, as it would come back
	 * (rclone), a file that takes the name right now is. */
	if (S_ISDIR(st.st_mode) || lacks_at(to_dir) & LACKS_FOLDERS)
		return faccessat(to_dir, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0
			       ? err_sys(e, -EEXIST, "%s", to)
			       : io_move(from_dir, from, to_dir, to, e);
	r = move_by_link(from_dir, from, to_dir, to, e);
	return io_needs_copy(r) ? move_over_mark(from_dir, from, to_dir, to, e) : r;
}

int io_move_new(int from_dir, const char *from, int to_dir, const char *to, struct err *e)
{
	int r = move_with(from_dir, from, to_dir, to, RENAME_NOREPLACE, e);

	return r == -EINVAL || r == -ENOSYS ? move_new_otherwise(from_dir, from, to_dir, to, e) : r;
}

int io_exchange(int a_dir, const char *a, int b_dir, const char *b, struct err *e)
{
	return move_with(a_dir, a, b_dir, b, RENAME_EXCHANGE, e);
}

int io_remove_file(int dirfd, const char *name, struct err *e)
{
	return unlinkat(dirfd, name, 0) < 0 ? err_sys(e, -errno, "%s", name) : 0;
}

enum { PATIENCE_MS = 500, STEP_MS = 5 };

/* Is there nothing in the folder but what was removed while it was open? */
static bool has_only_removed(int dirfd, const char *name)
{
	CLEANUP(dir_closep) DIR *d = dir_open(dirfd, name);
	const struct dirent *de;
	bool only = d;

	while (only && (de = dir_next(d)))
		only = dir_is_removed(de->d_name);
	return only;
}

/* Where a file that is removed while it is open gets another name, that goes a moment after the file was closed. */
int io_remove_folder(int dirfd, const char *name, struct err *e)
{
	const struct timespec step = {.tv_nsec = STEP_MS * 1000000};
	int r = unlinkat(dirfd, name, AT_REMOVEDIR) < 0 ? -errno : 0;

	for (int ms = 0; r == -ENOTEMPTY && lacks_at(dirfd) & (LACKS_REMOVAL | LACKS_NAMELESS) &&
			 ms < PATIENCE_MS && has_only_removed(dirfd, name);
	     ms += STEP_MS) {
		nanosleep(&step, NULL);
		r = unlinkat(dirfd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
	}
	return r < 0 ? err_sys(e, r, "%s", name) : 0;
}

static int empty_folder(int parent, const char *name, struct err *e)
{
	CLEANUP(dir_closep) DIR *d = dir_open(parent, name);
	const struct dirent *de;
	int r = 0;

	if (!d)
		return err_sys(e, -errno, "%s", name);
	while ((r == 0 || r == -ENOTEMPTY) && (de = dir_next(d))) {
		int own = io_remove_all(dirfd(d), de->d_name, r < 0 ? NULL : e);

		if (own < 0 &&
		    r == 0) { /* what is beside a file that is open is removed all the same */
			err_wrap(e, own, "%s", name);
			r = own;
		}
	}
	return r;
}

int io_remove_all(int dirfd, const char *name, struct err *e)
{
	int r;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT || errno == ENOTDIR)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_sys(e, -errno, "%s", name);
	r = empty_folder(dirfd, name, e);
	return r < 0 ? r : io_remove_folder(dirfd, name, e);
}

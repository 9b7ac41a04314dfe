#include "directory/ability.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/io.h"
#include "base/lacks.h"
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define SCRATCH ".ckptfs/ability"

/* Numbers that linux/magic.h does not have are from the filesystems' sources. */
bool ability_hears_changes(int dirfd)
{
	struct statfs st;

	if (fstatfs(dirfd, &st) < 0)
		return false;
	switch ((uint32_t)st.f_type) {
	case NFS_SUPER_MAGIC:
	case SMB_SUPER_MAGIC:
	case 0xff534d42: /* CIFS */
	case 0xfe534d42: /* SMB 2 */
	case AFS_SUPER_MAGIC:
	case CODA_SUPER_MAGIC:
	case V9FS_MAGIC:
	case 0x00c36400: /* Ceph */
	case 0x0bd00bd0: /* Lustre */
	case 0x47504653: /* GPFS */
	case 0x19830326: /* BeeGFS */
	case FUSE_SUPER_MAGIC:
		return false;
	default:
		return true;
	}
}

bool ability_hears_all(int dirfd)
{
	struct statfs st;

	if (fstatfs(dirfd, &st) < 0)
		return false;
	switch ((uint32_t)st.f_type) {
	case EXT4_SUPER_MAGIC: /* ext2 and ext3, too */
	case XFS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
	case TMPFS_MAGIC:
		return true;
	default:
		return false;
	}
}

bool ability_dates_folders(int dirfd)
{
	struct statfs st;

	return fstatfs(dirfd, &st) == 0 && st.f_type != FUSE_SUPER_MAGIC;
}

/* --- trying ------------------------------------------------------------------------------------------------ */

/* Whether the error R says nothing of the filesystem's abilities, but that it is full, or that there is no memory. */
static bool is_plight(int r)
{
	return r == -ENOSPC || r == -EDQUOT || r == -ENOMEM || r == -EMFILE || r == -ENFILE ||
	       r == -EROFS;
}

/* Makes the file NAME with a few bytes. Returns its descriptor. */
static int make_file(int dir, const char *name, struct err *e)
{
	CLEANUP(closep) int fd = io_create(dir, name, 0600, e);
	int r = fd < 0 ? fd : io_write_at(fd, bytes_str(name), 0, e);

	return r < 0 ? r : TAKE(fd, -1);
}

/* The st_ino of NAME. */
static int number_of(int dir, const char *name, ino_t *out, struct err *e)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, -errno, "%s", name);
	*out = st.st_ino;
	return 0;
}

/* Each returns the flags of what is lacking (base/lacks.h), or an error that says nothing of it. What fails is tried a
 * second time, for a disk may fail once. */
typedef int (*try_fn)(int dir, struct err *e);

static int try_links(int dir, struct err *e)
{
	CLEANUP(closep) int fd = make_file(dir, "file", e);
	ino_t file, link;
	int r = fd < 0 ? fd : 0;

	for (int tries = 0; tries < 2 && fd >= 0; tries++) {
		r = io_link(dir, "file", dir, "link", e);
		if (r == 0 || is_plight(r))
			break;
	}
	if (r < 0)
		return fd < 0 || is_plight(r) ? r : LACKS_LINKS;
	r = number_of(dir, "file", &file, e);
	if (r == 0)
		r = number_of(dir, "link", &link, e);
	return r < 0 ? r : file == link ? 0 : LACKS_LINKS | LACKS_INODES;
}

static int try_moving(int dir, struct err *e)
{
	ino_t before, after;
	int r = number_of(dir, "file", &before, e);

	if (r == 0)
		r = io_move(dir, "file", dir, "moved", e);
	if (r == 0)
		r = number_of(dir, "moved", &after, e);
	return r < 0 ? r : before == after ? 0 : LACKS_INODES;
}

static int try_noreplace(int dir, struct err *e)
{
	int r = renameat2(dir, "moved", dir, "again", RENAME_NOREPLACE) < 0 ? -errno : 0;

	if (r == -EINVAL || r == -ENOSYS)
		return LACKS_NOREPLACE;
	return r < 0 ? err_sys(e, r, "again") : 0;
}

/* Tries a link NAME to TARGET. FLAG: what is lacking if there can't be one. */
static int try_symlink(int dir, const char *target, const char *name, int flag, struct err *e)
{
	char back[8];
	int r = 0;

	for (int tries = 0; tries < 2; tries++) {
		r = io_make_link(target, dir, name, e);
		if (r == 0 || is_plight(r))
			break;
	}
	if (r < 0)
		return is_plight(r) ? r : flag;
	return readlinkat(dir, name, back, sizeof back) == (ssize_t)strlen(target) ? 0 : flag;
}

/* One that leads upwards, as those of pins do: sshfs refuses some of these. And one as `best` -> STEP. */
static int try_symlinks(int dir, struct err *e)
{
	int up = try_symlink(dir, "../..", "symlink", LACKS_SYMLINKS, e);
	int beside = up < 0 ? up : try_symlink(dir, "moved", "beside", LACKS_NAME_LINKS, e);

	return beside < 0 ? beside : up | beside;
}

/* Is there a file that was removed while it was open? */
static bool shows_removed(int dir)
{
	CLEANUP(dir_closep) DIR *d = dir_open(dir, ".");
	const struct dirent *de;
	bool shows = false;

	while (d && !shows && (de = dir_next(d)))
		shows = dir_is_removed(de->d_name);
	return shows;
}

static int try_removing(int dir, struct err *e)
{
	CLEANUP(closep) int fd = make_file(dir, "open", e);
	int r = fd < 0 ? fd : io_remove_file(dir, "open", e), flags = 0;
	char back[8];
	struct stat st;

	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0 || io_write_at(fd, bytes_str("N"), 1, NULL) < 0 ||
	    pread(fd, back, sizeof back, 0) != 4 || memcmp(back, "oNen", 4) != 0)
		flags |= LACKS_NAMELESS;
	return shows_removed(dir) ? flags | LACKS_REMOVAL : flags;
}

/* The time of a file that was set long ago, while somebody reads it. */
static int try_times(int dir, struct err *e)
{
	static const struct timespec times[] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	CLEANUP(closep) int made = make_file(dir, "dated", e);
	CLEANUP(closep) int fd = -1;
	char back[8];
	struct stat st;

	if (made < 0)
		return made;
	if (futimens(made, times) < 0)
		return LACKS_TIMES;
	closep(&made);
	fd = openat(dir, "dated", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || pread(fd, back, sizeof back, 0) < 0 || fstat(fd, &st) < 0)
		return err_sys(e, -errno, "dated");
	return st.st_mtim.tv_sec == times[1].tv_sec ? 0 : LACKS_TIMES;
}

static int try_folders(int dir, struct err *e)
{
	CLEANUP(closep) int folder = -1, fd = -1;
	int r = io_make_folder(dir, "folder", 0700, e);
	char back[8];

	if (r == 0)
		r = folder = dir_fd(dir, "folder", e);
	if (r >= 0)
		r = fd = make_file(folder, "new", e);
	closep(&fd);
	closep(&folder);
	if (r >= 0)
		r = io_move(dir, "folder", dir, "renamed", e);
	if (r < 0)
		return is_plight(r) ? r : LACKS_FOLDERS;
	fd = openat(dir, "renamed/new", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && pread(fd, back, sizeof back, 0) == 3)
		return 0;
	io_move(dir, "renamed", dir, "folder",
		NULL); /* or what is in it can't be removed for good either */
	return LACKS_FOLDERS;
}

/* Modes, reflinks and locks, of files that are open. */
static int try_open(int dir, struct err *e)
{
	CLEANUP(closep) int from = make_file(dir, "from", e);
	CLEANUP(closep) int to = from < 0 ? from : make_file(dir, "to", e);
	struct stat st;
	int flags = 0;

	if (to < 0)
		return to;
	if (fchmod(to, 0640) < 0 || fstatat(dir, "to", &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    (st.st_mode & 07777) != 0640)
		flags |= LACKS_MODES;
	if (!io_clone(from, to))
		flags |= LACKS_CLONES;
	if (flock(from, LOCK_EX | LOCK_NB) < 0)
		flags |= LACKS_LOCKS;
	return ability_hears_changes(dir) ? flags : flags | LACKS_EVENTS;
}

/* All of it, in the empty folder DIR. */
static int try_all(int dir, struct err *e)
{
	static const try_fn all[] = {try_links,    try_moving, try_noreplace, try_symlinks,
				     try_removing, try_times,  try_folders,   try_open};
	int r = 0, flags = 0;

	for (size_t i = 0; i < sizeof all / sizeof *all && r >= 0; i++) {
		r = all[i](dir, e);
		flags |= r < 0 ? 0 : r;
	}
	/* Without links a FUSE filesystem makes its numbers up, often of paths, and the kernel remembers them for a while. */
	if (flags & LACKS_LINKS && flags & LACKS_EVENTS)
		flags |= LACKS_INODES;
	return r < 0 ? r : flags;
}

/* --- telling ----------------------------------------------------------------------------------------------- */

/* What is only slower or is done each time anyway does not matter by itself. */
static const unsigned MINOR = LACKS_CLONES | LACKS_EVENTS | LACKS_LOCKS | LACKS_NOREPLACE;

static const struct {
	unsigned flag;
	const char *what, *follows;
} words[] = {
	{LACKS_LINKS, "hard links",
	 "commits copy shards, and fail if their step was replaced meanwhile"},
	{LACKS_SYMLINKS, "symbolic links", NULL},
	{LACKS_INODES, "lasting inode numbers", "size and time tell files apart"},
	{LACKS_TIMES, "exact times", "a minute is no difference"},
	{LACKS_NOREPLACE, "renaming without replacing", NULL},
	{LACKS_NAMELESS, "use of removed files", "those that are open are kept in /var/tmp"},
	{LACKS_REMOVAL, "removal of open files", "rests of drafts may stay until the next mount"},
	{LACKS_FOLDERS, "renaming of new folders",
	 "mv of a scope copies, and a name that is taken right now may be replaced"},
	{LACKS_MODES, "modes", NULL},
	{LACKS_CLONES, "reflinks", NULL},
	{LACKS_LOCKS, "flock", NULL},
	{LACKS_EVENTS, "news of changes", "what others change is seen after a second"},
};

enum { N_WORDS = sizeof words / sizeof *words };

static int describe(unsigned flags, struct buf *say)
{
	int r = buf_add_str(say, "the filesystem has no ");
	const char *between = "";

	for (int i = 0; i < N_WORDS && r == 0; i++)
		if (flags & words[i].flag) {
			r = buf_printf(say, "%s%s", between, words[i].what);
			between = ", ";
		}
	between = ": ";
	for (int i = 0; i < N_WORDS && r == 0; i++)
		if (flags & words[i].flag && words[i].follows) {
			r = buf_printf(say, "%s%s", between, words[i].follows);
			between = "; ";
		}
	return r == 0 ? buf_add_byte(say, 0) : r;
}

int ability_learn(int top, struct buf *say, struct err *e)
{
	CLEANUP(closep) int dir = -1;
	struct stat st;
	int r;

	if (fstat(top, &st) < 0)
		return err_sys(e, -errno, "the checkpoint directory");
	if (lacks_known(st.st_dev))
		return 0;
	r = io_remove_all(top, SCRATCH, e); /* of one that was killed */
	if (r == 0)
		r = io_make_folder(top, SCRATCH, 0700, e);
	if (r == 0)
		r = dir = dir_fd(top, SCRATCH, e);
	if (r >= 0)
		r = try_all(dir, e);
	if (r >= 0)
		lacks_note(st.st_dev, (unsigned)r);
	closep(&dir);
	io_remove_all(top, SCRATCH, NULL); /* if it can't be removed the next mount does it */
	if (r < 0) /* a full disk lets a file be removed all the same */
		return r == -ENOSPC || r == -EDQUOT ? 0
						    : err_wrap(e, r, "what the filesystem can do");
	if (!((unsigned)r & ~MINOR))
		return 0;
	return describe((unsigned)r, say) < 0 ? err_set(e, -ENOMEM, "no memory") : 1;
}

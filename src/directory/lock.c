#include "directory/lock.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#define LOCK ".ckptfs/lock"

static struct flock whole_file(void)
{
	return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
}

static int busy(const char *holder, struct err *e)
{
	return err_set(e, -EBUSY, "the checkpoint directory is being written to already%s%s",
		       *holder ? ", by " : "", holder);
}

/* The same; the lock's holder has written a line into its file, FD. */
static int busy_file(int fd, struct err *e)
{
	char holder[200];
	ssize_t n = pread(fd, holder, sizeof holder - 1, 0);

	holder[n > 0 ? n : 0] = 0;
	holder[strcspn(holder, "\n")] = 0;
	return busy(holder, e);
}

/* "process PID (NAME)" into OUT; of a process that has ended by now there is no name. */
static void print_process(int pid, char *out, size_t size)
{
	char path[40], name[32] = "";
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/comm", pid);
	f = fopen(path, "re");
	if (f && fgets(name, sizeof name, f))
		name[strcspn(name, "\n")] = 0;
	if (f)
		fclose(f);
	snprintf(out, size, "process %d%s%s%s", pid, *name ? " (" : "", name, *name ? ")" : "");
}

/* Which process has locked the directory DIR, from /proc/locks. */
static void find_holder(int dir, char *out, size_t size)
{
	FILE *f = fopen("/proc/locks", "re");
	char line[256];
	struct stat st;

	*out = 0;
	if (f && fstat(dir, &st) == 0)
		while (fgets(line, sizeof line, f)) {
			unsigned maj, min;
			unsigned long ino;
			int pid;

			if (sscanf(line, "%*s FLOCK %*s WRITE %d %x:%x:%lu", &pid, &maj, &min,
				   &ino) == 4 &&
			    ino == st.st_ino && makedev(maj, min) == st.st_dev)
				print_process(pid, out, size);
		}
	if (f)
		fclose(f);
}

bool lock_is_held(int top, struct err *e)
{
	CLEANUP(closep) int fd = openat(top, LOCK, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct flock probe = whole_file();

	if (fd < 0 || fcntl(fd, F_OFD_GETLK, &probe) < 0 || probe.l_type == F_UNLCK)
		return false;
	busy_file(fd, e);
	return true;
}

/* umount(8) does not wait for the daemon, which needs a moment to end. */
enum { PATIENCE_MS = 1000, STEP_MS = 10 };

static int lock_patiently(int fd)
{
	const struct timespec step = {.tv_nsec = STEP_MS * 1000000};
	int r = flock(fd, LOCK_EX | LOCK_NB);

	for (int ms = 0; r < 0 && errno == EWOULDBLOCK && ms < PATIENCE_MS; ms += STEP_MS) {
		nanosleep(&step, NULL);
		r = flock(fd, LOCK_EX | LOCK_NB);
	}
	return r;
}

int lock_directory(struct lock *l, int top, struct err *e)
{
	CLEANUP(closep) int fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char holder[64];

	*l = (struct lock){-1, -1};
	if (fd < 0)
		return err_sys(e, -errno, "the checkpoint directory");
	if (lock_patiently(fd) == 0) {
		if (lock_is_held(top, e)) /* by another machine */
			return -EBUSY;
		l->dir = TAKE(fd, -1);
		return 0;
	}
	if (errno != EWOULDBLOCK)
		return 0; /* the filesystem has no flock(2): .ckptfs/lock must do */
	find_holder(fd, holder, sizeof holder);
	return busy(holder, e);
}

/* A descriptor of .ckptfs/lock, locked. If its last holder has removed it meanwhile, it is made once more. */
static int take_file(int top, struct err *e)
{
	for (;;) {
		CLEANUP(closep)
		int fd = openat(top, LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		struct flock lk = whole_file();
		struct stat st, now;

		if (fd < 0)
			return err_sys(e, -errno, "%s", LOCK);
		if (fcntl(fd, F_OFD_SETLK, &lk) < 0)
			return errno == EAGAIN || errno == EACCES
				       ? busy_file(fd, e)
				       : err_sys(e, -errno, "%s: locking", LOCK);
		if (fstat(fd, &st) == 0 && fstatat(top, LOCK, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_ino == now.st_ino)
			return TAKE(fd, -1);
	}
}

static int not_writable(int r, struct err *e)
{
	return r == -EACCES || r == -EPERM || r == -EROFS
		       ? err_set(e, -EROFS, "the checkpoint directory can't be written to")
		       : r;
}

int lock_for_drafts(struct lock *l, int top, const char *who, struct err *e)
{
	int r, fd;

	if (l->file >= 0)
		return 0;
	r = io_make_folder(top, ".ckptfs", 0777, e);
	if (r < 0 && r != -EEXIST)
		return not_writable(r, e);
	fd = take_file(top, e);
	if (fd < 0)
		return not_writable(fd, e);
	r = io_truncate(fd, 0, e);
	if (r == 0)
		r = io_write_at(fd, bytes_str(who), 0, e);
	if (r < 0)
		close(fd);
	else
		l->file = fd;
	return r;
}

void lock_end_drafts(struct lock *l, int top)
{
	if (l->file >= 0)
		io_remove_file(top, LOCK, NULL);
	closep(&l->file);
	io_remove_folder(top, ".ckptfs", NULL);
}

void lock_release(struct lock *l, int top)
{
	if (l->file >= 0)
		lock_end_drafts(l, top);
	closep(&l->dir);
}

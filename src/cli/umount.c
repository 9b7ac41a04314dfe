/* src/cli/umount.c: umount.ckptfs, called by a person or by umount(8).
 *
 * It has the daemon commit before it unmounts, waits for the daemon's end, and says what could not be committed. It relies on
 * this:
 *   1. fsync of the mount's root commits all drafts, and fails if one of them can't be committed.
 *   2. user.ckptfs.error of the root then says why, a sentence in each line; user.ckptfs.commits which steps were made.
 *   3. A daemon that writes has its source directory locked with flock(2) until it ends. Before that it commits what was
 *      written after the fsync.
 * umount(8), which keeps its own notes on mounts, or fusermount3(1) does the unmounting.
 * Exit codes are those of umount(8), and 64: unmounted, but something waits as a draft. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "cli/mounts.h"
#include "cli/run.h"
#include "tool/args.h"
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/xattr.h>
#include <time.h>

enum { EXIT_USAGE = 1, EXIT_SYSTEM = 2, EXIT_UNMOUNT = 32, EXIT_UNCOMMITTED = 64 };

/* How long to wait for the daemon's end, and how often to look. */
enum { WAIT_SECONDS = 60, LOOK_MS = 5 };

#define ERROR_ATTRIBUTE   "user.ckptfs.error"
#define COMMITS_ATTRIBUTE "user.ckptfs.commits"

struct umount {
	const char *mountpoint;
	bool force, lazy, read_only, verbose;
	const char *ns; /* the mount namespace as -N names it, or NULL */
	int ns_fd; /* the one that this program was started in; -1 without -N */
	struct mount mount;
	int source_fd; /* the directory that the daemon has locked; negative: there is none to look at */
	bool uncommitted;
};

static void umount_release(struct umount *u)
{
	mount_release(&u->mount);
	closep(&u->ns_fd);
	closep(&u->source_fd);
}

static const char usage[] =
	"Usage: umount.ckptfs MOUNTPOINT [-flnrv] [-N NAMESPACE] [-t TYPE]\n"
	"\n"
	"Commits what was written to a mount of mount.ckptfs, unmounts it, and says what\n"
	"could not be committed.\n"
	"\n"
	"  -f            unmount even if the daemon does not answer; nothing is committed\n"
	"  -l            detach now, end when it is used no longer; does not wait\n"
	"  -r            if it is busy, make it read-only\n"
	"  -v            say what is done\n"
	"  -N NAMESPACE  the mount namespace, as a process id or a file\n"
	"  -n, -t TYPE   accepted and ignored\n"
	"  --help, --version\n";

static int complain(int status, const struct err *e)
{
	fprintf(stderr, "umount.ckptfs: %s\n", e->text);
	return status;
}

/* Says WHAT about the mount, with -v. */
static void say(const struct umount *u, const char *what)
{
	if (u->verbose)
		printf("%s: %s\n", u->mount.at, what);
}

/* --- the command line ------------------------------------------------------------------------------------- */

static int take_switch(void *to, int code, const char *value)
{
	struct umount *u = to;

	switch (code) {
	case 'f':
		u->force = true;
		return -1;
	case 'l':
		u->lazy = true;
		return -1;
	case 'r':
		u->read_only = true;
		return -1;
	case 'v':
		u->verbose = true;
		return -1;
	case 'N':
		u->ns = value;
		return -1;
	default: /* -n: no /etc/mtab is written here; -t: the type, which the list of mounts has too */
		return -1;
	}
}

static const struct option long_switches[] = {ARGS_COMMON, {0}};

static const struct args args = {
	.program = "umount.ckptfs",
	.usage = usage,
	.switches = "flnrvN:t:",
	.long_switches = long_switches,
	.needed = "a mountpoint is needed",
	.min = 1,
	.max = 1,
	.exit_usage = EXIT_USAGE,
	.take = take_switch,
};

/* -1 to go on, or the exit status. */
static int parse_arguments(int argc, char **argv, struct umount *u)
{
	char **operands = NULL;
	int status = args_parse(&args, argc, argv, u, &operands);

	if (status < 0)
		u->mountpoint = operands[0];
	return status;
}

/* --- finding it ------------------------------------------------------------------------------------------- */

static int enter_namespace(struct umount *u, struct err *e)
{
	CLEANUP(closep) int fd = -1;
	char of_process[64];
	const char *path = u->ns;

	if (*u->ns && u->ns[strspn(u->ns, "0123456789")] == 0) {
		snprintf(of_process, sizeof of_process, "/proc/%.20s/ns/mnt", u->ns);
		path = of_process;
	}
	u->ns_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (u->ns_fd < 0 || fd < 0 || setns(fd, CLONE_NEWNS) < 0)
		return err_sys(e, -errno, "namespace %s", u->ns);
	return 0;
}

/* Has umount(8) remove the note that mount.ckptfs has left of a mount at PATH. Nothing is mounted there: fusermount3 has
 * unmounted it, or the daemon, as it ended. */
static void forget(const struct umount *u, const char *path)
{
	const char *const argv[] = {"umount", "--fake", "-i", "-c", "--", path, NULL};

	if (geteuid() == 0 && !u->ns)
		run_program(argv, (struct run){.quiet = true, .ns_fd = -1});
}

/* Finds the mount, and opens its root as ROOT with O_PATH: that works without a daemon. While it is open the mount is busy. */
static int find(struct umount *u, int *root, struct err *e)
{
	char link[64], path[PATH_MAX];
	ssize_t n;
	int r;

	*root = open(u->mountpoint, O_PATH | O_CLOEXEC);
	if (*root < 0)
		return err_sys(e, -errno, "%s", u->mountpoint);
	r = mount_of(*root, &u->mount, e);
	if (r < 0)
		return err_wrap(e, r, "%s", u->mountpoint);
	snprintf(link, sizeof link, "/proc/self/fd/%d", *root);
	n = readlink(link, path, sizeof path - 1);
	if (n < 0)
		return err_sys(e, -errno, "%s", u->mountpoint);
	path[n] = 0;
	if (strcmp(path, u->mount.at) != 0) {
		forget(u, path);
		return err_set(e, -EINVAL, "%s: not mounted", u->mountpoint);
	}
	if (strcmp(u->mount.type, "fuse.ckptfs") != 0)
		return err_set(e, -EINVAL, "%s: not of type fuse.ckptfs, but %s", u->mountpoint,
			       u->mount.type);
	return 0;
}

/* Whether the daemon writes. The option is that of the filesystem; a single mount of it may be read-only all the same. */
static bool writes(const struct umount *u)
{
	return strncmp(u->mount.options, "ro", 2) != 0 ||
	       (u->mount.options[2] && u->mount.options[2] != ',');
}

/* --- the commit ------------------------------------------------------------------------------------------- */

/* Passes each line of the attribute NAME of the mount's root FD to HAND. False: it has none. */
static bool each_line(int fd, const char *name, void (*hand)(const struct err *line))
{
	CLEANUP(buf_release) struct buf text = {0};
	struct err sentence;
	ssize_t n;

	if (buf_reserve(&text, XATTR_SIZE_MAX + (size_t)1) < 0)
		return false;
	n = fgetxattr(fd, name, text.p, XATTR_SIZE_MAX);
	if (n <= 0)
		return false;
	text.p[n] = 0;
	for (char *rest = (char *)text.p, *line; (line = strsep(&rest, "\n"));) {
		if (!*line)
			continue;
		err_set(&sentence, 0, "%s", line);
		hand(&sentence);
	}
	return true;
}

/* What the daemon says is wrong in the mount. */
static void tell_why(const struct err *line)
{
	complain(0, line);
}

static void tell_made(const struct err *line)
{
	printf("%s\n", line->text);
}

static void commit_failed(struct umount *u, int fd, int code)
{
	struct err e;

	/* A daemon that does not write has no fsync. There is nothing to lose. */
	if (code == -ENOSYS)
		return;
	if (code == -ENOTCONN || code == -ECONNABORTED) {
		err_set(&e, code, "%s: its daemon has died; drafts are taken up at the next mount",
			u->mount.at);
		complain(0, &e);
		return;
	}
	u->uncommitted = true;
	if (fd >= 0 && each_line(fd, ERROR_ATTRIBUTE, tell_why))
		return;
	err_sys(&e, code, "%s: can't commit", u->mount.at);
	complain(0, &e);
}

static void commit(struct umount *u, int root)
{
	CLEANUP(closep) int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == EACCES)
		say(u, "another user's, whose daemon commits as it ends");
	else if (fd < 0 || fsync(fd) < 0)
		commit_failed(u, fd, -errno);
	else
		say(u, "committed");
	if (fd >= 0 && u->verbose)
		each_line(fd, COMMITS_ATTRIBUTE, tell_made);
}

/* --- the daemon's lock ------------------------------------------------------------------------------------ */

/* Opens the directory PATH. A descriptor, or a negative errno. -EBUSY: the mount itself is there, and hides its own source. */
static int open_visible(const struct umount *u, const char *path)
{
	CLEANUP(closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(mount_release) struct mount m = {0};

	if (fd < 0)
		return -errno;
	if (mount_of(fd, &m, NULL) < 0 || !strcmp(m.dev, u->mount.dev))
		return -EBUSY;
	return TAKE(fd, -1);
}

/* Opens the directory that the daemon has locked. The source is that directory, or a prefix or a file in it. */
static void open_source(struct umount *u)
{
	CLEANUP(freep) char *path = strdup(u->mount.source);
	char *slash = path ? strrchr(path, '/') : NULL;

	if (!slash || *path != '/')
		return;
	u->source_fd = open_visible(u, path);
	if (u->source_fd != -ENOENT && u->source_fd != -ENOTDIR)
		return;
	slash[slash == path] = 0;
	u->source_fd = open_visible(u, path);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void wait_for_daemon(struct umount *u)
{
	const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
	double end = now() + WAIT_SECONDS;
	struct err e;

	if (u->source_fd < 0)
		open_source(u);
	if (u->source_fd < 0) {
		say(u, "can't see when its daemon ends");
		return;
	}
	while (flock(u->source_fd, LOCK_SH | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR) {
			say(u, "can't see when its daemon ends");
			return;
		}
		if (now() > end) {
			u->uncommitted = true;
			err_set(&e, -ETIMEDOUT,
				"%s: unmounted, but its daemon still works, %d seconds later",
				u->mount.at, WAIT_SECONDS);
			complain(0, &e);
			return;
		}
		nanosleep(&pause, NULL);
	}
	say(u, "its daemon has ended");
}

/* --- unmounting ------------------------------------------------------------------------------------------- */

/* -i: else umount(8) would call this program again. The exit status. */
static int unmount_as_root(const struct umount *u)
{
	const char *argv[12] = {"umount", "-i", "-c"};
	size_t n = 3;

	if (u->force)
		argv[n++] = "-f";
	if (u->lazy)
		argv[n++] = "-l";
	if (u->read_only)
		argv[n++] = "-r";
	if (u->ns) {
		argv[n++] = "-N";
		argv[n++] = u->ns;
	}
	argv[n++] = "--";
	argv[n] = u->mount.at;
	return run_program(argv, (struct run){.ns_fd = u->ns_fd});
}

static int unmount_as_user(const struct umount *u)
{
	const char *const argv[] = {"fusermount3", u->lazy ? "-uz" : "-u", "--", u->mount.at, NULL};

	return run_program(argv, (struct run){.ns_fd = u->ns_fd});
}

/* The exit status. */
static int unmount(struct umount *u)
{
	int r = geteuid() == 0 ? unmount_as_root(u) : unmount_as_user(u);
	struct err e;

	if (r < 0) {
		err_sys(&e, r, "%s: can't start another program", u->mount.at);
		return complain(EXIT_SYSTEM, &e);
	}
	if (r > 0) /* it has said why */
		return EXIT_UNMOUNT;
	/* Still mounted: -r has made it read-only, or it is mounted at another place, too. Then the daemon stays. */
	if (mounts_have(u->mount.dev)) {
		say(u, u->read_only ? "busy, and read-only now" : "unmounted, but not elsewhere");
		return 0;
	}
	say(u, "unmounted");
	if (writes(u) && !u->lazy)
		wait_for_daemon(u);
	return 0;
}

static void tell_what_waits(const struct umount *u)
{
	struct err e;

	err_set(&e, 0,
		"what is not committed waits as a draft in .ckptfs of %s, for the next mount",
		u->mount.source);
	complain(0, &e);
}

int main(int argc, char **argv)
{
	CLEANUP(umount_release) struct umount u = {.ns_fd = -1, .source_fd = -1};
	CLEANUP(closep) int root = -1;
	struct err e = {0};
	int status = parse_arguments(argc, argv, &u);

	if (status >= 0)
		return status;
	if (u.ns && enter_namespace(&u, &e) < 0)
		return complain(EXIT_SYSTEM, &e);
	if (find(&u, &root, &e) < 0)
		return complain(EXIT_UNMOUNT, &e);
	if (writes(&u) && !u.force)
		commit(&u, root);
	if (writes(&u) && !u.lazy)
		open_source(&u);
	closep(&root);
	status = unmount(&u);
	if (status != 0 || !u.uncommitted)
		return status;
	tell_what_waits(&u);
	return EXIT_UNCOMMITTED;
}

/* src/cli/mount.c: mount.ckptfs, called by a person or by mount(8).
 *
 * Everything that can be checked is checked before anything is mounted. The parent process waits until the mount serves: the
 * daemon tells it through a pipe. (daemon(3) and fuse_daemonize(3) would report success before that is known.) The daemon
 * keeps nothing open that its caller had open. Exit codes are those of mount(8): 1 wrong usage, 2 system error, 32 the mount
 * failed. */
#include "base/cleanup.h"
#include "base/dir.h"
#include "cli/mounts.h"
#include "cli/run.h"
#include "directory/ability.h"
#include "directory/locate.h"
#include "directory/lock.h"
#include "fuse/daemon.h"
#include "message/state.h"
#include "tool/args.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>

enum { EXIT_USAGE = 1, EXIT_SYSTEM = 2, EXIT_MOUNT = 32 };

struct arguments {
	const char *source, *mountpoint;
	/* What each -o said, in order. It is parsed at the end, when it is known whether -s was given. */
	struct buf texts;
	struct options options;
	bool sloppy, fake, verbose, foreground, debug;
};

static void arguments_release(struct arguments *a)
{
	buf_release(&a->texts);
	options_release(&a->options);
}

static const char usage[] =
	"Usage: mount.ckptfs SOURCE MOUNTPOINT [-sfnv] [-o OPTION[,OPTION...]]\n"
	"\n"
	"Shows the TensorFlow checkpoints in SOURCE as folders of NumPy files below MOUNTPOINT. SOURCE is a\n"
	"directory, a checkpoint's prefix, or any of its files.\n"
	"\n"
	"  -o OPTIONS    separated by commas; --help lists them\n"
	"  -s            ignore unknown options\n"
	"  -f            check everything, mount nothing\n"
	"  -n            accepted and ignored\n"
	"  -v            say what is done\n"
	"  --foreground  stay, and print messages instead of sending them to syslog\n"
	"  --debug       as --foreground, and print each request\n"
	"  --help, --version\n"
	"\n"
	"To unmount: umount.ckptfs MOUNTPOINT, or umount MOUNTPOINT. What was written becomes a new step\n"
	"then; umount.ckptfs says why if it can't.\n";

static void print_options(void)
{
	puts("\nOptions (more in mount.ckptfs(8)):");
	options_print(stdout);
}

static int complain(int status, const struct err *e)
{
	fprintf(stderr, "mount.ckptfs: %s\n", e->text);
	return status;
}

/* --- the command line ------------------------------------------------------------------------------------- */

enum { OPT_FOREGROUND = ARGS_FIRST, OPT_DEBUG };

static const struct option long_switches[] = {
	{"foreground", no_argument, NULL, OPT_FOREGROUND},
	{"debug", no_argument, NULL, OPT_DEBUG},
	ARGS_COMMON,
	{0},
};

static int take_switch(void *to, int code, const char *value)
{
	struct arguments *a = to;

	switch (code) {
	case 'o':
		if (buf_add_str(&a->texts, value) < 0 || buf_add_byte(&a->texts, ',') < 0)
			return EXIT_SYSTEM;
		return -1;
	case 's':
		a->sloppy = true;
		return -1;
	case 'f':
		a->fake = true;
		return -1;
	case 'v':
		a->verbose = true;
		return -1;
	case OPT_DEBUG:
		a->debug = true;
		a->foreground = true;
		return -1;
	case OPT_FOREGROUND:
		a->foreground = true;
		return -1;
	default: /* -n: no /etc/mtab is written here; -t: the type, as mount(8) passes it; -N */
		return -1;
	}
}

static const struct args args = {
	.program = "mount.ckptfs",
	.usage = usage,
	.print_more = print_options,
	.switches = "o:sfnvt:N:",
	.long_switches = long_switches,
	.needed = "a source and a mountpoint are needed",
	.min = 2,
	.max = 2,
	.exit_usage = EXIT_USAGE,
	.take = take_switch,
};

/* -1 to go on, or the exit status. */
static int parse_arguments(int argc, char **argv, struct arguments *a)
{
	char **operands = NULL;
	struct err e = {0};
	int status = args_parse(&args, argc, argv, a, &operands);

	if (status >= 0)
		return status;
	a->source = operands[0];
	a->mountpoint = operands[1];
	if (buf_add_byte(&a->texts, 0) < 0)
		return EXIT_SYSTEM;
	if (options_parse(&a->options, (char *)a->texts.p, a->sloppy, &e) < 0)
		return complain(EXIT_USAGE, &e);
	return -1;
}

/* --- checks before the mount ------------------------------------------------------------------------------ */

/* Whether the topmost mount at PATH is one of ckptfs. M is then that mount. */
static bool is_mounted(const char *path, struct mount *m)
{
	CLEANUP(closep) int fd = open(path, O_PATH | O_CLOEXEC);

	return fd >= 0 && mount_of(fd, m, NULL) == 0 && !strcmp(m->at, path) &&
	       !strcmp(m->type, "fuse.ckptfs");
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Whether the directory PATH lies below the directory DIRFD. False if it is that directory itself: a mount there hides the
 * checkpoints from others, but the daemon has them open. */
static bool lies_below(const char *path, int dirfd)
{
	CLEANUP(freep) char *p = strdup(path);
	struct stat source, st;
	char *slash;

	if (!p || fstat(dirfd, &source) < 0)
		return false;
	while ((slash = strrchr(p, '/')) && slash != p) {
		*slash = 0;
		if (stat(p, &st) == 0 && is_same(&st, &source))
			return true;
	}
	return stat("/", &st) == 0 && is_same(&st, &source);
}

/* Whether the daemon of the mount at PATH has died. stat(2) may still work, from the kernel's memory, but open(2) does not. */
static bool is_dead(const char *path)
{
	CLEANUP(closep)
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 && errno == ENOTCONN;
}

static int check_mountpoint(const char *mountpoint, int dirfd, char **absolute, struct err *e)
{
	CLEANUP(freep) char *path = realpath(mountpoint, NULL);
	CLEANUP(mount_release) struct mount mounted = {0};
	struct stat st;

	if (path ? is_dead(path) : errno == ENOTCONN)
		return err_set(
			e, -ENOTCONN,
			"mountpoint %s: a filesystem whose daemon has died is mounted there; umount it first",
			mountpoint);
	if (!path || stat(path, &st) < 0)
		return err_sys(e, -errno, "mountpoint %s", mountpoint);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, -ENOTDIR, "mountpoint %s: not a directory", mountpoint);
	if (is_mounted(path, &mounted))
		return err_set(e, -EBUSY, "mountpoint %s is busy: %s is mounted there already",
			       mountpoint, mounted.source);
	if (lies_below(path, dirfd))
		return err_set(e, -EINVAL, "mountpoint %s: lies inside the checkpoint directory",
			       mountpoint);
	*absolute = TAKE(path, NULL);
	return 0;
}

static int check_device(struct err *e)
{
	if (access("/dev/fuse", F_OK) == 0 || errno != ENOENT)
		return 0;
	return err_set(e, -ENODEV, "no /dev/fuse, which a mount needs; ckptfs(1) does without");
}

/* --- the daemon ------------------------------------------------------------------------------------------- */

/* Opens /dev/null as 0, 1 and 2 where they are closed. A file that got such a number later would have messages written to it. */
static void hold_standard_numbers(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	closep(&fd);
}

/* Closes what was inherited, but 0, 1, 2 and the N descriptors KEEP. Else a pipe or a lock of the caller's would be held until
 * the unmount. */
static void close_inherited(const int *keep, size_t n)
{
	CLEANUP(dir_closep) DIR *d = dir_open(AT_FDCWD, "/proc/self/fd");
	const struct dirent *de;

	while (d && (de = dir_next(d))) {
		int fd = atoi(de->d_name);
		bool kept = fd <= STDERR_FILENO || fd == dirfd(d);

		for (size_t i = 0; i < n && !kept; i++)
			kept = fd == keep[i];
		if (!kept)
			close(fd);
	}
}

static void leave_terminal(int said)
{
	CLEANUP(closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	if (chdir("/") < 0)
		syslog(LOG_WARNING, "can't leave the current directory: %m");
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	}
	dup2(said, STDERR_FILENO);
}

/* The daemon: serves until the end. Its stderr is SAID, a pipe to the parent process, which passes on what fails before the
 * mount serves. So programs that it starts and that stay (fusermount3 with auto_unmount) do not hold the caller's stderr. */
static int run_child(struct daemon_config *c, int said)
{
	const int keep[] = {c->root_fd, said};
	struct err e = {0};

	openlog("ckptfs", LOG_PID, LOG_DAEMON);
	leave_terminal(said);
	close_inherited(keep, sizeof keep / sizeof *keep);
	c->ready_fd = said;
	c->to_syslog = true;
	if (daemon_run(c, &e) == 0)
		return 0;
	syslog(LOG_ERR, "%s", e.text); /* if it has served, nobody reads the pipe any more */
	return complain(EXIT_MOUNT, &e);
}

/* Whether the mount answers a first request, with an error or not. Only a daemon that has ended gives no answer. */
static bool serves(const char *mountpoint)
{
	struct stat st;

	return stat(mountpoint, &st) == 0 || (errno != ENOTCONN && errno != ECONNABORTED);
}

/* Copies to stderr what the daemon says, until a zero byte tells that the mount is there. False: FD ended before that. */
static bool pass_on(int fd)
{
	char text[512], *zero = NULL;
	ssize_t n;

	while (!zero && ((n = read(fd, text, sizeof text)) > 0 || (n < 0 && errno == EINTR))) {
		zero = n > 0 ? memchr(text, 0, (size_t)n) : NULL;
		fwrite(text, 1, zero ? (size_t)(zero - text) : n > 0 ? (size_t)n : 0, stderr);
	}
	return zero;
}

static int wait_until_ready(const struct daemon_config *c, pid_t child, int fd)
{
	int status;

	if (pass_on(fd) && serves(c->mountpoint))
		return 0;
	if (waitpid(child, &status, 0) < 0)
		return EXIT_SYSTEM;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_MOUNT;
}

/* Has umount(8) call umount.ckptfs when root unmounts. For root it asks only statfs(2) for the type, which says fuse and not
 * fuse.ckptfs, unless a note in /run/mount names a helper. mount(8) can write such a note, and umount(8) can remove it; one that
 * an earlier mount has left there is removed first. Without the note umount(8) unmounts by itself: nothing is lost, but
 * nobody waits for the commit. */
static void name_umount_helper(const char *source, const char *mountpoint)
{
	const char *const forget[] = {"umount", "--fake", "-i", "-c", "--", mountpoint, NULL};
	const char *const note[] = {"mount", "--fake",      "-i",       "-c",
				    "-t",    "fuse.ckptfs", "-o",       "helper=ckptfs",
				    "--",    source,        mountpoint, NULL};
	const struct run how = {.quiet = true, .ns_fd = -1};

	if (geteuid() != 0)
		return; /* fusermount3 mounts for users, and umount(8) finds the type of such a mount */
	run_program(forget, how);
	run_program(note, how);
}

static int run_background(struct daemon_config *c)
{
	struct err e = {0};
	int pipe_fds[2], status;
	pid_t child;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0 || (child = fork()) < 0) {
		err_sys(&e, -errno, "can't start the daemon");
		return complain(EXIT_SYSTEM, &e);
	}
	if (child == 0) {
		close(pipe_fds[0]);
		return run_child(c, pipe_fds[1]);
	}
	close(pipe_fds[1]);
	status = wait_until_ready(c, child, pipe_fds[0]);
	if (status == 0)
		name_umount_helper(c->options->fsname ? c->options->fsname : c->source,
				   c->mountpoint);
	return status;
}

static int run_foreground(struct daemon_config *c)
{
	struct err e = {0};

	return daemon_run(c, &e) < 0 ? complain(EXIT_MOUNT, &e) : 0;
}

/* The absolute path of SOURCE, for the list of mounts. SOURCE may be a prefix, and no file. The caller frees it. NULL: none. */
static char *absolute_source(const char *source)
{
	CLEANUP(freep) char *copy = strdup(source);
	CLEANUP(freep) char *dir = NULL;
	char *path = realpath(source, NULL), *slash = copy ? strrchr(copy, '/') : NULL;

	if (path || !copy)
		return path;
	if (slash)
		*slash = 0;
	dir = realpath(!slash ? "." : slash == copy ? "/" : copy, NULL);
	if (!dir || asprintf(&path, "%s/%s", dir, slash ? slash + 1 : copy) < 0)
		return NULL;
	return path;
}

/* What the filesystem of TOP lacks; nothing if that can't be known now: then it is in the log when it is. */
static void say_what_is_lacking(int top)
{
	CLEANUP(buf_release) struct buf say = {0};
	struct lock lock = {-1, -1};

	if (faccessat(top, ".", W_OK, AT_EACCESS) < 0 ||
	    lock_for_drafts(&lock, top, "mount.ckptfs -v\n", NULL) < 0)
		return;
	if (ability_learn(top, &say, NULL) > 0)
		printf("%s\n", (char *)say.p);
	lock_end_drafts(&lock, top);
}

/* A directory without a checkpoint may be the wrong one, or one for which it is early. */
static void say_if_there_is_none(const struct daemon_config *c)
{
	const char *state = c->options->latest_filename;

	if (locate_any(c->root_fd, state ? state : STATE_NAME, c->family))
		return;
	fprintf(stderr,
		"mount.ckptfs: %s: has no checkpoint%s%s%s: no PREFIX.index (V2), and no V1 file or shard; one that is "
		"saved later will be shown\n",
		c->source, c->family ? " of the family of " : "", c->family ? c->family : "",
		c->family ? "" : ", nor has a folder in it");
}

static int mount_it(const struct arguments *a, struct location *where, const char *mountpoint)
{
	CLEANUP(freep) char *source = absolute_source(a->source);
	struct daemon_config c = {
		.root_fd = where->dirfd,
		.source = source ? source : a->source,
		.mountpoint = mountpoint,
		.family = a->options.filename ? a->options.filename : where->step,
		.options = &a->options,
		.debug = a->debug,
		.ready_fd = -1,
	};

	if (a->verbose)
		printf("%s mounted on %s%s.\n", c.source, mountpoint,
		       a->options.read_only ? " (read-only)" : "");
	say_if_there_is_none(&c);
	if (a->fake) {
		close(where->dirfd);
		return 0;
	}
	if (a->verbose && !a->options.read_only)
		say_what_is_lacking(where->dirfd);
	fflush(stdout);
	return a->foreground ? run_foreground(&c) : run_background(&c);
}

int main(int argc, char **argv)
{
	CLEANUP(arguments_release) struct arguments a = {0};
	CLEANUP(freep) char *mountpoint = NULL;
	struct location where = {.dirfd = -1};
	struct err e = {0};
	int status;

	hold_standard_numbers();
	status = parse_arguments(argc, argv, &a);
	if (status >= 0)
		return status;
	if (locate(a.source, a.options.latest_filename ? a.options.latest_filename : STATE_NAME,
		   &where, &e) < 0)
		return complain(EXIT_MOUNT, &e);
	if (check_mountpoint(a.mountpoint, where.dirfd, &mountpoint, &e) < 0 ||
	    (!a.fake && check_device(&e) < 0))
		status = complain(EXIT_MOUNT, &e);
	else
		status = mount_it(&a, &where, mountpoint);
	free(where.step);
	return status;
}

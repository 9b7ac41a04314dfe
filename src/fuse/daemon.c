#include "fuse/daemon.h"
#include "base/cleanup.h"
#include "base/memory.h"
#include "directory/listing.h"
#include "fuse/ckptfs.h"
#include "fuse/reply.h"
#include "message/state.h"
#include "step/text_kind.h"
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <syslog.h>

/* The most that the kernel asks for at once. What it reads ahead comes in such parts, which several threads answer side by side, and a
 * part is still in the processor's cache when it is checksummed and sent. */
enum { MOST_READ = 256 << 10 };

/* So many requests that nobody waits for may be under way: for one reader up to eight of what is read ahead. With the usual 12 the kernel
 * stops reading ahead when there is a second reader. */
enum { MOST_AHEAD = 48 };

/* As many threads stay as a busy program keeps at work, and with them those that write while it goes on (base/behind.h): with four,
 * threads ended and were started again all the time. */
enum { READ_AHEAD_KIB = 1024, IDLE_THREADS = 10 };

/* From this minor version of the protocol on (Linux 6.18) the kernel drops its pages of what is written without pages after the write, too. Before,
 * pages that were read meanwhile stayed as they were. */
enum { FORGETS_WRITTEN = 45 };

static const double COMPACT = 0.5, KEEP_HOURS = 10000;

enum { CACHE_PART = 16, LEAST_CACHE = 64 << 20 };

static void op_init(void *userdata, struct fuse_conn_info *conn);

const struct fuse_lowlevel_ops ckptfs_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.open = op_open,
	.read = op_read,
	.release = op_release,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_releasedir,
	.readlink = op_readlink,
	.statfs = op_statfs,
	.create = op_create,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.symlink = op_symlink,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.rename = op_rename,
	.setattr = op_setattr,
	.setxattr = op_setxattr,
	.write = op_write,
	.copy_file_range = op_copy_file_range,
	.fallocate = op_fallocate,
	.flush = op_flush,
	.fsync = op_fsync,
	.fsyncdir = op_fsyncdir,
};

/* The kernel is told of a call that is not there the first time it asks, and never asks again. */
static struct fuse_lowlevel_ops ops_of(const struct options *o)
{
	struct fuse_lowlevel_ops ops = ckptfs_ops;

	if (o->no_xattr) {
		ops.getxattr = NULL;
		ops.listxattr = NULL;
		ops.setxattr = NULL;
	}
	return ops;
}

/* --- becoming ready ---------------------------------------------------------------------------------------- */

/* Only root may raise how much the kernel reads ahead; without, requests are smaller, and fewer at a time. The
 * device's number must be found without a request to this very filesystem: a process that is killed while it waits
 * for its own answer never ends. Kernels before protocol 7.28 would send one. */
static void raise_read_ahead(const struct ckptfs *fs, struct fuse_conn_info *conn)
{
	struct statx st;
	char path[64];
	FILE *f;

	if (conn->proto_minor < 28 ||
	    statx(AT_FDCWD, fs->mountpoint, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, 0, &st) < 0)
		return;
	snprintf(path, sizeof path, "/sys/class/bdi/%u:%u/read_ahead_kb", st.stx_dev_major,
		 st.stx_dev_minor);
	f = fopen(path, "we");
	if (!f)
		return;
	fprintf(f, "%d\n", READ_AHEAD_KIB);
	if (fclose(f) == 0)
		conn->max_readahead = READ_AHEAD_KIB * 1024;
}

static void log_of_libfuse(enum fuse_log_level level, const char *fmt, va_list ap)
{
	vsyslog((int)level, fmt, ap); /* the levels are syslog's */
}

/* Whoever has mounted it may go on. stderr leads there, and is given up: its reader would wait for its end. */
static void tell_ready(struct ckptfs *fs)
{
	CLEANUP(closep) int null = -1;
	char zero = 0;

	if (fs->ready_fd < 0)
		return;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0)
		dup2(null, STDERR_FILENO);
	fuse_set_log_func(log_of_libfuse);
	if (write(fs->ready_fd, &zero, 1) != 1)
		log_line(fs, LOG_WARNING, "nobody waits for the mount any more");
	closep(&fs->ready_fd);
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct ckptfs *fs = userdata;

	raise_read_ahead(fs, conn);
	/* libfuse ends if this is not what the mount was given. */
	conn->max_read =
		fs->options->max_read.given ? fs->options->max_read.n : (unsigned)MOST_READ;
	conn->max_background = MOST_AHEAD;
	/* Replies are in memory, where they were checksummed. Splicing would pay only for what was not. */
	conn->want &=
		~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
	/* There are no ACLs. With this the kernel remembers so; without, `ls -l` asks for each file each time. */
	conn->want |= conn->capable & FUSE_CAP_POSIX_ACL;
	/* O_TRUNC comes with the open, so that what would be cut off is not copied first. */
	conn->want |= conn->capable & FUSE_CAP_ATOMIC_O_TRUNC;
	fs->raw.mixes = conn->proto_minor >= FORGETS_WRITTEN;
	tell_ready(fs);
}

/* --- the session -------------------------------------------------------------------------------------------- */

/* "ckptfs -o …" as libfuse wants it. */
static int make_args(const struct daemon_config *c, bool writable, struct fuse_args *args,
		     struct err *e)
{
	CLEANUP(buf_release) struct buf list = {0};
	const struct options *o = c->options;
	int r = options_add(&list, "fsname", o->fsname ? o->fsname : c->source);

	if (r == 0)
		r = buf_add_str(&list, ",subtype=ckptfs,default_permissions");
	if (r == 0)
		r = buf_add_str(&list, writable ? ",rw" : ",ro");
	if (r == 0 && !o->max_read.given)
		r = buf_printf(&list, ",max_read=%d", MOST_READ);
	if (r == 0 && o->handed_on.n)
		r = buf_add_byte(&list, ',');
	if (r == 0)
		r = buf_add(&list, o->handed_on.p, o->handed_on.n);
	if (r == 0)
		r = buf_add_byte(&list, 0);
	if (r < 0 || fuse_opt_add_arg(args, "ckptfs") || fuse_opt_add_arg(args, "-o") ||
	    fuse_opt_add_arg(args, (char *)list.p) || (c->debug && fuse_opt_add_arg(args, "-d")))
		return err_set(e, -ENOMEM, "no memory");
	return 0;
}

/* Each open shard has a descriptor, and there may be many. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Also for threads that are started from here on. */
static void block_signals(sigset_t *before)
{
	sigset_t ending;

	sigemptyset(&ending);
	sigaddset(&ending, SIGHUP);
	sigaddset(&ending, SIGINT);
	sigaddset(&ending, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &ending, before);
}

/* The threads that served have ended. Requests that they did not read are answered here, see notifier_end. */
static void end_notifier(struct ckptfs *fs, struct fuse_session *se)
{
	struct fuse_buf request = {0};
	struct pollfd fds[] = {{.fd = notifier_end(fs->notifier), .events = POLLIN},
			       {.fd = fuse_session_fd(se), .events = POLLIN}};

	/* A request may be gone before it is read, when its program was killed. */
	fcntl(fds[1].fd, F_SETFL, fcntl(fds[1].fd, F_GETFL) | O_NONBLOCK);
	while (poll(fds, 2, -1) < 0 || !fds[0].revents) {
		if (fds[1].revents & ~POLLIN)
			fds[1].fd = -1; /* unmounted: the kernel has answered all with an error */
		else if (fds[1].revents && fuse_session_receive_buf(se, &request) > 0)
			fuse_session_process_buf(se, &request);
	}
	free(request.mem);
	notifier_free(fs->notifier);
	fs->notifier = NULL;
}

static void tell_kernel(void *fs, const struct buf *changes)
{
	notifier_tell(((struct ckptfs *)fs)->notifier, changes);
}

static int serve(struct fuse_session *se, struct ckptfs *fs, struct err *e)
{
	struct fuse_loop_config loop = {.clone_fd = 1, .max_idle_threads = IDLE_THREADS};
	sigset_t before;
	int r;

	fs->se = se;
	if (fuse_set_signal_handlers(se) != 0)
		return err_set(e, -EINVAL, "can't set signal handlers");
	if (fuse_session_mount(se, fs->mountpoint) != 0) {
		fuse_remove_signal_handlers(se);
		return err_set(e, -EPERM, "can't mount on %s", fs->mountpoint);
	}
	/* The signals that end the loop interrupt this thread's wait: no other may get them. */
	block_signals(&before);
	if (fs->view.writable)
		fs->timer = commit_timer_start(&fs->view, tell_kernel, fs);
	fs->notifier = notifier_start(fs, se);
	fs->starting = true;
	view_look(&fs->view);
	fs->starting = false;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	r = fuse_session_loop_mt(se, &loop);
	block_signals(&before);
	commit_timer_stop(fs->timer);
	if (fs->notifier)
		end_notifier(fs, se);
	view_commit_all(&fs->view);
	fuse_session_unmount(se); /* closes the device, which the notifier writes to */
	commit_timer_free(fs->timer);
	fs->timer = NULL;
	fuse_remove_signal_handlers(se);
	return r < 0 ? err_sys(e, r, "serving %s", fs->mountpoint) : 0;
}

static void release(struct ckptfs *fs)
{
	raw_release(&fs->raw);
	view_release(&fs->view);
	while (fs->buffers) {
		struct read_buffer *b = fs->buffers;

		fs->buffers = b->next;
		free(b);
	}
	closep(&fs->ready_fd);
	pthread_mutex_destroy(&fs->lock);
}

static void warn(void *fs, const struct err *e)
{
	log_line(fs, LOG_WARNING, "%s", e->text);
}

static void tell(void *fs, const char *text)
{
	log_line(fs, LOG_NOTICE, "%s", text);
}

/* WHY begins with the step. It is said to whoever mounts; of a subfolder, into which nobody has looked yet, it is logged. */
static void remind(void *arg, const char *why)
{
	static const char words[] =
		"%s: not committed when it was last unmounted; put it right or remove it, then: sync %s";
	struct ckptfs *fs = arg;

	log_line(fs, LOG_WARNING, words, why, fs->mountpoint);
	if (!fs->to_syslog || !fs->starting)
		return;
	fputs("mount.ckptfs: ", stderr);
	fprintf(stderr, words, why, fs->mountpoint);
	fputc('\n', stderr);
}

static void begun(void *fs)
{
	commit_timer_wake(((struct ckptfs *)fs)->timer);
}

/* How much parsed steps may take where nobody says it. */
static uint64_t cache_share(void)
{
	uint64_t share = memory_total() / CACHE_PART;

	return share > LEAST_CACHE ? share : LEAST_CACHE;
}

/* A directory on a disk that is mounted read-only, or that is not ours, is only read. */
static bool is_writable(const struct daemon_config *c)
{
	return !c->options->read_only && faccessat(c->root_fd, ".", W_OK, AT_EACCESS) == 0;
}

static int open_view(struct view *v, int root_fd, const struct view_config *config, struct err *e)
{
	int r = view_init(v, root_fd, config, e);

	return r == -EBUSY ? err_set(e, r, "%s; mount it with -o ro", e->text) : r;
}

int daemon_run(const struct daemon_config *c, struct err *e)
{
	struct ckptfs fs = {
		.options = c->options,
		.mountpoint = c->mountpoint,
		.to_syslog = c->to_syslog,
		.ready_fd = c->ready_fd,
	};
	char who[300], host[100] = "";
	const struct view_config config = {
		.state_name =
			c->options->latest_filename ? c->options->latest_filename : STATE_NAME,
		.meta_suffix =
			c->options->meta_graph_suffix ? c->options->meta_graph_suffix : META_SUFFIX,
		.family = c->family,
		.verify = c->options->verify,
		.full_names = c->options->full_names,
		.safetensors = c->options->safetensors,
		.reshape = c->options->reshape,
		.strip_default_attrs = c->options->strip_default_attrs,
		.seen = c->options->seen,
		.writable = is_writable(c),
		.commit_ms =
			c->options->has_timer ? (int64_t)c->options->commit_seconds * 1000 : -1,
		.cache = c->options->has_cache ? c->options->cache : cache_share(),
		.compact = c->options->has_compact ? c->options->compact : COMPACT,
		.state_paths = c->options->state_paths,
		.write_state = !c->options->nowrite_state,
		.max_to_keep = c->options->max_to_keep.n,
		.keep_seconds =
			3600 * (c->options->has_keep_hours ? c->options->keep_hours : KEEP_HOURS),
		.pad_step_number = c->options->pad_step_number,
		.makes = c->options->makes,
		.sharded = c->options->sharded,
		.write_v1 = c->options->write_v1,
		.who = who,
		.warn = warn,
		.tell = tell,
		.remind = remind,
		.begun = begun,
		.warn_arg = &fs,
	};
	const struct fuse_lowlevel_ops ops = ops_of(c->options);
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_session *se;
	int r;

	/* With an arena for each thread, what find and cat leave behind takes twice as much. The threads mostly wait. */
	mallopt(M_ARENA_MAX, 1);
	/* Arrays of a million variables are moved by the kernel as they grow, not copied while the arena is locked. */
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	pthread_mutex_init(&fs.lock, NULL);
	gethostname(host, sizeof host - 1);
	snprintf(who, sizeof who, "process %d on %s, mounted on %s\n", (int)getpid(), host,
		 c->mountpoint);
	raise_descriptor_limit();
	r = open_view(&fs.view, c->root_fd, &config, e);
	raw_init(&fs.raw, &fs.view, c->options->raw);
	if (r == 0)
		r = make_args(c, config.writable, &args, e);
	if (r == 0) {
		se = fuse_session_new(&args, &ops, sizeof ops, &fs);
		r = se ? serve(se, &fs, e) : err_set(e, -EINVAL, "libfuse refuses the options");
		if (se)
			fuse_session_destroy(se);
	}
	fuse_opt_free_args(&args);
	release(&fs);
	return r;
}

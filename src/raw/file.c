/* src/raw/file.c: open files. */
#include "base/cleanup.h"
#include "base/io.h"
#include "raw/node.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>

/* E names the file. */
static int fail(const struct raw_file *f, int r, struct err *e)
{
	HOLD(&f->raw->lock);
	return err_sys(e, r, "%s", f->node->name);
}

static struct raw_file *file_new(struct raw *r)
{
	struct raw_file *f = calloc(1, sizeof *f);

	if (!f)
		return NULL;
	f->raw = r;
	f->fd = -1;
	HOLD(&r->lock);
	LIST_INSERT_HEAD(&r->files, f, open);
	return f;
}

/* --- opening and closing -------------------------------------------------------------------------------------------- */

/* Two changes within so long may have the same times. */
enum { TICK_MS = 20 };

static bool is_settled(const struct stat *st)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (now.tv_sec - st->st_ctim.tv_sec) * 1000 +
		       (now.tv_nsec - st->st_ctim.tv_nsec) / 1000000 >
	       TICK_MS;
}

/* Are the pages that the kernel has of this state of the file? From now on they are. */
static bool are_of(struct raw *r, struct raw_node *n, const struct stat *st)
{
	struct file_id id = is_settled(st) ? file_id_of(st) : (struct file_id){0};
	bool same;

	HOLD(&r->lock);
	same = id.dev && file_id_eq(&n->pages, &id) &&
	       n->pages_ctime.tv_sec == st->st_ctim.tv_sec &&
	       n->pages_ctime.tv_nsec == st->st_ctim.tv_nsec;
	n->pages = id;
	n->pages_ctime = st->st_ctim;
	return same;
}

/* F, whose FD is open, is a file of ours with the number ID. Who only writes can't map it, and needs no pages: without them
 * each byte is copied once less. */
static int enter(struct raw *r, uint64_t id, struct raw_file *f, int flags, struct raw_cache *cache,
		 struct err *e)
{
	struct stat st;

	if (fstat(f->fd, &st) < 0)
		return err_sys(e, -errno, "fstat");
	f->writing = (flags & O_ACCMODE) != O_RDONLY;
	f->appending = flags & O_APPEND;
	raw_node_add_file(r, id, f);
	cache->keep = are_of(r, f->node, &st);
	cache->direct = (flags & O_ACCMODE) == O_WRONLY;
	return 0;
}

/* Opens the file that HELD holds, and cuts it only then: if another file had the name that would be cut. */
static int open_held(int held, int flags, struct err *e)
{
	char path[32];
	int fd;

	snprintf(path, sizeof path, "/proc/self/fd/%d", held);
	fd = open(path, (flags & (O_ACCMODE | O_APPEND | O_TRUNC)) | O_CLOEXEC);
	return fd < 0 ? err_sys(e, -errno, "open") : fd;
}

static int open_ours(struct raw *r, uint64_t id, int flags, struct raw_file *f,
		     struct raw_cache *cache, struct err *e)
{
	CLEANUP(closep) int held = -1;
	bool writes = (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;

	if (writes && !r->view->writable)
		return -EROFS;
	if (writes && !r->all)
		return err_set(e, -EPERM,
			       "files of a step are only read; mount with -o raw to write to them");
	held = raw_node_hold(r, id, e);
	if (held < 0)
		return held;
	f->fd = open_held(held, flags, e);
	return f->fd < 0 ? f->fd : enter(r, id, f, flags, cache, e);
}

/* As for our files in enter(): a file of the view that is only written to. */
static bool answers_early(const struct raw_file *f, int flags)
{
	bool is = f->raw->mixes && (flags & O_ACCMODE) == O_WRONLY;

	if (is)
		view_answer_early(f->view);
	return is;
}

static int open_of_view(struct raw *r, uint64_t id, int flags, struct raw_file *f,
			struct raw_cache *cache, struct err *e)
{
	int opened;

	cache->keep = true; /* also for writing: the kernel's pages have what is written */
	if ((flags & O_ACCMODE) == O_RDONLY && !(flags & O_TRUNC))
		opened = view_open(r->view, id, &f->view, &cache->keep, e);
	else
		opened = view_open_to_write(r->view, id, flags & O_TRUNC, &f->view, e);
	if (opened == 0)
		cache->direct = view_is_direct(f->view) || answers_early(f, flags);
	return opened;
}

int raw_open(struct raw *r, uint64_t id, int flags, struct raw_file **out, struct raw_cache *cache,
	     struct err *e)
{
	struct raw_file *f = file_new(r);
	int opened = f ? 0 : err_set(e, -ENOMEM, "no memory");

	*cache = (struct raw_cache){0};
	if (f)
		opened = raw_is(id) ? open_ours(r, id, flags, f, cache, e)
				    : open_of_view(r, id, flags, f, cache, e);
	if (opened == 0)
		*out = f;
	else if (f)
		raw_close(f);
	return opened;
}

int raw_file_of_view(struct raw *r, struct view_file *of, int flags, struct raw_file **out,
		     struct raw_cache *cache)
{
	*out = file_new(r);
	if (!*out)
		return -ENOMEM;
	(*out)->view = of;
	cache->keep = true;
	cache->direct = answers_early(*out, flags);
	return 0;
}

int raw_file_of_fd(struct raw *r, uint64_t id, int fd, int flags, struct raw_file **out,
		   struct raw_cache *cache, struct err *e)
{
	struct raw_file *f = file_new(r);
	int entered = f ? 0 : err_set(e, -ENOMEM, "no memory");

	if (f) {
		f->fd = fd;
		entered = enter(r, id, f, flags, cache, e);
	}
	if (entered == 0)
		*out = f;
	else if (f)
		raw_close(f);
	else
		close(fd);
	return entered;
}

void raw_close(struct raw_file *f)
{
	struct stat st;

	if (f->view)
		view_close(f->view);
	if (f->node) {
		raw_node_wait(f);
		if (f->writing && fstat(f->fd, &st) == 0)
			are_of(f->raw, f->node, &st);
		raw_node_drop_file(f->raw, f);
	}
	closep(&f->fd);
	pthread_mutex_lock(&f->raw->lock);
	LIST_REMOVE(f, open);
	pthread_mutex_unlock(&f->raw->lock);
	free(f);
}

/* --- bytes ------------------------------------------------------------------------------------------------------------ */

int64_t raw_read(struct raw_file *f, uint64_t off, size_t len, uint8_t *dst, struct err *e)
{
	size_t done = 0;

	if (f->view)
		return view_read(f->view, off, len, dst, e);
	raw_node_settle_file(f);
	while (done < len) {
		ssize_t n = pread(f->fd, dst + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(f, -errno, e);
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (int64_t)done;
}

static int wait_for_bytes(struct raw_file *f, struct err *e)
{
	int r = raw_node_wait(f);

	return r < 0 ? fail(f, r, e) : 0;
}

/* What an earlier write has left. */
static int take_failure(struct raw_file *f, struct err *e)
{
	int r;

	pthread_mutex_lock(&f->raw->lock);
	r = TAKE(f->failed, 0);
	pthread_mutex_unlock(&f->raw->lock);
	return r < 0 ? fail(f, r, e) : 0;
}

int raw_write(struct raw_file *f, struct bytes b, uint64_t off, void (*answer)(void *), void *arg,
	      struct err *e)
{
	uint32_t number;
	int r;

	if (f->view)
		return view_write_for(f->view, b, off, answer, arg, e);
	r = take_failure(f, e);
	/* Where appended bytes go is known only when they are there. */
	if (r == 0 && f->appending && (r = io_write_at(f->fd, b, off, NULL)) < 0)
		fail(f, r, e);
	if (r < 0)
		return r;
	if (f->appending) {
		answer(arg);
		return 0;
	}
	number = raw_node_take_write(f);
	answer(arg);
	raw_node_begin_write(f, number);
	raw_node_end_write(f, io_write_at(f->fd, b, off, NULL));
	return 0;
}

int raw_allocate(struct raw_file *f, int mode, uint64_t off, uint64_t len, struct err *e)
{
	if (f->view)
		return view_allocate(f->view, mode, off, len, e);
	raw_node_settle_file(f);
	return fallocate(f->fd, mode, (off_t)off, (off_t)len) < 0 ? fail(f, -errno, e) : 0;
}

/* What close(2) has to say of it is known now. */
int raw_flush(struct raw_file *f, struct err *e)
{
	int fd, r = f->view ? view_flush(f->view, e) : wait_for_bytes(f, e);

	if (r < 0 || f->view)
		return r;
	fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 || close(fd) < 0 ? fail(f, -errno, e) : 0;
}

int raw_fsync(struct raw_file *f, struct err *e)
{
	int r = f->view ? view_fsync(f->view, e) : wait_for_bytes(f, e);

	if (r == 0 && !f->view && (r = io_sync(f->fd, "", NULL)) < 0)
		fail(f, r, e);
	return r;
}

int64_t raw_copy_range(struct raw_file *from, uint64_t from_off, struct raw_file *to,
		       uint64_t to_off, uint64_t len, struct err *e)
{
	off_t a = (off_t)from_off, b = (off_t)to_off;
	ssize_t n;

	if (from->view && to->view)
		return view_copy_range(from->view, from_off, to->view, to_off, len, e);
	if (from->view || to->view)
		return -EXDEV;
	raw_node_settle_file(from);
	raw_node_settle_file(to);
	n = copy_file_range(from->fd, &a, to->fd, &b, len < SSIZE_MAX ? len : SSIZE_MAX, 0);
	if (n < 0 && (errno == EBADF || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP))
		return -EXDEV;
	return n < 0 ? fail(to, -errno, e) : n;
}

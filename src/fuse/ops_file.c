#include "base/cleanup.h"
#include "fuse/reply.h"
#include <fcntl.h>
#include <stdlib.h>

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ckptfs *fs = ckptfs_of(req);
	struct view_file *f;
	struct err e = {0};
	bool stable = true; /* also for writing: the kernel's pages have what is written */
	int r;

	if ((fi->flags & O_ACCMODE) == O_RDONLY && !(fi->flags & O_TRUNC))
		r = view_open(&fs->view, ino, &f, &stable, &e);
	else
		r = view_open_to_write(&fs->view, ino, fi->flags & O_TRUNC, &f, &e);

	if (r < 0) {
		reply_error(req, r, &e);
		return;
	}
	fi->fh = (uintptr_t)f;
	fi->keep_cache = stable;
	fi->direct_io = view_is_direct(f);
	if (fuse_reply_open(req, fi) < 0)
		view_close(f);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	view_close(file_of(fi));
	fuse_reply_err(req, 0);
}

/* An idle buffer of at least SIZE bytes, or a new one. */
static struct read_buffer *take_buffer(struct ckptfs *fs, size_t size)
{
	struct read_buffer *b;

	pthread_mutex_lock(&fs->lock);
	b = fs->buffers;
	if (b)
		fs->buffers = b->next;
	pthread_mutex_unlock(&fs->lock);
	if (b && b->size >= size)
		return b;
	free(b);
	b = malloc(sizeof *b + size);
	if (b)
		b->size = size;
	return b;
}

static void give_back(struct ckptfs *fs, struct read_buffer *b)
{
	HOLD(&fs->lock);
	b->next = fs->buffers;
	fs->buffers = b;
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct ckptfs *fs = ckptfs_of(req);
	HOLD_NOTIFIER(fs->notifier);
	CLEANUP(buf_release) struct buf changes = {0};
	struct read_buffer *b = take_buffer(fs, size);
	struct err e = {0};
	int64_t n;

	if (!b) {
		reply_error(req, err_set(&e, -ENOMEM, "no memory for %zu bytes", size), &e);
		return;
	}
	n = view_read(file_of(fi), (uint64_t)off, size, b->bytes, &e);
	if (n < 0)
		reply_error(req, (int)n, &e);
	else
		fuse_reply_buf(req, (char *)b->bytes, (size_t)n);
	if (n == -EBADMSG && /* the damaged part may be in the pages that were read before */
	    view_add_change(&changes, ino, NULL) == 0)
		notifier_tell(fs->notifier, &changes);
	give_back(fs, b);
}

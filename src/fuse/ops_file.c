#include "base/cleanup.h"
#include "fuse/reply.h"
#include <fcntl.h>
#include <stdlib.h>

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ckptfs *fs = ckptfs_of(req);
	struct raw_file *f;
	struct err e = {0};
	struct raw_cache cache;
	int r = raw_open(&fs->raw, ino, fi->flags, &f, &cache, &e);

	if (r < 0) {
		reply_error(req, r, &e);
		return;
	}
	fi->fh = (uintptr_t)f;
	fi->keep_cache = cache.keep;
	fi->direct_io = cache.direct;
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 11)
	fi->noflush = (fi->flags & O_ACCMODE) == O_RDONLY && !(fi->flags & O_TRUNC);
#endif
	if (fuse_reply_open(req, fi) < 0)
		raw_close(f);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	raw_close(file_of(fi));
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
	n = raw_read(file_of(fi), (uint64_t)off, size, b->bytes, &e);
	if (n < 0)
		reply_error(req, (int)n, &e);
	else
		fuse_reply_buf(req, (char *)b->bytes, (size_t)n);
	if (n == -EBADMSG && /* the damaged part may be in the pages that were read before */
	    view_add_change(&changes, ino, NULL) == 0)
		notifier_tell(fs->notifier, &changes);
	give_back(fs, b);
}

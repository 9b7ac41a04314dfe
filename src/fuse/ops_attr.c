#include "base/cleanup.h"
#include "fuse/reply.h"
#include <sys/statvfs.h>

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ckptfs *fs = ckptfs_of(req);
	/* mkdir(2) and others ask for permissions with the folder locked. */
	HOLD_NOTIFIER(fs->notifier);
	struct view_entry entry = {0};
	struct err e = {0};
	int r = raw_getattr(&fs->raw, ino, &entry, &e);

	(void)fi;
	reply_attr(req, r, &entry, &e);
}

/* As getxattr(2) and listxattr(2) want it: for SIZE 0 the length, else the value, or ERANGE. */
static void reply_xattr(fuse_req_t req, const char *op, int r, const struct buf *value, size_t size,
			const struct err *e)
{
	if (r < 0)
		reply_error_of(req, op, r, e);
	else if (size == 0)
		fuse_reply_xattr(req, value->n);
	else if (value->n > size)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, (char *)value->p, value->n);
}

/* Does nobody wait for the answer any more, or is the daemon to end? */
static bool is_given_up(void *req)
{
	return fuse_req_interrupted(req) || fuse_session_exited(ckptfs_of(req)->se);
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	CLEANUP(buf_release) struct buf value = {0};
	const struct stop stop = {.asked = is_given_up, .arg = req};
	struct err e = {0};
	int r = raw_getxattr(&ckptfs_of(req)->raw, ino, name, &stop, &value, &e);

	reply_xattr(req, __func__, r, &value, size, &e);
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	CLEANUP(buf_release) struct buf names = {0};
	struct err e = {0};
	int r = raw_listxattr(&ckptfs_of(req)->raw, ino, &names, &e);

	reply_xattr(req, __func__, r, &names, size, &e);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	CLEANUP(buf_release) struct buf target = {0};
	struct err e = {0};
	int r = raw_readlink(&ckptfs_of(req)->raw, ino, &target, &e);

	if (r == 0 && buf_add_byte(&target, 0) < 0)
		r = err_set(&e, -ENOMEM, "no memory");
	if (r < 0)
		reply_error(req, r, &e);
	else
		fuse_reply_readlink(req, (char *)target.p);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;
	struct err e;

	(void)ino;
	if (fstatvfs(ckptfs_of(req)->view.root_fd, &st) < 0)
		reply_error(req, err_sys(&e, -errno, "the checkpoint directory"), &e);
	else
		fuse_reply_statfs(req, &st);
}

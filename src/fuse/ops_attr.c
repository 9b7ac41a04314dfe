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
	int r = view_getattr(&fs->view, ino, &entry, &e);

	(void)fi;
	if (r < 0) {
		reply_error(req, r, &e);
		return;
	}
	apply_options(fs, &entry.st);
	fuse_reply_attr(req, &entry.st, entry_seconds(&entry));
}

/* As getxattr(2) and listxattr(2) want it: for SIZE 0 the length, else the value, or ERANGE. */
static void reply_xattr(fuse_req_t req, const struct buf *value, size_t size)
{
	if (size == 0)
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
	const struct stop stop = {is_given_up, req};
	struct err e = {0};
	int r = view_getxattr(&ckptfs_of(req)->view, ino, name, &stop, &value, &e);

	if (r < 0)
		reply_error(req, r, &e);
	else
		reply_xattr(req, &value, size);
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	CLEANUP(buf_release) struct buf names = {0};
	struct err e = {0};
	int r = view_listxattr(&ckptfs_of(req)->view, ino, &names, &e);

	if (r < 0)
		reply_error(req, r, &e);
	else
		reply_xattr(req, &names, size);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	CLEANUP(buf_release) struct buf target = {0};
	struct err e = {0};
	int r = view_readlink(&ckptfs_of(req)->view, ino, &target, &e);

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

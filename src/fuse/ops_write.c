#include "base/cleanup.h"
#include "fuse/reply.h"
#include <fcntl.h>

/* Programs do without what is not supported if they get this error, which reply_error would make another. */
static bool reply_unsupported(fuse_req_t req, int r)
{
	if (r == -EOPNOTSUPP)
		fuse_reply_err(req, EOPNOTSUPP);
	return r == -EOPNOTSUPP;
}

static struct draft_owner owner_of(fuse_req_t req, mode_t mode)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct draft_owner){ctx->uid, ctx->gid, mode};
}

/* --- making ------------------------------------------------------------------------------------------------ */

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	struct ckptfs *fs = ckptfs_of(req);
	HOLD_NOTIFIER(fs->notifier);
	struct draft_owner owner = owner_of(req, mode);
	struct view_entry entry = {0};
	struct raw_cache cache = {0};
	struct fuse_entry_param p;
	struct raw_file *f;
	struct err e = {0};
	int r = raw_create(&fs->raw, parent, name, fi->flags, &owner, &entry, &f, &cache, &e);

	/* A commit has just brought it back: with ESTALE the kernel looks again. */
	if (r == -EEXIST && !(fi->flags & O_EXCL))
		r = -ESTALE;
	if (r < 0) {
		reply_error(req, r, &e);
		return;
	}
	p = entry_param(fs, &entry);
	fi->fh = (uintptr_t)f;
	fi->keep_cache = cache.keep;
	fi->direct_io = cache.direct;
	if (fuse_reply_create(req, &p, fi) < 0) {
		raw_close(f);
		raw_forget(&fs->raw, entry.id, 1);
	}
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct ckptfs *fs = ckptfs_of(req);
	HOLD_NOTIFIER(fs->notifier);
	struct draft_owner owner = owner_of(req, mode);
	struct view_entry entry = {0};
	struct err e = {0};
	int r = S_ISREG(mode)
			? raw_create(&fs->raw, parent, name, 0, &owner, &entry, NULL, NULL, &e)
			: -EPERM;

	(void)rdev;
	reply_entry(req, r, &entry, &e);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	HOLD_NOTIFIER(ckptfs_of(req)->notifier);
	struct draft_owner owner = owner_of(req, mode);
	struct view_entry entry = {0};
	struct err e = {0};
	int r = raw_mkdir(&ckptfs_of(req)->raw, parent, name, &owner, &entry, &e);

	reply_entry(req, r, &entry, &e);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	HOLD_NOTIFIER(ckptfs_of(req)->notifier);
	struct draft_owner owner = owner_of(req, 0777);
	struct view_entry entry = {0};
	struct err e = {0};
	int r = raw_symlink(&ckptfs_of(req)->raw, parent, name, target, &owner, &entry, &e);

	reply_entry(req, r, &entry, &e);
}

/* --- names ------------------------------------------------------------------------------------------------- */

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	HOLD_NOTIFIER(ckptfs_of(req)->notifier);
	struct err e = {0};

	reply(req, raw_unlink(&ckptfs_of(req)->raw, parent, name, &e), NULL, &e);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	HOLD_NOTIFIER(ckptfs_of(req)->notifier);
	CLEANUP(buf_release) struct buf changes = {0};
	struct err e = {0};
	int r = raw_rmdir(&ckptfs_of(req)->raw, parent, name, &changes, &e);

	reply(req, r, &changes, &e);
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to_parent,
	       const char *to, unsigned flags)
{
	HOLD_NOTIFIER(ckptfs_of(req)->notifier);
	CLEANUP(buf_release) struct buf changes = {0};
	struct err e = {0};
	int r = raw_rename(&ckptfs_of(req)->raw, parent, name, to_parent, to, flags, &changes, &e);

	reply(req, r, &changes, &e);
}

/* --- attributes -------------------------------------------------------------------------------------------- */

static unsigned valid_of(int to_set)
{
	static const struct {
		int fuse;
		unsigned ours;
	} pairs[] = {
		{FUSE_SET_ATTR_MODE, DRAFT_MODE},   {FUSE_SET_ATTR_UID, DRAFT_UID},
		{FUSE_SET_ATTR_GID, DRAFT_GID},     {FUSE_SET_ATTR_SIZE, VIEW_SIZE},
		{FUSE_SET_ATTR_MTIME, DRAFT_MTIME}, {FUSE_SET_ATTR_MTIME_NOW, DRAFT_MTIME_NOW},
		{FUSE_SET_ATTR_ATIME, RAW_ATIME},   {FUSE_SET_ATTR_ATIME_NOW, RAW_ATIME_NOW},
	};
	unsigned valid = 0;

	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		valid |= to_set & pairs[i].fuse ? pairs[i].ours : 0;
	return valid & DRAFT_MTIME_NOW ? valid & ~(unsigned)DRAFT_MTIME : valid;
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set,
		struct fuse_file_info *fi)
{
	struct ckptfs *fs = ckptfs_of(req);
	HOLD_NOTIFIER(fs->notifier);
	struct view_entry entry = {0};
	struct err e = {0};
	int r = raw_setattr(&fs->raw, ino, fi ? file_of(fi) : NULL, valid_of(to_set), st, &entry,
			    &e);

	reply_attr(req, r, &entry, &e);
}

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
		 int flags)
{
	HOLD_NOTIFIER(ckptfs_of(req)->notifier);
	CLEANUP(buf_release) struct buf changes = {0};
	struct err e = {0};
	int r = raw_setxattr(&ckptfs_of(req)->raw, ino, name, bytes_of(value, size), &changes, &e);

	(void)flags;
	if (!reply_unsupported(req, r))
		reply(req, r, &changes, &e);
}

/* --- bytes ------------------------------------------------------------------------------------------------- */

struct answer {
	fuse_req_t req;
	size_t n;
};

static void answer_write(void *arg)
{
	const struct answer *a = arg;

	fuse_reply_write(a->req, a->n);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t off,
	      struct fuse_file_info *fi)
{
	HOLD_NOTIFIER(ckptfs_of(req)->notifier);
	struct err e = {0};
	struct answer a = {req, size};
	int r = raw_write(file_of(fi), bytes_of(bytes, size), (uint64_t)off, answer_write, &a, &e);

	(void)ino;
	if (r < 0)
		reply_error(req, r, &e);
}

void op_copy_file_range(fuse_req_t req, fuse_ino_t from, off_t from_off,
			struct fuse_file_info *from_fi, fuse_ino_t to, off_t to_off,
			struct fuse_file_info *to_fi, size_t len, int flags)
{
	HOLD_NOTIFIER(ckptfs_of(req)->notifier);
	struct err e = {0};
	int64_t n = raw_copy_range(file_of(from_fi), (uint64_t)from_off, file_of(to_fi),
				   (uint64_t)to_off, len, &e);

	(void)from;
	(void)to;
	(void)flags;
	if (n < 0)
		reply_error(req, (int)n, &e);
	else
		fuse_reply_write(req, (size_t)n);
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
		  struct fuse_file_info *fi)
{
	HOLD_NOTIFIER(ckptfs_of(req)->notifier);
	struct err e = {0};

	int r = raw_allocate(file_of(fi), mode, (uint64_t)off, (uint64_t)len, &e);

	(void)ino;
	if (!reply_unsupported(req, r))
		reply(req, r, NULL, &e);
}

void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	HOLD_NOTIFIER(ckptfs_of(req)->notifier);
	struct err e = {0};

	(void)ino;
	reply(req, raw_flush(file_of(fi), &e), NULL, &e);
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	HOLD_NOTIFIER(ckptfs_of(req)->notifier);
	struct err e = {0};

	(void)ino;
	(void)datasync;
	reply(req, raw_fsync(file_of(fi), &e), NULL, &e);
}

static bool is_in_group(fuse_req_t req, gid_t gid)
{
	int n = fuse_req_getgroups(req, 0, NULL);
	CLEANUP(freep) gid_t *groups = n > 0 ? calloc((size_t)n, sizeof *groups) : NULL;

	if (fuse_req_ctx(req)->gid == gid)
		return true;
	n = groups ? fuse_req_getgroups(req, n, groups) : 0;
	for (int i = 0; i < n; i++)
		if (groups[i] == gid)
			return true;
	return false;
}

/* The kernel lets everybody sync a folder that they may read. Here that makes a step, so it is asked. */
static bool may_write(void *arg, const struct stat *st)
{
	fuse_req_t req = arg;
	struct stat shown = *st;
	uid_t uid = fuse_req_ctx(req)->uid;

	apply_options(ckptfs_of(req), &shown);
	if (uid == 0)
		return true;
	if (uid == shown.st_uid)
		return shown.st_mode & S_IWUSR;
	return shown.st_mode & (is_in_group(req, shown.st_gid) ? S_IWGRP : S_IWOTH);
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	HOLD_NOTIFIER(ckptfs_of(req)->notifier);
	CLEANUP(buf_release) struct buf changes = {0};
	struct err e = {0};
	const struct view_asker who = {may_write, req};
	int r = raw_sync(&ckptfs_of(req)->raw, ino, &who, &changes, &e);

	(void)datasync;
	(void)fi;
	reply(req, r, &changes, &e);
}

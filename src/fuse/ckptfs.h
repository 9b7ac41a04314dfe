/* src/fuse/ckptfs.h: the daemon's state, which travels as FUSE's userdata, and the operations. */
#pragma once
#define FUSE_USE_VERSION 34
#include "fuse/commit_timer.h"
#include "fuse/notify.h"
#include "fuse/options.h"
#include "raw/raw.h"
#include <fuse_lowlevel.h>

/* Where the answer to a read is put together. It is used again, since new memory costs a page fault each 4 KiB. */
struct read_buffer {
	struct read_buffer *next;
	size_t size;
	uint8_t bytes[];
};

enum { SEEKERS = 16 };

struct ckptfs {
	struct view view;
	struct raw raw; /* what the kernel sees: the view, and files of the directory */
	struct fuse_session *se;
	const struct options *options;
	const char *mountpoint;
	bool to_syslog; /* where messages go; else to stderr */
	bool starting; /* no request was answered yet, and stderr leads to whoever mounts */
	int ready_fd; /* gets a byte when the mount is there, and is closed; -1: none */
	struct notifier *notifier; /* or NULL */
	struct commit_timer *timer; /* or NULL */
	atomic_int seekers[SEEKERS]; /* threads that have looked a file up, by their number */
	pthread_mutex_t lock;
	struct read_buffer *buffers; /* idle ones, under lock */
	struct err last; /* the last one logged; under lock */
};

extern const struct fuse_lowlevel_ops ckptfs_ops;

/* src/fuse/ops_dir.c */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi);
void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

/* src/fuse/ops_file.c */
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

/* src/fuse/ops_attr.c */
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void op_readlink(fuse_req_t req, fuse_ino_t ino);
void op_statfs(fuse_req_t req, fuse_ino_t ino);

/* src/fuse/ops_write.c */
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to_parent,
	       const char *to, unsigned flags);
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int valid,
		struct fuse_file_info *fi);
void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
		 int flags);
void op_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t off,
	      struct fuse_file_info *fi);
void op_copy_file_range(fuse_req_t req, fuse_ino_t from, off_t from_off,
			struct fuse_file_info *from_fi, fuse_ino_t to, off_t to_off,
			struct fuse_file_info *to_fi, size_t len, int flags);
void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
		  struct fuse_file_info *fi);
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);

static inline struct ckptfs *ckptfs_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

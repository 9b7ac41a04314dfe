/* src/raw/raw.h: the checkpoint directory's own files, under their own names, beside what the view shows.
 *
 * The calls are those of view/view.h. What concerns the view is handed on to it; the rest is done to the directory itself.
 * With `all` (the option raw) a folder of steps has each regular file of the directory, its other symbolic links, and folders
 * that the view does not show (those of a save that is under way); and whatever is made there is made in the directory. Without
 * it the files that TensorFlow looks for by name, as PREFIX.index, can be read, but are not listed.
 *
 * In a folder of steps a file goes before a step of its name, whose folder then is NAME%2F (of an unsharded V1 file).
 *
 * The inode number of a file has RAW_BIT; all others are the view's. Such a file is known by its folder and name, and by
 * device and inode: if another one has taken the name the number is stale. The kernel asks for names and attributes each
 * time, for others may change the directory too. */
#pragma once
#include "view/view.h"
#include <sys/queue.h>

#define RAW_BIT (UINT64_C(1) << 63)

struct raw_node;

struct raw {
	struct view *view;
	bool all;
	/* The kernel's pages of a file stay true also when it is written to through an open file without pages. */
	atomic_bool mixes;
	pthread_mutex_t lock; /* guards all below, and all nodes; never held over I/O */
	pthread_cond_t written; /* with `lock`: bytes that were taken over are there */
	struct raw_node **slots, **buckets;
	uint32_t n_slots, n_buckets, n_nodes; /* n_buckets: 0, or a power of two */
	struct buf free_slots; /* uint32_t */
	LIST_HEAD(raw_files, raw_file) files; /* that are open, and folders: */
	LIST_HEAD(raw_dirs, raw_dir) dirs;
	struct buf listings, gone; /* raw/gone.h */
	uint32_t listed; /* the number of the last listing */
};

/* raw_release closes what is open still: the kernel does not tell of all that was closed right before the unmount. */
void raw_init(struct raw *r, struct view *v, bool all);
void raw_release(struct raw *r);

/* --- names and attributes --- */

/* PID: who asks, see raw/gone.h; 0: nobody. */
int raw_lookup(struct raw *r, uint64_t parent, const char *name, pid_t pid, struct view_entry *out,
	       struct err *e);
void raw_forget(struct raw *r, uint64_t id, uint64_t n);
int raw_getattr(struct raw *r, uint64_t id, struct view_entry *out, struct err *e);
int raw_readlink(struct raw *r, uint64_t id, struct buf *out, struct err *e);

/* Our files have no extended attributes: -ENODATA, none, -EOPNOTSUPP. */
int raw_getxattr(struct raw *r, uint64_t id, const char *name, const struct stop *stop,
		 struct buf *out, struct err *e);
int raw_listxattr(struct raw *r, uint64_t id, struct buf *out, struct err *e);
int raw_setxattr(struct raw *r, uint64_t id, const char *name, struct bytes value,
		 struct buf *changes, struct err *e);

/* --- open folders --- */

struct raw_dir;

int raw_opendir(struct raw *r, uint64_t id, pid_t pid, struct raw_dir **out, bool *stable,
		struct err *e);
void raw_closedir(struct raw_dir *d);
int raw_readdir(struct raw_dir *d, uint64_t pos, struct view_dirent *out, struct err *e);
int raw_dirent_lookup(struct raw *r, struct raw_dir *d, bool brief, struct view_entry *out,
		      struct err *e);

/* --- open files --- */

struct raw_file;

/* What the kernel is to know of an open file. */
struct raw_cache {
	bool keep; /* it may keep the pages that it has */
	bool direct; /* it must keep none */
};

/* FLAGS: of open(2). -EPERM: without `all` our files are only read. -ESTALE: another file has the name. */
int raw_open(struct raw *r, uint64_t id, int flags, struct raw_file **out, struct raw_cache *cache,
	     struct err *e);
void raw_close(struct raw_file *f);
int64_t raw_read(struct raw_file *f, uint64_t off, size_t len, uint8_t *dst, struct err *e);

/* ANSWER(ARG) tells the program that its bytes are taken over: it goes on while they are written, so a large file is written as fast as
 * without the mount. Until they are there each call on the file waits, and so does the next write. An error after the
 * answer is given by the next write, by fsync or by close. It is called unless an error is returned. */
int raw_write(struct raw_file *f, struct bytes b, uint64_t off, void (*answer)(void *), void *arg,
	      struct err *e);
int raw_allocate(struct raw_file *f, int mode, uint64_t off, uint64_t len, struct err *e);
int raw_flush(struct raw_file *f, struct err *e);
int raw_fsync(struct raw_file *f, struct err *e);

/* -EXDEV between a file of ours and one of the view: the kernel then copies by reading. */
int64_t raw_copy_range(struct raw_file *from, uint64_t from_off, struct raw_file *to,
		       uint64_t to_off, uint64_t len, struct err *e);

/* F may be NULL. VALID as for view_setattr, and RAW_ATIME with RAW_ATIME_NOW. */
enum { RAW_ATIME = 1 << 17, RAW_ATIME_NOW = 1 << 18 };
int raw_setattr(struct raw *r, uint64_t id, struct raw_file *f, unsigned valid,
		const struct stat *st, struct view_entry *out, struct err *e);

/* --- changing what there is --- */

/* FLAGS: of open(2). OUT may be NULL: the file is not opened. */
int raw_create(struct raw *r, uint64_t parent, const char *name, int flags,
	       const struct draft_owner *owner, struct view_entry *entry, struct raw_file **out,
	       struct raw_cache *cache, struct err *e);
int raw_mkdir(struct raw *r, uint64_t parent, const char *name, const struct draft_owner *owner,
	      struct view_entry *out, struct err *e);
int raw_symlink(struct raw *r, uint64_t parent, const char *name, const char *target,
		const struct draft_owner *owner, struct view_entry *out, struct err *e);
int raw_unlink(struct raw *r, uint64_t parent, const char *name, struct err *e);
int raw_rmdir(struct raw *r, uint64_t parent, const char *name, struct buf *changes, struct err *e);

/* -EXDEV: a file of ours is to go into a step, or what is in a step out of it. mv(1) then copies. */
int raw_rename(struct raw *r, uint64_t from_dir, const char *from, uint64_t to_dir, const char *to,
	       unsigned flags, struct buf *changes, struct err *e);

/* Commits what is in the folder or step ID (view_sync). */
int raw_sync(struct raw *r, uint64_t id, const struct view_asker *who, struct buf *changes,
	     struct err *e);

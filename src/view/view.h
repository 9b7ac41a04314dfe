/* src/view/view.h: a mounted checkpoint directory, as a filesystem sees it.
 *
 * The calls are those of a filesystem: inode numbers in (view/node.h), struct stat and bytes out. All are safe from
 * many threads. A step is parsed when something in it is first asked for, and dropped again when what is parsed
 * would take more than a budget and nobody has it open.
 *
 * Locks: `lock` guards the node table and everything that hangs on nodes, and is held only to look or to change,
 * never while a file is read. `loading` is taken before it, by the one thread that parses a step. */
#pragma once
#include "store/file.h"
#include "view/node.h"

struct view {
	int root_fd;
	struct stat root; /* of the source, for its device */
	char *state_name; /* of the `checkpoint` file */
	char *meta_suffix;
	char *family; /* as in view_config */
	enum verify_mode verify;
	void (*warn)(void *, const struct err *);
	void *warn_arg;
	int inotify; /* -1: nothing is watched; view/watch.h */
	pthread_mutex_t loading;
	pthread_mutex_t lock;
	struct node_table nodes;
	uint64_t clock; /* counts uses of steps */
	size_t loaded_memory; /* of all steps that nodes hold */
};

struct view_config {
	const char *state_name;
	const char *meta_suffix; /* of PREFIX.meta */
	const char
		*family; /* show only the steps of this one's family, and no subfolders; or NULL */
	enum verify_mode verify;
	void (*warn)(void *, const struct err *); /* gets what concerns nobody's request */
	void *warn_arg;
};

/* ROOT_FD, which becomes the view's, is the checkpoint directory. -ENOMEM, or of fstat. */
int view_init(struct view *v, int root_fd, const struct view_config *c, struct err *e);
void view_release(struct view *v);

struct view_entry {
	uint64_t id;
	struct stat st;
	bool stable; /* does not change, or not without the kernel being told */
};

/* NAME in PARENT; the kernel has one reference more on it. -ENOENT, -ENOTDIR, or why the folder can't be read. */
int view_lookup(struct view *v, uint64_t parent, const char *name, struct view_entry *out,
		struct err *e);
void view_forget(struct view *v, uint64_t id, uint64_t n);
int view_getattr(struct view *v, uint64_t id, struct view_entry *out, struct err *e);

/* --- folders --- */

struct view_dir;

/* -ENOTDIR, or why it can't be read. What a folder of steps holds is fixed while it is open. */
int view_opendir(struct view *v, uint64_t id, struct view_dir **out, bool *stable, struct err *e);
void view_closedir(struct view_dir *d);

struct view_dirent {
	const char *name; /* until the next call */
	mode_t type; /* S_IFDIR, S_IFREG or S_IFLNK */
	uint64_t next; /* where to go on behind it */
};

/* 1: the entry at POS (0: the first); 0: none is left. "." and ".." come first. */
int view_readdir(struct view_dir *d, uint64_t pos, struct view_dirent *out, struct err *e);

/* As view_lookup, for what view_readdir gave last, which is not "." or "..". */
int view_dirent_lookup(struct view *v, struct view_dir *d, struct view_entry *out, struct err *e);

/* --- files --- */

struct view_file;

/* -EISDIR, or of file_open. STABLE: the kernel may keep the pages that it has. */
int view_open(struct view *v, uint64_t id, struct view_file **out, bool *stable, struct err *e);
void view_close(struct view_file *f);
int64_t view_read(const struct view_file *f, uint64_t off, size_t len, uint8_t *dst, struct err *e);

/* --- the rest --- */

/* Where the link `latest` leads, into OUT, without a NUL. -EINVAL if ID is no link. */
int view_readlink(struct view *v, uint64_t id, struct buf *out, struct err *e);

/* NAME is the whole one. -ENODATA if there is none. */
int view_getxattr(struct view *v, uint64_t id, const char *name, struct buf *out, struct err *e);
int view_listxattr(struct view *v, uint64_t id, struct buf *out, struct err *e);

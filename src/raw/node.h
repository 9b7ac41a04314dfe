/* src/raw/node.h: which inode number stands for which file of the directory. For raw/ alone. */
#pragma once
#include "raw/raw.h"

struct raw_node {
	uint64_t id;
	uint64_t parent; /* the folder's number, with a reference to it */
	char *name;
	bool detached; /* its name does not lead to it any more */
	mode_t type; /* S_IFREG and so on */
	dev_t dev; /* 0: it is gone (raw/gone.h) */
	ino_t ino;
	uint64_t lookups; /* references, the kernel's and ours */
	struct behind behind; /* writes whose bytes were taken over */
	/* The kernel's pages are of this state of the file. The ctime tells of a change also where the mtime was set back. */
	struct file_id pages;
	struct timespec pages_ctime;
	struct raw_file *files; /* open ones */
	struct raw_node *next; /* in its bucket */
};

/* An open file: the view's, or one of ours. */
struct raw_file {
	struct raw *raw;
	LIST_ENTRY(raw_file) open; /* in raw->files */
	struct view_file *view; /* or NULL, and then: */
	struct raw_node *node; /* with a reference */
	int fd;
	bool writing, appending;
	int failed; /* what became of bytes that were taken over: 0, or a negative errno */
	struct raw_file *next; /* in node->files */
};

static inline bool raw_is(uint64_t id)
{
	return id & RAW_BIT;
}

/* At the end. */
void raw_node_release_all(struct raw *r);

/* The number for the file ST, which is NAME in PARENT; with a reference for the caller. If NAME was another file that
 * number is stale from now on. 0: no memory. */
uint64_t raw_node_enter(struct raw *r, uint64_t parent, const char *name, const struct stat *st);

/* NAME in PARENT leads to nothing of ours any more. */
void raw_node_leave(struct raw *r, uint64_t parent, const char *name);

/* What was NAME in PARENT is TO in TO_PARENT now, and what was there is gone; with EXCHANGE the other way, too. -ENOMEM: both
 * numbers are stale. */
int raw_node_move(struct raw *r, uint64_t parent, const char *name, uint64_t to_parent,
		  const char *to, bool exchange);

/* Is ID such a folder or link? S_IFDIR, S_IFLNK or 0. PARENT, which may be NULL, is the folder that it was in. */
mode_t raw_node_is_gone(struct raw *r, uint64_t id, uint64_t *parent);

/* Waits until all bytes that were taken over for NAME in PARENT are written. Is it a file of ours that the kernel has a number
 * of? */
bool raw_node_settle(struct raw *r, uint64_t parent, const char *name);

/* A descriptor of ID as of O_PATH, whatever has become of its name while it is open. -ESTALE: another file has the
 * name, or none. */
int raw_node_hold(struct raw *r, uint64_t id, struct err *e);

/* A descriptor of the folder ID, the view's or one of ours. -ENOTDIR: it is no folder of the directory. */
int raw_node_open_folder(struct raw *r, uint64_t id, struct err *e);

/* The bytes of a write to F are taken over. It has a number from now on; waits while too many are under way. */
uint32_t raw_node_take_write(struct raw_file *f);

/* The write with that number begins when those before it have ended, and ends with R: what is to be left in F. */
void raw_node_begin_write(struct raw_file *f, uint32_t number);
void raw_node_end_write(struct raw_file *f, int r);

/* Waits until all bytes that were taken over for F's node are written. The second one gives once what went wrong. */
void raw_node_settle_file(const struct raw_file *f);
int raw_node_wait(struct raw_file *f);

/* F, one of ours, is open from now on, and then not any more. */
void raw_node_add_file(struct raw *r, uint64_t id, struct raw_file *f);
void raw_node_drop_file(struct raw *r, struct raw_file *f);

/* An open file of the view, opened with FLAGS, which is taken over. -ENOMEM, and it is not. */
int raw_file_of_view(struct raw *r, struct view_file *of, int flags, struct raw_file **out,
		     struct raw_cache *cache);

/* One of ours: FD has ID open, with the FLAGS of open(2). FD is taken over, also after an error. */
int raw_file_of_fd(struct raw *r, uint64_t id, int fd, int flags, struct raw_file **out,
		   struct raw_cache *cache, struct err *e);

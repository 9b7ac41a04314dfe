/* src/view/open.h: open files. For view/ alone; its own calls are in view.h.
 *
 * An open file has a number (view/node.h). What the number stands for can change while the file is open: the draft
 * ends, or begins anew after a commit. So the file has its bytes from a struct opened. When that has changed, the
 * next call on the file replaces it. docs/ARCHITECTURE.md has a table of what becomes of
 * an open file. */
#pragma once
#include "view/view.h"

/* Where the bytes of an open file are: in an item of a draft, in a parsed step, or in the state file. Shared by reference
 * count. */
struct opened {
	atomic_uint refs;
	bool writing;
	struct draft *draft; /* or NULL; ITEM of it is open */
	struct draft_item *item;
	struct base_file
		*_Atomic base; /* where ITEM is read from while it is a variable; or NULL */
	struct loaded *loaded; /* without a draft: the step */
	struct npy_file *file; /* without a draft: of a variable */
	struct safetensors_file *whole; /* of all in `loaded` (view/status.h) */
	struct buf text; /* of a text */
	int fd; /* of the state file; else -1 */
};

/* A list, the newest first: the others may still be in use. */
struct base_file {
	struct draft_base base;
	struct base_file *before;
};

struct view_file {
	struct view *view;
	struct node *node; /* stays while the file is open */
	uint64_t id; /* its inode number */
	bool writing; /* it is open for writing */
	bool early; /* writes to it may be answered early (view_answer_early) */
	atomic_bool written; /* it was written to */
	pthread_mutex_t lock; /* guards NOW */
	struct opened *now;
	struct view_file *next; /* in node->files; under view.lock */
};

/* The attributes of a file whose name was removed, but which somebody has open. -ESTALE: nobody has. */
int open_getattr(struct view *v, struct node *n, uint64_t id, struct view_entry *out,
		 struct err *e);

/* Cuts F, which is open for writing, or makes it longer. */
int open_truncate(struct view_file *f, uint64_t size, struct err *e);

/* Makes an open file of I, an item of D, the draft of N, with the number ID. I is open for writing already; if this fails
 * it is closed. */
int open_created(struct view *v, struct node *n, struct draft *d, struct draft_item *i, uint64_t id,
		 struct view_file **out);

/* src/view/open.h: open files. For view/ alone; its own calls are in view.h.
 *
 * An open file is a number (view/node.h), and what that stands for can become another thing while it is open:
 * the draft ends, or begins anew after a commit. So it has its bytes from a struct opened, which is exchanged
 * when that has happened and more is wanted of the file. docs/ARCHITECTURE.md has a table of what becomes of
 * an open file. */
#pragma once
#include "view/view.h"

/* What an open file has its bytes from: an item of a draft; a parsed step; or the state file. Shared by
 * reference count. */
struct opened {
	atomic_uint refs;
	bool writing;
	struct draft *draft; /* in which ITEM is, and open; or NULL */
	struct draft_item *item;
	struct base_file *_Atomic base; /* of the item, as a variable; or NULL */
	struct loaded *loaded; /* what a file or text without a draft is of */
	struct npy_file *file; /* a variable's, without a draft */
	struct buf text; /* a text's */
	int fd; /* of the state file */
};

/* The newest stands first; the others may be in use. */
struct base_file {
	struct draft_base base;
	struct base_file *before;
};

struct view_file {
	struct view *view;
	struct node *node; /* stays while the file is open */
	uint64_t id; /* that the kernel has of it */
	bool writing; /* it may be written through this file */
	atomic_bool written; /* it was */
	pthread_mutex_t lock; /* guards NOW */
	struct opened *now;
	struct view_file *next; /* of those of the node; under view.lock */
};

/* The attributes of a file that only those see who have it open: its name was removed. -ESTALE: nobody has. */
int open_getattr(struct view *v, struct node *n, uint64_t id, struct view_entry *out,
		 struct err *e);

/* Before D, the draft of N, ends or begins anew: variables of the base that were removed while they are open,
 * and that the base is about to show again, get new numbers. The draft's lock is held. */
void open_number_orphans(struct view *v, struct node *n, struct draft *d);

/* Cuts F, which is open for writing, or makes it longer. */
int open_truncate(struct view_file *f, uint64_t size, struct err *e);

/* Makes an open file of the item I of D, the draft of N, that is counted as open for writing already; if that
 * fails it is closed. */
int open_created(struct view *v, struct node *n, struct draft *d, struct draft_item *i,
		 struct view_file **out);

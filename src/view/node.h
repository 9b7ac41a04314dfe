/* src/view/node.h: which kernel inode stands for what.
 *
 * A node is a thing at the level of checkpoint directories: a folder, a step, the state file, or the link
 * `latest`. What is inside a step has no node of its own, only a number, since a step never changes. An inode
 * number, as the kernel gives it back to us, is two numbers:
 *
 *     slot << 32 | index
 *
 *   slot    of the node; the root's is 0. A slot is used again only when the kernel has forgotten all of the node.
 *   index   1: the node itself (so the root is FUSE_ROOT_ID). In a step: 2 and up its files, as in tree->files,
 *           behind them its folders, as in tree->dirs from folder 1 on, and behind these its texts
 *           (step/tree.h). What a draft has besides is numbered from DRAFT_DYNAMIC on, and no number twice. Now and then
 *           the kernel has another number of something than its index, see below.
 *
 * What stat shows as st_ino is another number (view/attr.h), made from what is stored; of folders in a step,
 * from the step's and their path.
 *
 * The kernel's references are counted per node, for itself and all inside it: an index needs nothing to be kept.
 * A node whose file was replaced is detached: those who hold its numbers still reach it, names no longer do.
 * Everything here is guarded by the lock of the view that owns the table, but what says otherwise. */
#pragma once
#include "directory/listing.h"
#include "directory/lock.h"
#include "draft/draft.h"
#include "step/step.h"
#include "step/text.h"
#include "step/tree.h"

enum { NODE_ROOT_ID = 1 };

/* A parsed step with its tree, shared by reference count. */
struct loaded {
	atomic_uint refs;
	struct step *step;
	struct tree tree;
	struct texts texts;
	_Atomic uint8_t *opened; /* of each file in the tree: since the step was parsed */
};

void loaded_unref(struct loaded *l);
struct loaded *loaded_ref(struct loaded *l);

/* What a folder held when it was last read, shared by reference count. */
struct snapshot {
	atomic_uint refs;
	struct listing listing;
	struct timespec mtime, ctime; /* of the folder, before it was read */
	struct file_id state; /* of the state file then; zeros: none */
	struct err
		no_latest; /* why it could not be found out whether there is one; code 0: it was */
	bool settled; /* it had been still for long enough to trust its times */
	uint32_t changes; /* node->changes, before it was read */
};

void snapshot_unref(struct snapshot *s);

enum node_kind { NODE_FOLDER, NODE_STEP, NODE_STATE, NODE_LATEST };

/* A place that a node has, or had: whoever reads it takes no lock, so it stays as long as the node. */
struct node_place {
	struct step_place place;
	struct node_place *before;
};

struct view_file;

struct node {
	uint32_t slot; /* this, the kind and the parent never change */
	enum node_kind kind;
	struct node *parent; /* NULL: the root */
	const struct step_place
		*_Atomic place; /* as the folder's listing has it; to be read without a lock */
	struct node_place *places; /* the newest first */
	bool detached;
	bool pending; /* link: it waits to be renamed to `latest` */
	/* step: what stat shows for its folder, as long as the node is there; 0: not known yet. To be read without
	 * a lock */
	_Atomic uint64_t ino;
	struct file_id id; /* step: of the file that stands for it */
	struct file_id meta; /* step: of its meta graph; zeros: none */
	uint64_t lookups; /* the kernel's */
	uint32_t children; /* nodes that have this one as their parent */
	struct node *next; /* in its bucket */
	struct loaded *loaded; /* step: parsed, or NULL */
	struct snapshot *snapshot; /* folder: or NULL */
	int watch; /* folder: inotify's number; 0: not watched */
	uint32_t changes; /* folder: how often one was heard of */
	struct file_id complained; /* folder: the state file with which something was wrong */
	uint64_t last_used; /* step: for dropping what was parsed */
	bool parsing; /* step: a turn, see view_take_turn */
	struct err
		failure; /* step: why it can't be parsed; code 0 if that isn't known; with a turn at parsing */
	struct draft *draft; /* step: or NULL; it holds a reference of the kernel's */
	struct view_file *files; /* step: that are open */
	struct numbers *_Atomic numbers; /* step: that are no indexes; to be read without a lock */
	atomic_bool unborn; /* step: it is nothing but its draft; to be read without a lock */
	uint32_t next_dynamic; /* step: the first index that no draft has given out */
	bool drafting; /* folder: a turn: a draft in it begins or ends */
	struct lock
		*lock; /* folder: while there are drafts in it; or NULL; with a turn at drafting */
	uint32_t drafts; /* folder: how many; changed with a turn at drafting */
	uint32_t lockers; /* folder: who else needs `lock`; with a turn at drafting */
	bool recovering; /* folder: a turn */
	atomic_bool
		recovered; /* folder: what was left in it was taken up; to be read without a lock */
};

struct node_table {
	struct node **slots;
	uint32_t n_slots, cap;
	uint32_t *free_slots;
	uint32_t n_free;
	struct node **buckets;
	uint32_t n_buckets, n_nodes; /* buckets: a power of two */
	size_t loaded_memory; /* bytes of all that nodes have loaded */
};

/* An empty table with its root folder. */
int node_table_init(struct node_table *t);
void node_table_release(struct node_table *t);

/* NULL for a number that was never given out. */
struct node *node_get(const struct node_table *t, uint64_t id);

static inline uint32_t node_number(uint64_t id)
{
	return (uint32_t)id;
}

/* The node that PARENT has under NAME, or NULL. */
struct node *node_find(const struct node_table *t, const struct node *parent, enum node_kind kind,
		       const char *name);

/* Makes one for what is at PLACE. Until it is looked up for the first time it goes away with the next
 * node_put. NULL: no memory. */
struct node *node_new(struct node_table *t, struct node *parent, enum node_kind kind,
		      const struct step_place *place);

/* Gives N another place. -ENOMEM. */
int node_rename(struct node_table *t, struct node *n, const struct step_place *place);

/* Gives N a place back that it had before. */
void node_rename_back(struct node_table *t, struct node *n, const struct step_place *place);

/* Takes N's parsed step, if it has one, away from it; the caller unrefs it. */
struct loaded *node_unload(struct node_table *t, struct node *n);

/* N, which has none, gets the parsed step L, with the caller's reference. */
void node_load(struct node_table *t, struct node *n, struct loaded *l);

/* Takes its name away from it. */
void node_detach(struct node_table *t, struct node *n);

/* Takes N of the kernel's references back; a node without any, and without children, ends. */
void node_put(struct node_table *t, struct node *n, uint64_t lookups);

/* --- numbers that are no indexes -----------------------------------------------------------------------------
 *
 * In two cases the kernel has another number of a thing than its index:
 *   - A variable of the base is removed in a draft while somebody has it open. Its number is then that of the
 *     open file. When the draft ends and the base shows the variable again, the variable gets a new one.
 *   - A new step is committed. What is in it has other indexes in the saved step than in the draft, and keeps
 *     its numbers: somebody may stand in one of its folders. */

/* The kernel has NUMBER of what has INDEX. */
struct number {
	uint32_t number, index;
};

/* Has the kernel have MORE numbers that are no indexes; of one index the newest number counts. -ENOMEM. */
int node_add_numbers(struct node *n, const struct number *more, size_t count);

/* The kernel's number of INDEX, which is in N. */
uint64_t node_id(const struct node *n, uint32_t index);

/* The index that ID stands for; 0: it has another number now. */
uint32_t node_index(const struct node *n, uint64_t id);

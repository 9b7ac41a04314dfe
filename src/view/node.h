/* src/view/node.h: which kernel inode stands for what.
 *
 * A node is a thing at the level of checkpoint directories: a folder, a step, the state file, or a link to a step, as
 * `latest`. What is inside a step has no node of its own, only a number, since a step never changes. The inode
 * number that the kernel has is two numbers:
 *
 *     slot << 32 | index
 *
 *   slot    of the node; the root's is 0. A slot is used again only when the kernel has forgotten all of the node.
 *   index   1: the node itself (so the root is FUSE_ROOT_ID). In a step: 2 and up its files, as in tree->files,
 *           then its folders, as in tree->dirs from folder 1 on, then its texts (step/tree.h). What a draft has
 *           besides is numbered from DRAFT_DYNAMIC on; no number is given twice. The four numbers below that are
 *           what is made up (view/status.h). Some things have another number than their index, see the end
 *           of this file.
 *
 * What stat shows as st_ino is another number (step/attr.h). It is made from where the bytes lie; that of a folder in
 * a step from the step's number and the folder's path.
 *
 * The kernel's references are counted for each node, itself and all inside it together. A node whose file was
 * replaced is detached: those who have its numbers still reach it, its name does not lead to it any more.
 *
 * Everything here is guarded by the lock of the view that owns the table, unless it says otherwise. */
#pragma once
#include "directory/listing.h"
#include "directory/lock.h"
#include "draft/draft.h"
#include "step/step.h"
#include "step/text.h"
#include "step/tree.h"

enum { NODE_ROOT_ID = 1 };

/* A parsed step with its tree, shared by reference count. */
struct safetensors;

struct loaded {
	atomic_uint refs;
	struct step *step;
	struct tree tree;
	struct texts texts;
	/* Of each file in the tree, and last of all as one file: it was opened since the step was parsed. */
	_Atomic uint8_t *opened;
	/* Of all as one file (view/status.h); NULL: nobody has asked for that. Set once, by node_keep_whole. */
	struct safetensors *_Atomic whole;
	/* Another step has taken its place under the same numbers (steps_follow): the kernel has one set of pages for both. */
	atomic_bool replaced;
};

void loaded_unref(struct loaded *l);
struct loaded *loaded_ref(struct loaded *l);

/* What a folder held when it was last read, shared by reference count. */
struct snapshot {
	atomic_uint refs;
	struct listing listing;
	struct file_id state; /* of the state file then; zeros: none */
	char *latest; /* the path that it calls the latest; NULL: none is known */
	struct err
		no_latest; /* why it is not known whether there is `latest`; code 0: it is known */
	/* These may become those of a later time, at which the folder holds the same; under view.lock: */
	struct timespec mtime, ctime; /* of the folder, before it was read */
	bool settled; /* the folder had been still for long enough to trust its times */
	uint32_t changes; /* node->changes, before it was read or brought up to date */
};

void snapshot_unref(struct snapshot *s);

enum node_kind { NODE_FOLDER, NODE_STEP, NODE_STATE, NODE_LINK };

/* A place that a node has or had. It is read without a lock, so it stays as long as the node. */
struct node_place {
	struct step_place place;
	struct node_place *before;
};

struct view_file;

/* What the files of a step are called by (step/full_names.h). */
enum node_names { NODE_NOT_NAMED, NODE_KEYS, NODE_FULL_NAMES };

struct node {
	uint32_t slot; /* this and the parent never change */
	/* Changes but once: a new step without anything becomes a folder (node_become_folder). Read without a lock. */
	_Atomic enum node_kind kind;
	struct node *parent; /* NULL: the root */
	/* Of `places`, as the folder's listing has it. Read without a lock. */
	const struct step_place *_Atomic place;
	struct node_place *places; /* the newest first */
	bool detached;
	bool gone; /* step, folder: it was removed, also on disk. Not: it was renamed, or replaced */
	/* link: it is not on disk, and waits to be renamed to `latest`; state: the same, to the state file */
	bool pending;
	int copy; /* state: pending; a file in memory with what was written. Else -1 */
	/* step: st_ino of its folder, as long as the node is there, or its file gets another name; 0: not known yet. Read
	 * without a lock. */
	_Atomic uint64_t ino;
	struct file_id id; /* step: of its index, of V1 its first shard; others: of the file */
	enum node_names names; /* step: as it was parsed; its numbers are those of these names */
	bool kept_names; /* step: it has them from a draft that was taken up, whatever the mount shows; also: */
	struct seen seen; /* step: its variables that are shown */
	struct file_id meta; /* step: of its meta graph; zeros: none */
	uint64_t lookups; /* references, the kernel's and ours */
	uint32_t children; /* nodes that have this one as their parent */
	struct node *next; /* in its bucket */
	struct loaded *loaded; /* step: parsed, or NULL */
	struct snapshot *snapshot; /* folder: or NULL */
	int watch; /* folder: inotify's number; 0: not watched */
	bool hears_all; /* folder: while it is watched nothing changes unheard (ability_hears_all) */
	uint32_t changes; /* folder: how often inotify has told of a change */
	uint32_t heard_from; /* folder: how many of these came before those in `heard` */
	struct buf heard; /* folder: the name of each later one, with its NUL; "": of .ckptfs */
	uint32_t
		compared; /* folder: how many were looked into, to tell the kernel (view/changes.h) */
	bool compare_all; /* folder: one of the others is not of its name alone */
	bool uncompared; /* it was told of a change that was not looked into, for the node had a draft or was pending */
	uint32_t
		overdue; /* folder: steps that max_to_keep has left, for they were in use; under view.committing */
	uint32_t
		kept; /* folder: steps that keep_checkpoint_every_n_hours has left; under view.committing */
	struct file_id complained; /* folder: the state file of which a warning was given */
	uint64_t last_used; /* step: view.clock when `loaded` was last used */
	struct draft *draft; /* step: or NULL; it holds a reference to the node */
	struct view_file *files; /* step: the open files in it */
	struct numbers *_Atomic numbers; /* step: those that are no indexes; read without a lock */
	atomic_bool unborn; /* step: it is nothing but its draft; read without a lock */
	uint32_t next_dynamic; /* step: the first index that no draft has given out */
	atomic_bool recovered; /* folder: what was left in it was taken up; read without a lock */
	/* Turns (view_take_turn), and what is read and changed by whoever has one: */
	bool parsing; /* step */
	struct err failure; /* why it can't be parsed; code 0: not known to be so */
	bool recovering; /* folder */
	bool drafting; /* folder: a draft in it begins or ends */
	struct lock *lock; /* of .ckptfs, while there are drafts or lockers; NULL: never needed */
	uint32_t drafts; /* how many there are; changed with view.lock held, too */
	uint32_t lockers; /* how many others need `lock` */
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

/* Makes one for what is at PLACE, without references: the next node_put ends it. NULL: no memory. */
struct node *node_new(struct node_table *t, struct node *parent, enum node_kind kind,
		      const struct step_place *place);

/* Gives N another place. -ENOMEM. */
int node_rename(struct node_table *t, struct node *n, const struct step_place *place);

/* Gives N a place back that it had before. */
void node_rename_back(struct node_table *t, struct node *n, const struct step_place *place);

/* N, a step that is nothing but its draft, is the folder of that name from now on, and keeps its number. -ENOMEM. */
int node_become_folder(struct node_table *t, struct node *n);

/* The same back: PLACE is the one that it had. */
void node_become_step(struct node_table *t, struct node *n, const struct step_place *place);

/* Takes N's parsed step, if it has one, away from it; the caller unrefs it. */
struct loaded *node_unload(struct node_table *t, struct node *n);

/* N, which has none, gets the parsed step L, with the caller's reference. */
void node_load(struct node_table *t, struct node *n, struct loaded *l);

/* S becomes that of L, which N has loaded, or had. False: there is one already. */
bool node_keep_whole(struct node_table *t, const struct node *n, struct loaded *l,
		     struct safetensors *s);

/* Its name does not lead to it any more. */
void node_detach(struct node_table *t, struct node *n);

/* Takes LOOKUPS references back. A node without any, and without children, ends. What was parsed of it then is the
 * caller's, for loaded_unref without the lock, as it may take long; else NULL. */
struct loaded *node_put(struct node_table *t, struct node *n, uint64_t lookups);

/* --- numbers that are no indexes -----------------------------------------------------------------------------
 *
 * In three cases the kernel has another number of a thing than its index:
 *   - A variable of the base is removed in a draft while somebody has it open. Its number is then that of the
 *     open file. When the draft ends and the base shows the variable again, the variable gets a new one.
 *   - A folder of the base is moved in a draft. The kernel may have its number under the new path when the draft has
 *     ended. The base's folder in the old place gets a new one, so that nothing is done there by that path.
 *   - A new step is committed. What is in it has other indexes in the saved step than in the draft, and keeps
 *     its numbers: somebody may stand in one of its folders. */

/* The kernel has NUMBER of what has INDEX. */
struct number {
	uint32_t number, index;
};

/* Adds MORE numbers that are no indexes. Where an index has several the newest counts. -ENOMEM. */
int node_add_numbers(struct node *n, const struct number *more, size_t count);

/* The kernel's number of INDEX, which is in N. */
uint64_t node_id(const struct node *n, uint32_t index);

/* The index that ID stands for; 0: it has another number now. */
uint32_t node_index(const struct node *n, uint64_t id);

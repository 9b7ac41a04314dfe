/* src/draft/draft_state.h: what a draft is in memory (draft/draft.h says what it is on disk). For src/draft and src/commit alone.
 *
 * A draft:
 *
 *      draft_begin, draft_take_up
 *                 │
 *                 ▼
 *     ┌────────▶ OPEN ────────────────────────────────────────────────────────────────────┐
 *     │           │ commit(): the new step's index is in the directory                    │ draft_end;
 *     │           ▼                                                                       │ commit(): nothing differs
 *     │       PUBLISHED: nothing can be changed; the state file is to be written          │ from the base
 *     │           │       (again with each commit() if that fails)                        │
 *     │           │ commit(): the state file names the new step                           │
 *     │           ├─────────────────────────────────────────────────────────────────────▶ │
 *     │           │ and files are open for writing                                        ▼
 *     └───────────┘ draft_go_on                                                         ENDED
 *                   draft_go_on failed: what was to stay is lost ──────────────────────▶
 *
 *     OPEN       !ended, no `published`    all calls
 *     PUBLISHED  !ended, `published`       those that change it fail with -EBUSY
 *     ENDED      `ended`                   those that change it fail with -ESTALE; open files see enum draft_where
 *                                          (draft/file.h). Whoever ended it makes its node let it go
 *
 * A commit for the timer ends no draft over a base: it is OPEN again, with all that it has, and its folder has a note of the
 * step (draft_note_published).
 *
 * While a commit is under way an OPEN draft can be sealed: then what changes it waits (seal.h).
 *
 * draft_take_up gives a PUBLISHED draft where a crash, or an error, came between the index and the state file
 * (commit/recover.c sets `published`).
 *
 * An item that has a name:
 *
 *              the base's, or a link                         a new file
 *                      │                                         │ draft_create
 *                      ▼       written: draft_need_bytes         ▼
 *                 VAR, TEXT ───────────────────────────────▶ STAGED
 *                      ▲       cut to nothing: draft_cut         │
 *                      └─────────────────────────────────────────┘
 *                        all of a variable or text was copied: draft_refer
 *
 * An item whose name was removed is `gone`: it lives on in the files that have it open. */
#pragma once
#include "base/crc_pieces.h"
#include "directory/drafts_list.h"
#include "draft/draft.h"
#include "draft/pin.h"

/* What a file of the draft's own has besides. */
struct staged {
	int fd; /* -1: nobody has it open, or it is not on disk yet */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	struct timespec mtime; /* of one that is not on disk */
	uint64_t version; /* counts changes of its bytes */
	int lost; /* a negative errno: bytes could not be written after their write was answered. Until it is cut to nothing nothing is written to it, and it is not committed */
	uint64_t committed; /* the version that a commit has copied while it was open; 0: none */
	struct crc_pieces sums; /* what is known of its checksum, under sums_lock */
	pthread_mutex_t sums_lock;
	uint32_t changing, changed; /* how many change its bytes now, and how many have begun to */
	/* Being copied from a variable, in pieces: nothing of it is on disk. */
	uint32_t ref_pin, ref_number; /* or DRAFT_NONE */
	enum draft_what ref_what;
	uint64_t ref_bytes;
	bool shared; /* its file may be a shard of a step too: before it changes the draft gets another */
	struct err refusal; /* why it can't be committed; code 0: not known to be so */
	bool says_the_same; /* a meta graph: it is equal to the base's; found out when the file is closed */
};

/* What the base shows in a folder, and has no item, is in `tree` on disk: */
enum draft_links {
	LINKS_NONE, /* nowhere: it shows through */
	LINKS_SOME, /* some of it, as links: a rename of the folder failed on the way */
	LINKS_ALL, /* all of it, as links */
};

struct draft_item {
	uint32_t index;
	uint32_t
		refs; /* the tree's, and those of open files; 0: it is made up (struct draft_glance) */
	uint32_t opens, writers;
	struct behind behind; /* writes to it that were answered before they are done */
	enum draft_what what;
	bool gone; /* its name was removed; some have it open */
	bool left; /* the draft went on without it after a commit; some have it open */
	bool lost; /* it was to stay when the draft went on, and could not */
	bool committed; /* VAR: that stayed then, and is in the commit as it is */
	bool on_disk; /* in `tree`; a VAR or TEXT that is not shows through from the base */
	bool under; /* the base shows something at this place, which is this or is hidden by it */
	bool in_place; /* listed where the base has it, in its own folder (draft/overlay.h) */
	bool own_name; /* VAR: of the variable that it is; only asked where the name begins with a dot */
	bool opened; /* and closed */
	uint32_t pin, number; /* VAR, TEXT */
	uint32_t expect_pin, expect_var; /* over which variable it lies; or DRAFT_NONE */
	uint32_t base_dir; /* DIR: folder of the base's tree that shows here; or DRAFT_NONE */
	enum draft_links links; /* DIR: how what shows here stands on disk */
	char *name;
	struct timespec
		entered; /* DIR: when its entries last changed; 0: they are as in the base */
	struct draft_item *parent; /* NULL: the root */
	struct draft_item *first, *last, *before, *after; /* children and siblings */
	struct draft_item *same_name, *same_index; /* chains of buckets */
	struct staged *staged;
};

/* What the base shows and nothing was done with has no item. Asked for, one is made up here: it can be looked at
 * as long as this stays, and not be changed. */
struct draft_glance {
	struct draft_item item;
	char name[256];
};

/* A descriptor of the checkpoint directory, which the drafts in it share. */
struct draft_top {
	atomic_uint refs;
	int fd;
};

/* In a draft's folder: its files are called by full names. */
#define DRAFT_FULL_NAMES "full-names"
#define DRAFT_OF_TOOL    "of-a-tool"

/* The same: links whose targets are seen.var_list and seen.collection. */
#define DRAFT_VAR_LIST   "var-list"
#define DRAFT_COLLECTION "collection"

/* In a draft's folder: what it was published as last (commit/noted.h). */
#define DRAFT_NOTE "published"

struct draft {
	atomic_uint refs;
	pthread_mutex_t lock;
	struct draft_top *shared;
	int top; /* its descriptor */
	int fd; /* .ckptfs/drafts/NAME */
	char *name; /* prefix of the step in whose folder the draft is */
	char *folder; /* the draft's own name in .ckptfs/drafts */
	char *meta; /* suffix of the meta graph */
	enum verify_mode mode;
	bool reshape, strip_default_attrs, no_meta_graph; /* as in draft_config */
	struct pin *pins; /* the base is the first */
	uint32_t n_pins;
	bool has_base;
	bool object_based; /* of the base; names are made accordingly */
	bool full_names; /* variables are called by them (step/full_names.h) */
	const struct full_names *base_names; /* those of the base; or NULL */
	struct seen seen; /* only such variables are in it, */
	const struct memberships *base_members; /* by those of the base; or NULL */
	struct draft_item *root;
	struct draft_item **names,
		**fixed; /* hash tables: by folder and name; by index, of what the base has */
	uint32_t n_buckets, n_items;
	struct draft_item **dynamic; /* by index, of what it does not have */
	uint32_t n_dynamic, cap_dynamic, first_dynamic;
	const struct tree
		*tree; /* of the base, whoever began the draft has it, or own_tree; NULL: no base */
	struct tree own_tree;
	uint32_t n_fixed; /* indexes that the base has */
	uint64_t *claimed; /* a bit for each: it has an item, or is gone */
	uint32_t unclaimed_files; /* variables of the base of which neither is so */
	struct buf
		removed; /* no base: the paths of variables that were removed, each with its NUL */
	bool base_meta; /* and whether it has a meta graph */
	uint32_t writers;
	uint32_t in_flight; /* writes that are under way, without the lock */
	pthread_cond_t quiet; /* there are none, or no writers */
	uint64_t changes; /* counts them */
	/* See seal.h. */
	bool committing;
	uint32_t sealed; /* how many want it to be */
	pthread_cond_t unsealed; /* it is not sealed any more, or no commit is under way */
	uint64_t
		commits; /* counts those that succeeded, and after which the draft ended or went on with open files */
	uint64_t
		seen_to; /* `changes` when a commit after which it went on as a whole has succeeded; 0: none */
	uint64_t times_gone_on; /* after a commit, by draft_go_on */
	int64_t changed_at; /* ms of CLOCK_MONOTONIC */
	atomic_bool
		ended; /* committed or discarded: nothing is written any more. Set with the lock held */
	char old[DRAFTS_OLD_SIZE]; /* what is left of it on disk then; or empty */
	bool born; /* a new step, and committed: what is in it is in the step of that name */
	char *published; /* the step that it has become, where only the state file does not say so yet; or NULL */
	struct err failure; /* of the last commit; code 0: none, or it was changed since */
	uint64_t failed_at; /* `changes` then */
	int64_t retry_at; /* ms of CLOCK_MONOTONIC: not to be tried again unasked before */
	unsigned failures; /* in a row */
	struct err told; /* the last that was told unasked */
	void *holder; /* see draft_set_holder */
	void (*holder_release)(void *holder);
};

static inline const struct var *draft_var(const struct draft *d, const struct draft_item *i)
{
	return &d->pins[i->pin].step->vars[i->number];
}

/* --- items: with the lock held, until the lock is dropped, or as long as there is a reference ----------------------- */

/* What has that index, or that name in DIR; NULL: nothing. What the base shows, and nothing was done with, is made up in
 * G: it can be looked at as long as G stays. Its parent may be a folder further up. */
struct draft_item *draft_item(const struct draft *d, uint32_t index, struct draft_glance *g);
struct draft_item *draft_find(const struct draft *d, struct draft_item *dir, const char *name,
			      struct draft_glance *g);

void draft_item_unref(struct draft *d, struct draft_item *i);

/* Is it a variable of the step, or will it be when it is whole? Not: texts, scratch files (base/scratch.h). */
bool draft_is_variable(const struct draft_item *i);

/* The path from the root, without a '/' at its start. -ENOMEM. */
int draft_path(const struct draft_item *i, struct buf *out);

/* Of a STAGED item; nlink is 0 when it is gone. */
int draft_stat(struct draft *d, struct draft_item *i, struct stat *out, struct err *e);

/* Has the file of a STAGED item open, as long as the lock is held; what it was to be referred to becomes bytes. */
int draft_item_open(struct draft *d, struct draft_item *i, struct err *e);

/* --- for a commit: with the lock held ---------------------------------------------------------------------------- */

/* Waits until no write is under way, for a commit must not see half of one; and a moment for files that are
 * being closed. The lock is let go meanwhile. */
void draft_await_writes(struct draft *d);

/* After a commit, while files are open for writing: these stay, as what is written over the same base from now
 * on; all else is as in the base again. If that fails the draft ends: the commit has all that was written, and
 * what is written to one of these files later fails. */
void draft_go_on(struct draft *d);

/* After a commit after which all of D goes on over the same base: its files may be shards of the new step, so none of them
 * changes in place any more. */
void draft_note_published(struct draft *d);

/* -EBUSY: a file is open for writing with which draft_go_on can't be done; -ENOMEM. */
int draft_can_go_on(const struct draft *d, struct err *e);

/* Notes that a commit ended with R, and why. */
void draft_note_result(struct draft *d, int r, const struct err *why);

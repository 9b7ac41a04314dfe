/* src/draft/draft.h: a step being written.
 *
 * A draft shows what its base, a saved step, holds, but for what was changed. It is an overlay over the base: in memory
 * (draft/overlay.h), and on disk, so that nothing is lost when the process is:
 *
 *     .ckptfs/drafts/my-model-0/         in the checkpoint directory; named as the step's folder
 *         base -> steps/my-model-0       absent: a new step, of the name that the draft has
 *         steps/…                        the steps that the draft needs (draft/pin.h)
 *         tree/w.npy                     a file that was written: its bytes
 *         tree/fc/kernel.npy -> my-model-0/dense/kernel.npy
 *                                        a variable (or text) as it is in a pinned step: copied or renamed
 *         tree/fc/                       a folder; what the base has in a folder of the same path shows through
 *         tree/.gone/dense               what the base has here under this name does not show through
 *         commit/…                       a commit under way (commit/commit.h)
 *
 * Rules that make each change one step on disk, so that a crash leaves the state before it or after it:
 *   1. A mark in .gone says nothing of what lies in `tree` under that name, so it can be made before that is taken away.
 *   2. A link to what the base shows at the same place changes nothing: before a variable or folder is renamed, it is
 *      spelled out by links, marked as gone, and only then moved, by one rename(2).
 *   3. A file is written beside the tree and moved in.
 *
 * Variables are items by their paths (step/name.h). `lock` guards everything in struct draft and its items
 * but what says otherwise; it is held while a file is copied up. */
#pragma once
#include "step/npy_file.h"
#include "step/sidecar.h"
#include "step/tree.h"

struct draft;
struct draft_item;
struct draft_glance;
struct pin;

enum draft_what {
	DRAFT_DIR,
	DRAFT_VAR, /* variable `number` of the step of `pin` */
	DRAFT_TEXT, /* text `number` of it */
	DRAFT_STAGED, /* a file of the draft's own */
};

#define DRAFT_NONE UINT32_MAX

/* What a change of an item ends with that was in another place before a commit. The kernel gets -ESTALE, and then walks along
 * the path again. */
#define DRAFT_LOOK_AGAIN (-EREMCHG)

/* Indexes of items that the base does not have start here; those of the others are the base's (step/tree.h). */
#define DRAFT_DYNAMIC UINT32_C(0x80000000)

/* The file of a VAR as it was opened: of variable NUMBER of pin PIN. It can be read when the draft has ended too. */
struct draft_base {
	struct npy_file *file;
	uint32_t pin, number;
};

struct draft_owner {
	uid_t uid;
	gid_t gid;
	mode_t mode; /* less the caller's umask */
};

struct draft_config {
	int top; /* stays the caller's */
	const struct draft *beside; /* another one in the same directory; or NULL */
	const char *name;
	const char *meta;
	enum verify_mode mode;
	uint32_t first_dynamic; /* the first number that may be given out */
	const struct draft_owner *maker; /* of a new step; NULL: as new files are */
};

/* At rest a draft has one descriptor, and one for all in the same directory. -EMFILE: there would not be
 * enough left to commit what is written. */

/* Begins a draft over BASE, whose tree TREE is and whose files are in BASE_FD; or with BASE NULL a new step,
 * which belongs to C->maker. TREE stays the caller's, and has to stay until the draft is released (`owner`). -EEXIST, -ESTALE, or of the calls that failed. */
int draft_begin(const struct draft_config *c, struct step *base, const struct tree *tree,
		int base_fd, struct draft **out, struct err *e);

/* Takes up what is in .ckptfs/drafts/FOLDER. -EUCLEAN: it is no draft; or of reading. */
int draft_take_up(const struct draft_config *c, const char *folder, struct draft **out,
		  struct err *e);
struct draft *draft_ref(struct draft *d);
void draft_unref(struct draft *d);

/* Takes its name on disk away. It has ended, unless nothing could be done: then it goes on. The lock is held. */
int draft_retire(struct draft *d, struct err *e);

/* Removes what is left on disk of D, which has ended. For whoever has ended it, and without the lock: it may take long. */
int draft_sweep(struct draft *d, struct err *e);

/* Both; and drafts_tidy. */
int draft_discard(struct draft *d, struct err *e);

/* The number of S among the pins, which it becomes if it is none yet; its files are in FROM. As pin_make. The
 * lock is held. */
int draft_pin(struct draft *d, struct step *s, int from, struct err *e);

/* Whose the step is, and when it was last changed: of the base its index, of a new step the draft's folder. */
int draft_stat_step(const struct draft *d, struct stat *out);

/* Opens the folder that P, one of the pins, has in the draft. */
int draft_pin_dir(const struct draft *d, const struct pin *p, struct err *e);

/* Waits until no write is under way, for a commit must not see half of one; and a moment for files that are
 * being closed. The lock is held, and let go meanwhile. */
void draft_await_writes(struct draft *d);

/* After a commit, while files are open for writing: these stay, as what is written over the same base from now
 * on; all else is as in the base again. If that fails the draft ends: the commit has all that was written, and
 * what is written to one of these files later fails. The lock is held. */
void draft_go_on(struct draft *d);

/* -EBUSY: a file is open for writing with which that can't be done. The lock is held. */
int draft_can_go_on(const struct draft *d, struct err *e);

/* Makes NAME the prefix of the step that a draft without a base is for. -EEXIST: there is a draft of it. */
int draft_rename_step(struct draft *d, const char *name, struct err *e);

/* How many variables differ from the base. */
uint32_t draft_count(struct draft *d);

/* Whether nothing was changed for MS, nothing is open for writing, and a commit that failed is worth another
 * try: what was refused when it was changed, what the disk refused after 1, 2, 4 … 60 seconds. WAIT: how many
 * ms until that can be so; -1: not before a change. */
bool draft_is_due(struct draft *d, int64_t ms, int64_t *wait);

/* Notes that a commit ended with R, and why. The lock is held. */
void draft_note_result(struct draft *d, int r, const struct err *why);

/* Whether WHY was not told before; it is from now on. */
bool draft_is_news(struct draft *d, const struct err *why);

/* Why it can't be committed, a sentence for each file, into OUT. */
int draft_why(struct draft *d, struct buf *out);

/* --- items: with the lock held, until the lock is dropped, or as long as there is a reference ----------------------- */

/* What has that index, or that name in DIR; NULL: nothing. What the base shows, and nothing was done with, is made up in
 * G: it can be looked at as long as G stays. Its parent may be a folder further up. */
struct draft_item *draft_item(const struct draft *d, uint32_t index, struct draft_glance *g);
struct draft_item *draft_find(const struct draft *d, struct draft_item *dir, const char *name,
			      struct draft_glance *g);

void draft_item_unref(struct draft *d, struct draft_item *i);

/* A number that no item has or had. 0: none. */
uint32_t draft_new_number(struct draft *d);

/* Is it a variable of the step, or will it be when it is whole? Not: texts, a tool's temporary files. */
bool draft_is_variable(const struct draft_item *i);

/* The path from the root, without a '/' at its start. -ENOMEM. */
int draft_path(const struct draft_item *i, struct buf *out);

/* Of a STAGED item; nlink is 0 when it is gone. */
int draft_stat(struct draft *d, struct draft_item *i, struct stat *out, struct err *e);

/* Has the file of a STAGED item open, as long as the lock is held; what it was to be referred to becomes bytes. */
int draft_item_open(struct draft *d, struct draft_item *i, struct err *e);

/* --- changes: they take the lock; with it the index of an item that is gone is -ESTALE ------------------------------ */

/* -EINVAL: no name of a variable, text or temporary file. OUT has a reference; with OPEN it is also open, as
 * by draft_open. */
int draft_create(struct draft *d, uint32_t dir, const char *name, const struct draft_owner *owner,
		 bool open, struct draft_item **out, struct err *e);
int draft_mkdir(struct draft *d, uint32_t dir, const char *name, struct draft_item **out,
		struct err *e);
int draft_unlink(struct draft *d, uint32_t dir, const char *name, struct err *e);
int draft_rmdir(struct draft *d, uint32_t dir, const char *name, struct err *e);

/* FLAGS of renameat2(2): RENAME_NOREPLACE, RENAME_EXCHANGE. */
int draft_rename(struct draft *d, uint32_t from_dir, const char *from, uint32_t to_dir,
		 const char *to, unsigned flags, struct err *e);

/* I is held, as in an open file. BASE as for draft_write. */
int draft_truncate(struct draft *d, struct draft_item *i, const struct draft_base *base,
		   uint64_t size, struct err *e);

/* VALID, as in setattr(2) of FUSE: which of ST are to be set. Only STAGED files have attributes of their own;
 * of others nothing is kept, and that is no error. */
enum { DRAFT_MODE = 1, DRAFT_UID = 2, DRAFT_GID = 4, DRAFT_MTIME = 8, DRAFT_MTIME_NOW = 16 };
int draft_set_attr(struct draft *d, uint32_t index, unsigned valid, const struct stat *st,
		   struct err *e);

/* --- open files ------------------------------------------------------------------------------------------------ */

/* Opens the item INDEX, which gets a reference; TRUNCATE: and cuts it to nothing. -EISDIR; -ESTALE: there is
 * none, or the draft has ended. */
int draft_open(struct draft *d, uint32_t index, bool writing, bool truncate,
	       struct draft_item **out, struct err *e);
void draft_close(struct draft *d, struct draft_item *i, bool writing);

/* The bytes of an open file. BASE is that of what I is or was as a VAR, or NULL. -ESTALE, without a sentence:
 * the draft has ended, or went on after a commit without I, and I's number stands for what the base has: it is to be opened again. A
 * file whose name was removed has bytes of its own until it is closed. */
int64_t draft_read(struct draft *d, struct draft_item *i, const struct draft_base *base,
		   uint64_t off, size_t len, uint8_t *dst, struct err *e);
int draft_write(struct draft *d, struct draft_item *i, const struct draft_base *base,
		struct bytes b, uint64_t off, struct err *e);
int draft_allocate(struct draft *d, struct draft_item *i, const struct draft_base *base, int mode,
		   uint64_t off, uint64_t len, struct err *e);

/* -EINVAL: as it is it can't be committed; E says why. NOT_YET: a file of which only the header is there passes. */
int draft_check(struct draft *d, struct draft_item *i, bool not_yet, struct err *e);
int draft_sync(struct draft *d, struct draft_item *i, struct err *e);

/* Is I a text as its step has it? */
bool draft_item_is_text(struct draft *d, const struct draft_item *i);

struct draft_source {
	struct step *step;
	int dirfd; /* of its files */
	enum draft_what what; /* VAR or TEXT */
	uint32_t number;
	uint64_t size; /* of its file */
};

/* What I is, if it is a variable or text of a step; a text has TEXT bytes. OUT has a reference to the step,
 * and a descriptor. */
bool draft_source_of(struct draft *d, const struct draft_item *i, uint64_t text,
		     struct draft_source *out);

/* Copies LEN bytes at OFF of FROM to the same place in I without moving any: a reference, which is whole when
 * all of FROM was copied, in order. How many that were; 0: they have to be copied. -EINVAL: not of the dtype
 * and shape that I had. */
int64_t draft_refer(struct draft *d, struct draft_item *i, const struct draft_source *from,
		    uint64_t off, uint64_t len, struct err *e);

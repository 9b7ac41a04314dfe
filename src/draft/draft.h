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
 *         of-a-tool                      an empty file: a process without a mount has begun it, and when that has ended nobody goes on with it
 *         full-names                     an empty file: variables in `tree` are called by their full names
 *         commit/…                       a commit under way (commit/commit.h)
 *         var-list, collection           links whose targets are that of what it shows (struct seen); missing: NULL
 *         published                      what the draft was published as last, if it went on (commit/noted.h)
 *         refused                        why it could not be committed when its mount ended
 *
 * Rules that make each change one step on disk, so that a crash leaves the state before it or after it:
 *   1. A mark in .gone says nothing of what lies in `tree` under that name, so it can be made before that is taken away.
 *   2. A link to what the base shows at the same place changes nothing: before a variable or folder is renamed, it is
 *      spelled out by links, marked as gone, and only then moved, by one rename(2).
 *   3. A file is written beside the tree and moved in.
 *
 * Variables are items by their paths (step/name.h), or with full names by those (step/full_names.h; the targets of links are
 * made from keys all the same). How it was begun counts, whatever takes it up later. `lock` guards everything in struct draft and its items
 * but what says otherwise; it is held while a file is copied up. */
#pragma once
#include "base/behind.h"
#include "base/cleanup.h"
#include "step/npy_file.h"
#include "step/sidecar.h"
#include "step/tree.h"

struct draft;
struct draft_item;

enum draft_what {
	DRAFT_DIR,
	DRAFT_VAR, /* variable `number` of the step of `pin` */
	DRAFT_TEXT, /* text `number` of it */
	DRAFT_STAGED, /* a file of the draft's own */
};

#define DRAFT_NONE UINT32_MAX

/* A change waited for a commit, and its item was in another place before that. The kernel gets -ESTALE, and looks the path
 * up again. */
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
	bool reshape; /* a file of another shape than its variable's may be written, of as many elements */
	bool strip_default_attrs; /* of the meta graph, in its text and in what is committed */
	bool no_meta_graph; /* none is committed, so what is done to its text is no change */
	bool tool; /* when this process has ended nobody goes on with it (commit/recover.h) */
	bool full_names; /* variables are called by them; over a base with an object graph it is as that is shown */
	struct seen
		seen; /* of a new step; over a base it is as that is shown. Stays the caller's */
};

/* At rest a draft has one descriptor, and one for all in the same directory. -EMFILE: there would not be
 * enough left to commit what is written. */

/* Begins a draft over BASE, whose tree TREE is and whose files are in BASE_FD; or with BASE NULL a new step,
 * which belongs to C->maker. TREE stays the caller's, and has to stay until the draft is released (draft_set_holder). -EEXIST,
 * -ESTALE, or of the calls that failed. */
int draft_begin(const struct draft_config *c, struct step *base, const struct tree *tree,
		int base_fd, struct draft **out, struct err *e);

/* Takes up what is in .ckptfs/drafts/FOLDER. -EUCLEAN: it is no draft; or of reading. */
int draft_take_up(const struct draft_config *c, const char *folder, struct draft **out,
		  struct err *e);
struct draft *draft_ref(struct draft *d);
void draft_unref(struct draft *d);

/* What whoever began it keeps with it, for as long as there is a reference. */
void draft_set_holder(struct draft *d, void *holder, void (*release)(void *holder));
void *draft_holder(const struct draft *d);

/* Committed or discarded: nothing is written any more. */
bool draft_has_ended(const struct draft *d);

/* Prefix of the step in whose folder it is; until that is renamed. */
const char *draft_name(const struct draft *d);

/* The first number that it has not given out. */
uint32_t draft_next_number(const struct draft *d);

/* The step that it is over; NULL: it is of a new one. */
struct step *draft_base_step(const struct draft *d);

/* Who wants to know of the end, each time with the draft's lock held. `ending`: the draft may end, and has all that it will
 * have. `shows_base`: it has ended, or begun anew, so the step shows what is saved. */
struct draft_watch {
	void (*ending)(void *arg, struct draft *d);
	void (*shows_base)(void *arg, struct draft *d);
	void *arg;
};

/* D ends, when no commit is under way, and with it what is not committed. 1; 0: it had ended before. After an error it goes
 * on. */
int draft_end(struct draft *d, const struct draft_watch *w, struct err *e);

/* Removes what is left on disk of D, which has ended. For whoever has ended it, and without the lock: it may take long. */
int draft_sweep(struct draft *d, struct err *e);

/* Ends D, of which nobody knows, and removes it; and drafts_tidy. */
int draft_discard(struct draft *d, struct err *e);

/* Whose the step is, and when it was last changed: of the base its index, of a new step the draft's folder. */
int draft_stat_step(const struct draft *d, struct stat *out);

/* Opens the folder in which the files of the pinned step PIN are; 0: the base. */
int draft_open_pin(struct draft *d, uint32_t pin, struct err *e);

/* Makes NAME the prefix of the step that a draft without a base is for. -EEXIST: there is a draft of it. */
int draft_rename_step(struct draft *d, const char *name, struct err *e);

/* How many variables differ from the base; the meta graph counts as one. */
uint32_t draft_count(struct draft *d);

/* True: the base has variables, and D has none. */
bool draft_lost_all(struct draft *d);

/* As draft_count; OUT gets a line for each: whether it was written, is new, copied, moved or removed. */
uint32_t draft_describe(struct draft *d, struct buf *out);

/* Whether there are changes that no such commit has seen to, nothing was changed for MS, nothing is open for writing, and a
 * commit that failed is worth another try: what was refused when it was changed, what the disk refused after 1, 2, 4 … 60
 * seconds. A new step is not due while it has what no step can have, as an empty folder: it would be gone. WAIT: how many ms
 * until that can be so; -1: not before a change. */
bool draft_is_due(struct draft *d, int64_t ms, int64_t *wait);

/* Whether WHY was not told before; it is from now on. */
bool draft_is_news(struct draft *d, const struct err *why);

/* Why it can't be committed, a sentence for each file, into OUT. */
int draft_why(struct draft *d, struct buf *out);

/* Leaves WHY, a commit's error, on disk for the next mount; without success if that can't be done. */
void draft_leave_why(struct draft *d, const struct err *why);

/* Reads what was left so, and removes it. It is why it can't be committed until it is changed, and each written file is looked
 * at again. False: there is none. */
bool draft_take_why(struct draft *d, struct err *why);

/* Is nothing in it that is not committed: files are open for writing after a commit of all that was written, or it is a new
 * step into which nobody has put anything, but what programs leave (base/scratch.h)? */
bool draft_is_rest(struct draft *d);

/* What the kernel must forget when D ends: NAME in the folder INDEX; with NAME NULL the attributes and bytes of INDEX, or a
 * folder's list. MOVED: a folder of the base that is in another place. The lock is held. */
typedef void draft_listed(void *arg, uint32_t index, const char *name, bool moved);
void draft_list_differences(struct draft *d, draft_listed *tell, void *arg);

/* A number that no item has or had; 0: no memory. The lock is held. */
uint32_t draft_new_number(struct draft *d);

/* Calls MAP for what has an item, folders before what is in them: NAME, with INDEX, in the folder DIR. WITHIN: what MAP gave
 * for that folder, ROOT for the root's. 0: what is in it is left out. */
typedef uint32_t draft_mapper(void *arg, uint32_t within, uint32_t dir, uint32_t index,
			      const char *name);
void draft_map(struct draft *d, uint32_t root, draft_mapper *map, void *arg);

/* --- what is in it ---------------------------------------------------------------------------------------------- */

/* What an item was when it was asked for, or what the base shows that has none. The caller releases it. */
struct draft_seen {
	uint32_t index;
	enum draft_what what;
	bool of_base; /* the root, or the same that the base has there */
	bool gone; /* its name was removed; some have it open */
	bool opened; /* it was open in this draft before, and closed */
	uint32_t pin, number; /* VAR, TEXT */
	struct step *step; /* of that pin; it stays as long as the draft */
	struct timespec
		entered; /* DIR: when its entries last changed; zeros: they are as in the base */
	struct stat
		st; /* STAGED: of its file, and nlink is 0 when it is gone; others: as draft_stat_step */
	struct buf
		path; /* DIR of a new step: from its root, with a '/' at the end; empty: the root */
};

static inline void draft_seen_release(struct draft_seen *s)
{
	buf_release(&s->path);
}

/* What INDEX is; or with NAME, what that is in the folder INDEX. -ESTALE: nothing has that index, or the folder is gone;
 * -ENOTDIR; -ENOENT; or of looking at it. */
int draft_see(struct draft *d, uint32_t index, const char *name, struct draft_seen *out,
	      struct err *e);

/* What I is, to which there is a reference. */
int draft_see_item(struct draft *d, struct draft_item *i, struct draft_seen *out, struct err *e);

/* The names in the folder DIR: an array of struct draft_entry. -ESTALE, -ENOTDIR. */
struct draft_entry {
	uint32_t index;
	mode_t type; /* S_IFDIR or S_IFREG */
	size_t name; /* in NAMES, with its NUL */
};
int draft_list(struct draft *d, uint32_t dir, struct buf *entries, struct buf *names);

/* Has it nothing in it? */
bool draft_is_emptied(struct draft *d);

/* The file of a STAGED item, to be read while others write to it. The caller releases it. */
struct draft_written {
	struct err refusal; /* why it can't be committed; code 0: not known to be so */
	int fd; /* -1: it is no variable, or gone */
	struct buf key; /* of the variable */
};

static inline void draft_written_release(struct draft_written *w)
{
	closep(&w->fd);
	buf_release(&w->key);
}

/* -ENODATA: INDEX is none. */
int draft_open_written(struct draft *d, uint32_t index, struct draft_written *out, struct err *e);

/* A reference is given back. */
void draft_release_item(struct draft *d, struct draft_item *i);

/* --- changes: they take the lock; with it the index of an item that is gone is -ESTALE ------------------------------ */

/* -EINVAL: a path that ends as a variable's, and is none. OUT has a reference; with OPEN it is also open, as
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
 * the draft has ended, or went on after a commit without I, and I's number stands for what the base has: it is to be opened
 * again. A file whose name was removed has bytes of its own until it is closed. */
int64_t draft_read(struct draft *d, struct draft_item *i, const struct draft_base *base,
		   uint64_t off, size_t len, uint8_t *dst, struct err *e);
int draft_write(struct draft *d, struct draft_item *i, const struct draft_base *base,
		struct bytes b, uint64_t off, struct err *e);

/* As draft_write, but WHO is answered when the bytes are taken over, unless an error is returned. Calls on I wait until they are there, and
 * so does a commit. If they can't be written, draft_check and draft_sync of I say so, and each write to it and a commit, until I is cut
 * to nothing. */
int draft_write_behind(struct draft *d, struct draft_item *i, const struct draft_base *base,
		       struct bytes b, uint64_t off, const struct behind_asker *who, struct err *e);
int draft_allocate(struct draft *d, struct draft_item *i, const struct draft_base *base, int mode,
		   uint64_t off, uint64_t len, struct err *e);

/* -EINVAL: as it is it can't be committed; E says why. NOT_YET: a file of which only the header is there passes. */
int draft_check(struct draft *d, struct draft_item *i, bool not_yet, struct err *e);
int draft_sync(struct draft *d, struct draft_item *i, struct err *e);

/* The same for what is in the folder INDEX; what D does not have needs no syncing. */
int draft_sync_folder(struct draft *d, uint32_t index, struct err *e);
/* Is I of the base, and its name removed? The lock is held. */
bool draft_is_orphan(const struct draft_item *i);

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

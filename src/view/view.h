/* src/view/view.h: a mounted checkpoint directory, as a filesystem sees it.
 *
 * The calls are those of a filesystem: they take inode numbers (view/node.h) and give struct stat and bytes. All may
 * be called from many threads. A step is parsed when something in it is first asked for. When all parsed steps
 * together take more than a budget, those that nobody has open are dropped, the one used longest ago first.
 *
 * `lock` guards the node table and everything that hangs on nodes. It is held only to look or to change, never while
 * a file is read. What takes longer, and only one thread may do at a time, is done by turns (view_take_turn): to
 * parse a step, to recover a folder, to begin or end a draft in a folder. A turn belongs to one node, so whoever
 * wants the same of another node does not wait. docs/ARCHITECTURE.md has a table of all locks. */
#pragma once
#include "base/behind.h"
#include "commit/commit.h"
#include "step/npy_file.h"
#include "step/stats.h"
#include "view/node.h"

/* A step that was committed through this view (view/recovery.h). */
struct rescued_step {
	struct rescue rescue;
	struct node *folder; /* with a reference that keeps it */
	bool looked; /* the step was looked at, and was there */
	uint32_t at; /* folder->changes when it was last looked at */
};

enum { VIEW_COMMITS = 4 };

struct view {
	int root_fd;
	struct stat root; /* of the source, for its device */
	char *state_name; /* of the `checkpoint` file */
	char *meta_suffix;
	char *family; /* as in view_config */
	enum verify_mode verify;
	bool reshape, strip_default_attrs; /* as in draft_config */
	bool full_names; /* object-based steps are shown by these (step/full_names.h) */
	bool safetensors; /* each saved step is also a file (view/status.h) */
	struct seen seen; /* as in view_config */
	void (*warn)(void *, const struct err *);
	void *warn_arg;
	int inotify; /* -1: nothing is watched; view/changes.h */
	int heard; /* eventfd: changes were heard of that the kernel was not told of; only there with inotify */
	/* Held from the call of inotify until its number stands in node->watch, and from the reading of events until they stand
	 * with their folders. Only there with inotify. */
	pthread_mutex_t watching;
	/* Held by whoever changes which steps there are, or the state file. */
	pthread_mutex_t committing;
	pthread_mutex_t lock;
	pthread_cond_t done; /* with `lock`: a turn has ended, or a node has let a draft go */
	struct node_table nodes;
	struct kept kept; /* shards of parsed steps in folders that are watched */
	bool writable, tool; /* as in view_config */
	int64_t commit_ms; /* how long a draft is quiet before it is published; -1: it is not */
	struct commit_config commit;
	unsigned
		max_to_keep; /* so many steps a state file may list after a commit; 0: any number */
	double keep_seconds,
		started; /* keep_checkpoint_every_n_hours counts from then; since the epoch */
	struct lock root_lock;
	char *who; /* who has it mounted: told to others who want to write */
	struct buf rescued; /* struct rescued_step; under committing */
	uint32_t drafts; /* how many there are; under lock */
	void (*tell)(void *, const char *);
	void (*remind)(void *, const char *);
	void (*begun)(void *); /* a first draft: see view_commit_due */
	struct buf commits; /* lines for user.ckptfs.commits; under lock */
	uint64_t clock; /* counts uses of steps */
	struct behind_room
		room; /* for writes that are answered early, to files of steps or of the directory */
	uint64_t clock_at[VIEW_COMMITS]; /* what it was at the last commits */
	uint64_t cache; /* as in view_config */
};

struct view_config {
	const char *state_name;
	const char *meta_suffix; /* of PREFIX.meta */
	const char *family; /* or NULL: show only the steps of this one's family, no subfolders */
	enum verify_mode verify;
	bool full_names, safetensors;
	bool reshape, strip_default_attrs;
	struct seen seen; /* only these variables are shown. Stays the caller's */
	bool writable;
	bool tool; /* it is no mount: as in draft_config */
	int64_t commit_ms; /* -1: only at fsync of a folder, and at the end */
	uint64_t cache; /* bytes of parsed steps; more only if they are in use */
	double compact;
	enum state_paths state_paths;
	bool write_state, pad_step_number, sharded, write_v1;
	unsigned max_to_keep; /* 0: all */
	double keep_seconds; /* one step for so long is left all the same */
	struct commit_makes makes;
	const char *who; /* who has it mounted: told to others who want to write */
	void (*warn)(void *, const struct err *); /* gets errors that no request is answered with */
	void (*tell)(void *, const char *); /* gets what was done without a request */
	void (*remind)(
		void *,
		const char *); /* gets why a draft was not committed when an earlier mount ended */
	void (*begun)(void *); /* called when there is a draft, and there was none */
	void *warn_arg;
};

/* ROOT_FD, which becomes the view's, is the checkpoint directory. -ENOMEM, or of fstat. */
int view_init(struct view *v, int root_fd, const struct view_config *c, struct err *e);
void view_release(struct view *v);

/* With this behind its name a step is shown as a file. */
#define VIEW_WHOLE ".safetensors"

struct view_entry {
	uint64_t id;
	struct stat st;
	bool fleeting; /* the kernel must ask each time */
	bool stable; /* does not change, or the kernel is told when it does */
};

/* NAME in PARENT; the kernel has one reference more on it. -ENOENT, -ENOTDIR, or why the folder can't be read. */
int view_lookup(struct view *v, uint64_t parent, const char *name, struct view_entry *out,
		struct err *e);
void view_forget(struct view *v, uint64_t id, uint64_t n);

/* One reference more on ID, which the caller has one on already. */
void view_remember(struct view *v, uint64_t id);
int view_getattr(struct view *v, uint64_t id, struct view_entry *out, struct err *e);

/* --- folders --- */

/* A descriptor of the directory behind the folder ID, and of the one that holds the link ID to a step. -ENOTDIR: it is no folder of
 * steps, or no such link; -ESTALE, or why it can't be opened. */
int view_open_folder(struct view *v, uint64_t id, struct err *e);
int view_open_folder_of_link(struct view *v, uint64_t id, struct err *e);

struct view_dir;

/* -ENOTDIR, or why it can't be read. What an open folder lists does not change. STABLE: the kernel may remember it. */
int view_opendir(struct view *v, uint64_t id, struct view_dir **out, bool *stable, struct err *e);
void view_closedir(struct view_dir *d);

struct view_dirent {
	const char *name; /* until the next call */
	mode_t type; /* S_IFDIR, S_IFREG or S_IFLNK */
	uint64_t next; /* where to go on behind it */
};

/* 1: OUT is the entry at POS (0: the first); 0: none is left. "." and ".." come first. */
int view_readdir(struct view_dir *d, uint64_t pos, struct view_dirent *out, struct err *e);

/* Calls F with ARG and a descriptor of the directory, while no other process that takes its locks changes steps in it, and no other
 * thread. -EBUSY: another one does; or what F returns. */
typedef int view_directory_fn(void *arg, int top, struct err *e);
int view_with_directory(struct view *v, view_directory_fn *f, void *arg, struct err *e);

/* As view_lookup, for the entry that view_readdir gave last, which is not "." or "..". -EAGAIN: it is a text, or a step as one file, whose size
 * would have to be found out, and who only lists does not wait for that; or with BRIEF, a variable of a saved step. Then OUT has nothing but
 * st_ino, and no reference is taken. */
int view_dirent_lookup(struct view *v, struct view_dir *d, bool brief, struct view_entry *out,
		       struct err *e);

/* --- files --- */

struct view_file;

/* -EISDIR, or of npy_file_open. STABLE: the kernel may keep the pages that it has. */
int view_open(struct view *v, uint64_t id, struct view_file **out, bool *stable, struct err *e);
void view_close(struct view_file *f);
int64_t view_read(struct view_file *f, uint64_t off, size_t len, uint8_t *dst, struct err *e);

int view_open_to_write(struct view *v, uint64_t id, bool truncate, struct view_file **out,
		       struct err *e);

/* Must the kernel keep no pages of F? What is written to the state file is not what it has afterwards, and .ckptfs/status is another
 * text each time. */
bool view_is_direct(const struct view_file *f);
int view_create(struct view *v, uint64_t parent, const char *name, const struct draft_owner *owner,
		struct view_entry *entry, struct view_file **out, struct err *e);
int view_write(struct view_file *f, struct bytes b, uint64_t off, struct err *e);

/* The kernel has no pages of F, which is only written to. So a write to it may be answered before it is done. */
void view_answer_early(struct view_file *f);

/* As view_write, but ANSWER(ARG) is called unless an error is returned: when the bytes are taken over, or when they are written. What goes
 * wrong after it is said by each later write to the file, by view_fsync, view_flush and a commit, until the file is cut to nothing. F may be
 * closed then. */
int view_write_for(struct view_file *f, struct bytes b, uint64_t off, void (*answer)(void *),
		   void *arg, struct err *e);
int view_allocate(struct view_file *f, int mode, uint64_t off, uint64_t len, struct err *e);

/* close(2) of a file that was written: -EINVAL if it can't be committed as it is. */
int view_flush(struct view_file *f, struct err *e);
int view_fsync(struct view_file *f, struct err *e);

/* Gives the number of bytes copied. A variable that is copied whole becomes a reference: no bytes are moved. */
int64_t view_copy_range(struct view_file *from, uint64_t from_off, struct view_file *to,
			uint64_t to_off, uint64_t len, struct err *e);

/* --- changing what there is --- */

int view_mkdir(struct view *v, uint64_t parent, const char *name, const struct draft_owner *owner,
	       struct view_entry *out, struct err *e);
int view_unlink(struct view *v, uint64_t parent, const char *name, struct err *e);
int view_rmdir(struct view *v, uint64_t parent, const char *name, struct buf *changes,
	       struct err *e);
int view_rename(struct view *v, uint64_t from_dir, const char *from, uint64_t to_dir,
		const char *to, unsigned flags, struct buf *changes, struct err *e);

/* NAME -> TARGET in a folder of steps. -EPERM: TARGET is no saved step of that folder. */
int view_symlink(struct view *v, uint64_t parent, const char *name, const char *target,
		 struct view_entry *out, struct err *e);

/* F: the open file through which it is done, or NULL. VALID: DRAFT_MODE etc. (draft/draft.h), and VIEW_SIZE. */
enum { VIEW_SIZE = 1 << 16 };
int view_setattr(struct view *v, uint64_t id, struct view_file *f, unsigned valid,
		 const struct stat *st, struct view_entry *out, struct err *e);
int view_setxattr(struct view *v, uint64_t id, const char *name, struct bytes value,
		  struct buf *changes, struct err *e);

/* --- commits: CHANGES, an array of struct view_change, gets what the kernel must forget --- */

/* The entry NAME of the folder ID; with NAME empty the attributes and pages of ID itself. */
struct view_change {
	uint64_t id;
	char name[256];
};

/* Appends one; NAME may be NULL. -ENOMEM. */
int view_add_change(struct buf *changes, uint64_t id, const char *name);

/* Takes up what an earlier process has left in the checkpoint directory. In a subfolder that is done when somebody
 * looks into it. */
void view_look(struct view *v);

/* Who asks for a commit, and whether they may write to a folder with the attributes ST. */
struct view_asker {
	bool (*may_write)(void *arg, const struct stat *st);
	void *arg;
};

/* Commits what was written in the step ID, or in all steps below the folder ID. What was written in a folder inside a step is
 * not committed, but on disk. -EACCES: WHO may not write there; with
 * WHO NULL nobody is asked. After an error the other steps are committed all the same; the first error is given. */
int view_sync(struct view *v, uint64_t id, const struct view_asker *who, struct buf *changes,
	      struct err *e);

/* Publishes the drafts that have been quiet for long enough as steps, and they go on; `warn` gets what fails. Gives the ms after which it is to
 * be called again; -1: there are no drafts. */
int64_t view_commit_due(struct view *v, struct buf *changes);

/* At the end: all of them. What can't be committed stays as a draft on disk. */
void view_commit_all(struct view *v);

/* --- the rest --- */

/* Where a link leads, into OUT, without a NUL. -EINVAL if ID is no link. */
int view_readlink(struct view *v, uint64_t id, struct buf *out, struct err *e);

/* The saved step ID, parsed, which the caller unrefs with loaded_unref. -ENOTDIR: ID is no step; or why it can't be parsed. */
int view_saved_step(struct view *v, uint64_t id, struct loaded **out, struct err *e);

/* NAME with its prefix. -ENODATA if there is none; -EINTR: STOP, which may be NULL, said so. */
int view_getxattr(struct view *v, uint64_t id, const char *name, const struct stop *stop,
		  struct buf *out, struct err *e);
int view_listxattr(struct view *v, uint64_t id, struct buf *out, struct err *e);

/* --- for view/ alone --- */

/* The node of ID; NULL: none. */
struct node *view_node(struct view *v, uint64_t id);

/* One reference more on N, as the kernel has them: view_forget takes it back. */
void view_hold(struct view *v, struct node *n);

/* The nodes that have drafts, each with a reference: an array of struct node *. Below FOLDER, or with NULL all.
 * -ENOMEM: some are missing. */
int view_list_drafted(struct view *v, const struct node *folder, struct buf *out);

/* Call `tell` and `warn`, if there are any. */
void view_tell(struct view *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void view_warn(struct view *v, const struct err *e);

/* Keeps LINE for user.ckptfs.commits; the oldest lines make room. Without memory it is just not kept. */
void view_keep_line(struct view *v, const char *line);

/* TURN, a flag of a node, says that a thread is at something that only one may do at a time. The first call waits
 * until it is free and takes it; the second gives it back. No lock is held in between. */
void view_take_turn(struct view *v, bool *turn);
void view_end_turn(struct view *v, bool *turn);

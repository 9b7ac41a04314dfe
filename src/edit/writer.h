/* src/edit/writer.h: a process that changes a checkpoint directory without a mount. */
#pragma once
#include "view/view.h"

/* Who is told what, each with ARG; as in struct view_config. TELL may be NULL. */
struct writer_says {
	void (*warn)(void *arg, const struct err *e);
	void (*tell)(void *arg, const char *text);
	void (*remind)(void *arg, const char *why);
	void *arg;
};

/* V becomes the view of the directory DIRFD, which is taken, for writing, as a mount without options has it. PROGRAM: "ckptfs rm",
 * for others who want to write. -EBUSY: another process writes there, E says who. V is to be released also after an error. */
int writer_open(struct view *v, int dirfd, const char *program, const struct writer_says *says,
		struct err *e);

/* R, of locking a directory: if somebody else writes there E also says what to do. */
int writer_refused(int r, struct err *e);

/* Who makes folders, and files by its mode & 0666. */
struct draft_owner writer_owner(void);

/* Copies all of FROM to TO, in the way of view_copy_range. -EINTR, or of copying. */
int writer_copy(struct view_file *from, struct view_file *to, struct err *e);

/* Closes F, which was written with the result R. Gives R, or why it can't be committed as it is. */
int writer_close(struct view_file *f, int r, struct err *e);

/* From now on SIGINT, SIGTERM and SIGHUP wait until what was begun is undone, and a pipe that nobody reads is an error of write(2). */
void writer_hold_signals(void);

/* -EINTR, with a sentence: one of them waits. To be asked between two pieces of what takes long. */
int writer_interrupted(struct err *e);

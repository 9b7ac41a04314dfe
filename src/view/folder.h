/* src/view/folder.h: the folders of the source behind the view. For view/ alone. */
#pragma once
#include "view/view.h"

/* Opens the directory that N, a folder, stands for. -ENOENT: it is gone, or it or a folder above it is a link now. */
int folder_open(const struct view *v, const struct node *n, struct err *e);

/* Opens the directory that holds N's file. Somebody has a reference to N, so its parents stay. */
int folder_open_parent(const struct view *v, const struct node *n, struct err *e);

/* Appends the path of N below the folder ABOVE; ABOVE is NULL: below the source, with "./" in front. -ENOMEM. */
int folder_add_path(const struct node *n, const struct node *above, struct buf *out);

/* If R is an error, puts the path of N, below the source, in front of what E says; for the source itself nothing. Gives R. */
int folder_wrap(const struct node *n, int r, struct err *e);

/* --- watching (view/changes.h) --- */

/* Watches the folder N, which DIRFD is, from now on, if that is possible. */
void folder_watch(struct view *v, struct node *n, int dirfd);

/* Notes with their folders all changes that inotify has told of so far, without waiting. It tells of a change before the call
 * that makes it returns: so what anybody has done before this call is noted after it. */
void folder_hear(struct view *v);

/* The next three with v->lock held. */

/* Has nothing changed in N since it was watched, but what is noted? */
bool folder_hears_all(const struct view *v, const struct node *n);

/* Appends the names of all that has changed in N since N->changes was SINCE, each with its NUL; some several times. "": it is
 * of no matter. False: not all are known, or there is no memory. */
bool folder_heard_since(const struct node *n, uint32_t since, struct buf *names);

/* Forgets what N's snapshot and the kernel know already. */
void folder_drop_heard(struct node *n);

enum node_kind folder_node_kind(enum listed_kind kind);

/* Looks at PLACE in DIRFD, which a node of KIND stands for. A link is looked at itself; `latest`, where it is none on disk,
 * has the times of the state file. If the file is a link that leads to itself or through a closed folder, ST is of the link. -ENOENT: it is gone, or is now
 * something that is not shown, as a link in place of a folder, or a device in place of the state file. */
int folder_stat(const struct view *v, int dirfd, enum node_kind kind,
		const struct step_place *place, struct stat *st, struct err *e);

/* Makes the folder NAME in TOP, with the owner and mode of ST. -EEXIST: it is there, as after a crash; or another error, and
 * it is not. */
int folder_make(int top, const char *name, const struct stat *st, struct err *e);

/* Which file the step's meta graph is; zeros if there is none. It is written last, so if it is another file the
 * step is another one. */
struct file_id folder_meta_id(const struct view *v, int dirfd, const struct step_place *place);

/* ITEM has N's kind and name. Is it another thing than N stands for: a step in other files, a link to elsewhere? */
bool folder_is_replaced(const struct node *n, const struct listed *item, const struct file_id *id,
			const struct file_id *meta);

/* --- the state file ---
 *
 * Nobody writes to it through the mount. What is copied over it (cp), or beside it to be renamed to it (rsync), is a file in
 * memory; of that only the step that it calls the latest counts. */

/* A descriptor of such a file, without bytes. */
int folder_new_state(const struct view *v, struct err *e);

/* The same for N, the state file, with its bytes, or a pending one (view/node.h). TRUNCATE: without bytes. */
int folder_open_state(const struct view *v, const struct node *n, bool truncate, struct err *e);

/* Is N, a state file, one that has to be renamed first? */
bool folder_is_aside(const struct view *v, const struct node *n);

/* The step that the file FD calls the latest becomes it in FOLDER. If that can't be understood, or the step is not there, it is
 * ignored with a warning. */
int folder_take_state(struct view *v, const struct node *folder, int fd, struct err *e);

/* src/view/folder.h: the folders of the source behind the view. For view/ alone. */
#pragma once
#include "view/view.h"

/* Opens the directory that N, a folder, is. -ENOENT: it is gone, or a link has taken its place or that of a
 * folder on the way. */
int folder_open(const struct view *v, const struct node *n, struct err *e);

/* The directory that holds N's file. The kernel refers to N, and so N's parents stay. */
int folder_open_parent(const struct view *v, const struct node *n, struct err *e);

/* Puts in front of what E says in which folder below the source that was, N; nothing for the source itself.
 * Gives R. */
int folder_wrap(const struct node *n, int r, struct err *e);

/* Watches the folder N, which DIRFD is, from now on, if that is possible (view/changes.h). */
void folder_watch(struct view *v, struct node *n, int dirfd);

enum node_kind folder_node_kind(enum listed_kind kind);

/* What is on disk for FILE, of a node of KIND, in DIRFD. `latest` has the times of the state file. A link that
 * can't be followed, for it leads to itself or through a closed folder, is looked at itself. -ENOENT: it is
 * gone, or has become something that is not shown: a folder a link, a state file a device. */
int folder_stat(const struct view *v, int dirfd, enum node_kind kind, const char *file,
		struct stat *st, struct err *e);

/* A meta graph is written last: a step to which one has come is another one. Zeros if there is none. */
struct file_id folder_meta_id(const struct view *v, int dirfd, const struct step_place *place);

/* Whether ITEM, of N's kind and name, is another thing than N stands for: a step in other files, a link to
 * elsewhere. */
bool folder_is_replaced(const struct node *n, const struct listed *item, const struct file_id *id,
			const struct file_id *meta);

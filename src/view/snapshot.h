/* src/view/snapshot.h: what a folder holds, read again when it has changed. For view/ alone. */
#pragma once
#include "view/view.h"

/* Gives what folder N holds now. It is read again only if its times have changed, or inotify has told of a change.
 * The caller unrefs it, and closes DIRFD, which is the directory, or -1 with an error. */
int snapshot_get(struct view *v, struct node *n, int *dirfd, struct snapshot **out, struct err *e);

/* inotify has told of no change in N since S was read. */
bool snapshot_is_current(struct view *v, const struct node *n, const struct snapshot *s);

/* For a commit of a step in FOLDER: struct commit_lister. The caller unrefs SNAPSHOT, which is NULL at first, at the end. */
struct snapshot_lister {
	struct view *v;
	struct node *folder;
	struct snapshot *snapshot;
};
const struct listing *snapshot_list(void *arg, int top);

/* src/view/changes.h: what changes in the checkpoint directory while it is mounted.
 *
 * Every folder that is looked into is watched with inotify. The kernel may remember what is in a watched folder for
 * long, and is told to forget what changes. A folder is not watched where inotify does not tell of all changes
 * (network filesystems), or when the system's watches are used up. The kernel then asks again after a second, and
 * the folder's times tell whether to read it again (view/snapshot.h). */
#pragma once
#include "view/view.h"

/* V->inotify and V->heard are the descriptors to poll for changes. After an error there are none, and nothing is watched. */
int changes_init(struct view *v);
void changes_release(struct view *v);

/* Appends what the kernel must forget, as far as inotify has told of it, to CHANGES, an array of struct view_change, without
 * waiting. Only what was told so far, since the events may never cease. -ENOMEM: some may be missing. */
int changes_read(struct view *v, struct buf *changes);

/* src/view/changes.h: what changes in the checkpoint directory while it is mounted.
 *
 * Every folder that is looked into is watched with inotify. The kernel may remember what is in a watched folder for
 * long, and is told to forget what changes. A folder is not watched where inotify does not tell of all changes
 * (network filesystems), or when the system's watches are used up. The kernel then asks again after a second, and
 * the folder's times tell whether to read it again (view/snapshot.h). */
#pragma once
#include "view/view.h"

/* The descriptor to poll for changes; -1 where there is no inotify: then nothing is watched. */
int changes_init(struct view *v);
void changes_release(struct view *v);

/* Reads a batch of inotify's events, without waiting, and appends what the kernel must forget to CHANGES, an array of
 * struct view_change. Only a batch, since the events may never cease. -ENOMEM: some may be missing. */
int changes_read(struct view *v, struct buf *changes);

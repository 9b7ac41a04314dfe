/* src/view/changes.h: what changes in the checkpoint directory while it is mounted.
 *
 * Every folder that is looked into is watched with inotify. What the kernel may then remember of it for long,
 * it is told to forget when it changes. Where inotify does not hear of changes (network filesystems), or the
 * system's number of watches is used up, a folder is not watched; the kernel is then made to ask again after a
 * second, and the folder's times tell whether to read it again (view/snapshot.h). */
#pragma once
#include "view/view.h"

/* The descriptor to poll for changes; -1 where there is no inotify: then nothing is watched. */
int changes_init(struct view *v);
void changes_release(struct view *v);

/* Takes some of what inotify has (without waiting), finds out what of it concerns the kernel, and appends that
 * to CHANGES, an array of struct view_change. Not all at once: where events never cease, nobody would be told.
 * -ENOMEM: some may be missing. */
int changes_read(struct view *v, struct buf *changes);

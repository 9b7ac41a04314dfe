/* src/fuse/notify.h: tells the kernel what to forget.
 *
 * From a thread of its own: sent while a request is served, a notification can wait for a lock that the kernel holds until
 * that request is answered. */
#pragma once
#include <stdint.h>

struct ckptfs;
struct fuse_session;
struct notifier;

/* Follows changes on disk from now on. NULL where that can't be had; the view then lives without. */
struct notifier *notifier_start(struct ckptfs *fs, struct fuse_session *se);
void notifier_stop(struct notifier *n);

/* The kernel must forget CHANGES, an array of struct view_change; or NULL. N may be NULL. */
struct buf;
void notifier_tell(struct notifier *n, const struct buf *changes);

/* The kernel must not use what it has read of ID: its bytes are not what they should be. N may be NULL. */
void notifier_drop_pages(struct notifier *n, uint64_t id);

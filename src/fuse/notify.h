/* src/fuse/notify.h: tells the kernel what to forget.
 *
 * From a thread of its own: sent while a request is served, a notification can wait for a lock that the kernel holds until
 * that request is answered. That would be bad even there: a daemon that is killed meanwhile can't end, and whoever asked can't
 * either, until the connection is aborted (umount -f). So the thread first waits for requests that were there before it. */
#pragma once
#include "base/cleanup.h"
#include <stdint.h>

struct ckptfs;
struct fuse_session;
struct notifier;

/* Follows changes on disk from now on. NULL where that can't be had; the view then lives without. */
struct notifier *notifier_start(struct ckptfs *fs, struct fuse_session *se);
void notifier_stop(struct notifier *n);

/* For the rest of a function that answers a request, during which the kernel has a folder locked. N may be NULL. */
#define HOLD_NOTIFIER(n)                                                                           \
	CLEANUP(notifier_answered)                                                                 \
	__attribute__((unused)) struct notifier_hold hold = notifier_hold(n)

struct notifier_hold {
	struct notifier *notifier;
	unsigned round;
};
struct notifier_hold notifier_hold(struct notifier *n);
void notifier_answered(struct notifier_hold *h);

/* The kernel must forget CHANGES, an array of struct view_change; or NULL. N may be NULL. */
struct buf;
void notifier_tell(struct notifier *n, const struct buf *changes);

/* The kernel must not use what it has read of ID: its bytes are not what they should be. N may be NULL. */
void notifier_drop_pages(struct notifier *n, uint64_t id);

/* src/fuse/notify.h: tells the kernel what to forget.
 *
 * From a thread of its own: sent while a request is served, a notification can wait for a lock that the kernel
 * holds until that request is answered. That would be bad even there: a daemon that is killed meanwhile can't
 * end, and whoever asked can't either, until the connection is aborted (umount -f). So the thread first waits
 * for requests that were there before it. */
#pragma once
#include "base/cleanup.h"
#include <stdint.h>

struct ckptfs;
struct fuse_session;
struct notifier;

/* Follows changes on disk from now on. NULL where that can't be had; the view then lives without. */
struct notifier *notifier_start(struct ckptfs *fs, struct fuse_session *se);

/* The thread is to end. Requests have to be served until the descriptor returned is readable: what it is
 * sending may wait for one that nobody has read yet. */
int notifier_end(struct notifier *n);
void notifier_free(struct notifier *n);

/* For the rest of a function that answers a request, during which the kernel may have a folder or pages
 * locked. N may be NULL. */
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

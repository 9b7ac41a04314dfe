/* src/fuse/notify.h: tells the kernel what to forget.
 *
 * Notifications are sent by a thread of its own. If a thread that serves a request sent one, it could wait for a lock
 * that the kernel holds until the request is answered, and so for ever. Even the own thread should not wait for
 * such a lock: if the daemon is killed then, neither it nor the program that made the request can end until the
 * connection is aborted (umount -f). So the thread first waits for the requests that are under way. */
#pragma once
#include "base/cleanup.h"
#include <stdint.h>

struct ckptfs;
struct fuse_session;
struct notifier;

/* Follows changes on disk from now on. NULL if it can't: then the kernel is told of none. */
struct notifier *notifier_start(struct ckptfs *fs, struct fuse_session *se);

/* Has the thread end. The caller serves requests until the descriptor that it gets is readable: what the thread is sending
 * may wait for a request that nobody has read yet. */
int notifier_end(struct notifier *n);
void notifier_free(struct notifier *n);

/* In a function that answers a request for which the kernel may have locked a folder or pages: until it returns the
 * notifier waits. N may be NULL. */
#define HOLD_NOTIFIER(n)                                                                           \
	CLEANUP(notifier_answered)                                                                 \
	__attribute__((unused)) struct notifier_hold hold = notifier_hold(n)

struct notifier_hold {
	struct notifier *notifier;
	unsigned round;
};
struct notifier_hold notifier_hold(struct notifier *n);
void notifier_answered(struct notifier_hold *h);

/* Has the kernel forget CHANGES, an array of struct view_change. Both may be NULL. */
struct buf;
void notifier_tell(struct notifier *n, const struct buf *changes);

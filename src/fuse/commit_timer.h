/* src/fuse/commit_timer.h: publishes drafts that have been quiet, from a thread of its own. */
#pragma once

struct buf;
struct commit_timer;
struct view;

/* The thread calls CHANGED each time after it has looked for drafts to publish, with what the kernel must forget: an array
 * of struct view_change, which may be empty. NULL: there can be no thread; drafts are then committed when asked for,
 * and at the end. */
struct commit_timer *commit_timer_start(struct view *v,
					void (*changed)(void *arg, const struct buf *changes),
					void *arg);
void commit_timer_stop(struct commit_timer *t); /* it may still be woken */
void commit_timer_free(struct commit_timer *t);

/* Has it look now, since there is a draft, or something has changed on disk. T may be NULL. */
void commit_timer_wake(struct commit_timer *t);

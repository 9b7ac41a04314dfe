/* src/fuse/committer.h: commits drafts that have been quiet, from a thread of its own. */
#pragma once

struct ckptfs;
struct committer;

/* NULL where that can't be had: drafts are then committed when asked for, and at the end. */
struct committer *committer_start(struct ckptfs *fs);
void committer_stop(struct committer *c); /* it may still be woken */
void committer_free(struct committer *c);

/* There is a draft now. C may be NULL. */
void committer_wake(struct committer *c);

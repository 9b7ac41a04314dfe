/* src/draft/seal.h: who waits for whom while a draft is committed.
 *
 * A commit (commit/commit.h) reads and writes without the draft's lock. It has two states:
 *
 *     committing   from its beginning to its end. Another commit, and what ends or renames the draft, waits for the end.
 *                  All else goes on.
 *     sealed       as well, while what the commit has seen must stay as it is: files of `tree` get names in the checkpoint
 *                  directory. What changes the draft, or opens a file of it for writing, waits. All that only looks goes
 *                  on.
 *
 * `changes` tells a commit whether something has changed since it looked: every change counts it up, with the lock
 * held, and a write does so before its first byte and after its last. */
#pragma once
#include "draft/draft_state.h"

/* Takes the lock, when the draft is not sealed: for a change. Whether the draft has ended meanwhile is to be asked
 * then. */
void draft_lock_to_change(struct draft *d);

/* The lock is held, and let go meanwhile. */
void draft_await_unsealed(struct draft *d);

/* Takes the lock, when no commit is under way: for what ends or renames the draft. */
void draft_lock_alone(struct draft *d);

/* Wait until the writes to I, or to what has INDEX, are done that were answered before this call (base/behind.h). The lock is held
 * by the caller of the first, and let go meanwhile; not held by that of the second. */
void draft_await_behind(struct draft *d, struct draft_item *i);
void draft_settle(struct draft *d, uint32_t index);

/* -EBUSY or -ESTALE if nothing may be changed: it has ended, or is a step already. The lock is held. */
int draft_check_open(const struct draft *d, struct err *e);

/* --- for a commit: the lock is held, and let go while it waits ---------------------------------------------- */

enum draft_turn {
	TURN_OURS, /* the commit is under way, until draft_end_commit */
	TURN_SHARED, /* somebody else's was, and has all that the draft had when this was called */
	TURN_LATE, /* the draft has ended */
};
enum draft_turn draft_begin_commit(struct draft *d);

/* The draft is not sealed any more. SHARED: those who wait have nothing left to do. */
void draft_end_commit(struct draft *d, bool shared);

/* Each draft_seal has its draft_unseal, but for draft_end_commit. */
void draft_seal(struct draft *d);
void draft_unseal(struct draft *d);

/* src/commit/freeze.h: the first act of a commit: what the draft is to be committed as is copied, for the draft
 * goes on. */
#pragma once
#include "commit/plan.h"

/* Fills what is frozen of P, which is new. Memory only, and no more of it than was changed; the draft's lock is held.
 * -EBUSY: a file is open for writing with which the draft could not go on; -ENOMEM. */
int freeze(struct plan *p, struct err *e);

/* Whether the draft still is what was frozen, and can be committed as it was planned. The lock is held. */
bool freeze_holds(const struct plan *p);

/* src/draft/ask.h: what is asked of a draft as a whole. For src/draft alone; the draft's lock is held but
 * where it is taken. */
#pragma once
#include "draft/draft_state.h"

/* -EBUSY or -ESTALE if nothing may be changed: it has ended, or is a step already. */
int draft_check_open(const struct draft *d, struct err *e);

/* Takes the lock as draft_lock_to_change (draft/seal.h), for a change in the folders A and B, or of the file A.
 * DRAFT_LOOK_AGAIN: one of them was in another place than the base has it, and since the commit that was waited for it is
 * there no more. The kernel has looked its number up before, so it has to look again, by the path. */
int draft_lock_to_change_in(struct draft *d, uint32_t a, uint32_t b);

/* src/draft/ask.h: what is asked of a draft as a whole. For src/draft alone; the draft's lock is held. */
#pragma once
#include "draft/draft_state.h"

/* -EBUSY or -ESTALE if nothing may be changed: it has ended, or is a step already. */
int draft_check_open(const struct draft *d, struct err *e);

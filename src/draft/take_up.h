/* src/draft/take_up.h: a draft's folder `tree` is read back (draft/draft.h). For src/draft alone; the draft's lock is held. */
#pragma once
#include "draft/draft_state.h"

/* Applies what is in `tree` to the items of the base. -EUCLEAN: it can't be understood. */
int take_up_tree(struct draft *d, struct err *e);

/* src/draft/write.h: bytes of items change. For src/draft alone; the draft's lock is held. */
#pragma once
#include "draft/draft_state.h"

/* Cuts I, or makes it longer. */
int draft_cut(struct draft *d, struct draft_item *i, const struct draft_base *base, uint64_t size,
	      struct err *e);

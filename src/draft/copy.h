/* src/draft/copy.h: what is written to gets bytes of its own. For src/draft alone; the draft's lock is held. */
#pragma once
#include "draft/draft_state.h"

/* Is BASE, which may be NULL, the file of what I, a VAR, is? */
static inline bool draft_base_fits(const struct draft_base *base, const struct draft_item *i)
{
	return base && base->pin == i->pin && base->number == i->number;
}

/* Has I as an open file of the draft's own, with what bytes it has. BASE as for draft_write. */
int draft_need_bytes(struct draft *d, struct draft_item *i, const struct draft_base *base,
		     struct err *e);

/* What was being referred to in pieces becomes bytes: something else is wanted of it. */
int draft_copy_referred(struct draft *d, struct draft_item *i, struct err *e);

/* Makes I, a VAR or TEXT, an empty file of the draft's own. What it was on disk stays until there are bytes. */
int draft_make_empty(struct draft *d, struct draft_item *i, struct err *e);

/* src/commit/rest.h: the rest: what of the base stays as it is, under its own key, and has no want. For src/commit alone.
 *
 * A commit of a few changes has wants for these alone, so it takes as long as they need, and for the rest only the copy of the
 * index. What of the base is none of the rest has its bit in plan->others: what was changed or removed, the object graph, and the
 * slices of these. */
#pragma once
#include "commit/plan.h"
#include "draft/overlay.h"

/* Can what nothing was done with stay as it is, unseen? Not if all keys, or all variables, must be looked at; then each gets a
 * want. */
bool rest_is_possible(const struct plan *p);

/* Finds the rest. The object graph gets a want. -ENOMEM. */
int rest_find(struct plan *p, struct err *e);

/* Is variable VAR of pin PIN of the rest? Also of slices. */
static inline bool rest_has(const struct plan *p, uint32_t pin, uint32_t var)
{
	return pin == 0 && p->others && !overlay_claims(p->others, var);
}

/* Counts what the rest has in each shard of the base. */
void rest_count_live(struct plan *p);

/* Is variable VAR of the base of the rest, and its entry does not stay as it is? Its shard has another number in P, or is left behind. */
bool rest_moves(const struct plan *p, uint32_t var);

/* Appends to VARS, as uint32_t, ascending, all of which that is so. -ENOMEM. */
int rest_list_moved(const struct plan *p, struct buf *vars);

/* For bundle_writer_finish_over: the entries of all others leave. -ENOMEM. */
int rest_leave_others(struct plan *p, struct err *e);

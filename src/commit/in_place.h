/* src/commit/in_place.h: a commit over the step of a SavedModel (directory/export.h) takes that step's name. For src/commit
 * alone.
 *
 * The new step has another number of shards than any that is there, so its shards can be placed beside the old ones. Then
 * the new index is renamed over the old one: that is the commit point. What was there before the draft is kept as the next
 * step of the family, placed before the commit point. A draft that goes on replaces what it was published as, and keeps
 * nothing more.
 *
 * That is so only while the index there is the base's, or that of the step that the draft was published as. If somebody
 * else has saved there meanwhile the step gets the next free name, as any other. */
#pragma once
#include "commit/plan.h"

/* Finds out whether P takes the name of its base: P->replaces, P->keeps, P->counts. Where the base can't be held by hard links
 * the draft has to end: a commit after which it would go on as a whole is put off (RESULT), and with a file open for writing it
 * is refused (-EBUSY). Of looking. */
int in_place_decide(struct plan *p, enum commit_result *result, struct err *e);

/* The next number of shards, from N on, that no step of the family has. */
uint32_t in_place_count(const struct plan *p, uint32_t n);

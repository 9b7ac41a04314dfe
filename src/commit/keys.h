/* src/commit/keys.h: which keys the paths of a draft stand for. For src/commit alone.
 *
 * Where its files are called by full names (draft->full_names), these are the base's. A new step's are those of the object graph
 * that was put into it, so that a copy of a step has the keys of that. An object graph that was put into the place of the
 * base's has to give all paths the same keys. */
#pragma once
#include "commit/plan.h"

/* Reads the object graph for that, if need be. -EAGAIN, -ENOMEM, or of reading it. */
int keys_find(struct plan *p, struct err *e);

/* W gets its key. -EINVAL: no variable has such a path. */
int keys_add(struct plan *p, struct want *w, struct err *e);

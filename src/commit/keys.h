/* src/commit/keys.h: which keys the paths of a draft stand for. For src/commit alone.
 *
 * A draft with draft->full_names has full names as paths. A draft with a base takes keys and full names from the base's object
 * graph. A new step, or one without an object graph, takes them from the object graph that was copied into it: so a copy of a step keeps
 * its keys, also if the timer committed a part of it before the graph came. If another
 * object graph is written over the base's, it must give each path the same key. */
#pragma once
#include "commit/plan.h"

/* Reads the object graph for that, if need be. -EAGAIN, -ENOMEM, or of reading it. */
int keys_find(struct plan *p, struct err *e);

/* W gets its key. -EINVAL: no variable has such a path. */
int keys_add(struct plan *p, struct want *w, struct err *e);

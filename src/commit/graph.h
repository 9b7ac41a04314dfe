/* src/commit/graph.h: the object graph of the new step. */
#pragma once
#include "commit/plan.h"

/* Where the object graph is a pinned step's, and keys that it names are renamed or gone, makes it anew: P->graph,
 * P->new_graph, P->shared. -ENOMEM, or of reading it; one that can't be understood stays as it is. */
int graph_edit(struct plan *p, struct err *e);

/* src/commit/graph.h: the object graph of the new step. */
#pragma once
#include "commit/plan.h"

/* Where keys that the object graph names are renamed or gone, makes it anew: P->graph, P->new_graph, P->shared. A graph that
 * was written may name the keys of the base. -ENOMEM, or of reading it; one that can't be understood stays as it is. */
int graph_edit(struct plan *p, struct err *e);

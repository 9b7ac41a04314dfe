/* src/message/graph_vars.h: what a meta graph says of the dtypes and shapes of its variables.
 *
 * The key of a variable in a checkpoint is the name of its node; of a partitioned one the full name in the slice info of its
 * parts, with the full shape; these are in the collection "variables". Other keys, which a Saver can be given by hand, are not found.
 * Source: TensorFlow's core/ops/state_ops.cc, resource_variable_ops.cc (VariableV2, VarHandleOp). */
#pragma once
#include "message/meta_graph.h"

struct graph_var {
	struct bytes key; /* in graph_vars->keys */
	int dtype;
	bool any_shape;
	unsigned rank;
	size_t dims; /* in graph_vars->dims */
};

struct graph_vars {
	struct graph_var *items; /* [n], sorted by key */
	size_t n;
	struct buf dims; /* int64_t; -1: any */
	struct buf keys;
};

/* NODES, PARTS: zeros. NODES gets the variables as nodes of the graph, PARTS those that are partitioned. The caller releases
 * both, also after -ENOMEM. */
int graph_vars_of(const struct meta_graph *m, struct graph_vars *nodes, struct graph_vars *parts);
void graph_vars_release(struct graph_vars *v);

/* NULL: the graph has none. */
const struct graph_var *graph_vars_find(const struct graph_vars *v, struct bytes key);

static inline const int64_t *graph_var_dims(const struct graph_vars *v, const struct graph_var *var)
{
	return (const int64_t *)(const void *)(v->dims.p + var->dims);
}

#include "message/graph_vars.h"
#include "base/cleanup.h"
#include "message/pb.h"
#include "meta_graph.pb-c.h"
#include "variable.pb-c.h"

typedef Tensorflow__NodeDef Node;
typedef Tensorflow__TensorShapeProto Shape;

static bool is_variable(const Node *n)
{
	static const char *const ops[] = {"VariableV2", "VarHandleOp", "Variable"};

	for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
		if (!strcmp(n->op, ops[i]))
			return true;
	return false;
}

static const Tensorflow__AttrValue *attr_of(const Node *n, const char *key)
{
	for (size_t i = 0; i < n->n_attr; i++)
		if (!strcmp(n->attr[i]->key, key))
			return n->attr[i]->value;
	return NULL;
}

/* A node without a dtype is none that TensorFlow would load. */
static int dtype_of(const Node *n)
{
	const Tensorflow__AttrValue *a = attr_of(n, "dtype");

	return a && a->value_case == TENSORFLOW__ATTR_VALUE__VALUE_TYPE ? (int)a->type : 0;
}

static const Shape *shape_of(const Node *n)
{
	const Tensorflow__AttrValue *a = attr_of(n, "shape");

	return a && a->value_case == TENSORFLOW__ATTR_VALUE__VALUE_SHAPE ? a->shape : NULL;
}

/* While they are gathered `key` has the offset of the key in V->keys, for a buffer moves as it grows. */
static int add(struct graph_vars *v, struct buf *items, struct graph_var *var, const char *key)
{
	var->key = (struct bytes){.p = (const uint8_t *)v->keys.n, .n = strlen(key)};
	if (buf_add_str(&v->keys, key) < 0)
		return -ENOMEM;
	return buf_add(items, var, sizeof *var);
}

static int add_node(struct graph_vars *v, struct buf *items, const Node *n)
{
	const Shape *shape = shape_of(n);
	struct graph_var var = {.dtype = dtype_of(n),
				.any_shape = !shape || shape->unknown_rank,
				.dims = v->dims.n};
	int r = 0;

	if (!var.any_shape)
		var.rank = (unsigned)shape->n_dim;
	for (unsigned k = 0; k < var.rank && r == 0; k++)
		r = buf_add(&v->dims, &shape->dim[k]->size, sizeof shape->dim[k]->size);
	return r < 0 || !var.dtype ? r : add(v, items, &var, n->name);
}

static int add_nodes(struct graph_vars *v, struct buf *items, const Tensorflow__GraphDef *graph)
{
	int r = 0;

	for (size_t i = 0; graph && i < graph->n_node && r == 0; i++)
		if (is_variable(graph->node[i]))
			r = add_node(v, items, graph->node[i]);
	return r;
}

static int compare(const void *a, const void *b)
{
	return bytes_cmp(((const struct graph_var *)a)->key, ((const struct graph_var *)b)->key);
}

/* ITEMS, which were gathered, become V's. */
static void sort(struct graph_vars *v, struct buf *items)
{
	v->n = items->n / sizeof *v->items;
	v->items = (struct graph_var *)TAKE(*items, (struct buf){0}).p;
	for (size_t i = 0; i < v->n; i++)
		v->items[i].key.p = v->keys.p + (size_t)v->items[i].key.p;
	if (v->n)
		qsort(v->items, v->n, sizeof *v->items, compare);
}

/* --- partitioned variables --------------------------------------------------------------------------------- */

/* PARTS gets the variable that DEF is a part of; NODES: all of the graph. */
static int add_part(const struct graph_vars *nodes, struct graph_vars *parts, struct buf *items,
		    ProtobufCBinaryData def)
{
	CLEANUP(pb_freep) ProtobufCMessage *m = NULL;
	const Tensorflow__VariableDef *v;
	const Tensorflow__SaveSliceInfoDef *slice;
	const struct graph_var *node;
	struct graph_var var = {.dims = parts->dims.n};
	int r = pb_unpack(&tensorflow__variable_def__descriptor, bytes_of(def.data, def.len), &m,
			  NULL);

	if (r < 0)
		return r == -ENOMEM ? r : 0;
	v = (const Tensorflow__VariableDef *)m;
	slice = v->save_slice_info_def;
	if (!slice || !*slice->full_name)
		return 0;
	node = graph_vars_find(nodes, bytes_of(v->variable_name, strcspn(v->variable_name, ":")));
	if (!node)
		return 0;
	var.dtype = node->dtype;
	var.rank = (unsigned)slice->n_full_shape;
	r = buf_add(&parts->dims, slice->full_shape, var.rank * sizeof *slice->full_shape);
	return r < 0 ? r : add(parts, items, &var, slice->full_name);
}

static int add_parts(const struct graph_vars *nodes, struct graph_vars *parts, struct buf *items,
		     const Tensorflow__MetaGraphDef *graph)
{
	int r = 0;

	for (size_t i = 0; i < graph->n_collection_def; i++) {
		const Tensorflow__MetaGraphDef__CollectionDefEntry *entry =
			graph->collection_def[i];
		const Tensorflow__CollectionDef *c = entry->value;

		if (strcmp(entry->key, "variables") != 0 || !c ||
		    c->kind_case != TENSORFLOW__COLLECTION_DEF__KIND_BYTES_LIST)
			continue;
		for (size_t k = 0; k < c->bytes_list->n_value && r == 0; k++)
			r = add_part(nodes, parts, items, c->bytes_list->value[k]);
	}
	return r;
}

int graph_vars_of(const struct meta_graph *m, struct graph_vars *nodes, struct graph_vars *parts)
{
	const Tensorflow__MetaGraphDef *graph = m->message;
	CLEANUP(buf_release) struct buf items = {0}, more = {0};
	int r = add_nodes(nodes, &items, graph->graph_def);

	sort(nodes, &items);
	if (r == 0)
		r = add_parts(nodes, parts, &more, graph);
	sort(parts, &more);
	return r;
}

void graph_vars_release(struct graph_vars *v)
{
	free(v->items);
	buf_release(&v->dims);
	buf_release(&v->keys);
	*v = (struct graph_vars){0};
}

const struct graph_var *graph_vars_find(const struct graph_vars *v, struct bytes key)
{
	size_t at = bytes_search(v->items, v->n, sizeof *v->items, key);

	return at < v->n && bytes_eq(v->items[at].key, key) ? &v->items[at] : NULL;
}

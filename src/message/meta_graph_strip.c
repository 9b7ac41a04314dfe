#include "base/cleanup.h"
#include "message/meta_graph.h"
#include "message/pb.h"
#include "meta_graph.pb-c.h"

typedef Tensorflow__NodeDef Node;
typedef Tensorflow__OpDef Op;

/* What attribute ATTR of the nodes of OP is if it is not given. */
struct a_default {
	const char *op, *attr;
	const Tensorflow__AttrValue *value;
};

struct defaults {
	struct a_default *items; /* sorted */
	size_t n;
};

static int compare(const void *a, const void *b)
{
	const struct a_default *x = a, *y = b;
	int c = strcmp(x->op, y->op);

	return c ? c : strcmp(x->attr, y->attr);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of the functions that G defines, sorted. A node may call a function as if it were an op. The caller frees the array. */
static const char **list_functions(const Tensorflow__GraphDef *g, size_t *n)
{
	const Tensorflow__FunctionDefLibrary *l = g->library;
	const char **names = calloc((l ? l->n_function : 0) + (size_t)1, sizeof *names);

	*n = 0;
	for (size_t i = 0; names && l && i < l->n_function; i++)
		if (l->function[i]->signature)
			names[(*n)++] = l->function[i]->signature->name;
	if (names)
		qsort(names, *n, sizeof *names, compare_names);
	return names;
}

static int list_defaults(const Tensorflow__OpList *ops, const Tensorflow__GraphDef *g,
			 struct defaults *out)
{
	size_t n_functions, n = 0;
	CLEANUP(freep) const char **functions = list_functions(g, &n_functions);

	for (size_t i = 0; i < ops->n_op; i++)
		n += ops->op[i]->n_attr;
	out->items = calloc(n + 1, sizeof *out->items);
	if (!functions || !out->items)
		return -ENOMEM;
	for (size_t i = 0; i < ops->n_op; i++) {
		const Op *op = ops->op[i];

		if (bsearch(&op->name, functions, n_functions, sizeof *functions, compare_names))
			continue;
		for (size_t k = 0; k < op->n_attr; k++)
			if (op->attr[k]->default_value)
				out->items[out->n++] = (struct a_default){
					op->name, op->attr[k]->name, op->attr[k]->default_value};
	}
	qsort(out->items, out->n, sizeof *out->items, compare);
	return 0;
}

/* 1, 0 or -ENOMEM. */
static int is_equal(const Tensorflow__AttrValue *a, const Tensorflow__AttrValue *b)
{
	CLEANUP(buf_release) struct buf x = {0}, y = {0};

	if (a->value_case != b->value_case)
		return 0;
	if (pb_pack_sorted(&a->base, &x, NULL) < 0 || pb_pack_sorted(&b->base, &y, NULL) < 0)
		return -ENOMEM;
	return bytes_eq(buf_bytes(&x), buf_bytes(&y));
}

static int strip_node(const struct defaults *d, Node *node)
{
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; i < node->n_attr; i++) {
		Tensorflow__NodeDef__AttrEntry *attr = node->attr[i];
		const struct a_default sought = {.op = node->op, .attr = attr->key}, *found;
		int equal;

		found = bsearch(&sought, d->items, d->n, sizeof sought, compare);
		equal = found && attr->value && r == 0 ? is_equal(attr->value, found->value) : 0;
		r = equal < 0 ? equal : r;
		if (equal == 1)
			protobuf_c_message_free_unpacked(&attr->base, NULL);
		else
			node->attr[kept++] = attr;
	}
	node->n_attr = kept;
	return r;
}

static int strip_nodes(const struct defaults *d, Node **nodes, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = strip_node(d, nodes[i]);
	return r;
}

int meta_graph_strip(struct meta_graph *graph, struct err *e)
{
	Tensorflow__MetaGraphDef *m = graph->message;
	Tensorflow__MetaGraphDef__MetaInfoDef *info = m->meta_info_def;
	Tensorflow__GraphDef *g = m->graph_def;
	struct defaults d = {0};
	int r;

	if (!info || !info->stripped_op_list || !g)
		return 0;
	info->stripped_default_attrs = true;
	r = list_defaults(info->stripped_op_list, g, &d);
	if (r == 0)
		r = strip_nodes(&d, g->node, g->n_node);
	for (size_t i = 0; r == 0 && g->library && i < g->library->n_function; i++)
		r = strip_nodes(&d, g->library->function[i]->node_def,
				g->library->function[i]->n_node_def);
	free(d.items);
	return r < 0 ? err_set(e, r, "no memory for a meta graph") : 0;
}

int meta_graph_strip_defaults(struct bytes b, struct buf *out, struct err *e)
{
	CLEANUP(meta_graph_release) struct meta_graph m = {0};
	int r = meta_graph_parse(b, &m, e);

	if (r == 0)
		r = meta_graph_strip(&m, e);
	return r < 0 ? r : pb_pack_sorted(m.message, out, e);
}

#include "message/meta_graph.h"
#include "base/cleanup.h"
#include "message/pb.h"
#include "message/textpb.h"
#include "meta_graph.pb-c.h"
#include "variable.pb-c.h"

int meta_graph_parse(struct bytes b, struct meta_graph *out, struct err *e)
{
	const ProtobufCMessageDescriptor *type = &tensorflow__meta_graph_def__descriptor;
	ProtobufCMessage *m;
	int r = pb_unpack(type, b, &m, e);

	if (r == -EUCLEAN && textpb_parse(type, b, NULL, &m, NULL) == 0)
		r = 0;
	if (r == 0)
		out->message = m;
	return r;
}

void meta_graph_release(struct meta_graph *m)
{
	protobuf_c_message_free_unpacked(m->message, NULL);
	m->message = NULL;
}

int meta_graph_print(const struct meta_graph *m, struct buf *out, struct err *e)
{
	return textpb_print(m->message, out, e);
}

int meta_graph_from_text(struct bytes text, struct buf *out, struct err *e)
{
	CLEANUP(pb_freep) ProtobufCMessage *m = NULL;
	int r = textpb_parse(&tensorflow__meta_graph_def__descriptor, text, NULL, &m, e);

	/* As TensorFlow's python/framework/graph_io.py does: deterministically. */
	return r < 0 ? r : pb_pack_sorted(m, out, e);
}

/* --- collections ------------------------------------------------------------------------------------------- */

static bool holds_variables(const char *collection)
{
	static const char *const names[] = {
		"global_step",     "local_variables",          "metric_variables",
		"model_variables", "moving_average_variables", "trainable_variables",
		"variables",
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(collection, names[i]))
			return true;
	return false;
}

static struct bytes key_of(const Tensorflow__VariableDef *v)
{
	const char *colon = strrchr(v->variable_name, ':');

	if (v->save_slice_info_def && *v->save_slice_info_def->full_name)
		return bytes_str(v->save_slice_info_def->full_name);
	return colon ? bytes_of(v->variable_name, (size_t)(colon - v->variable_name))
		     : bytes_str(v->variable_name);
}

/* A membership while they are gathered. It has offsets, not pointers, since a buffer moves as it grows. */
struct gathered {
	size_t key, key_n, collection;
};

static int gather(struct memberships *m, struct buf *items, struct bytes def, size_t collection)
{
	CLEANUP(pb_freep) ProtobufCMessage *v = NULL;
	struct gathered g = {.key = m->keys.n, .collection = collection};
	struct bytes key;
	int r = pb_unpack(&tensorflow__variable_def__descriptor, def, &v, NULL);

	if (r < 0)
		return r == -ENOMEM ? r : 0;
	key = key_of((Tensorflow__VariableDef *)v);
	g.key_n = key.n;
	r = buf_add(&m->keys, key.p, key.n);
	return r < 0 ? r : buf_add(items, &g, sizeof g);
}

static int gather_all(const struct meta_graph *graph, struct memberships *m, struct buf *items)
{
	const Tensorflow__MetaGraphDef *g = graph->message;
	int r = 0;

	for (size_t i = 0; i < g->n_collection_def && r == 0; i++) {
		const Tensorflow__MetaGraphDef__CollectionDefEntry *entry = g->collection_def[i];
		const Tensorflow__CollectionDef *c = entry->value;
		size_t name = m->names.n;

		if (!c || c->kind_case != TENSORFLOW__COLLECTION_DEF__KIND_BYTES_LIST ||
		    !holds_variables(entry->key))
			continue;
		r = buf_add(&m->names, entry->key, strlen(entry->key) + 1);
		for (size_t k = 0; k < c->bytes_list->n_value && r == 0; k++)
			r = gather(
				m, items,
				bytes_of(c->bytes_list->value[k].data, c->bytes_list->value[k].len),
				name);
	}
	return r;
}

static int compare(const void *a, const void *b)
{
	const struct membership *x = a, *y = b;
	int c = bytes_cmp(x->key, y->key);

	return c ? c : strcmp(x->collection, y->collection);
}

int meta_graph_memberships(const struct meta_graph *graph, struct memberships *out)
{
	CLEANUP(memberships_release) struct memberships m = {0};
	CLEANUP(buf_release) struct buf items = {0};
	const struct gathered *g;
	size_t n, kept = 0;
	int r = gather_all(graph, &m, &items);

	if (r < 0)
		return r;
	n = items.n / sizeof *g;
	g = (const struct gathered *)items.p;
	m.items = calloc(n + 1, sizeof *m.items);
	if (!m.items)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		m.items[i] = (struct membership){bytes_of(m.keys.p + g[i].key, g[i].key_n),
						 (char *)m.names.p + g[i].collection};
	qsort(m.items, n, sizeof *m.items, compare);
	for (size_t i = 0; i < n; i++)
		if (!kept || compare(&m.items[kept - 1], &m.items[i]) != 0)
			m.items[kept++] = m.items[i];
	m.n = kept;
	*out = TAKE(m, (struct memberships){0});
	return 0;
}

void memberships_release(struct memberships *m)
{
	free(m->items);
	buf_release(&m->keys);
	buf_release(&m->names);
	*m = (struct memberships){0};
}

size_t memberships_find(const struct memberships *m, struct bytes key, size_t *from)
{
	size_t n = 0;

	*from = bytes_search(m->items, m->n, sizeof *m->items, key);
	while (*from + n < m->n && bytes_eq(m->items[*from + n].key, key))
		n++;
	return n;
}

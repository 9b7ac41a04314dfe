/* src/message/object_graph_edit.c: the object graph of a checkpoint whose variables were renamed or removed.
 *
 * Source: TensorFlow's python/checkpoint/restore.py and util.py. An object knows the names of its tensors. To restore
 * it, TensorFlow takes its node's first key up to ".ATTRIBUTES/", the place, puts those names behind it, and fails if
 * one of these keys is not stored. So:
 *   1. A node keeps its values if all of their keys move to one new place, each with the same name behind it.
 *   2. Else it loses all of them, since restore would fail with some. A key without a place counts as one that differs.
 *   3. References to a node that has nothing left are removed, from its parents and from its slots' lists. TensorFlow
 *      takes each node that is referred to for restored, so assert_consumed would accept an object without its values.
 *      The node itself stays, since nodes are known by their number. The slots of a variable go with it: TensorFlow
 *      writes none without their variable.
 *   4. has_checkpoint_values, where it is set, becomes false for a node without values in itself or below it. */
#include "base/cleanup.h"
#include "base/utf8.h"
#include "message/object_graph.h"
#include "message/pb.h"
#include "object_graph.pb-c.h"

/* Shorter names of generated types. */
typedef Tensorflow__TrackableObjectGraph graph_t;
typedef Tensorflow__TrackableObjectGraph__TrackableObject node_t;
typedef Tensorflow__TrackableObjectGraph__TrackableObject__SerializedTensor attribute_t;
typedef Tensorflow__TrackableObjectGraph__TrackableObject__SlotVariableReference slot_t;

struct edit {
	graph_t *graph;
	const struct key_change *changes;
	size_t n;
	bool changed, lost; /* any key; any node's values */
	bool *gone; /* by node: it has nothing left */
};

/* The index of a node. For a number that no node has it is n_nodes, and arrays by node have room for that. */
static size_t index_of(const graph_t *g, int32_t node_id)
{
	return node_id < 0 || (size_t)node_id > g->n_nodes ? g->n_nodes : (size_t)node_id;
}

static int no_memory(const graph_t *g, struct err *e)
{
	return err_set(e, -ENOMEM, "no memory for a graph of %zu nodes", g->n_nodes);
}

/* --- where a node's values go ------------------------------------------------------------------------------ */

/* KEY up to where TensorFlow puts the names of an object's tensors (_extract_saveable_name). False: it has no place. */
static bool place_of(struct bytes key, struct bytes *place)
{
	static const char mark[] = ".ATTRIBUTES/";
	const uint8_t *at = key.n ? memmem(key.p, key.n, mark, sizeof mark - 1) : NULL;

	if (at)
		*place = bytes_of(key.p, (size_t)(at - key.p) + sizeof mark - 1);
	return at != NULL;
}

static struct bytes behind(struct bytes key, struct bytes place)
{
	return bytes_of(key.p + place.n, key.n - place.n);
}

/* Else protobuf would refuse the whole graph. For NUL see pb.h. */
static bool can_be_string(struct bytes b)
{
	return utf8_valid(b) && !memchr(b.p, 0, b.n);
}

struct fate {
	struct bytes place; /* where its values move to; p NULL: none seen yet */
	bool changed, lost;
};

/* One of the node's tensors moves from FROM to TO. */
static void follow(struct fate *f, struct bytes from, struct bytes to)
{
	struct bytes old, new;

	f->changed |= !bytes_eq(from, to);
	if (!place_of(from, &old) || !place_of(to, &new) || !can_be_string(to) ||
	    !bytes_eq(behind(from, old), behind(to, new)) ||
	    (f->place.p && !bytes_eq(f->place, new)))
		f->lost = true;
	else
		f->place = new;
}

/* Follows the changes of the tensors of A, which are those of object_keys_cover. */
static void follow_attribute(const struct edit *edit, const attribute_t *a, struct fate *f)
{
	struct bytes key = bytes_str(a->checkpoint_key);
	bool whole = !strcmp(a->name, "VARIABLE_VALUE"), found = false;
	size_t i = bytes_search(edit->changes, edit->n, sizeof *edit->changes, key);

	for (; i < edit->n; i++) {
		struct bytes from = edit->changes[i].from;

		if (!bytes_starts(from, key) || (whole && from.n != key.n))
			break;
		if (memchr(from.p + key.n, '/', from.n - key.n))
			continue;
		follow(f, from, edit->changes[i].to);
		found = true;
	}
	if (!found)
		follow(f, key, key);
}

/* The tensor under KEY moves: A gets the full name that it has then. */
static int rename_in_full(const struct edit *edit, attribute_t *a, struct bytes key, struct err *e)
{
	size_t i = bytes_search(edit->changes, edit->n, sizeof *edit->changes, key);
	struct bytes name = {0};
	char *copy;

	if (i < edit->n && bytes_eq(edit->changes[i].from, key))
		name = edit->changes[i].name;
	if (!name.n)
		return 0;
	copy = strndup((const char *)name.p, name.n);
	if (!copy)
		return no_memory(edit->graph, e);
	if (a->full_name != protobuf_c_empty_string) /* the shared default */
		free(a->full_name);
	a->full_name = copy;
	return 0;
}

static int move(const struct edit *edit, node_t *node, struct bytes place, struct err *e)
{
	for (size_t i = 0; i < node->n_attributes; i++) {
		attribute_t *a = node->attributes[i];
		struct bytes key = bytes_str(a->checkpoint_key), old = {0}, rest;
		char *moved;

		place_of(key, &old);
		if (bytes_eq(old, place))
			continue; /* and PLACE may point into this key */
		if (rename_in_full(edit, a, key, e) < 0)
			return -ENOMEM;
		rest = behind(key, old);
		moved = malloc(place.n + rest.n + 1);
		if (!moved)
			return no_memory(edit->graph, e);
		memcpy(moved, place.p, place.n);
		memcpy(moved + place.n, rest.p, rest.n + 1);
		free(a->checkpoint_key); /* not the shared default, which has no place */
		a->checkpoint_key = moved;
	}
	return 0;
}

static void lose(node_t *node)
{
	for (size_t i = 0; i < node->n_attributes; i++)
		protobuf_c_message_free_unpacked(&node->attributes[i]->base, NULL);
	node->n_attributes = 0;
}

/* Its slots do not count: they may go yet. */
static bool is_empty(const node_t *node)
{
	return !node->n_attributes && !node->n_children && !node->registered_saver;
}

static int edit_node(struct edit *edit, size_t i, struct err *e)
{
	node_t *node = edit->graph->nodes[i];
	struct fate f = {0};

	for (size_t k = 0; k < node->n_attributes; k++)
		follow_attribute(edit, node->attributes[k], &f);
	if (!f.changed)
		return 0;
	edit->changed = true;
	if (!f.lost)
		return move(edit, node, f.place, e);
	lose(node);
	edit->lost = true;
	edit->gone[i] = is_empty(node);
	return 0;
}

/* --- what refers to it ------------------------------------------------------------------------------------- */

/* Does the slot go? It does without values, and without its variable, and then loses its values. */
static bool drops_slot(struct edit *edit, const slot_t *slot)
{
	const graph_t *g = edit->graph;
	size_t id = index_of(g, slot->slot_variable_node_id);

	if (id < g->n_nodes && edit->gone[index_of(g, slot->original_variable_node_id)]) {
		lose(g->nodes[id]);
		edit->gone[id] = is_empty(g->nodes[id]);
	}
	return edit->gone[id];
}

static void drop_slots(struct edit *edit, size_t i)
{
	node_t *node = edit->graph->nodes[i];
	size_t kept = 0;

	for (size_t k = 0; k < node->n_slot_variables; k++) {
		slot_t *slot = node->slot_variables[k];

		if (drops_slot(edit, slot))
			protobuf_c_message_free_unpacked(&slot->base, NULL);
		else
			node->slot_variables[kept++] = slot;
	}
	node->n_slot_variables = kept;
	if (kept)
		edit->gone[i] = false;
}

static void drop_children(struct edit *edit, node_t *node)
{
	size_t kept = 0;

	for (size_t i = 0; i < node->n_children; i++)
		if (edit->gone[index_of(edit->graph, node->children[i]->node_id)])
			protobuf_c_message_free_unpacked(&node->children[i]->base, NULL);
		else
			node->children[kept++] = node->children[i];
	node->n_children = kept;
}

/* --- has_checkpoint_values --------------------------------------------------------------------------------- */

/* The parents of each node, as lists of edges. An edge's number counts from 1. */
struct parents {
	size_t *first; /* by node: its first edge, or 0 */
	struct edge {
		size_t parent, next;
	} * edges;
};

static void parents_release(struct parents *p)
{
	free(p->first);
	free(p->edges);
}

static bool parents_find(const graph_t *g, struct parents *out)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n_nodes; i++)
		n += g->nodes[i]->n_children;
	out->first = calloc(g->n_nodes + 1, sizeof *out->first);
	out->edges = calloc(n + 1, sizeof *out->edges);
	if (!out->first || !out->edges)
		return false;
	n = 0;
	for (size_t i = 0; i < g->n_nodes; i++)
		for (size_t k = 0; k < g->nodes[i]->n_children; k++) {
			size_t child = index_of(g, g->nodes[i]->children[k]->node_id);

			out->edges[++n] = (struct edge){i, out->first[child]};
			out->first[child] = n;
		}
	return true;
}

/* As TensorFlow's add_checkpoint_values_check: a node that has values, and all nodes above it. */
static int update_has_values(const graph_t *g, struct err *e)
{
	CLEANUP(parents_release) struct parents p = {0};
	CLEANUP(freep) bool *has = calloc(g->n_nodes + 1, sizeof *has);
	CLEANUP(freep) size_t *todo = calloc(g->n_nodes + 1, sizeof *todo);
	size_t n = 0;

	if (!has || !todo || !parents_find(g, &p))
		return no_memory(g, e);
	for (size_t i = 0; i < g->n_nodes; i++) {
		const node_t *node = g->nodes[i];

		has[i] = node->n_attributes || node->n_slot_variables || node->registered_saver;
		if (has[i])
			todo[n++] = i;
	}
	while (n)
		for (size_t k = p.first[todo[--n]]; k; k = p.edges[k].next)
			if (!has[p.edges[k].parent]) {
				has[p.edges[k].parent] = true;
				todo[n++] = p.edges[k].parent;
			}
	for (size_t i = 0; i < g->n_nodes; i++)
		if (!has[i] && g->nodes[i]->has_checkpoint_values)
			g->nodes[i]->has_checkpoint_values->value = false;
	return 0;
}

/* --- all of it --------------------------------------------------------------------------------------------- */

int object_graph_edit(struct bytes b, const struct key_change *changes, size_t n, struct buf *out,
		      bool *changed, struct err *e)
{
	CLEANUP(pb_freep) ProtobufCMessage *m = NULL;
	CLEANUP(freep) bool *gone = NULL;
	int r = pb_unpack(&tensorflow__trackable_object_graph__descriptor, b, &m, e);

	if (r < 0)
		return r;

	struct edit edit = {.graph = (graph_t *)m, .changes = changes, .n = n};

	edit.gone = gone = calloc(edit.graph->n_nodes + 1, sizeof *gone);
	if (!gone)
		return no_memory(edit.graph, e);
	for (size_t i = 0; i < edit.graph->n_nodes && r == 0; i++)
		r = edit_node(&edit, i, e);
	if (r == 0 && edit.lost) {
		for (size_t i = 0; i < edit.graph->n_nodes; i++)
			drop_slots(&edit, i);
		for (size_t i = 0; i < edit.graph->n_nodes; i++)
			drop_children(&edit, edit.graph->nodes[i]);
		r = update_has_values(edit.graph, e);
	}
	if (r == 0 && edit.changed)
		r = pb_pack(m, out, e);
	if (r == 0)
		*changed = edit.changed;
	return r;
}

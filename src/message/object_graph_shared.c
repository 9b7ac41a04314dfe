/* src/message/object_graph_shared.c: variables that an object graph has in several places.
 *
 * Source: TensorFlow's python/checkpoint/graph_view.py and trackable_view.py. A variable is stored under the shortest way to its
 * object, which a breadth-first search finds in the order of the edges; that is the place from which it was removed. Keras 3
 * stores a layer's kernel as its optimizer's `_trainable_variables/0` for that reason. */
#include "base/cleanup.h"
#include "message/object_graph.h"
#include "message/pb.h"
#include "object_graph.pb-c.h"

/* Shorter names of generated types. */
typedef Tensorflow__TrackableObjectGraph graph_t;
typedef Tensorflow__TrackableObjectGraph__TrackableObject node_t;
typedef Tensorflow__TrackableObjectGraph__TrackableObject__SerializedTensor attribute_t;

/* How many edges may be followed in all. A graph made to take longer is not told about. */
static const size_t STEPS_MAX = 50000000;

/* The search from the root, node 0. Arrays are by node. */
struct search {
	const graph_t *graph;
	struct found {
		size_t parent, depth;
		const char *name; /* of the edge from the parent; NULL: not found, or the root */
		const attribute_t *removed; /* the first that is; NULL: none */
		bool shared;
	} * nodes;
	size_t *queue;
	size_t left; /* of STEPS_MAX */
};

static void search_release(struct search *s)
{
	free(s->nodes);
	free(s->queue);
}

/* The node to which edge K of NODE leads; n_nodes: there is none. */
static size_t child_of(const struct search *s, size_t node, size_t k)
{
	int32_t id = s->graph->nodes[node]->children[k]->node_id;

	return id < 0 || (size_t)id > s->graph->n_nodes ? s->graph->n_nodes : (size_t)id;
}

static bool is_found(const struct search *s, size_t node)
{
	return node == 0 || s->nodes[node].name;
}

static void find_all(struct search *s)
{
	size_t n = 1;

	for (size_t i = 0; i < n; i++) {
		size_t at = s->queue[i];

		for (size_t k = 0; k < s->graph->nodes[at]->n_children; k++) {
			size_t child = child_of(s, at, k);

			if (child == s->graph->n_nodes || is_found(s, child))
				continue;
			s->nodes[child].parent = at;
			s->nodes[child].depth = s->nodes[at].depth + 1;
			s->nodes[child].name = s->graph->nodes[at]->children[k]->local_name;
			s->queue[n++] = child;
		}
	}
}

/* --- which are shared -------------------------------------------------------------------------------------- */

static const attribute_t *find_removed(const node_t *node, const struct key_change *changes,
				       size_t n)
{
	for (size_t i = 0; i < node->n_attributes; i++) {
		struct bytes key = bytes_str(node->attributes[i]->checkpoint_key);
		size_t at = bytes_search(changes, n, sizeof *changes, key);

		if (at < n && bytes_eq(changes[at].from, key) && !changes[at].to.n)
			return node->attributes[i];
	}
	return NULL;
}

static bool is_number(const char *name)
{
	return *name && !name[strspn(name, "0123456789")];
}

/* The object of which NODE is a part where it was found: its parent, or if that is a list, the one that has the list. Of the
 * root's own there is none: 0. */
static size_t owner_of(const struct search *s, size_t node)
{
	const struct found *f = &s->nodes[node];
	size_t above = s->nodes[f->parent].parent;

	return is_number(f->name) && above ? above : f->parent;
}

/* Was NODE found below OWNER, or is it that? */
static bool is_part_of(struct search *s, size_t node, size_t owner)
{
	while (s->left && s->nodes[node].depth > s->nodes[owner].depth) {
		node = s->nodes[node].parent;
		s->left--;
	}
	return !s->left || node == owner;
}

/* Does edge K of NODE lead to a variable that was removed as another object's? */
static bool shares(struct search *s, size_t node, size_t k)
{
	size_t child = child_of(s, node, k), owner;

	if (child == s->graph->n_nodes || !child || !s->nodes[child].removed ||
	    s->nodes[child].parent == node)
		return false;
	owner = owner_of(s, child);
	return owner == 0 || !is_part_of(s, node, owner);
}

/* --- what they are called ---------------------------------------------------------------------------------- */

/* Appends the names of the edges to NODE, and NAME. */
static int add_path(const struct search *s, size_t node, const char *name, struct buf *out)
{
	size_t depth = s->nodes[node].depth;
	CLEANUP(freep) const char **names = calloc(depth + 1, sizeof *names);
	int r = names ? 0 : -ENOMEM;

	for (size_t i = depth; i > 0 && r == 0; i--, node = s->nodes[node].parent)
		names[i - 1] = s->nodes[node].name;
	for (size_t i = 0; i < depth && r == 0; i++)
		r = buf_printf(out, "%s/", names[i]);
	return r < 0 ? r : buf_add(out, name, strlen(name) + 1);
}

/* The variable to which edge K of NODE leads becomes OUT's. */
static int describe(const struct search *s, size_t node, size_t k, struct object_shared *out)
{
	const attribute_t *a = s->nodes[child_of(s, node, k)].removed;
	int r;

	out->key.n = out->full_name.n = out->path.n = 0;
	r = buf_add(&out->key, a->checkpoint_key, strlen(a->checkpoint_key) + 1);
	if (r == 0)
		r = buf_add(&out->full_name, a->full_name, strlen(a->full_name) + 1);
	return r < 0 ? r
		     : add_path(s, node, s->graph->nodes[node]->children[k]->local_name,
				&out->path);
}

/* OUT tells of the first variable in the graph's order, by the first edge to it. */
static int list_shared(struct search *s, struct object_shared *out)
{
	size_t first = s->graph->n_nodes;
	int r = 0;

	for (size_t i = 0; i < s->graph->n_nodes && r == 0; i++)
		for (size_t k = 0; k < s->graph->nodes[i]->n_children && r == 0; k++) {
			size_t child = child_of(s, i, k);

			if (!is_found(s, i) || !shares(s, i, k) || s->nodes[child].shared)
				continue;
			s->nodes[child].shared = true;
			out->n++;
			if (child < first)
				r = describe(s, i, k, out);
			first = child < first ? child : first;
		}
	return r;
}

int object_shared_find(struct bytes b, const struct key_change *changes, size_t n,
		       struct object_shared *out, struct err *e)
{
	CLEANUP(pb_freep) ProtobufCMessage *m = NULL;
	CLEANUP(search_release) struct search s = {.left = STEPS_MAX};
	int r = pb_unpack(&tensorflow__trackable_object_graph__descriptor, b, &m, e);

	if (r < 0)
		return r;
	s.graph = (graph_t *)m;
	s.nodes = calloc(s.graph->n_nodes + 1, sizeof *s.nodes);
	s.queue = calloc(s.graph->n_nodes + 1, sizeof *s.queue);
	if (!s.nodes || !s.queue)
		return err_set(e, -ENOMEM, "no memory for a graph of %zu nodes", s.graph->n_nodes);
	for (size_t i = 0; i < s.graph->n_nodes; i++)
		s.nodes[i].removed = find_removed(s.graph->nodes[i], changes, n);
	if (s.graph->n_nodes)
		find_all(&s);
	r = list_shared(&s, out);
	return r < 0 ? err_set(e, r, "no memory") : 0;
}

void object_shared_release(struct object_shared *s)
{
	buf_release(&s->key);
	buf_release(&s->full_name);
	buf_release(&s->path);
}

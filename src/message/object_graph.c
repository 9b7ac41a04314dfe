#include "message/object_graph.h"
#include "base/cleanup.h"
#include "debug_info.pb-c.h"
#include "message/pb.h"
#include "message/textpb.h"
#include "object_graph.pb-c.h"

static int print(const ProtobufCMessageDescriptor *type, struct bytes b, struct buf *out,
		 struct err *e)
{
	CLEANUP(pb_freep) ProtobufCMessage *m = NULL;
	int r = pb_unpack(type, b, &m, e);

	return r < 0 ? r : textpb_print(m, out, e);
}

int object_graph_print(struct bytes b, struct buf *out, struct err *e)
{
	return print(&tensorflow__trackable_object_graph__descriptor, b, out, e);
}

int debug_info_print(struct bytes b, struct buf *out, struct err *e)
{
	return print(&tensorflow__graph_debug_info__descriptor, b, out, e);
}

/* --- what its variables are called ------------------------------------------------------------------------- */

static int add_text(struct buf *texts, const char *text, uint32_t *at)
{
	*at = (uint32_t)texts->n;
	return texts->n < UINT32_MAX ? buf_add(texts, text, strlen(text) + 1) : -EFBIG;
}

static int add_names(const Tensorflow__TrackableObjectGraph *g, struct buf *items,
		     struct buf *texts)
{
	struct object_name item;
	int r = 0;

	for (size_t i = 0; i < g->n_nodes && r == 0; i++)
		for (size_t k = 0; k < g->nodes[i]->n_attributes && r == 0; k++) {
			r = add_text(texts, g->nodes[i]->attributes[k]->checkpoint_key, &item.key);
			if (r == 0)
				r = add_text(texts, g->nodes[i]->attributes[k]->full_name,
					     &item.name);
			if (r == 0)
				r = buf_add(items, &item, sizeof item);
		}
	return r;
}

/* Names of the same key keep the order of the graph. */
static int compare_names(const void *a, const void *b, void *texts)
{
	const struct object_name *x = a, *y = b;
	int c = strcmp((char *)texts + x->key, (char *)texts + y->key);

	return c ? c : (x->key > y->key) - (x->key < y->key);
}

int object_names_read(struct bytes b, struct object_names *out, struct err *e)
{
	CLEANUP(object_names_release) struct object_names names = {0};
	CLEANUP(pb_freep) ProtobufCMessage *m = NULL;
	struct buf items = {0};
	int r = pb_unpack(&tensorflow__trackable_object_graph__descriptor, b, &m, e);

	if (r < 0)
		return r;
	r = add_names((Tensorflow__TrackableObjectGraph *)m, &items, &names.texts);
	names.items = (struct object_name *)items.p;
	names.n = items.n / sizeof *names.items;
	if (r < 0)
		return err_sys(e, r, "the names of %zu variables", names.n);
	if (names.n)
		qsort_r(names.items, names.n, sizeof *names.items, compare_names, names.texts.p);
	*out = TAKE(names, (struct object_names){0});
	return 0;
}

void object_names_release(struct object_names *n)
{
	free(n->items);
	buf_release(&n->texts);
	*n = (struct object_names){0};
}

static struct bytes key_of(const struct object_names *n, size_t i)
{
	return bytes_str((char *)n->texts.p + n->items[i].key);
}

/* The first item with KEY; n->n: there is none. */
static size_t find(const struct object_names *n, struct bytes key)
{
	size_t lo = 0, hi = n->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (bytes_cmp(key_of(n, mid), key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n->n && bytes_eq(key_of(n, lo), key) ? lo : n->n;
}

bool object_names_has(const struct object_names *n, struct bytes key)
{
	return find(n, key) < n->n;
}

const char *object_names_find(const struct object_names *n, struct bytes key)
{
	size_t i = find(n, key);
	const char *name = i < n->n ? (char *)n->texts.p + n->items[i].name : "";

	return *name ? name : NULL;
}

/* --- what it says is stored -------------------------------------------------------------------------------- */

static int compare_keys(const void *a, const void *b)
{
	const struct object_key *x = a, *y = b;

	return bytes_cmp(x->key, y->key);
}

int object_keys_read(struct bytes b, struct object_keys *out, struct err *e)
{
	CLEANUP(object_keys_release) struct object_keys k = {0};
	ProtobufCMessage *m = NULL;
	size_t n = 0;
	int r = pb_unpack(&tensorflow__trackable_object_graph__descriptor, b, &m, e);

	if (r < 0)
		return r;

	const Tensorflow__TrackableObjectGraph *g = (Tensorflow__TrackableObjectGraph *)m;

	k.message = m;
	for (size_t i = 0; i < g->n_nodes; i++)
		n += g->nodes[i]->n_attributes;
	k.items = calloc(n + 1, sizeof *k.items);
	if (!k.items)
		return err_set(e, -ENOMEM, "no memory for %zu keys", n);
	for (size_t i = 0; i < g->n_nodes; i++)
		for (size_t a = 0; a < g->nodes[i]->n_attributes; a++)
			k.items[k.n++] = (struct object_key){
				bytes_str(g->nodes[i]->attributes[a]->checkpoint_key),
				!strcmp(g->nodes[i]->attributes[a]->name, "VARIABLE_VALUE")};
	qsort(k.items, k.n, sizeof *k.items, compare_keys);
	*out = TAKE(k, (struct object_keys){0});
	return 0;
}

void object_keys_release(struct object_keys *k)
{
	free(k->items);
	protobuf_c_message_free_unpacked(k->message, NULL);
	*k = (struct object_keys){0};
}

static bool has_key(const struct object_keys *k, struct bytes key, bool whole)
{
	size_t i = bytes_search(k->items, k->n, sizeof *k->items, key);

	for (; i < k->n && bytes_eq(k->items[i].key, key); i++)
		if (whole || !k->items[i].whole)
			return true;
	return false;
}

bool object_keys_cover(const struct object_keys *k, struct bytes key)
{
	bool covered = has_key(k, key, true);

	/* Behind the attribute's key a tensor of several has a short name: "-keys", "_STATE". */
	for (size_t n = key.n; n > 0 && !covered && key.p[n - 1] != '/'; n--)
		covered = has_key(k, bytes_of(key.p, n - 1), false);
	return covered;
}

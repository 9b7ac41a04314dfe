/* src/format/object_graph.h: the graph of an object-based checkpoint, and the names of its variables.
 *
 * The value of the key _CHECKPOINTABLE_OBJECT_GRAPH: a TrackableObjectGraph, whose attributes say under which key a value
 * is stored and what its variable is called. Source: TensorFlow's protobuf/trackable_object_graph.proto. */
#pragma once
#include "base/buf.h"
#include "base/error.h"

/* Appends it as text. -EUCLEAN: none. */
int object_graph_print(struct bytes b, struct buf *out, struct err *e);

/* Appends the full name of the variable whose value is under KEY. -ENODATA if there is none; -EUCLEAN, -ENOMEM. */
int object_graph_full_name(struct bytes b, struct bytes key, struct buf *out, struct err *e);

/* What the graph says is stored: each attribute's key. VARIABLE_VALUE stands under the key itself; others (tables,
 * iterators) may be several tensors, whose keys begin with it. */
struct object_keys {
	struct object_key {
		struct bytes key;
		bool whole; /* the key is one tensor's */
	} * items; /* sorted by key */
	size_t n;
	void *message; /* what the keys lie in */
};

/* -EUCLEAN: no object graph; -ENOMEM. */
int object_keys_read(struct bytes b, struct object_keys *out, struct err *e);
void object_keys_release(struct object_keys *k);

/* Whether KEY is stored because of one of them. */
bool object_keys_cover(const struct object_keys *k, struct bytes key);

/* Appends GraphDebugInfo as text: PREFIX.debug. -EUCLEAN: none. */
int debug_info_print(struct bytes b, struct buf *out, struct err *e);

/* src/message/object_graph.h: the graph of an object-based checkpoint, and the names of its variables.
 *
 * The value of the key _CHECKPOINTABLE_OBJECT_GRAPH: a TrackableObjectGraph, whose attributes say under which
 * key a value is stored and what its variable is called. Source: TensorFlow's
 * protobuf/trackable_object_graph.proto. */
#pragma once
#include "base/buf.h"
#include "base/error.h"

/* Appends it as text. -EUCLEAN: none. */
int object_graph_print(struct bytes b, struct buf *out, struct err *e);

/* What it calls its variables. */
struct object_names {
	struct object_name {
		uint32_t key, name; /* in `texts`, each with its NUL */
	} * items; /* sorted by key */
	size_t n;
	struct buf texts;
};

/* -EUCLEAN: no object graph; -EFBIG, -ENOMEM. */
int object_names_read(struct bytes b, struct object_names *out, struct err *e);
void object_names_release(struct object_names *n);

/* The full name of the variable whose value is under KEY; NULL if there is none. */
const char *object_names_find(const struct object_names *n, struct bytes key);

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

/* A variable's key and what becomes of it. */
struct key_change {
	struct bytes from;
	struct bytes to; /* of no bytes: it is not stored any more */
};

/* Appends to OUT the graph B for a step whose variables are renamed and removed as the N CHANGES say, which
 * are sorted by `from`; nothing if CHANGED turns out false, as then B can stay. Only keys change: an object is
 * found by the names of the graph's edges, so it has its value still if that is stored under another key.
 * Objects that TensorFlow could not restore any more have no values in the new graph, nor then a reference to
 * them: those of which a tensor is removed, or whose tensors do not all go from X.ATTRIBUTES/NAME to the same
 * Y.ATTRIBUTES/ with the same NAME; and the slots of a variable that is one of them. A variable that keeps its
 * key may be among the changes, from it to itself: only so is it seen where an object has several tensors
 * under one attribute, and some of them move. Fields that this program does not know are carried. -EUCLEAN: no
 * object graph; -ENOMEM. */
int object_graph_edit(struct bytes b, const struct key_change *changes, size_t n, struct buf *out,
		      bool *changed, struct err *e);

/* Appends GraphDebugInfo as text: PREFIX.debug. -EUCLEAN: none. */
int debug_info_print(struct bytes b, struct buf *out, struct err *e);

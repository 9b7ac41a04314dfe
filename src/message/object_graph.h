/* src/message/object_graph.h: the graph of an object-based checkpoint, and the keys and names of its variables.
 *
 * The key _CHECKPOINTABLE_OBJECT_GRAPH holds a TrackableObjectGraph. Its attributes say under which key a value is
 * stored, and what its variable is called. Source: TensorFlow's protobuf/trackable_object_graph.proto. */
#pragma once
#include "base/buf.h"
#include "base/error.h"

/* Appends the graph B as text. -EUCLEAN: B is no object graph. */
int object_graph_print(struct bytes b, struct buf *out, struct err *e);

/* The full names of its variables. */
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

/* Does the graph have a variable whose value is stored under KEY, with a full name or without? */
bool object_names_has(const struct object_names *n, struct bytes key);

/* The full name of the variable whose value is stored under KEY, or NULL. */
const char *object_names_find(const struct object_names *n, struct bytes key);

/* The keys under which the graph says that values are stored, one of each attribute. A VARIABLE_VALUE is one tensor,
 * under the key itself. Others (tables, iterators) may be several tensors, whose keys begin with the attribute's. */
struct object_keys {
	struct object_key {
		struct bytes key;
		bool whole; /* the key is one tensor's */
	} * items; /* sorted by key */
	size_t n;
	void *message; /* has the bytes of the keys */
};

/* -EUCLEAN: no object graph; -ENOMEM. */
int object_keys_read(struct bytes b, struct object_keys *out, struct err *e);
void object_keys_release(struct object_keys *k);

/* Is KEY a tensor of one of them? */
bool object_keys_cover(const struct object_keys *k, struct bytes key);

/* A variable's key and what becomes of it. */
struct key_change {
	struct bytes from;
	struct bytes to; /* empty: the variable is removed */
	struct bytes name; /* its full name from now on, if its key moves; empty: as it is */
};

/* Appends to OUT the graph B as it is after the N CHANGES, which are sorted by `from`. If B can stay as it is, CHANGED
 * becomes false and nothing is appended. -EUCLEAN: B is no object graph; -ENOMEM.
 *
 * Only keys, and full names as CHANGES say, change: TensorFlow finds an object by the names of the graph's edges, so a renamed variable still is the
 * value of its object. An object that TensorFlow could not restore loses all of its values, and if nothing is left of it
 * the references to it. It is one of which
 *   - a tensor is removed, or
 *   - the tensors do not all move from X.ATTRIBUTES/NAME to one Y.ATTRIBUTES/, each with its NAME, or
 *   - the variable has nothing left whose slot it is.
 * Of an attribute with several tensors some may move and others not. So CHANGES should list the tensors that stay too,
 * each with its key as `from` and `to`. Fields that this program does not know are kept. */
int object_graph_edit(struct bytes b, const struct key_change *changes, size_t n, struct buf *out,
		      bool *changed, struct err *e);

/* Variables that are removed though other objects of the graph have them, too. */
struct object_shared {
	size_t n; /* how many; if there are any, of the first one, each with a NUL: */
	struct buf key;
	struct buf full_name; /* may be "" */
	struct buf path; /* by another object: the names of the edges, with '/' between */
};

/* Finds those that the N CHANGES, which are sorted by `from`, remove. Another object is one that is no part of the object under
 * whose name the variable is stored. -EUCLEAN: B is no object graph; -ENOMEM. The caller releases OUT, after an error too. */
int object_shared_find(struct bytes b, const struct key_change *changes, size_t n,
		       struct object_shared *out, struct err *e);
void object_shared_release(struct object_shared *s);

/* Appends B, the GraphDebugInfo of PREFIX.debug, as text. -EUCLEAN: B is none. */
int debug_info_print(struct bytes b, struct buf *out, struct err *e);

/* src/message/meta_graph.h: PREFIX.meta, a step's graph, and the collections that its variables are in.
 *
 * The file is a MetaGraphDef in binary, or as text: TensorFlow tries both, whatever the file is called. Collections with
 * the names in meta_graph.c hold serialized VariableDefs; others may hold anything. The key of a variable in a
 * checkpoint is its name without ":0", of a partitioned one the full name in its slice info.
 * Source: TensorFlow's protobuf/meta_graph.proto, framework/variable.proto, python/ops/ref_variable.py. */
#pragma once
#include "base/buf.h"
#include "base/error.h"

struct meta_graph {
	void *message;
};

/* -EUCLEAN: B is neither binary nor text; -E2BIG, -ENOMEM. */
int meta_graph_parse(struct bytes b, struct meta_graph *out, struct err *e);
void meta_graph_release(struct meta_graph *m);

/* Appends it as text. */
int meta_graph_print(const struct meta_graph *m, struct buf *out, struct err *e);

/* Appends the graph of TEXT in binary, as TensorFlow writes it: the text of a file of TensorFlow 2.21 becomes that file
 * again. -EINVAL: the sentence has line and column, as of textpb_parse; -E2BIG, -ENOMEM. */
int meta_graph_from_text(struct bytes text, struct buf *out, struct err *e);

/* Makes of M what TensorFlow writes with strip_default_attrs: nodes, also those of functions, lack the attributes that are as the
 * graph's own stripped_op_list has their defaults. Without that list it stays as it is. -ENOMEM. */
int meta_graph_strip(struct meta_graph *m, struct err *e);

/* Appends the graph B as TensorFlow writes it then. Errors of meta_graph_parse. */
int meta_graph_strip_defaults(struct bytes b, struct buf *out, struct err *e);

/* A variable in a collection. */
struct membership {
	struct bytes key;
	const char *collection;
};

struct memberships {
	struct membership *items; /* sorted by key, then by collection; no two equal */
	size_t n;
	struct buf keys, names; /* the bytes of keys and collections */
};

/* Skips what is no VariableDef in a collection of them. -ENOMEM. */
int meta_graph_memberships(const struct meta_graph *m, struct memberships *out);
void memberships_release(struct memberships *m);

/* The items of KEY are [*from, *from + the result). */
size_t memberships_find(const struct memberships *m, struct bytes key, size_t *from);

/* src/message/meta_graph.h: PREFIX.meta, the graph that a step belongs to, and what it says of the variables.
 *
 * A MetaGraphDef in binary, or as text: TensorFlow tries both, whatever the file is called. Collections with the names
 * below hold serialized VariableDefs; others may hold anything. The key of a variable in a checkpoint is its name
 * without ":0", of a partitioned one the full name in its slice info. Source: TensorFlow's protobuf/meta_graph.proto,
 * framework/variable.proto, python/ops/ref_variable.py. */
#pragma once
#include "base/buf.h"
#include "base/error.h"

struct meta_graph {
	void *message;
};

/* -EUCLEAN: neither; -E2BIG, -ENOMEM. */
int meta_graph_parse(struct bytes b, struct meta_graph *out, struct err *e);
void meta_graph_release(struct meta_graph *m);

/* Appends it as text. */
int meta_graph_print(const struct meta_graph *m, struct buf *out, struct err *e);

/* Appends the graph that TEXT tells of in binary, as TensorFlow writes it: what meta_graph_print made of a file of
 * TensorFlow 2.21 becomes the same bytes. -EINVAL: the sentence has line and column, as textpb_parse; -E2BIG, -ENOMEM. */
int meta_graph_from_text(struct bytes text, struct buf *out, struct err *e);

/* A variable in a collection. */
struct membership {
	struct bytes key;
	const char *collection;
};

struct memberships {
	struct membership *items; /* sorted by key, then by collection; no two equal */
	size_t n;
	struct buf keys; /* what the keys lie in */
	struct buf names;
};

/* What is no VariableDef in a collection of them is passed over. -ENOMEM. */
int meta_graph_memberships(const struct meta_graph *m, struct memberships *out);
void memberships_release(struct memberships *m);

/* Those of KEY: [*from, *from + the result). */
size_t memberships_find(const struct memberships *m, struct bytes key, size_t *from);

/* src/step/full_names.h: variables of an object-based step by the names that its object graph gives them.
 *
 * The full name of a variable is its stem, in place of that of its key (step/name.h), if
 *   1. it can be a path as it is: nothing in it has to be escaped or cut, and no component begins with a dot;
 *   2. no other variable of the graph has the same;
 *   3. it is not the stem of any key of the graph or the step.
 * Else its key is. So each variable has one stem, and each stem one variable. */
#pragma once
#include "message/object_graph.h"
#include "step/name.h"

struct full_names {
	struct full_name {
		struct bytes from, to;
	} * by_key, *by_stem; /* from key to stem, and back; each sorted by `from` */
	size_t n;
	struct object_names names; /* has the bytes */
	size_t memory; /* bytes that all this takes */
};

/* Those of the object graph GRAPH, in a step that has KEYS, sorted, N of them. -EUCLEAN: it is no object graph; -EFBIG, -ENOMEM. */
int full_names_read(struct bytes graph, const struct bytes *keys, size_t n, struct full_names **out,
		    struct err *e);
void full_names_free(struct full_names *f);

/* The stem of KEY; empty: it is that of name_to_path. F may be NULL: nothing has a full name. */
struct bytes full_names_stem(const struct full_names *f, struct bytes key);

/* Appends the stem of KEY as it is shown. -ENOMEM. */
int full_names_path(const struct full_names *f, enum name_flavour flavour, struct bytes key,
		    struct buf *out);

/* Appends the key that STEM stands for to KEY: of the variable that is shown so, else that of name_from_path. F may be NULL.
 * -EINVAL: there is none, or its variable is shown by another stem; -ENOMEM. Then KEY is as it was. */
int full_names_key(const struct full_names *f, enum name_flavour flavour, struct bytes stem,
		   struct buf *key, struct err *e);

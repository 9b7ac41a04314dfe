/* What TensorFlow does with such graphs was tried with 2.21; the expected ones are in the form of its own. */
#include "base/cleanup.h"
#include "lib/hex.h"
#include "lib/lit.h"
#include "message/check_message.h"
#include "message/object_graph.h"
#include "message/pb.h"
#include "message/textpb.h"
#include "object_graph.pb-c.h"

enum { MAX_CHANGES = 3 };

#define HAS  "has_checkpoint_values { value: true } "
#define LOST "has_checkpoint_values {} "

/* Attributes: a variable's, and others. */
#define VAR(path)                                                                                  \
	"attributes { name: 'VARIABLE_VALUE' checkpoint_key: '" path                               \
	"/.ATTRIBUTES/VARIABLE_VALUE' } "
#define ATT(path, name)                                                                            \
	"attributes { name: '" name "' checkpoint_key: '" path "/.ATTRIBUTES/" name "' } "
#define CHILD(id, name) "children { node_id: " #id " local_name: '" name "' } "
#define SLOT(of, id)                                                                               \
	"slot_variables { original_variable_node_id: " #of                                         \
	" slot_name: 'm' slot_variable_node_id: " #id " } "
#define KEY(path) path "/.ATTRIBUTES/VARIABLE_VALUE"

/* A root with two variables; a table; an object with two tensors; an optimizer with a slot. */
#define PAIR(a, b) "nodes { " CHILD(1, "a") CHILD(2, "b") HAS "} nodes { " a "} nodes { " b "}"
#define TABLE(t)   "nodes { " CHILD(1, "t") HAS "} nodes { " t "}"
#define NO_TABLE   "nodes { " LOST "} nodes { " LOST "}"
#define OPT(root, opt, v, slot)                                                                    \
	"nodes { " root "} nodes { " opt "} nodes { " v "} nodes { " slot "}"

static const struct {
	const char *what, *graph;
	struct {
		const char *from, *to;
	} changes[MAX_CHANGES];
	const char *want; /* NULL: nothing changes */
} edits[] = {
	{"nothing", PAIR(VAR("a") HAS, VAR("b") HAS), {{0}}, NULL},
	{"another key", PAIR(VAR("a") HAS, VAR("b") HAS), {{"a", NULL}, {KEY("aa"), "z"}}, NULL},
	{"to itself", PAIR(VAR("a") HAS, VAR("b") HAS), {{KEY("a"), KEY("a")}}, NULL},
	{"a new key",
	 PAIR(VAR("a") HAS, VAR("b") HAS),
	 {{KEY("a"), KEY("x/y")}},
	 PAIR(VAR("x/y") HAS, VAR("b") HAS)},
	{"two change places",
	 PAIR(VAR("a") HAS, VAR("b") HAS),
	 {{KEY("a"), KEY("b")}, {KEY("b"), KEY("a")}},
	 PAIR(VAR("b") HAS, VAR("a") HAS)},
	{"the root is a variable",
	 "nodes { " VAR("") HAS "}",
	 {{KEY(""), KEY("r")}},
	 "nodes { " VAR("r") HAS "}"},
	{"removed",
	 PAIR(VAR("a") HAS, VAR("b") HAS),
	 {{KEY("a"), NULL}},
	 "nodes { " CHILD(2, "b") HAS "} nodes { " LOST "} nodes { " VAR("b") HAS "}"},
	{"all removed",
	 PAIR(VAR("a") HAS, VAR("b") HAS),
	 {{KEY("a"), NULL}, {KEY("b"), NULL}},
	 "nodes { " LOST "} nodes { " LOST "} nodes { " LOST "}"},
	{"has_checkpoint_values is not added",
	 "nodes { " CHILD(1, "a") "} nodes { " VAR("a") "}",
	 {{KEY("a"), NULL}},
	 "nodes { } nodes { }"},
	{"removed, and it has children",
	 "nodes { " CHILD(1, "a") HAS "} nodes { " CHILD(2, "b") VAR("a") HAS
	 "} nodes { " VAR("a/b") HAS "}",
	 {{KEY("a"), NULL}},
	 "nodes { " CHILD(1, "a") HAS "} nodes { " CHILD(2, "b") HAS "} nodes { " VAR("a/b") HAS
	 "}"},
	{"a circle of nodes without values",
	 "nodes { " CHILD(1, "p") HAS "} nodes { " CHILD(0, "up") CHILD(2, "v") CHILD(77, "no")
		 CHILD(-1, "no") HAS "} nodes { " VAR("p/v") HAS "}",
	 {{KEY("p/v"), NULL}},
	 "nodes { " CHILD(1, "p") LOST "} nodes { " CHILD(0, "up") CHILD(77, "no") CHILD(-1, "no")
		 LOST "} nodes { " LOST "}"},

	/* Where TensorFlow would not find it. */
	{"no place", TABLE(VAR("t") HAS), {{KEY("t"), "t"}}, NO_TABLE},
	{"no place, but nearly",
	 TABLE(VAR("t") HAS),
	 {{KEY("t"), "t/ATTRIBUTES/VARIABLE_VALUE"}},
	 NO_TABLE},
	{"another name", TABLE(VAR("t") HAS), {{KEY("t"), "t/.ATTRIBUTES/OTHER"}}, NO_TABLE},
	{"a place in a place",
	 TABLE(VAR("t") HAS),
	 {{KEY("t"), "u/.ATTRIBUTES/" KEY("t")}},
	 NO_TABLE},
	{"no UTF-8", TABLE(VAR("t") HAS), {{KEY("t"), KEY("\xff")}}, NO_TABLE},

	/* Several tensors under one attribute. */
	{"a table",
	 TABLE(ATT("t", "table") HAS),
	 {{"t/.ATTRIBUTES/table-keys", "u/.ATTRIBUTES/table-keys"},
	  {"t/.ATTRIBUTES/table-values", "u/.ATTRIBUTES/table-values"}},
	 TABLE(ATT("u", "table") HAS)},
	{"a table and its keys go apart",
	 TABLE(ATT("t", "table") HAS),
	 {{"t/.ATTRIBUTES/table-keys", "u/.ATTRIBUTES/table-keys"},
	  {"t/.ATTRIBUTES/table-values", "w/.ATTRIBUTES/table-values"}},
	 NO_TABLE},
	{"a table of which one stays",
	 TABLE(ATT("t", "table") HAS),
	 {{"t/.ATTRIBUTES/table-keys", "u/.ATTRIBUTES/table-keys"},
	  {"t/.ATTRIBUTES/table-values", "t/.ATTRIBUTES/table-values"}},
	 NO_TABLE},
	{"a table without values",
	 TABLE(ATT("t", "table") HAS),
	 {{"t/.ATTRIBUTES/table-values", NULL}},
	 NO_TABLE},
	{"a key that only begins like it",
	 TABLE(ATT("t", "table") HAS),
	 {{"t/.ATTRIBUTES/table/x", NULL}, {"t/.ATTRIBUTES/tablet/x", "y"}},
	 NULL},
	{"a key that only begins like a variable's",
	 TABLE(VAR("t") HAS),
	 {{KEY("t") "-keys", NULL}},
	 NULL},
	{"an iterator",
	 TABLE(ATT("it", "ITERATOR") HAS),
	 {{"it/.ATTRIBUTES/ITERATOR_STATE", "a/b/.ATTRIBUTES/ITERATOR_STATE"}},
	 TABLE(ATT("a/b", "ITERATOR") HAS)},

	/* An object with several attributes. */
	{"one comes to the other",
	 TABLE(ATT("d", "x") ATT("c", "b") HAS),
	 {{"c/.ATTRIBUTES/b", "d/.ATTRIBUTES/b"}},
	 TABLE(ATT("d", "x") ATT("d", "b") HAS)},
	{"the other comes to it",
	 TABLE(ATT("c", "b") ATT("d", "x") HAS),
	 {{"c/.ATTRIBUTES/b", "d/.ATTRIBUTES/b"}},
	 TABLE(ATT("d", "b") ATT("d", "x") HAS)},
	{"both",
	 TABLE(ATT("c", "x..Sy") ATT("c", "b") HAS),
	 {{"c/.ATTRIBUTES/b", "d/.ATTRIBUTES/b"}, {"c/.ATTRIBUTES/x..Sy", "d/.ATTRIBUTES/x..Sy"}},
	 TABLE(ATT("d", "x..Sy") ATT("d", "b") HAS)},
	{"one of them",
	 TABLE(ATT("c", "x") ATT("c", "b") HAS),
	 {{"c/.ATTRIBUTES/b", "d/.ATTRIBUTES/b"}},
	 NO_TABLE},
	{"one of them removed",
	 TABLE(ATT("c", "x") ATT("c", "b") HAS),
	 {{"c/.ATTRIBUTES/b", NULL}},
	 NO_TABLE},

	/* Slots. */
	{"a slot removed",
	 OPT(CHILD(1, "opt") CHILD(2, "v") HAS, SLOT(2, 3) HAS, VAR("v") HAS,
	     VAR("v/.O/opt/m") HAS),
	 {{KEY("v/.O/opt/m"), NULL}},
	 OPT(CHILD(1, "opt") CHILD(2, "v") HAS, LOST, VAR("v") HAS, LOST)},
	{"its variable removed",
	 OPT(CHILD(1, "opt") CHILD(2, "v") HAS, SLOT(2, 3) HAS, VAR("v") HAS,
	     VAR("v/.O/opt/m") HAS),
	 {{KEY("v"), NULL}},
	 OPT(CHILD(1, "opt") LOST, LOST, LOST, LOST)},
	{"its variable moved alone",
	 OPT(CHILD(1, "opt") CHILD(2, "v") HAS, SLOT(2, 3) HAS, VAR("v") HAS,
	     VAR("v/.O/opt/m") HAS),
	 {{KEY("v"), KEY("w")}},
	 OPT(CHILD(1, "opt") CHILD(2, "v") HAS, SLOT(2, 3) HAS, VAR("w") HAS,
	     VAR("v/.O/opt/m") HAS)},
	{"an optimizer loses its own",
	 OPT(CHILD(1, "opt") CHILD(2, "v") HAS, VAR("opt") SLOT(2, 3) HAS, VAR("v") HAS,
	     VAR("v/.O/opt/m") HAS),
	 {{KEY("opt"), NULL}},
	 OPT(CHILD(1, "opt") CHILD(2, "v") HAS, SLOT(2, 3) HAS, VAR("v") HAS,
	     VAR("v/.O/opt/m") HAS)},
	{"both removed",
	 OPT(CHILD(1, "opt") CHILD(2, "v") HAS, SLOT(2, 3) HAS, VAR("v") HAS,
	     VAR("v/.O/opt/m") HAS),
	 {{KEY("v"), NULL}, {KEY("v/.O/opt/m"), NULL}},
	 OPT(CHILD(1, "opt") LOST, LOST, LOST, LOST)},
	{"slots of nodes that are not there",
	 OPT(CHILD(2, "v") HAS, SLOT(77, -1) HAS, VAR("v") HAS, ""),
	 {{KEY("v"), NULL}},
	 OPT(LOST, SLOT(77, -1) HAS, LOST, "")},
};

static void pack(const char *text, struct buf *out)
{
	CLEANUP(pb_freep) ProtobufCMessage *m = NULL;
	struct err e = {0};

	if (textpb_parse(&tensorflow__trackable_object_graph__descriptor, bytes_str(text), NULL, &m,
			 &e) < 0 ||
	    pb_pack(m, out, &e) < 0)
		ck_abort_msg("%s: %s", text, e.text);
}

START_TEST(keys_change_and_what_has_none_is_taken_out)
{
	CLEANUP(buf_release) struct buf graph = {0}, out = {0}, want = {0}, text = {0};
	struct key_change changes[MAX_CHANGES];
	bool changed = !edits[_i].want;
	struct err e = {0};
	size_t n = 0;

	pack(edits[_i].graph, &graph);
	for (; n < MAX_CHANGES && edits[_i].changes[n].from; n++) {
		const char *to = edits[_i].changes[n].to;

		changes[n] = (struct key_change){.from = bytes_str(edits[_i].changes[n].from),
						 .to = to ? bytes_str(to) : bytes_of(NULL, 0)};
	}
	if (object_graph_edit(buf_bytes(&graph), changes, n, &out, &changed, &e) < 0)
		ck_abort_msg("%s: %s", edits[_i].what, e.text);
	ck_assert_msg(changed == (edits[_i].want != NULL), "%s", edits[_i].what);
	if (edits[_i].want)
		pack(edits[_i].want, &want);
	if (!bytes_eq(buf_bytes(&out), buf_bytes(&want))) {
		object_graph_print(buf_bytes(&out), &text, NULL);
		ck_abort_msg("%s:\n%.*s", edits[_i].what, (int)text.n, (char *)text.p);
	}
}
END_TEST

START_TEST(a_full_name_moves_with_its_key)
{
	static const char *const old = "nodes { attributes { name: 'VARIABLE_VALUE' full_name: 'n' "
				       "checkpoint_key: '" KEY("a") "' } } nodes { " VAR("b") "}";
	static const char *const want =
		"nodes { attributes { name: 'VARIABLE_VALUE' full_name: 'x' "
		"checkpoint_key: '" KEY(
			"x") "' } } nodes { attributes { name: "
			     "'VARIABLE_VALUE' full_name: 'y' checkpoint_key: '" KEY("y") "' } }";
	CLEANUP(buf_release) struct buf graph = {0}, out = {0}, expected = {0};
	const struct key_change changes[] = {
		{.from = LIT(KEY("a")), .to = LIT(KEY("x")), .name = LIT("x")},
		{.from = LIT(KEY("b")), .to = LIT(KEY("y")), .name = LIT("y")},
	};
	bool changed = false;

	pack(old, &graph);
	pack(want, &expected);
	ck_assert_int_eq(object_graph_edit(buf_bytes(&graph), changes, 2, &out, &changed, NULL), 0);
	ck_assert(changed && bytes_eq(buf_bytes(&out), buf_bytes(&expected)));
}
END_TEST

/* tf.train.Checkpoint(a=tf.Variable(1.0, name="va")).write, and a field that nobody knows, 15, in each message of the second node. */
START_TEST(what_is_not_changed_is_carried)
{
	static const char hex[] = "0a0b0a0508011201612a0208010a4112350a0e5641524941424c455f56414c55"
				  "45120276611a1c612f2e415454524942555445532f5641524941424c455f5641"
				  "4c55457a01782a0508017a01787a01787a0178";
	CLEANUP(buf_release) struct buf graph = {0}, there = {0}, back = {0};
	struct key_change to = {.from = LIT(KEY("a")), .to = LIT(KEY("bcd"))};
	struct key_change from = {.from = to.to, .to = to.from};
	bool changed = false;
	struct err e = {0};

	add_hex(&graph, hex);
	if (object_graph_edit(buf_bytes(&graph), &to, 1, &there, &changed, &e) < 0 ||
	    object_graph_edit(buf_bytes(&there), &from, 1, &back, &changed, &e) < 0)
		ck_abort_msg("%s", e.text);
	ck_assert(changed);
	ck_assert_uint_eq(there.n, graph.n + 2);
	ck_assert(bytes_eq(buf_bytes(&back), buf_bytes(&graph)));
}
END_TEST

START_TEST(a_graph_that_is_none_is_refused)
{
	CLEANUP(buf_release) struct buf out = {0};
	bool changed = true;

	ck_assert_int_eq(object_graph_edit(LIT("\x0a\x05x"), NULL, 0, &out, &changed, NULL),
			 -EUCLEAN);
	ck_assert(changed && out.n == 0);
}
END_TEST

/* --- shared ------------------------------------------------------------------------------------------------ */

#define NAMED(path, full)                                                                          \
	"attributes { name: 'VARIABLE_VALUE' full_name: '" full "' checkpoint_key: '" path         \
	"/.ATTRIBUTES/VARIABLE_VALUE' } "
#define NODE(text) "nodes { " text "} "

/* As Keras 3 has them: an optimizer with lists, and a model whose layer has the first variable. */
#define KERAS                                                                                      \
	NODE(CHILD(1, "model") CHILD(2, "opt"))                                                    \
	NODE(CHILD(3, "f") CHILD(2, "optimizer"))                                                  \
	NODE(CHILD(4, "_vars") CHILD(5, "_trained") CHILD(6, "_momentums"))                        \
	NODE(CHILD(7, "ops"))                                                                      \
	NODE(CHILD(9, "0"))                                                                        \
	NODE(CHILD(10, "0") CHILD(11, "1"))                                                        \
	NODE(CHILD(9, "0"))                                                                        \
	NODE(CHILD(8, "1"))                                                                        \
	NODE(CHILD(11, "bias") CHILD(10, "_kernel"))                                               \
	NODE(NAMED("opt/_vars/0", "adam/m"))                                                       \
	NODE(NAMED("opt/_trained/0", "net/kernel"))                                                \
	NODE(NAMED("opt/_trained/1", "net/bias"))

static const struct {
	const char *what, *graph;
	const char *removed[MAX_CHANGES];
	const char *moved;
	size_t n;
	const char *key, *full_name, *path;
} shared[] = {
	{"a layer's",
	 KERAS,
	 {KEY("opt/_trained/0")},
	 NULL,
	 1,
	 KEY("opt/_trained/0"),
	 "net/kernel",
	 "model/f/ops/1/_kernel"},
	{"two lists of one object", KERAS, {KEY("opt/_vars/0")}, NULL, 0, NULL, NULL, NULL},
	{"all of the optimizer",
	 KERAS,
	 {KEY("opt/_trained/0"), KEY("opt/_trained/1"), KEY("opt/_vars/0")},
	 NULL,
	 2,
	 KEY("opt/_trained/0"),
	 "net/kernel",
	 "model/f/ops/1/_kernel"},
	{"moved", KERAS, {0}, KEY("opt/_trained/0"), 0, NULL, NULL, NULL},
	{"an attribute, and a list of the same object",
	 NODE(CHILD(1, "opt")) NODE(CHILD(2, "_vars") CHILD(3, "lr")) NODE(CHILD(3, "0"))
		 NODE(VAR("opt/lr")),
	 {KEY("opt/lr")},
	 NULL,
	 0,
	 NULL,
	 NULL,
	 NULL},
	{"tied",
	 NODE(CHILD(1, "a") CHILD(2, "b")) NODE(CHILD(3, "w")) NODE(CHILD(3, "v")) NODE(VAR("a/w")),
	 {KEY("a/w")},
	 NULL,
	 1,
	 KEY("a/w"),
	 "",
	 "b/v"},
	{"the root's own",
	 NODE(CHILD(1, "w") CHILD(2, "m")) NODE(VAR("w")) NODE(CHILD(1, "w")),
	 {KEY("w")},
	 NULL,
	 1,
	 KEY("w"),
	 "",
	 "m/w"},
	{"a list of the root",
	 NODE(CHILD(1, "variables") CHILD(2, "layer")) NODE(CHILD(3, "0")) NODE(CHILD(3, "k"))
		 NODE(VAR("variables/0")),
	 {KEY("variables/0")},
	 NULL,
	 1,
	 KEY("variables/0"),
	 "",
	 "layer/k"},
	{"an object with two tensors, of which the second is removed",
	 NODE(CHILD(1, "a") CHILD(2, "b")) NODE(CHILD(3, "t")) NODE(CHILD(3, "t"))
		 NODE(ATT("a/t", "x") ATT("a/t", "y")),
	 {"a/t/.ATTRIBUTES/y"},
	 NULL,
	 1,
	 "a/t/.ATTRIBUTES/y",
	 "",
	 "b/t"},
	{"twice by the same object",
	 NODE(CHILD(1, "a")) NODE(CHILD(2, "w") CHILD(2, "v")) NODE(VAR("a/w")),
	 {KEY("a/w")},
	 NULL,
	 0,
	 NULL,
	 NULL,
	 NULL},
	{"an object that nobody can reach",
	 NODE(CHILD(1, "a")) NODE(VAR("a")) NODE(CHILD(1, "w")),
	 {KEY("a")},
	 NULL,
	 0,
	 NULL,
	 NULL,
	 NULL},
	{"circles, and edges that lead nowhere",
	 NODE(CHILD(0, "up") CHILD(1, "a") CHILD(77, "no") CHILD(-1, "no"))
		 NODE(CHILD(1, "self") CHILD(0, "up") CHILD(2, "w"))
			 NODE(CHILD(2, "self") CHILD(1, "up") VAR("a/w")),
	 {KEY("a/w")},
	 NULL,
	 0,
	 NULL,
	 NULL,
	 NULL},
	{"no nodes", "", {KEY("a")}, NULL, 0, NULL, NULL, NULL},
	{"the root itself",
	 NODE(CHILD(1, "a") VAR("")) NODE(CHILD(0, "up")),
	 {KEY("")},
	 NULL,
	 0,
	 NULL,
	 NULL,
	 NULL},
};

START_TEST(removed_variables_that_others_have_are_found)
{
	CLEANUP(buf_release) struct buf graph = {0};
	CLEANUP(object_shared_release) struct object_shared s = {0};
	struct key_change changes[MAX_CHANGES + 1];
	struct err e = {0};
	size_t n = 0;

	pack(shared[_i].graph, &graph);
	for (; n < MAX_CHANGES && shared[_i].removed[n]; n++)
		changes[n] = (struct key_change){.from = bytes_str(shared[_i].removed[n])};
	if (shared[_i].moved)
		changes[n++] = (struct key_change){.from = bytes_str(shared[_i].moved),
						   .to = LIT(KEY("z"))};
	if (object_shared_find(buf_bytes(&graph), changes, n, &s, &e) < 0)
		ck_abort_msg("%s: %s", shared[_i].what, e.text);
	ck_assert_msg(s.n == shared[_i].n, "%s: %zu", shared[_i].what, s.n);
	if (!s.n)
		return;
	ck_assert_str_eq((char *)s.key.p, shared[_i].key);
	ck_assert_str_eq((char *)s.full_name.p, shared[_i].full_name);
	ck_assert_str_eq((char *)s.path.p, shared[_i].path);
}
END_TEST

START_TEST(of_a_graph_that_is_none_nothing_is_found)
{
	CLEANUP(object_shared_release) struct object_shared s = {0};

	ck_assert_int_eq(object_shared_find(LIT("\x0a\x05x"), NULL, 0, &s, NULL), -EUCLEAN);
	ck_assert(s.n == 0);
}
END_TEST

TCase *object_graph_tests(void)
{
	TCase *t = tcase_create("object_graph");

	tcase_add_loop_test(t, keys_change_and_what_has_none_is_taken_out, 0, COUNT(edits));
	tcase_add_test(t, a_full_name_moves_with_its_key);
	tcase_add_test(t, what_is_not_changed_is_carried);
	tcase_add_test(t, a_graph_that_is_none_is_refused);
	tcase_add_loop_test(t, removed_variables_that_others_have_are_found, 0, COUNT(shared));
	tcase_add_test(t, of_a_graph_that_is_none_nothing_is_found);
	return t;
}

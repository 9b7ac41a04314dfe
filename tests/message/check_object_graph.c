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

		changes[n] = (struct key_change){bytes_str(edits[_i].changes[n].from),
						 to ? bytes_str(to) : bytes_of(NULL, 0)};
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

/* tf.train.Checkpoint(a=tf.Variable(1.0, name="va")).write, and a field that nobody knows, 15, in each message of the second node. */
START_TEST(what_is_not_changed_is_carried)
{
	static const char hex[] = "0a0b0a0508011201612a0208010a4112350a0e5641524941424c455f56414c55"
				  "45120276611a1c612f2e415454524942555445532f5641524941424c455f5641"
				  "4c55457a01782a0508017a01787a01787a0178";
	CLEANUP(buf_release) struct buf graph = {0}, there = {0}, back = {0};
	struct key_change to = {LIT(KEY("a")), LIT(KEY("bcd"))}, from = {to.to, to.from};
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

TCase *object_graph_tests(void)
{
	TCase *t = tcase_create("object_graph");

	tcase_add_loop_test(t, keys_change_and_what_has_none_is_taken_out, 0, COUNT(edits));
	tcase_add_test(t, what_is_not_changed_is_carried);
	tcase_add_test(t, a_graph_that_is_none_is_refused);
	return t;
}

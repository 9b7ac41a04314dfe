/* Tests of src/step/full_names.[ch]: "rule" is a rule in its head. */
#include "base/cleanup.h"
#include "step/check_step.h"
#include "step/full_names.h"

#define KEY(path) path "/.ATTRIBUTES/VARIABLE_VALUE"
#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))

struct variable {
	const char *key, *name;
};

static void add_field(struct buf *out, unsigned number, struct bytes b)
{
	ck_assert_uint_lt(b.n, 128);
	ck_assert_int_eq(buf_add_byte(out, (uint8_t)(number << 3 | 2)), 0);
	ck_assert_int_eq(buf_add_byte(out, (uint8_t)b.n), 0);
	ck_assert_int_eq(buf_add(out, b.p, b.n), 0);
}

/* An object graph with a node for each variable, up to one without a key. */
static void make_graph(const struct variable *v, struct buf *out)
{
	for (; v->key; v++) {
		CLEANUP(buf_release) struct buf attribute = {0}, node = {0};

		add_field(&attribute, 2, bytes_str(v->name));
		add_field(&attribute, 3, bytes_str(v->key));
		add_field(&node, 2, buf_bytes(&attribute));
		add_field(out, 1, buf_bytes(&node));
	}
}

/* What the variable is called whose key is KEY("k"), among others, and a key that only the step has. */
static const struct {
	const char *what;
	struct variable variables[4];
	const char *stem; /* NULL: it is called by its key */
} cases[] = {
	{"its own name", {{KEY("k"), "net/w"}, {KEY("l"), "net/v"}}, "net/w"},
	{"as its key", {{KEY("k"), "k"}}, NULL},
	{"no name", {{KEY("k"), ""}}, NULL},
	{"rule 1: nothing between two slashes", {{KEY("k"), "a//b"}}, NULL},
	{"rule 1: a slash at the start", {{KEY("k"), "/a"}}, NULL},
	{"rule 1: a slash at the end", {{KEY("k"), "a/"}}, NULL},
	{"rule 1: dots", {{KEY("k"), "a/../b"}}, NULL},
	{"rule 1: a dot in front", {{KEY("k"), ".ckptfs/b"}}, NULL},
	{"rule 1: a dot in front of the last one", {{KEY("k"), "a/.b"}}, NULL},
	{"rule 1: a control character", {{KEY("k"), "a\nb"}}, NULL},
	{"rule 1: a percent sign", {{KEY("k"), "a%41"}}, NULL},
	{"rule 1: a folder as a file", {{KEY("k"), "a.npy/b"}}, NULL},
	{"rule 1: a dot inside", {{KEY("k"), "a.b/c.npy"}}, "a.b/c.npy"},
	{"rule 2", {{KEY("k"), "a"}, {KEY("l"), "a"}}, NULL},
	{"rule 2: twice the same variable", {{KEY("k"), "a"}, {KEY("k"), "b"}}, "a"},
	{"a file and a folder", {{KEY("k"), "a"}, {KEY("l"), "a/b"}}, "a"},
	{"rule 3", {{KEY("k"), "l"}, {KEY("l"), "a"}}, NULL},
	{"rule 3: they change places", {{KEY("k"), "l"}, {KEY("l"), "k"}}, NULL},
	{"rule 3: a key of the step", {{KEY("k"), "other"}}, NULL},
	{"rule 3: the graph", {{KEY("k"), OBJECT_GRAPH_KEY}}, NULL},
};

START_TEST(each_has_one_name)
{
	const struct bytes keys[] = {bytes_str(KEY("k")), bytes_str(KEY("other"))};
	CLEANUP(buf_release) struct buf graph = {0}, key = {0};
	struct full_names *f = NULL;
	struct bytes stem;

	make_graph(cases[_i].variables, &graph);
	ck_assert_int_eq(full_names_read(buf_bytes(&graph), keys, COUNT(keys), &f, NULL), 0);
	stem = full_names_stem(f, keys[0]);
	ck_assert_msg(
		bytes_eq(stem, cases[_i].stem ? bytes_str(cases[_i].stem) : bytes_of(NULL, 0)),
		"%s: %.*s", cases[_i].what, (int)stem.n, (const char *)stem.p);
	ck_assert_int_eq(full_names_key(f, NAME_OBJECT, stem.n ? stem : bytes_str("k"), &key, NULL),
			 0);
	ck_assert_msg(bytes_eq(buf_bytes(&key), keys[0]), "%s", cases[_i].what);
	full_names_free(f);
}
END_TEST

START_TEST(a_stem_has_one_key)
{
	static const struct variable variables[] = {{KEY("k"), "net/w"}, {0}};
	CLEANUP(buf_release) struct buf graph = {0}, key = {0};
	struct full_names *f = NULL;
	struct err e;

	make_graph(variables, &graph);
	ck_assert_int_eq(full_names_read(buf_bytes(&graph), NULL, 0, &f, NULL), 0);
	ck_assert_int_eq(full_names_key(f, NAME_OBJECT, bytes_str("k"), &key, &e), -EINVAL);
	ck_assert_str_eq(e.text, "k.npy: this variable is called net/w.npy here");
	ck_assert_int_eq(full_names_key(f, NAME_OBJECT, bytes_str("a//b"), &key, &e), -EINVAL);
	ck_assert_str_eq(e.text, "a//b.npy: no variable has such a path, see NAMES in ckptfs(5)");
	ck_assert_uint_eq(key.n, 0);
	ck_assert_int_eq(full_names_key(f, NAME_OBJECT, bytes_str("new"), &key, &e), 0);
	ck_assert(bytes_eq(buf_bytes(&key), bytes_str(KEY("new"))));
	full_names_free(f);
}
END_TEST

START_TEST(what_is_no_graph_has_none)
{
	struct full_names *f = NULL;

	ck_assert_int_eq(full_names_read(bytes_str("no graph"), NULL, 0, &f, NULL), -EUCLEAN);
	ck_assert_ptr_null(f);
}
END_TEST

TCase *full_names_tests(void)
{
	TCase *t = tcase_create("full_names");

	tcase_add_loop_test(t, each_has_one_name, 0, COUNT(cases));
	tcase_add_test(t, a_stem_has_one_key);
	tcase_add_test(t, what_is_no_graph_has_none);
	return t;
}

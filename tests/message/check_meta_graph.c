#include "base/cleanup.h"
#include "lib/files.h"
#include "lib/hex.h"
#include "lib/lit.h"
#include "message/check_message.h"
#include "message/graph_vars.h"

static const char *const files[] = {
	"linear/my-model-2000.meta", "net/my_net.ckpt.meta",         "partitioned/model-3.meta",
	"sharded/model-7.meta",      "rotation/model-00000500.meta", "v1/model.ckpt-10.meta",
};

START_TEST(what_tensorflow_wrote_is_the_same_after_it_was_text)
{
	CLEANUP(meta_graph_release) struct meta_graph m = {0};
	CLEANUP(buf_release) struct buf file = {0}, text = {0}, back = {0};
	struct err e = {0};

	read_whole(&file, ASSETS "/fixtures/%s", files[_i]);
	if (meta_graph_parse(buf_bytes(&file), &m, &e) < 0 || meta_graph_print(&m, &text, &e) < 0 ||
	    meta_graph_from_text(buf_bytes(&text), &back, &e) < 0)
		ck_abort_msg("%s", e.text);
	ck_assert(bytes_eq(buf_bytes(&back), buf_bytes(&file)));
}
END_TEST

/* Expected is what protobuf for Python gives with SerializeToString(deterministic=True). */
START_TEST(maps_are_sorted_at_every_depth_and_the_last_of_a_key_counts)
{
	static const char text[] =
		"graph_def { node { name: 'n' attr { key: 'b' value { i: 1 } }\n"
		"  attr { key: 'B' value { i: 2 } } attr { key: 'b' value { i: 3 } } }\n"
		"  library { function { resource_arg_unique_id { value: 7 }\n"
		"    resource_arg_unique_id { key: 1 } resource_arg_unique_id { key: 300 } } } }\n"
		"collection_def { key: 'z' value {} } collection_def { key: '' value {} }\n"
		"collection_def { key: 'a' value {} }\n"
		"collection_def { key: 'ab' value { int64_list { value: [5, 6] } } }\n";
	static const char want[] =
		"122e0a150a016e2a070a0142120218022a070a01621202180312150a13420508ac02"
		"1000420408011000420408001007220c0a02616212061a040a02050622050a016112"
		"0022050a017a120022040a001200";
	CLEANUP(buf_release) struct buf hex = {0}, out = {0};
	struct err e = {0};

	add_hex(&hex, want);
	ck_assert_int_eq(buf_add_str(&out, "-"), 0);
	if (meta_graph_from_text(LIT(text), &out, &e) < 0)
		ck_abort_msg("%s", e.text);
	ck_assert(bytes_eq(bytes_of(out.p + 1, out.n - 1), buf_bytes(&hex)));
}
END_TEST

/* A node of an op that is a function of the graph is left alone, and so is what the list does not know. */
START_TEST(attributes_that_are_the_default_are_stripped)
{
	static const char graph[] =
		"meta_info_def { stripped_op_list {"
		" op { name: 'A' attr { name: 'i' default_value { i: 1 } } attr { name: 'n' } }"
		" op { name: 'F' attr { name: 'i' default_value { i: 1 } } } } %s }\n"
		"graph_def { node { name: 'a' op: 'A' attr { key: 'n' value { i: 1 } } %s }\n"
		" node { name: 'f' op: 'F' attr { key: 'i' value { i: 1 } } }\n"
		" node { name: 'b' op: 'B' attr { key: 'i' value { i: 1 } } }\n"
		" library { function { signature { name: 'F' } node_def { op: 'A' %s }\n"
		"  node_def { op: 'A' attr { key: 'i' value { i: 2 } } } } } }\n";
	static const char same[] = "attr { key: 'i' value { i: 1 } }";
	CLEANUP(buf_release) struct buf text = {0}, full = {0}, out = {0}, want = {0};
	struct err e = {0};

	ck_assert_int_eq(buf_printf(&text, graph, "", same, same), 0);
	ck_assert_int_eq(meta_graph_from_text(buf_bytes(&text), &full, &e), 0);
	ck_assert_int_eq(meta_graph_strip_defaults(buf_bytes(&full), &out, &e), 0);
	text.n = 0;
	ck_assert_int_eq(buf_printf(&text, graph, "stripped_default_attrs: true", "", ""), 0);
	ck_assert_int_eq(meta_graph_from_text(buf_bytes(&text), &want, &e), 0);
	ck_assert(bytes_eq(buf_bytes(&out), buf_bytes(&want)));
}
END_TEST

START_TEST(without_a_list_of_defaults_a_graph_stays_as_it_is)
{
	static const char text[] =
		"meta_info_def { tags: 'x' }\n"
		"graph_def { node { op: 'A' attr { key: 'i' value { i: 1 } } } }\n";
	CLEANUP(buf_release) struct buf graph = {0}, out = {0};
	struct err e = {0};

	ck_assert_int_eq(meta_graph_from_text(LIT(text), &graph, &e), 0);
	ck_assert_int_eq(meta_graph_strip_defaults(buf_bytes(&graph), &out, &e), 0);
	ck_assert(bytes_eq(buf_bytes(&graph), buf_bytes(&out)));
	ck_assert_int_eq(meta_graph_strip_defaults(LIT("no graph"), &out, &e), -EUCLEAN);
}
END_TEST

START_TEST(bad_text_is_refused_with_its_place_and_nothing_is_added)
{
	CLEANUP(buf_release) struct buf out = {0};
	struct err e = {0};

	ck_assert_int_eq(meta_graph_from_text(LIT("saver_def {\n  nonesuch: 1\n}\n"), &out, &e),
			 -EINVAL);
	ck_assert_msg(strstr(e.text, "line 2, column 3") != NULL, "%s", e.text);
	ck_assert_uint_eq(out.n, 0);
}
END_TEST

static void parse_text(const char *text, struct graph_vars *nodes, struct graph_vars *parts)
{
	CLEANUP(meta_graph_release) struct meta_graph m = {0};
	struct err e = {0};

	if (meta_graph_parse(bytes_str(text), &m, &e) < 0)
		ck_abort_msg("%s", e.text);
	ck_assert_int_eq(graph_vars_of(&m, nodes, parts), 0);
}

START_TEST(variables_of_the_graph_have_dtypes_and_shapes)
{
	static const char text[] =
		"graph_def {\n"
		"  node { name: 'w' op: 'VariableV2' attr { key: 'dtype' value { type: DT_FLOAT } }\n"
		"    attr { key: 'shape' value { shape { dim { size: 2 } dim { size: -1 } } } } }\n"
		"  node { name: 'r' op: 'VarHandleOp' attr { key: 'dtype' value { type: DT_INT64 } }\n"
		"    attr { key: 'shape' value { shape { unknown_rank: true } } } }\n"
		"  node { name: 'none' op: 'VarHandleOp' attr { key: 'dtype' value { i: 3 } } }\n"
		"  node { name: 'c' op: 'Const' attr { key: 'dtype' value { type: DT_FLOAT } } }\n"
		"}\n";
	CLEANUP(graph_vars_release) struct graph_vars nodes = {0}, parts = {0};
	const struct graph_var *v;

	parse_text(text, &nodes, &parts);
	ck_assert_uint_eq(nodes.n, 2);
	ck_assert_uint_eq(parts.n, 0);
	v = graph_vars_find(&nodes, LIT("w"));
	ck_assert_ptr_nonnull(v);
	ck_assert_int_eq(v->dtype, 1);
	ck_assert_uint_eq(v->rank, 2);
	ck_assert_int_eq(graph_var_dims(&nodes, v)[0], 2);
	ck_assert_int_eq(graph_var_dims(&nodes, v)[1], -1);
	v = graph_vars_find(&nodes, LIT("r"));
	ck_assert(v && v->any_shape && v->dtype == 9);
	ck_assert_ptr_null(graph_vars_find(&nodes, LIT("c")));
	ck_assert_ptr_null(graph_vars_find(&nodes, LIT("none")));
}
END_TEST

START_TEST(a_partitioned_variable_has_its_full_shape)
{
	CLEANUP(graph_vars_release) struct graph_vars nodes = {0}, parts = {0};
	CLEANUP(meta_graph_release) struct meta_graph m = {0};
	CLEANUP(buf_release) struct buf file = {0};
	struct err e = {0};

	read_whole(&file, ASSETS "/fixtures/partitioned/model-3.meta");
	ck_assert_int_eq(meta_graph_parse(buf_bytes(&file), &m, &e), 0);
	ck_assert_int_eq(graph_vars_of(&m, &nodes, &parts), 0);
	ck_assert_uint_gt(parts.n, 0);
	for (size_t i = 0; i < parts.n; i++) {
		ck_assert_int_ne(parts.items[i].dtype, 0);
		ck_assert_uint_gt(parts.items[i].rank, 0);
		ck_assert_int_gt(graph_var_dims(&parts, &parts.items[i])[0], 0);
	}
}
END_TEST

TCase *meta_graph_tests(void)
{
	TCase *t = tcase_create("meta_graph");

	tcase_add_loop_test(t, what_tensorflow_wrote_is_the_same_after_it_was_text, 0,
			    COUNT(files));
	tcase_add_test(t, maps_are_sorted_at_every_depth_and_the_last_of_a_key_counts);
	tcase_add_test(t, attributes_that_are_the_default_are_stripped);
	tcase_add_test(t, without_a_list_of_defaults_a_graph_stays_as_it_is);
	tcase_add_test(t, bad_text_is_refused_with_its_place_and_nothing_is_added);
	tcase_add_test(t, variables_of_the_graph_have_dtypes_and_shapes);
	tcase_add_test(t, a_partitioned_variable_has_its_full_shape);
	return t;
}

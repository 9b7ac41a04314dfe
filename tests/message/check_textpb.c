#include "base/cleanup.h"
#include "bundle.pb-c.h"
#include "debug_info.pb-c.h"
#include "graph.pb-c.h"
#include "message/check_message.h"
#include "message/pb.h"
#include "message/repr.h"
#include "message/textpb.h"
#include "meta_graph.pb-c.h"
#include "state.pb-c.h"
#include "tensor.pb-c.h"
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Expected texts are those of protobuf for Python; tests/tf/textpb.py compares many more with it. */

#define BYTES(literal) bytes_of(literal, sizeof(literal) - 1)

static void assert_text(const struct buf *have, const char *want)
{
	if (!bytes_eq(buf_bytes(have), bytes_str(want)))
		ck_abort_msg("have:\n%.*swant:\n%s", (int)have->n, (const char *)have->p, want);
}

static void assert_prints(const ProtobufCMessageDescriptor *type, struct bytes wire,
			  const char *want)
{
	CLEANUP(pb_freep) ProtobufCMessage *m = NULL;
	CLEANUP(buf_release) struct buf out = {0};
	struct err e;

	if (pb_unpack(type, wire, &m, &e) < 0 || textpb_print(m, &out, &e) < 0)
		ck_abort_msg("%s", e.text);
	assert_text(&out, want);
}

static void assert_reads_as(const ProtobufCMessageDescriptor *type, const char *text,
			    const char *want)
{
	CLEANUP(pb_freep) ProtobufCMessage *m = NULL;
	CLEANUP(buf_release) struct buf out = {0};
	struct err e;

	if (textpb_parse(type, bytes_str(text), NULL, &m, &e) < 0 || textpb_print(m, &out, &e) < 0)
		ck_abort_msg("%s", e.text);
	assert_text(&out, want);
}

/* --- printing --------------------------------------------------------------------------------------- */

START_TEST(zeros_are_shown_only_where_presence_counts)
{
	assert_prints(&tensorflow__version_def__descriptor, BYTES("\x08\x00"), "");
	assert_prints(&tensorflow__attr_value__descriptor, BYTES("\x18\x00"), "i: 0\n");
	assert_prints(&tensorflow__attr_value__descriptor, BYTES("\x12\x00"), "s: \"\"\n");
	assert_prints(&tensorflow__attr_value__descriptor, BYTES("\x0a\x00"), "list {\n}\n");
	assert_prints(&tensorflow__graph_debug_info__file_line_col__descriptor,
		      BYTES("\x10\x00\x22\x00"), "line: 0\nfunc: \"\"\n");
}
END_TEST

START_TEST(the_last_of_a_oneof_counts)
{
	assert_prints(&tensorflow__attr_value__descriptor,
		      BYTES("\x12\x01x\x0a\x02\x18\x05\x18\x07"), "i: 7\n");
	assert_prints(&tensorflow__attr_value__descriptor,
		      BYTES("\x18\x07\x0a\x02\x18\x05\x0a\x02\x18\x06"),
		      "list {\n  i: 5\n  i: 6\n}\n");
}
END_TEST

START_TEST(a_map_is_sorted_and_its_last_entry_of_a_key_counts)
{
	assert_prints(&tensorflow__node_def__descriptor,
		      BYTES("\x2a\x07\x0a\x01"
			    "b\x12\x02\x18\x01"
			    "\x2a\x07\x0a\x01"
			    "B\x12\x02\x18\x02"
			    "\x2a\x07\x0a\x01"
			    "b\x12\x02\x18\x03"
			    "\x2a\x00"),
		      "attr {\n  value {\n  }\n}\n"
		      "attr {\n  key: \"B\"\n  value {\n    i: 2\n  }\n}\n"
		      "attr {\n  key: \"b\"\n  value {\n    i: 3\n  }\n}\n");
	assert_prints(&tensorflow__function_def__descriptor,
		      BYTES("\x42\x04\x08\x0a\x10\x01\x42\x04\x08\x09\x10\x02"),
		      "resource_arg_unique_id {\n  key: 9\n  value: 2\n}\n"
		      "resource_arg_unique_id {\n  key: 10\n  value: 1\n}\n");
}
END_TEST

START_TEST(strings_keep_utf8_and_bytes_do_not)
{
	assert_prints(&tensorflow__node_def__descriptor, BYTES("\x0a\x08\xc3\xa9\n\"'\\\x01\x7f"),
		      "name: \"\xc3\xa9\\n\\\"\\'\\\\\\001\\177\"\n");
	assert_prints(&tensorflow__node_def__descriptor,
		      BYTES("\x0a\x03"
			    "a\xff\xc3"),
		      "name: \"a\\377\\303\"\n");
	assert_prints(&tensorflow__attr_value__descriptor, BYTES("\x12\x03\xc3\xa9\x00"),
		      "s: \"\\303\\251\\000\"\n");
}
END_TEST

START_TEST(an_any_is_opened_up_if_it_can_be)
{
	const ProtobufCMessageDescriptor *any = pb_type(bytes_str("google.protobuf.Any"));

	assert_prints(any,
		      BYTES("\x0a\x16"
			    "a.b/tensorflow.NodeDef\x12\x03\x0a\x01n"),
		      "[a.b/tensorflow.NodeDef] {\n  name: \"n\"\n}\n");
	assert_prints(any,
		      BYTES("\x0a\x16"
			    "a.b/tensorflow.NodeDef\x12\x03\x0a\x09n"),
		      "type_url: \"a.b/tensorflow.NodeDef\"\nvalue: \"\\n\\tn\"\n");
	assert_prints(any,
		      BYTES("\x0a\x05"
			    "a/b.C\x12\x01x"),
		      "type_url: \"a/b.C\"\nvalue: \"x\"\n");
}
END_TEST

START_TEST(unknown_fields_are_shown_by_number_and_kept)
{
	static const char wire[] =
		"\x08\x01\x38\x05\x42\x01\xff\x4d\x0a\x00\x00\x00\x5a\x02\x08\x01\x7b\x08\x01\x7c"
		"\x0a\x01x";
	CLEANUP(pb_freep) ProtobufCMessage *m = NULL;
	CLEANUP(buf_release) struct buf out = {0};
	const struct bytes b = BYTES(wire);

	assert_prints(
		&tensorflow__version_def__descriptor, b,
		"producer: 1\n7: 5\n8: \"\\377\"\n9: 10\n11 {\n  1: 1\n}\n15 {\n  1: 1\n}\n1: \"x\"\n");
	ck_assert_int_eq(pb_unpack(&tensorflow__version_def__descriptor, b, &m, NULL), 0);
	ck_assert_int_eq(pb_pack(m, &out, NULL), 0);
	ck_assert(bytes_eq(buf_bytes(&out), b));
}
END_TEST

START_TEST(printing_stops_at_the_maximum)
{
	CLEANUP(pb_freep) ProtobufCMessage *m = NULL;
	CLEANUP(buf_release) struct buf out = {.max = 5};

	ck_assert_int_eq(pb_unpack(&tensorflow__node_def__descriptor,
				   BYTES("\x0a\x03"
					 "abc"),
				   &m, NULL),
			 0);
	ck_assert_int_eq(buf_add_str(&out, "x"), 0);
	ck_assert_int_eq(textpb_print(m, &out, NULL), -E2BIG);
	ck_assert_uint_eq(out.n, 1);
}
END_TEST

static const struct {
	double v;
	const char *as_double, *as_float;
} reprs[] = {
	{0.0, "0.0", "0.0"},
	{-0.0, "-0.0", "-0.0"},
	{1, "1.0", "1.0"},
	{10000, "10000.0", "10000.0"},
	{1.0 / 3, "0.3333333333333333", "0.33333334"},
	{123456789, "123456789.0", "123456790.0"},
	{1e15, "1000000000000000.0", "1000000000000000.0"},
	{1e16, "1e+16", "1e+16"},
	{1e-4, "0.0001", "0.0001"},
	{1e-5, "1e-05", "1e-05"},
	{1.5e-7, "1.5e-07", "1.5e-07"},
	{1e-45, "1e-45", "1.4013e-45"},
	{5e-324, "5e-324", "0.0"},
	{0x1p-1017, "7.120236347223045e-307", "0.0"}, /* its %.16g does not read back */
	{1.7976931348623157e308, "1.7976931348623157e+308", "inf"},
	{INFINITY, "inf", "inf"},
	{-INFINITY, "-inf", "-inf"},
	{-NAN, "nan", "nan"},
};

START_TEST(floats_are_printed_as_python_prints_them)
{
	char text[REPR_MAX];

	repr_double(reprs[_i].v, text);
	ck_assert_str_eq(text, reprs[_i].as_double);
	repr_float((float)reprs[_i].v, text);
	ck_assert_str_eq(text, reprs[_i].as_float);
}
END_TEST

/* --- parsing ---------------------------------------------------------------------------------------- */

START_TEST(what_people_write_is_read)
{
	assert_reads_as(
		&tensorflow__checkpoint_state__descriptor,
		"# a comment\nmodel_checkpoint_path: 'a' \"b\" # another\n  'c';\n"
		"all_model_checkpoint_paths: [\"x\", '\\x41\\102\\u00e9'], "
		"all_model_checkpoint_timestamps: [1, .5, -inf, NaN, 1.5f]",
		"model_checkpoint_path: \"abc\"\nall_model_checkpoint_paths: \"x\"\n"
		"all_model_checkpoint_paths: \"AB\xc3\xa9\"\nall_model_checkpoint_timestamps: 1.0\n"
		"all_model_checkpoint_timestamps: 0.5\nall_model_checkpoint_timestamps: -inf\n"
		"all_model_checkpoint_timestamps: nan\nall_model_checkpoint_timestamps: 1.5\n");
	assert_reads_as(
		&tensorflow__attr_value__descriptor,
		"i: 1 list < i: 0x10 > list: { i: [010, -3] type: [DT_FLOAT, 2, 999] }",
		"list {\n  i: 16\n  i: 8\n  i: -3\n  type: DT_FLOAT\n  type: DT_DOUBLE\n  type: 999\n}\n");
	assert_reads_as(pb_type(bytes_str("google.protobuf.Any")),
			"[a.b/ tensorflow.NodeDef]: < name: 'n' >",
			"[a.b/tensorflow.NodeDef] {\n  name: \"n\"\n}\n");
	assert_reads_as(&tensorflow__checkpoint_state__descriptor,
			"model_checkpoint_path: 'a' model_checkpoint_path: 'b'",
			"model_checkpoint_path: \"b\"\n");
}
END_TEST

static const struct {
	const char *text, *words;
} refused[] = {
	{"producer 1", "line 1, column 10: found 1, expected ':'"},
	{"producer: 1\n nonesuch: 2",
	 "line 2, column 2: found nonesuch, expected a field of tensorflow.VersionDef"},
	{"1: 1", "expected a field"},
	{"producer: 2147483648", "found 2147483648, expected a whole number of 32 bits"},
	{"producer: 1.0", "expected a whole number"},
	{"producer: 08", "expected a whole number"},
	{"producer: [1]", "found [, expected a whole number"},
	{"producer:", "the text ends, expected a whole number"},
	{"bad_consumers: [1 2]", "found 2, expected ',' or ']'"},
	{"bad_consumers: [1, ]", "found ], expected a whole number"},
	{"producer: 1 }", "found }, expected a field"},
	{"producer: 'x", "column 11: a string without its closing quote"},
	{"[a/tensorflow.NodeDef] {}", "found [, expected a field"},
	{"\n\xff", "line 2, column 1: a byte that is not UTF-8"},
};

START_TEST(bad_text_is_refused_with_its_place)
{
	ProtobufCMessage *m = NULL;
	struct err e;

	ck_assert_int_eq(textpb_parse(&tensorflow__version_def__descriptor,
				      bytes_str(refused[_i].text), NULL, &m, &e),
			 -EINVAL);
	ck_assert_ptr_null(m);
	if (!strstr(e.text, refused[_i].words))
		ck_abort_msg("have: %s\nwant: %s", e.text, refused[_i].words);
}
END_TEST

static const struct {
	const char *text, *words;
} refused_nodes[] = {
	{"name: '\\377'", "not UTF-8"},
	{"name: '\\000'", "a NUL"},
	{"name: '\\400'", "past \\377"},
	{"name: '\\ud800'", "four hexadecimal digits"},
	{"name: '\\U00110000'", "eight hexadecimal digits"},
	{"name: '\\x'", "\\x without"},
	{"name: '\\q'", "unknown escape"},
	{"attr { key: 'a'", "the text ends, expected '}'"},
	{"attr { key: 'a' >", "found >, expected '}'"},
	{"attr { value { type: DT_NONESUCH } }", "expected a tensorflow.DataType"},
	{"attr { value { b: 2 } }", "expected true or false"},
	{"attr { value { f: 0x10 } }", "expected a number"},
};

START_TEST(bad_values_are_refused)
{
	ProtobufCMessage *m = NULL;
	struct err e;

	ck_assert_int_eq(textpb_parse(&tensorflow__node_def__descriptor,
				      bytes_str(refused_nodes[_i].text), NULL, &m, &e),
			 -EINVAL);
	if (!strstr(e.text, refused_nodes[_i].words))
		ck_abort_msg("have: %s\nwant: %s", e.text, refused_nodes[_i].words);
}
END_TEST

static const char *const not_utf8[] = {
	"\x80",
	"\xc3",
	"\xc0\x80",
	"\xe0\x9f\xbf",
	"\xe2\x82",
	"\xed\xa0\x80",
	"\xf0\x8f\xbf\xbf",
	"\xf4\x90\x80\x80",
	"\xf8\x88\x80\x80\x80",
	"\xff",
};

START_TEST(text_is_utf8_or_refused)
{
	static const char good[] =
		"name: \"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"\n";
	ProtobufCMessage *m = NULL;
	char text[32];

	assert_reads_as(&tensorflow__node_def__descriptor, good, good);
	for (size_t i = 0; i < sizeof not_utf8 / sizeof *not_utf8; i++) {
		snprintf(text, sizeof text, "name: '%s'", not_utf8[i]);
		ck_assert_int_eq(textpb_parse(&tensorflow__node_def__descriptor, bytes_str(text),
					      NULL, &m, NULL),
				 -EINVAL);
	}
}
END_TEST

/* --- binary that nobody has checked ----------------------------------------------------------------- */

static const struct {
	struct bytes wire;
	const char *words;
} damaged[] = {
	{{(const uint8_t *)"\x0a\x05"
			   "ab",
	  4},
	 "no field at byte 0 of its 4"},
	{{(const uint8_t *)"\x0a\x01"
			   "a\x00\x01",
	  5},
	 "no field at byte 3 of its 5"},
	{{(const uint8_t *)"\x0a\x01"
			   "a\x0c",
	  4},
	 "no field at byte 3"},
	{{(const uint8_t *)"\x7b\x08\x01", 3}, "no field at byte 0"},
	{{(const uint8_t *)"\x0a\x03"
			   "a\x00"
			   "b",
	  5},
	 "tensorflow.NodeDef.name: a string with a NUL"},
	{{(const uint8_t *)"\x2a\x02\x0a\x09", 4},
	 "tensorflow.NodeDef.AttrEntry: no field at byte 0"},
};

START_TEST(damaged_binary_is_refused)
{
	ProtobufCMessage *m = NULL;
	struct err e;

	ck_assert_int_eq(pb_unpack(&tensorflow__node_def__descriptor, damaged[_i].wire, &m, &e),
			 -EUCLEAN);
	ck_assert_ptr_null(m);
	if (!strstr(e.text, damaged[_i].words))
		ck_abort_msg("have: %s\nwant: %s", e.text, damaged[_i].words);
}
END_TEST

/* A FullTypeDef in a FullTypeDef, DEPTH times; protobuf takes 100. */
static void nest(int depth, struct buf *text, struct buf *wire)
{
	CLEANUP(pb_freep) ProtobufCMessage *m = NULL;
	struct pb_room room = {.left = 1 << 20};
	ProtobufCMessage *inner;

	m = inner = pb_new(&tensorflow__full_type_def__descriptor, &room);
	for (int i = 0; i < depth; i++) {
		const ProtobufCFieldDescriptor *args = &inner->descriptor->fields[1];

		inner = pb_submessage(pb_slot(inner, args, &room), args, &room);
		ck_assert_int_eq(buf_add_str(text, "args {"), 0);
	}
	for (int i = 0; i < depth; i++)
		ck_assert_int_eq(buf_add_byte(text, '}'), 0);
	ck_assert_int_eq(pb_pack(m, wire, NULL), 0);
}

START_TEST(nesting_is_limited)
{
	for (int depth = PB_DEPTH; depth <= PB_DEPTH + 1; depth++) {
		CLEANUP(pb_freep) ProtobufCMessage *m = NULL;
		CLEANUP(pb_freep) ProtobufCMessage *from_text = NULL;
		CLEANUP(buf_release) struct buf text = {0};
		CLEANUP(buf_release) struct buf wire = {0};
		bool good = depth == PB_DEPTH;

		nest(depth, &text, &wire);
		ck_assert_int_eq(pb_unpack(&tensorflow__full_type_def__descriptor, buf_bytes(&wire),
					   &m, NULL),
				 good ? 0 : -EUCLEAN);
		ck_assert_int_eq(textpb_parse(&tensorflow__full_type_def__descriptor,
					      buf_bytes(&text), NULL, &from_text, NULL),
				 good ? 0 : -EINVAL);
	}
}
END_TEST

START_TEST(memory_is_in_proportion_to_the_input)
{
	CLEANUP(buf_release) struct buf wire = {0};
	ProtobufCMessage *m = NULL;
	struct err e;

	for (int i = 0; i < 100000; i++)
		ck_assert_int_eq(buf_add(&wire, "\x0a\x00", 2),
				 0); /* an OpDef of 200 bytes out of two */
	ck_assert_int_eq(
		pb_unpack(pb_type(bytes_str("tensorflow.OpList")), buf_bytes(&wire), &m, &e),
		-E2BIG);
	ck_assert_ptr_null(m);
}
END_TEST

/* libprotobuf-c's own unpack takes time in the square of this. */
START_TEST(a_message_that_comes_in_pieces_is_merged_in_linear_time)
{
	enum { PIECES = 300000 };
	CLEANUP(buf_release) struct buf wire = {0};
	CLEANUP(pb_freep) ProtobufCMessage *m = NULL;

	for (int i = 0; i < PIECES; i++)
		ck_assert_int_eq(buf_add(&wire,
					 "\x12\x07\x0a\x05\x0a\x03"
					 "abc",
					 9),
				 0);
	ck_assert_int_eq(
		pb_unpack(&tensorflow__meta_graph_def__descriptor, buf_bytes(&wire), &m, NULL), 0);
	ck_assert_uint_eq(((Tensorflow__MetaGraphDef *)m)->graph_def->n_node, PIECES);
}
END_TEST

TCase *textpb_tests(void)
{
	TCase *t = tcase_create("textpb");

	tcase_add_test(t, zeros_are_shown_only_where_presence_counts);
	tcase_add_test(t, the_last_of_a_oneof_counts);
	tcase_add_test(t, a_map_is_sorted_and_its_last_entry_of_a_key_counts);
	tcase_add_test(t, strings_keep_utf8_and_bytes_do_not);
	tcase_add_test(t, an_any_is_opened_up_if_it_can_be);
	tcase_add_test(t, unknown_fields_are_shown_by_number_and_kept);
	tcase_add_test(t, printing_stops_at_the_maximum);
	tcase_add_loop_test(t, floats_are_printed_as_python_prints_them, 0,
			    sizeof reprs / sizeof *reprs);
	tcase_add_test(t, what_people_write_is_read);
	tcase_add_loop_test(t, bad_text_is_refused_with_its_place, 0,
			    sizeof refused / sizeof *refused);
	tcase_add_loop_test(t, bad_values_are_refused, 0,
			    sizeof refused_nodes / sizeof *refused_nodes);
	tcase_add_test(t, text_is_utf8_or_refused);
	return t;
}

TCase *pb_tests(void)
{
	TCase *t = tcase_create("pb");

	tcase_add_loop_test(t, damaged_binary_is_refused, 0, sizeof damaged / sizeof *damaged);
	tcase_add_test(t, nesting_is_limited);
	tcase_add_test(t, memory_is_in_proportion_to_the_input);
	tcase_add_test(t, a_message_that_comes_in_pieces_is_merged_in_linear_time);
	return t;
}

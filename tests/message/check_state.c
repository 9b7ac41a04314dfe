/* Tests of src/message/state.h. */
#include "base/cleanup.h"
#include "lib/files.h"
#include "message/check_message.h"
#include "message/state.h"

/* What TensorFlow wrote is written as it was. */
static const char *const written[] = {"linear",   "absolute",   "keras", "net",
				      "rotation", "v1-sharded", "v1",    "corrupt/missing-shard"};

START_TEST(the_text_is_tensorflow_s)
{
	const char *name = written[_i];
	CLEANUP(buf_release) struct buf text = {0}, out = {0};
	CLEANUP(state_release) struct state s = {0};

	read_whole(&text, "%s/fixtures/%s/%s", ASSETS, name,
		   strcmp(name, "rotation") ? "checkpoint" : "mylatest");
	ck_assert_int_eq(state_parse(buf_bytes(&text), &s, NULL), 0);
	ck_assert_int_eq(state_print(&s, &out, NULL), 0);
	ck_assert(bytes_eq(buf_bytes(&out), buf_bytes(&text)));
}
END_TEST

START_TEST(what_is_not_known_goes_behind)
{
	const char *text = "later { a: 1 }\nmodel_checkpoint_path: 'm-\\303\\251'\n";
	CLEANUP(buf_release) struct buf out = {0};
	CLEANUP(state_release) struct state s = {0};

	ck_assert_int_eq(state_parse(bytes_str(text), &s, NULL), 0);
	ck_assert_int_eq(state_print(&s, &out, NULL), 0);
	ck_assert_int_eq(buf_add_byte(&out, 0), 0);
	ck_assert_str_eq((char *)out.p, "model_checkpoint_path: \"m-\303\251\"\nlater { a: 1 }\n");
}
END_TEST

START_TEST(a_name_that_no_reader_would_take_is_refused)
{
	CLEANUP(buf_release) struct buf out = {0};
	char *paths[] = {"good", "b\377d"};
	struct state latest = {.latest = "\300"}, listed = {.paths = paths, .n_paths = 2};
	struct err e;

	listed.latest = "good";
	ck_assert_int_eq(state_print(&latest, &out, &e), -EINVAL);
	ck_assert_int_eq(state_print(&listed, &out, &e), -EINVAL);
	ck_assert_str_eq(e.text, "the name of a step is not UTF-8");
	ck_assert_uint_eq(out.n, 0);
}
END_TEST

TCase *state_tests(void)
{
	TCase *t = tcase_create("state");

	tcase_add_loop_test(t, the_text_is_tensorflow_s, 0, sizeof written / sizeof *written);
	tcase_add_test(t, what_is_not_known_goes_behind);
	tcase_add_test(t, a_name_that_no_reader_would_take_is_refused);
	return t;
}

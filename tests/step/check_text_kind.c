/* Tests of src/step/text_kind.[ch], and of what sidecars are called (src/step/sidecar.h). */
#include "base/cleanup.h"
#include "lib/lit.h"
#include "step/check_step.h"
#include "step/sidecar.h"

START_TEST(a_text_is_known_by_its_name)
{
	for (enum text_kind kind = 0; kind < N_TEXTS; kind++) {
		ck_assert_int_eq(text_kind_of(text_name(kind)), kind);
		ck_assert_uint_gt(file_ending(bytes_str(text_name(kind))), 0);
	}
	ck_assert_int_eq(text_kind_of("variables"), N_TEXTS);
	ck_assert_int_eq(text_kind_of("w.npy"), N_TEXTS);
	ck_assert_int_eq(text_kind_of(""), N_TEXTS);
}
END_TEST

START_TEST(a_name_ends_as_a_file_or_does_not)
{
	static const struct {
		const char *name;
		size_t n;
	} cases[] = {
		{"w.npy", 4}, {".npy", 4},   {"a.npy.npy", 4}, {"w.tsv", 4},  {"g.pbtxt", 6},
		{"w", 0},     {"", 0},       {"npy", 0},       {"w.npyx", 0}, {"w.npy.x", 0},
		{"w.NPY", 0}, {"w.pbtx", 0}, {"w.", 0},
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		ck_assert_msg(file_ending(bytes_str(cases[i].name)) == cases[i].n, "'%s'",
			      cases[i].name);
}
END_TEST

START_TEST(some_texts_are_made_of_sidecars)
{
	ck_assert_ptr_null(text_sidecar(TEXT_VARIABLES, NULL));
	ck_assert_ptr_null(text_sidecar(TEXT_OBJECT_GRAPH, "mg"));
	ck_assert_str_eq(text_sidecar(TEXT_META_GRAPH, NULL), "meta");
	ck_assert_str_eq(text_sidecar(TEXT_META_GRAPH, "mg"), "mg");
	ck_assert_str_eq(text_sidecar(TEXT_DEBUG_INFO, "mg"), "debug");
}
END_TEST

/* As TensorFlow cuts a shard's number off, and what looks like one. */
START_TEST(a_sidecar_is_named_after_its_step)
{
	static const struct {
		const char *step, *sidecar;
	} cases[] = {
		{"model-10", "model-10.meta"},
		{"model", "model.meta"},
		{"model-00001-of-00002", "model.meta"},
		{"model-"
		 "?????"
		 "-of-00002",
		 "model.meta"},
		{"a-1-of-5", "a.meta"},
		{"a-of-5", "a-of-5.meta"},
		{"a-1-of-", "a-1-of-.meta"},
		{"1-of-5", "1-of-5.meta"},
		{"", ".meta"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP(buf_release) struct buf name = {0};
		const struct step_place place = {.name = (char *)cases[i].step};

		ck_assert_int_eq(sidecar_name(&place, META_SUFFIX, &name), 0);
		ck_assert_str_eq((char *)name.p, cases[i].sidecar);
	}
}
END_TEST

TCase *text_kind_tests(void)
{
	TCase *t = tcase_create("text_kind");

	tcase_add_test(t, a_text_is_known_by_its_name);
	tcase_add_test(t, a_name_ends_as_a_file_or_does_not);
	tcase_add_test(t, some_texts_are_made_of_sidecars);
	tcase_add_test(t, a_sidecar_is_named_after_its_step);
	return t;
}

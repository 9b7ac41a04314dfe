/* Tests of src/directory/family.[ch]. */
#include "base/cleanup.h"
#include "directory/check_directory.h"
#include "directory/family.h"
#include "lib/lit.h"
#include <sys/stat.h>

#define NINES "99999999999999999999999999999999999999"
#define ZEROS "00000000000000000000000000000000000000"

START_TEST(families_are_told_by_their_numbers)
{
	static const struct {
		const char *a, *b;
		bool same;
	} pairs[] = {
		{"my-model-1000", "my-model-0", true},
		{"my-model-1000", "my-model", true},
		{"model-7.cptk", "model-8.cptk", true},
		{"my_net.ckpt", "my_net.ckpt-1", true},
		{"my_net.ckpt-1", "my_net.ckpt-22", true},
		{"model-00000300", "model-7", true},
		{"a-1-2", "a-1-3", true},
		{"a-1-2", "a-2-2", false},
		{"model-7.cptk", "model-8.ckpt", false},
		{"model-7.cptk", "model-7", false},
		{"model-1", "other-1", false},
		{"model-1", "model1", false},
		{"model1", "model2", false},
		{"model-a", "model-b", false},
		{"model-", "model", false},
		{"-1", "-2", true},
		{"1", "2", false},
		{"", "", true},
		{"", "-7", true},
		{"m-1.a.b", "m-2.a.b", false},
		{"m--999", "m-3", true},
		{"m--999.cptk", "m-3.cptk", true},
		{"m--999", "m", true},
		{"m--999", "m-", false},
		{"--1", "-1", true},
		{"m-1" NINES, "m-1", false},
		{"m-1" NINES, "m-1" NINES "-1", true},
		{"m-1" NINES ".ckpt", "m-1.ckpt", false},
		{"a-1-of-5", "a-1-of-6", false},
		{"a-1-of-5", "a-1-of-5-1", true},
		{"a-1-of-5", "a-1-of", false},
		{"1-of-5", "1-of-6", true},
	};

	for (size_t i = 0; i < COUNT(pairs); i++) {
		ck_assert_msg(same_family(pairs[i].a, pairs[i].b) == pairs[i].same, "%s, %s",
			      pairs[i].a, pairs[i].b);
		ck_assert(same_family(pairs[i].b, pairs[i].a) == pairs[i].same);
		ck_assert(same_family(pairs[i].a, pairs[i].a));
	}
}
END_TEST

/* The steps are named in STEPS, with a space between. */
static void put_steps(const struct folder *f, const char *steps)
{
	CLEANUP(freep) char *copy = strdup(steps);

	for (char *rest, *s = strtok_r(copy, " ", &rest); s; s = strtok_r(NULL, " ", &rest))
		folder_put(f, LIT(""), "%s.index", s);
}

static const struct {
	const char *steps, *name, *next;
} successors[] = {
	{"my-model-0", "my-model-0", "my-model-1"},
	{"my-model-0 my-model-2000 my-model-9", "my-model-0", "my-model-2001"},
	{"", "my-model-7", "my-model-8"}, /* it need not be listed */
	{"m-1 m-2 n-7 m-x m-8.ckpt", "m-1", "m-3"},
	{"model-1182720.cptk model-1182721", "model-1182720.cptk", "model-1182721.cptk"},
	{"my_net.ckpt", "my_net.ckpt", "my_net.ckpt-1"},
	{"my_net.ckpt my_net.ckpt-4", "my_net.ckpt", "my_net.ckpt-5"},
	{"variables", "variables", "variables-1"},
	{"part-9999", "part-9999", "part-10000"},
	{"", "", "-1"},
	{"", "v1", "v1-1"},
	/* negative */
	{"m--999", "m--999", "m--998"},
	{"m--999 m--998", "m--999", "m--997"},
	{"m--1", "m--1", "m-0"},
	{"m--0", "m--0", "m-1"},
	{"m--100 m--99", "m--100", "m--98"},
	{"m--1000 m--1", "m--1000", "m-0"},
	{"m--999 m-0", "m--999", "m-1"},
	{"m--999 m-41", "m--999", "m-42"},
	{"m--999.cptk", "m--999.cptk", "m--998.cptk"},
	/* padded */
	{"m-00000012", "m-00000012", "m-00000013"},
	{"m-00000009 m-00000010", "m-00000009", "m-00000011"},
	{"m-00000012 m-99999999", "m-00000012", "m-100000000"},
	{"m-00000012 m-300", "m-00000012", "m-301"},
	{"m-100 m-0012", "m-100", "m-101"},
	{"m--0000012", "m--0000012", "m--0000011"},
	{"m--0000001", "m--0000001", "m-00000000"},
	{"m--0000001 m-00000000", "m--0000001", "m-00000001"},
	{"m--0000010", "m--0000010", "m--0000009"},
	{"m-0", "m-0", "m-1"},
	{"m-00", "m-00", "m-01"},
	/* of any length */
	{"", "m-18446744073709551615", "m-18446744073709551616"},
	{"m-18446744073709551616 m-2", "m-2", "m-18446744073709551617"},
	{"m-" NINES " m-1" ZEROS, "m-" NINES,
	 "m-1"
	 "00000000000000000000000000000000000001"},
	{"", "m-" NINES, "m-1" ZEROS},
	{"", "m--1" ZEROS, "m--" NINES},
	/* beyond any */
	{"", "m-1" NINES, "m-1" NINES "-1"},
	{"m-1",
	 "m--"
	 "1" NINES,
	 "m--1" NINES "-1"},
	{"m-1 m-1" NINES, "m-1", "m-2"},
	{"", "m-" ZEROS ZEROS "7", "m-" ZEROS ZEROS "8"},
	/* of a shard */
	{"a-1-of-5 a-1-of-6", "a-1-of-5", "a-1-of-5-1"},
	{"a-1-of-5 a-1-of-5-1", "a-1-of-5", "a-1-of-5-2"},
	{"a-00001-of-00005", "a-00001-of-00005", "a-00001-of-00005-1"},
};

START_TEST(the_next_step_has_the_next_number)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	CLEANUP(listing_release) struct listing l = {0};
	CLEANUP(buf_release) struct buf next = {0};

	put_steps(&f, successors[_i].steps);
	ck_assert_int_eq(listing_read(f.fd, "checkpoint", &l, NULL), 0);
	ck_assert_int_eq(buf_add_str(&next, "dir/"), 0);
	ck_assert_int_eq(step_next_free(f.fd, &l, successors[_i].name, false, &next, NULL), 0);
	ck_assert_str_eq((char *)next.p + 4, successors[_i].next);
	ck_assert_uint_eq(next.n, 4 + strlen(successors[_i].next) + 1);
	ck_assert(same_family(successors[_i].name, successors[_i].next));
}
END_TEST

static const struct {
	const char *steps, *name, *next;
} padded[] = {
	{"m-7", "m-7", "m-00000008"},
	{"m-00012 m-300", "m-300", "m-00000301"},
	{"", "net.ckpt", "net.ckpt-00000001"},
	{"", "m-7.v2", "m-00000008.v2"},
	{"", "m--5", "m--0000004"},
	{"", "m-99999999", "m-100000000"},
	{"", "m-0000000009", "m-0000000010"},
};

START_TEST(numbers_are_padded_on_request)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	CLEANUP(listing_release) struct listing l = {0};
	CLEANUP(buf_release) struct buf next = {0};

	put_steps(&f, padded[_i].steps);
	ck_assert_int_eq(listing_read(f.fd, "checkpoint", &l, NULL), 0);
	ck_assert_int_eq(step_next_free(f.fd, &l, padded[_i].name, true, &next, NULL), 0);
	ck_assert_str_eq((char *)next.p, padded[_i].next);
}
END_TEST

START_TEST(only_steps_are_counted)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	CLEANUP(listing_release) struct listing l = {0};
	CLEANUP(buf_release) struct buf next = {0};

	put_steps(&f, "m-1");
	folder_put(&f, LIT(""), "m-7");
	ck_assert_int_eq(mkdirat(f.fd, "m-8", 0755), 0);
	ck_assert_int_eq(listing_read(f.fd, "m-7", &l, NULL), 0);
	ck_assert_int_eq(listing_add_link(&l, "m-9", "m-1"), 0);
	ck_assert_int_eq(step_next_free(f.fd, &l, "m-1", false, &next, NULL), 0);
	ck_assert_str_eq((char *)next.p, "m-2");
}
END_TEST

/* What there is beside the step m-1, and the next one. */
static const struct {
	const char *files, *next;
} taken[] = {
	{"", "m-2"},
	{"m-2.index/ m-3.meta m-4.data-00000-of-00001 m-5/ m-6", "m-7"},
	{"m-2.data-00003-of-00009 m-3.data-100000-of-100001", "m-4"},
	{"m-2.data-0-of-1 m-2.data-00000-of-00001.tempstate1 m-2.debug m-20 xm-2.meta", "m-2"},
	{"m-1.data-00000-of-00001 m-1.meta", "m-2"},
};

static void put_files(const struct folder *f, const char *files)
{
	CLEANUP(freep) char *copy = strdup(files);

	for (char *rest, *s = strtok_r(copy, " ", &rest); s; s = strtok_r(NULL, " ", &rest))
		put_entry(f, s);
}

START_TEST(the_next_step_takes_nothing_s_place)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	CLEANUP(listing_release) struct listing l = {0};
	CLEANUP(buf_release) struct buf next = {0};

	put_steps(&f, "m-1");
	put_files(&f, taken[_i].files);
	ck_assert_int_eq(listing_read(f.fd, "checkpoint", &l, NULL), 0);
	ck_assert_int_eq(step_next_free(f.fd, &l, "m-1", false, &next, NULL), 0);
	ck_assert_str_eq((char *)next.p, taken[_i].next);
	ck_assert_int_eq(step_name_is_free(f.fd, NULL, taken[_i].next, NULL), 1);
	ck_assert_int_eq(step_name_is_free(f.fd, &l, taken[_i].next, NULL), 1);
	ck_assert_int_eq(step_name_is_free(f.fd, NULL, "m-1", NULL), 0);
}
END_TEST

START_TEST(a_meta_graph_that_another_step_would_share_is_in_the_way)
{
	CLEANUP(folder_remove) struct folder f = folder_new();

	folder_put(&f, LIT(""), "a.meta");
	ck_assert_int_eq(step_name_is_free(f.fd, NULL, "a-1-of-6", NULL), 0);
	ck_assert_int_eq(step_name_is_free(f.fd, NULL, "a-1-of-5-1", NULL), 1);
	ck_assert_int_eq(symlinkat("nowhere", f.fd, "b"), 0);
	ck_assert_int_eq(step_name_is_free(f.fd, NULL, "b", NULL), 0);
}
END_TEST

START_TEST(it_is_said_why_there_is_no_next_step)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	CLEANUP(buf_release) struct buf next = {0};
	const struct listing none = {0};
	char name[260];
	struct err e;

	memset(name, 'n', sizeof name);
	memcpy(name + 246, "-99", 4); /* .index fits, and with another digit does not */
	ck_assert_int_eq(step_next_free(f.fd, &none, name, false, &next, &e), -ENAMETOOLONG);
	memcpy(name + 246, "-98", 4);
	ck_assert_int_eq(step_next_free(f.fd, &none, name, false, &next, &e), 0);
	ck_assert_uint_eq(next.n, 250);
	next.n = 0;
	for (int i = 0; i < 1000; i++)
		folder_put(&f, LIT(""), "m-%d.meta", i + 2);
	ck_assert_int_eq(step_next_free(f.fd, &none, "m-1", false, &next, &e), -EEXIST);
	ck_assert_str_eq(e.text, "the next step of m-1: File exists");
	ck_assert_uint_eq(next.n, 0);
	ck_assert_int_eq(unlinkat(f.fd, "m-1001.meta", 0), 0);
	ck_assert_int_eq(step_next_free(f.fd, &none, "m-1", false, &next, &e), 0);
	ck_assert_str_eq((char *)next.p, "m-1001");
}
END_TEST

TCase *family_tests(void)
{
	TCase *t = tcase_create("family");

	tcase_add_test(t, families_are_told_by_their_numbers);
	tcase_add_loop_test(t, the_next_step_has_the_next_number, 0, COUNT(successors));
	tcase_add_loop_test(t, numbers_are_padded_on_request, 0, COUNT(padded));
	tcase_add_test(t, only_steps_are_counted);
	tcase_add_loop_test(t, the_next_step_takes_nothing_s_place, 0, COUNT(taken));
	tcase_add_test(t, a_meta_graph_that_another_step_would_share_is_in_the_way);
	tcase_add_test(t, it_is_said_why_there_is_no_next_step);
	return t;
}

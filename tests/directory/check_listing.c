/* Tests of src/directory/listing.[ch]. */
#include "base/cleanup.h"
#include "directory/check_directory.h"
#include "directory/listing.h"
#include "lib/files.h"
#include "lib/lit.h"
#include <sys/resource.h>
#include <sys/stat.h>

#define HEX32 "0123456789abcdef0123456789abcdef"

static const struct {
	const char *name; /* a file, or a folder if it ends in '/' */
	int kind; /* -1: not listed */
	const char *listed; /* NULL: as it is */
} names[] = {
	{"checkpoint", LISTED_STATE, NULL},
	{"my-model-0.index", LISTED_STEP, "my-model-0"},
	{"my-model-0.data-00000-of-00001", -1, NULL},
	{"my-model-0.meta", -1, NULL},
	{"my-model-10.index", LISTED_STEP, "my-model-10"},
	{"my-model-10.index.tempstate123", -1, NULL},
	{".index", LISTED_STEP, ""},
	{"..index", LISTED_STEP, "."},
	{"...index", LISTED_STEP, ".."},
	{".hidden.index", LISTED_STEP, ".hidden"},
	{"a.index.index", LISTED_STEP, "a.index"},
	{"new\nline \xff.index", LISTED_STEP, "new\nline \xff"},
	{"index", -1, NULL},
	{"x.indexes", -1, NULL},
	{"events.out", -1, NULL},
	{".ckptfs/", -1, NULL},
	{".git/", LISTED_FOLDER, NULL},
	{"export/", LISTED_FOLDER, NULL},
	{"folder.index/", LISTED_FOLDER, NULL},
	{"m-1_temp/", -1, NULL},
	{"m-1_temp/part-00000-of-00002.index", -2, NULL},
	{"m-2_temp_" HEX32 "/", -1, NULL},
	{"m-3_temp_" HEX32 "0/", LISTED_FOLDER, NULL}, /* a digit too many */
	{"m-4_temp_x/", LISTED_FOLDER, NULL},
	{"m-4_temp_0123456789abcdef0123456789abcdeg/", LISTED_FOLDER, NULL},
	{"m-5_template/", LISTED_FOLDER, NULL},
	{"m-6_temp/", LISTED_FOLDER, NULL}, /* for what is in it */
	{"m-6_temp/notes", -2, NULL},
	{"m_temp_temp/", -1, NULL},
	{"_temp/", -1, NULL},
};

START_TEST(steps_folders_and_the_state_file_are_listed)
{
	CLEANUP(folder_remove)
	struct folder f = folder_new();
	struct listing l;
	uint32_t want = 0;

	for (size_t i = 0; i < COUNT(names); i++)
		put_entry(&f, names[i].name);
	for (int again = 0; again < 2;
	     again++) { /* the position of the descriptor does not matter */
		want = 0;
		ck_assert_int_eq(listing_read(f.fd, "checkpoint", &l, NULL), 0);
		for (size_t i = 0; i < COUNT(names); i++) {
			char name[200] = {0};
			const char *listed = names[i].listed ? names[i].listed : name;

			memcpy(name, names[i].name, strcspn(names[i].name, "/"));
			if (names[i].kind >= 0) {
				ck_assert_msg(
					listing_find(&l, (enum listed_kind)names[i].kind, listed),
					"%s", names[i].name);
				want++;
			}
		}
		for (uint32_t i = 1; i < l.n; i++)
			ck_assert_int_le(strcmp(l.items[i - 1].place.name, l.items[i].place.name),
					 0);
		ck_assert_uint_eq(l.n, want);
		ck_assert_ptr_null(listing_find(&l, LISTED_FOLDER, "checkpoint"));
		ck_assert_ptr_null(listing_find(&l, LISTED_STEP, "export"));
		listing_release(&l);
	}
}
END_TEST

START_TEST(another_state_file_is_the_one_that_is_named)
{
	CLEANUP(folder_remove)
	struct folder f = folder_new();
	struct listing l;

	folder_put(&f, LIT(""), "checkpoint");
	folder_put(&f, LIT(""), "mylatest");
	ck_assert_int_eq(listing_read(f.fd, "mylatest", &l, NULL), 0);
	ck_assert_uint_eq(l.n, 1);
	ck_assert_str_eq(l.items[0].place.name, "mylatest");
	listing_release(&l);
	ck_assert_int_eq(listing_read(f.fd, "none", &l, NULL), 0);
	ck_assert_uint_eq(l.n, 0);
	ck_assert_ptr_null(listing_find(&l, LISTED_STATE, "checkpoint"));
	listing_release(&l);
}
END_TEST

START_TEST(links_to_files_are_listed_and_other_things_are_not)
{
	CLEANUP(folder_remove)
	struct folder f = folder_new();
	struct listing l;

	ck_assert_int_eq(symlinkat("elsewhere", f.fd, "a.index"), 0);
	ck_assert_int_eq(symlinkat(".", f.fd, "loop"), 0);
	ck_assert_int_eq(mkfifoat(f.fd, "fifo.index", 0644), 0);
	ck_assert_int_eq(listing_read(f.fd, "checkpoint", &l, NULL), 0);
	ck_assert_uint_eq(l.n, 1);
	ck_assert_ptr_nonnull(listing_find(&l, LISTED_STEP, "a"));
	listing_release(&l);
}
END_TEST

/* Only what leads to a step of the directory itself is listed. */
START_TEST(links_to_steps_are_listed)
{
	static const char *const links[][2] = {
		{"best", "m-1"},         {"prod", "m-1"},
		{"twice", "best"},       {"gone", "m-2"},
		{"far", "./m-1"},        {"up", "../m-1"},
		{"file", "m-1.index"},   {"sub", "folder"},
		{"state", "checkpoint"}, {"m-3.index", "m-1.index"},
		{"self", "self"},        {"m-4.index", "m-4"},
	};
	CLEANUP(folder_remove) struct folder f = folder_new();
	CLEANUP(listing_release) struct listing l = {0};

	folder_put(&f, LIT(""), "m-1.index");
	folder_put(&f, LIT(""), "checkpoint");
	put_entry(&f, "folder/");
	for (size_t i = 0; i < COUNT(links); i++)
		ck_assert_int_eq(symlinkat(links[i][1], f.fd, links[i][0]), 0);
	ck_assert_int_eq(listing_read(f.fd, "checkpoint", &l, NULL), 0);
	for (size_t i = 0; i < COUNT(links); i++) {
		const struct listed *link = listing_find(&l, LISTED_LINK, links[i][0]);

		ck_assert_msg((i < 2) == (link != NULL), "%s", links[i][0]);
		if (link)
			ck_assert_str_eq(link->place.file, "m-1");
	}
	ck_assert_uint_eq(l.n, 7); /* and m-1, m-3, m-4, checkpoint, folder */
	ck_assert_ptr_eq(listing_find_step(&l, "best"), listing_find(&l, LISTED_STEP, "m-1"));
	ck_assert_ptr_eq(listing_find_step(&l, "m-1"), listing_find(&l, LISTED_STEP, "m-1"));
	ck_assert_ptr_null(listing_find_step(&l, "gone"));
	ck_assert_int_eq(listing_add_link(&l, "best", "m-3"), 0);
	ck_assert_int_eq(listing_add_link(&l, "latest", "m-1"), 0);
	ck_assert_uint_eq(l.n, 8);
	ck_assert_str_eq(listing_find(&l, LISTED_LINK, "best")->place.file, "m-3");
}
END_TEST

/* It may be a V1 table, so what is not listed may be there. */
START_TEST(a_file_that_cannot_be_opened_leaves_doubt)
{
	CLEANUP(folder_remove)
	struct folder f = folder_new();
	struct rlimit before, few;
	struct err e = {0};
	struct listing l;
	int one = dup(f.fd);

	put_entry(&f, "my-model-0.index");
	put_entry(&f, "table");
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	close(one);
	few = before;
	few.rlim_cur = (rlim_t)one + 1; /* for the directory */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	ck_assert_int_eq(listing_read(f.fd, "checkpoint", &l, &e), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_uint_eq(l.n, 1);
	ck_assert_int_eq(listing_is_sure(&l, &e), -EMFILE);
	ck_assert_ptr_nonnull(strstr(e.text, "may be a V1 checkpoint"));
	listing_release(&l);
	ck_assert_int_eq(listing_read(f.fd, "checkpoint", &l, &e), 0);
	ck_assert_uint_eq(l.n, 1);
	ck_assert_int_eq(listing_is_sure(&l, &e), 0);
	listing_release(&l);
}
END_TEST

TCase *listing_tests(void)
{
	TCase *t = tcase_create("listing");

	tcase_add_test(t, steps_folders_and_the_state_file_are_listed);
	tcase_add_test(t, another_state_file_is_the_one_that_is_named);
	tcase_add_test(t, links_to_files_are_listed_and_other_things_are_not);
	tcase_add_test(t, links_to_steps_are_listed);
	tcase_add_test(t, a_file_that_cannot_be_opened_leaves_doubt);
	return t;
}

/* Tests of src/directory/drafts_list.[ch]. */
#include "base/cleanup.h"
#include "directory/check_directory.h"
#include "directory/drafts_list.h"
#include "lib/lit.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void put_drafts(const struct folder *f)
{
	static const char *const folders[] = {".ckptfs",
					      ".ckptfs/drafts",
					      ".ckptfs/drafts/m-0",
					      ".ckptfs/drafts/m-0/tree",
					      ".ckptfs/drafts/%25odd",
					      ".ckptfs/drafts/%new",
					      ".ckptfs/drafts/%old.0",
					      ".ckptfs/drafts/%old.7"};

	for (size_t i = 0; i < COUNT(folders); i++)
		ck_assert_int_eq(mkdirat(f->fd, folders[i], 0755), 0);
	folder_put(f, LIT("x"), ".ckptfs/drafts/m-0/tree/w.npy");
	folder_put(f, LIT("x"), ".ckptfs/drafts/%%old.7/rest");
}

static bool lists(const struct buf *names, const char *name)
{
	for (size_t at = 0; at < names->n; at += strlen((char *)names->p + at) + 1)
		if (!strcmp((char *)names->p + at, name))
			return true;
	return false;
}

START_TEST(what_has_ended_or_is_not_whole_is_no_draft)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	CLEANUP(buf_release) struct buf names = {0};
	struct err e;

	ck_assert_int_eq(drafts_list(f.fd, &names, &e), 0);
	ck_assert_uint_eq(names.n, 0);
	ck_assert_uint_eq(drafts_count(f.fd), 0);
	put_drafts(&f);
	ck_assert_int_eq(drafts_list(f.fd, &names, &e), 0);
	ck_assert_uint_eq(names.n, sizeof "m-0" + sizeof "%25odd");
	ck_assert(lists(&names, "m-0") && lists(&names, "%25odd"));
	ck_assert_uint_eq(drafts_count(f.fd), 2);
}
END_TEST

START_TEST(the_rest_of_drafts_is_removed_and_drafts_are_not)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	struct err e;

	ck_assert_int_eq(drafts_remove_old(f.fd, &e), 0);
	put_drafts(&f);
	ck_assert_int_eq(drafts_remove_old(f.fd, &e), 0);
	ck_assert(!is_there(&f, ".ckptfs/drafts/%new"));
	ck_assert(!is_there(&f, ".ckptfs/drafts/%old.0"));
	ck_assert(!is_there(&f, ".ckptfs/drafts/%old.7"));
	ck_assert(is_there(&f, ".ckptfs/drafts/m-0/tree/w.npy"));
	ck_assert_uint_eq(drafts_count(f.fd), 2);
}
END_TEST

START_TEST(a_draft_is_found_by_its_step_s_prefix)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	CLEANUP(buf_release) struct buf folder = {0}, prefix = {0};
	struct err e;

	ck_assert_int_eq(drafts_folder_name("%odd", &folder), 0);
	ck_assert_str_eq((char *)folder.p, "%25odd");
	ck_assert_int_eq(drafts_prefix("%25odd", &prefix), 0);
	ck_assert_str_eq((char *)prefix.p, "%odd");
	ck_assert_int_eq(drafts_prefix("%old.1", &prefix), -ENOENT);
	put_drafts(&f);
	ck_assert_int_eq(drafts_remove(f.fd, "%odd", &e), 0);
	ck_assert(!is_there(&f, ".ckptfs/drafts/%25odd"));
	ck_assert_int_eq(drafts_remove(f.fd, "%odd", &e), 0);
	ck_assert_int_eq(drafts_remove(f.fd, "m-0", &e), 0);
	ck_assert_uint_eq(drafts_count(f.fd), 0);
}
END_TEST

START_TEST(a_retired_draft_is_none_before_it_is_gone)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	char old[DRAFTS_OLD_SIZE];
	struct err e;

	put_drafts(&f);
	ck_assert_int_eq(drafts_retire(f.fd, "m-0", old, &e), 0);
	ck_assert_str_eq(old, "%old.1"); /* the first that is not taken */
	ck_assert_uint_eq(drafts_count(f.fd), 1);
	ck_assert(is_there(&f, ".ckptfs/drafts/%old.1/tree/w.npy"));
	ck_assert_int_eq(drafts_sweep(f.fd, old, &e), 0);
	drafts_tidy(f.fd);
	ck_assert(!is_there(&f, ".ckptfs/drafts/%old.1"));
	ck_assert_int_eq(drafts_retire(f.fd, "m-0", old, &e), -ENOENT);
	/* the last takes the folder along */
	ck_assert_int_eq(drafts_remove_old(f.fd, &e), 0);
	ck_assert_int_eq(drafts_retire(f.fd, "%25odd", old, &e), 0);
	ck_assert_int_eq(drafts_sweep(f.fd, old, &e), 0);
	drafts_tidy(f.fd);
	ck_assert(!is_there(&f, ".ckptfs/drafts"));
}
END_TEST

START_TEST(a_link_in_place_of_the_folder_is_not_followed)
{
	CLEANUP(folder_remove) struct folder f = folder_new(), other = folder_new();
	CLEANUP(buf_release) struct buf names = {0};
	struct err e;

	put_drafts(&other);
	ck_assert_int_eq(mkdirat(f.fd, ".ckptfs", 0755), 0);
	ck_assert_int_eq(symlinkat(other.path, f.fd, ".ckptfs/drafts"), 0);
	ck_assert_int_lt(drafts_list(f.fd, &names, &e), 0);
	ck_assert_uint_eq(names.n, 0);
	ck_assert_uint_eq(drafts_count(f.fd), 0);
	ck_assert_int_lt(drafts_remove_old(f.fd, &e), 0);
}
END_TEST

TCase *drafts_list_tests(void)
{
	TCase *t = tcase_create("drafts_list");

	tcase_add_test(t, what_has_ended_or_is_not_whole_is_no_draft);
	tcase_add_test(t, the_rest_of_drafts_is_removed_and_drafts_are_not);
	tcase_add_test(t, a_draft_is_found_by_its_step_s_prefix);
	tcase_add_test(t, a_retired_draft_is_none_before_it_is_gone);
	tcase_add_test(t, a_link_in_place_of_the_folder_is_not_followed);
	return t;
}

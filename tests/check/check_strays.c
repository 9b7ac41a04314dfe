/* Tests of src/check/strays.[ch]. */
#include "base/cleanup.h"
#include "check/check_check.h"
#include "check/strays.h"
#include "lib/files.h"
#include "lib/lit.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define HEX32 "0123456789abcdef0123456789abcdef"
#define TABLE                                                                                      \
	"0123456789012345678901234567890123456789\x57\xfb\x80\x8b\x24\x75\x47\xdb" /* as each table ends */

enum { NONE = -1 };

/* Beside the V2 step m, of 2 shards, and the step u, of which it is not known how many it has. */
static const struct {
	const char *name; /* a folder if it ends in '/'; "a/b" is the file b in the folder a */
	int kind; /* NONE: it is no stray */
	const char *content;
} entries[] = {
	{"m.index", NONE, ""},
	{"m.data-00000-of-00002", NONE, ""},
	{"m.data-00001-of-00002", NONE, ""},
	{"m.meta", NONE, ""},
	{"m.data-00000-of-00003", STRAY_SHARD, ""},
	{"m.data-00000-of-00002.tempstate77", STRAY_TEMPORARY, ""},
	{"m.index.tempstate", NONE, ""},
	{"u.index", NONE, ""},
	{"u.data-00000-of-00003", NONE, ""},
	{"n.data-00000-of-00001", STRAY_DATA, ""},
	{"n.meta", STRAY_META, ""},
	{"checkpoint", NONE, ""},
	{"checkpoint.tmp" HEX32, STRAY_TEMPORARY, ""},
	{"checkpoint.tmp0", NONE, ""},
	{"old", STRAY_TABLE, "cut" TABLE},
	{"older.index", NONE, "cut" TABLE},
	{"lost", STRAY_TABLE, "not at all"},
	{"lost.meta", STRAY_META, ""},
	{"notes.txt", NONE, "nothing"},
	{".ckptfs/", STRAY_DRAFTS, NULL},
	{"a_temp/", NONE, NULL},
	{"b_temp/", STRAY_FOLDER, NULL},
	{"b_temp/part-00000-of-00001.index", NONE, ""},
	{"c_temp_" HEX32 "/", STRAY_FOLDER, NULL},
	{"d_temp/", NONE, NULL},
	{"d_temp/part-00000-of-00001.index", NONE, ""},
	{"d_temp/mine", NONE, ""},
	{"sub/", NONE, NULL},
};

static void put_entries(const struct folder *f)
{
	for (size_t i = 0; i < COUNT(entries); i++) {
		size_t n = strlen(entries[i].name);
		CLEANUP(freep) char *folder = strndup(entries[i].name, n - 1);

		if (entries[i].name[n - 1] == '/')
			ck_assert_int_eq(mkdirat(f->fd, folder, 0755), 0);
		else
			folder_put(f, bytes_str(entries[i].content), "%s", entries[i].name);
	}
}

/* The strays of the folder. */
static struct strays read_strays(const struct folder *f)
{
	CLEANUP(listing_release) struct listing l = {0};
	CLEANUP(freep) uint32_t *num_shards = NULL;
	const struct listed *m;
	struct strays s;
	struct err e;

	ck_assert_int_eq(listing_read(f->fd, STATE_NAME, &l, NULL), 0);
	num_shards = calloc(l.n + 1, sizeof *num_shards);
	m = listing_find(&l, LISTED_STEP, "m");
	if (m)
		num_shards[m - l.items] = 2;
	ck_assert_int_eq(strays_read(f->fd, &l, num_shards, &s, &e), 0);
	return s;
}

static const struct stray *find_stray(const struct strays *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->items[i].name, name))
			return &s->items[i];
	return NULL;
}

START_TEST(what_belongs_to_no_step_is_found)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	CLEANUP(strays_release) struct strays s;
	size_t n = 0;

	put_entries(&f);
	s = read_strays(&f);
	for (size_t i = 0; i < COUNT(entries); i++) {
		CLEANUP(freep)
		char *name = strndup(entries[i].name, strcspn(entries[i].name, "/"));
		const struct stray *stray = find_stray(&s, name);

		if (strchr(entries[i].name, '/') &&
		    !bytes_ends(bytes_str(entries[i].name), LIT("/")))
			continue;
		ck_assert_msg((stray ? (int)stray->kind : NONE) == entries[i].kind, "%s", name);
		n += stray != NULL;
	}
	ck_assert_uint_eq(s.n, n);
	for (size_t i = 1; i < s.n; i++)
		ck_assert_int_lt(strcmp(s.items[i - 1].name, s.items[i].name), 0);
	ck_assert_uint_eq(find_stray(&s, "m.data-00000-of-00003")->prefix_n, 1);
}
END_TEST

START_TEST(a_save_that_goes_on_changes_its_folder_s_time)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	CLEANUP(strays_release) struct strays s;
	const struct timespec times[2] = {{.tv_sec = 4000000000}, {.tv_sec = 4000000000}};

	put_entries(&f);
	ck_assert_int_eq(utimensat(f.fd, "b_temp/part-00000-of-00001.index", times, 0), 0);
	s = read_strays(&f);
	ck_assert_int_eq(find_stray(&s, "b_temp")->changed, 4000000000);
	ck_assert_int_lt(find_stray(&s, "c_temp_" HEX32)->changed, 4000000000);
}
END_TEST

START_TEST(what_a_save_left_is_removed_and_nothing_else)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	CLEANUP(strays_release) struct strays s;
	struct stat st;
	struct err e;

	put_entries(&f);
	s = read_strays(&f);
	ck_assert_int_eq(stray_remove(f.fd, find_stray(&s, "b_temp"), &e), 0);
	ck_assert_int_lt(fstatat(f.fd, "b_temp", &st, 0), 0);
	ck_assert_int_eq(stray_remove(f.fd, find_stray(&s, "b_temp"), &e), -ENOENT);
	ck_assert_int_eq(stray_remove(f.fd, find_stray(&s, "checkpoint.tmp" HEX32), &e), 0);
	ck_assert_int_eq(stray_remove(f.fd, find_stray(&s, "checkpoint.tmp" HEX32), &e), -ENOENT);
	/* somebody put a file there meanwhile */
	folder_put(&f, LIT(""), "c_temp_" HEX32 "/mine");
	folder_put(&f, LIT(""), "c_temp_" HEX32 "/part-1");
	ck_assert_int_eq(stray_remove(f.fd, find_stray(&s, "c_temp_" HEX32), &e), -ENOTEMPTY);
	ck_assert_int_eq(fstatat(f.fd, "c_temp_" HEX32 "/mine", &st, 0), 0);
}
END_TEST

START_TEST(it_is_said_why_a_table_is_no_step)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	CLEANUP(strays_release) struct strays s;
	struct err e = {0};

	put_entries(&f);
	s = read_strays(&f);
	ck_assert_int_lt(stray_why(f.fd, find_stray(&s, "old"), &e), 0);
	ck_assert_str_ne(e.text, "");
	ck_assert_int_eq(unlinkat(f.fd, "old", 0), 0);
	ck_assert_int_eq(stray_why(f.fd, find_stray(&s, "old"), &e), 0);
}
END_TEST

TCase *strays_tests(void)
{
	TCase *t = tcase_create("strays");

	tcase_add_test(t, what_belongs_to_no_step_is_found);
	tcase_add_test(t, a_save_that_goes_on_changes_its_folder_s_time);
	tcase_add_test(t, what_a_save_left_is_removed_and_nothing_else);
	tcase_add_test(t, it_is_said_why_a_table_is_no_step);
	return t;
}

/* Tests of src/directory/listing.[ch]. */
#include "base/cleanup.h"
#include "directory/check_directory.h"
#include "directory/listing.h"
#include "lib/files.h"
#include "lib/lit.h"
#include "lib/random.h"
#include <fcntl.h>
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

/* --- brought up to date ------------------------------------------------------------------------------------ */

static const char *const changing[] = {
	"checkpoint",
	"m-1.index",
	"m-1.data-00000-of-00001",
	"m-1",
	"m-1.meta",
	"m-2.index",
	"m-2.data-00003-of-00007",
	"m-2-00000-of-00002",
	"m-2-00001-of-00002",
	"m-2-00000-of-00003",
	"m-2",
	"folder",
	"best",
	"latest",
};

/* What becomes of NAME: V1 is a table. */
static void change(const struct folder *f, const char *name, struct bytes v1, unsigned how)
{
	bool is_link = !strcmp(name, "best") || !strcmp(name, "latest");

	if (unlinkat(f->fd, name, 0) < 0)
		unlinkat(f->fd, name, AT_REMOVEDIR);
	if (how == 1 && is_link)
		ck_assert_int_eq(symlinkat("m-1", f->fd, name), 0);
	else if (how == 2 && is_link)
		ck_assert_int_eq(symlinkat("best", f->fd, name), 0);
	else if (how == 1 && !strcmp(name, "folder"))
		ck_assert_int_eq(mkdirat(f->fd, name, 0755), 0);
	else if (how == 1)
		folder_put(f, v1, "%s", name);
	else if (how == 2)
		folder_put(f, LIT("no table"), "%s", name);
	else if (how == 3)
		ck_assert_int_eq(mkfifoat(f->fd, name, 0644), 0);
}

static void assert_same(const struct listing *a, const struct listing *b)
{
	ck_assert_uint_eq(a->n, b->n);
	for (uint32_t i = 0; i < a->n; i++) {
		const struct listed *x = &a->items[i], *y = &b->items[i];

		ck_assert_int_eq(x->kind, y->kind);
		ck_assert_str_eq(x->place.name, y->place.name);
		ck_assert_str_eq(x->place.file, y->place.file);
		ck_assert_int_eq(x->place.format, y->place.format);
		ck_assert_uint_eq(x->place.shards, y->place.shards);
	}
}

static bool is_no_link(const void *arg, const struct listed *item)
{
	(void)arg;
	return item->kind != LISTED_LINK;
}

/* After some changes L, which a view has made its own meanwhile, is brought up to date; it is as the directory is then. False: it had to
 * be read again. */
static bool follow(const struct folder *f, struct listing *l, const struct buf *changed)
{
	struct listing now, next;
	int r;

	ck_assert_int_eq(listing_keep(l, is_no_link, NULL), 0);
	ck_assert_int_eq(listing_add_link(l, "latest", "m-1"), 0);
	r = listing_update(f->fd, "checkpoint", l, changed, &next, NULL);
	ck_assert_int_eq(listing_read(f->fd, "checkpoint", &now, NULL), 0);
	if (r == -EAGAIN) {
		ck_assert(l->looks_beyond || now.looks_beyond);
		listing_release(l);
		*l = now;
		return false;
	}
	ck_assert_int_eq(r, 0);
	assert_same(&now, &next);
	for (int i = 1; i < 3; i++) {
		char prefix[] = {'m', '-', (char)('0' + i), 0};

		ck_assert(!listing_may_have_data(&now, prefix) ||
			  listing_may_have_data(&next, prefix));
	}
	listing_release(&now);
	listing_release(l);
	*l = next;
	return true;
}

START_TEST(a_listing_is_brought_up_to_date_by_names)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	CLEANUP(buf_release) struct buf v1 = {0};
	uint64_t random = 13;
	struct listing l;
	int followed = 0;

	read_whole(&v1, ASSETS "/fixtures/v1/model.ckpt-10");
	ck_assert_int_eq(listing_read(f.fd, "checkpoint", &l, NULL), 0);
	for (int round = 0; round < 3000; round++) {
		CLEANUP(buf_release) struct buf changed = {0};

		buf_add(&changed, "latest", sizeof "latest");
		for (size_t left = 1 + random_below(&random, 4); left; left--) {
			const char *name = changing[random_below(&random, COUNT(changing))];

			change(&f, name, buf_bytes(&v1), (unsigned)random_below(&random, 5));
			buf_add(&changed, name, strlen(name) + 1);
		}
		followed += follow(&f, &l, &changed);
	}
	ck_assert_int_gt(followed, 500);
	listing_release(&l);
}
END_TEST

START_TEST(a_listing_that_names_do_not_tell_is_read_again)
{
	static const struct {
		const char *name, *target;
	} beyond[] = {
		{"m-1.index", "elsewhere.index"},
		{"m-1", "table"},
		{"m-1.data-00000-of-00001", "m-2.data-00000-of-00001"},
		{"checkpoint", "state"},
		{"m_temp/", NULL},
	};
	static const struct buf none = {0};

	for (size_t i = 0; i < COUNT(beyond); i++) {
		CLEANUP(folder_remove) struct folder f = folder_new();
		CLEANUP(listing_release) struct listing before = {0}, l = {0};
		CLEANUP(buf_release) struct buf v1 = {0}, changed = {0};
		struct listing next;

		read_whole(&v1, ASSETS "/fixtures/v1/model.ckpt-10");
		folder_put(&f, buf_bytes(&v1), "table");
		ck_assert_int_eq(listing_read(f.fd, "checkpoint", &before, NULL), 0);
		if (beyond[i].target)
			ck_assert_int_eq(symlinkat(beyond[i].target, f.fd, beyond[i].name), 0);
		else
			put_entry(&f, beyond[i].name);
		buf_add(&changed, beyond[i].name, strcspn(beyond[i].name, "/"));
		buf_add_byte(&changed, 0);
		ck_assert_int_eq(listing_update(f.fd, "checkpoint", &before, &changed, &next, NULL),
				 -EAGAIN);
		ck_assert_int_eq(listing_read(f.fd, "checkpoint", &l, NULL), 0);
		ck_assert_int_eq(listing_update(f.fd, "checkpoint", &l, &none, &next, NULL),
				 -EAGAIN);
	}
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
	tcase_add_test(t, a_listing_is_brought_up_to_date_by_names);
	tcase_add_test(t, a_listing_that_names_do_not_tell_is_read_again);
	return t;
}

/* Tests of src/directory/ability.[ch] and base/lacks.[ch], and of what is done where something is lacking. What was found out stays
 * for the process, and each test is one. */
#include "base/cleanup.h"
#include "base/io.h"
#include "base/lacks.h"
#include "directory/ability.h"
#include "directory/check_directory.h"
#include "directory/drafts_list.h"
#include "directory/file_stamp.h"
#include "draft/links.h"
#include "lib/lit.h"
#include "step/step.h"
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static dev_t device_of(const struct folder *f)
{
	struct stat st;

	ck_assert_int_eq(fstat(f->fd, &st), 0);
	return st.st_dev;
}

/* A checkpoint directory in whose filesystem FLAGS is lacking. */
static struct folder lacking(unsigned flags)
{
	struct folder f = folder_new();

	ck_assert(lacks_note(device_of(&f), flags));
	put_entry(&f, ".ckptfs/");
	return f;
}

/* --- asking -------------------------------------------------------------------------------------------------- */

/* Of each call to link(2): the errno; 0: it is made. Behind the last all are made. */
struct answers {
	int n, calls;
	int errors[8];
};

static int answer(void *arg, const char *from)
{
	struct answers *a = arg;

	(void)from;
	return a->calls < a->n ? a->errors[a->calls++] : (a->calls++, 0);
}

START_TEST(where_nothing_is_lacking_nothing_is_said)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	CLEANUP(buf_release) struct buf say = {0};
	struct err e;

	put_entry(&f, ".ckptfs/");
	ck_assert(!lacks_known(device_of(&f)));
	ck_assert_int_eq(ability_learn(f.fd, &say, &e), 0);
	ck_assert(lacks_known(device_of(&f)));
	ck_assert_uint_eq(say.n, 0);
	ck_assert_uint_eq(lacks_at(f.fd) &
				  (LACKS_LINKS | LACKS_INODES | LACKS_SYMLINKS | LACKS_NAMELESS |
				   LACKS_REMOVAL | LACKS_MODES | LACKS_FOLDERS | LACKS_TIMES),
			  0);
	ck_assert(!is_there(&f, ".ckptfs/ability"));
}
END_TEST

START_TEST(what_is_lacking_is_asked_and_said_once)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	CLEANUP(buf_release) struct buf say = {0}, again = {0};
	struct answers refused = {8, 0, {EPERM, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM, EPERM}};
	struct err e;
	int calls;

	put_entry(&f, ".ckptfs/");
	links_ask(answer, &refused);
	ck_assert_int_eq(ability_learn(f.fd, &say, &e), 1);
	ck_assert_ptr_nonnull(strstr((char *)say.p, "has no hard links"));
	ck_assert_ptr_nonnull(strstr((char *)say.p, "commits copy shards"));
	calls = refused.calls;
	ck_assert_int_eq(ability_learn(f.fd, &again, &e), 0);
	ck_assert_uint_eq(again.n, 0);
	ck_assert_int_eq(refused.calls, calls);
}
END_TEST

static const struct {
	struct answers answers;
	int result;
	unsigned flags;
	bool unknown; /* it can be asked again */
} failures[] = {
	{{2, 0, {EIO, EIO}}, 1, LACKS_LINKS, false}, /* as rclone has it */
	{{1, 0, {EIO}}, 0, 0, false}, /* a disk that failed once */
	{{1, 0, {ENOSPC}}, 0, 0, true},
	{{1, 0, {ENOMEM}}, -ENOMEM, 0, true},
};

START_TEST(what_fails_tells_what_is_lacking_or_nothing)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	CLEANUP(buf_release) struct buf say = {0};
	struct answers a = failures[_i].answers;
	struct err e;

	put_entry(&f, ".ckptfs/");
	links_ask(answer, &a);
	ck_assert_int_eq(ability_learn(f.fd, &say, &e), failures[_i].result);
	ck_assert_uint_eq(lacks_at(f.fd) & LACKS_LINKS, failures[_i].flags);
	ck_assert(!is_there(&f, ".ckptfs/ability"));
	ck_assert_int_eq(lacks_known(device_of(&f)), !failures[_i].unknown);
	if (failures[_i].unknown) {
		ck_assert_int_eq(ability_learn(f.fd, &say, &e), 0);
	}
}
END_TEST

START_TEST(what_a_killed_one_left_does_not_matter)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	CLEANUP(buf_release) struct buf say = {0};
	struct err e;

	put_entry(&f, ".ckptfs/");
	put_entry(&f, ".ckptfs/ability/");
	put_entry(&f, ".ckptfs/ability/file");
	put_entry(&f, ".ckptfs/ability/again");
	ck_assert_int_eq(ability_learn(f.fd, &say, &e), 0);
	ck_assert(!is_there(&f, ".ckptfs/ability"));
}
END_TEST

/* --- doing without ------------------------------------------------------------------------------------------- */

START_TEST(without_links_files_are_copied)
{
	CLEANUP(folder_remove) struct folder f = lacking(LACKS_LINKS);
	struct stat a, b;
	struct err e;

	folder_put(&f, LIT("bytes"), "a");
	ck_assert_int_eq(io_link(f.fd, "a", f.fd, "b", &e), -EOPNOTSUPP);
	ck_assert_int_eq(io_link(f.fd, "missing", f.fd, "b", &e), -ENOENT);
	ck_assert_int_eq(io_place(f.fd, "a", f.fd, "b", &e), 0);
	assert_content(&f, "b", "bytes");
	ck_assert_int_eq(fstatat(f.fd, "a", &a, 0), 0);
	ck_assert_int_eq(fstatat(f.fd, "b", &b, 0), 0);
	ck_assert_uint_ne(a.st_ino, b.st_ino);
}
END_TEST

START_TEST(without_symbolic_links_there_are_files)
{
	CLEANUP(folder_remove) struct folder f = lacking(LACKS_SYMLINKS);
	char target[PATH_MAX];
	struct stat st;
	struct err e;

	ck_assert_int_eq(io_make_link("../a", f.fd, "link", &e), 0);
	ck_assert_int_eq(fstatat(f.fd, "link", &st, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert(S_ISREG(st.st_mode));
	ck_assert_int_eq(io_read_link(f.fd, "link", target, sizeof target), 4);
	ck_assert_int_eq(memcmp(target, "../a", 4), 0);
	ck_assert_int_eq(io_read_link(f.fd, "link", target, 2), 2);
	ck_assert_int_eq(io_make_link("other", f.fd, "link", &e), -EEXIST);
	ck_assert_int_eq(io_read_link(f.fd, "missing", target, sizeof target), -ENOENT);
	ck_assert_int_eq(symlinkat("real", f.fd, "symbolic"), 0);
	ck_assert_int_eq(io_read_link(f.fd, "symbolic", target, sizeof target), 4);
	folder_put(&f, LIT("ckptfs link\n../a"), "part"); /* killed while it was made */
	ck_assert_int_eq(io_read_link(f.fd, "part", target, sizeof target), -EINVAL);
	folder_put(&f, LIT("\x93NUMPY"), "file");
	ck_assert_int_eq(io_read_link(f.fd, "file", target, sizeof target), -EINVAL);
}
END_TEST

START_TEST(nameless_files_are_elsewhere)
{
	CLEANUP(folder_remove) struct folder f = lacking(LACKS_NAMELESS);
	CLEANUP(closep) int fd = -1;
	char back[8] = "";
	struct err e;

	fd = io_nameless(f.fd, &e);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(io_write_at(fd, LIT("bytes"), 0, &e), 0);
	ck_assert_int_eq(pread(fd, back, sizeof back, 0), 5);
	ck_assert_str_eq(back, "bytes");
}
END_TEST

static struct file_id id_of(const struct folder *f, const char *name, time_t mtime)
{
	const struct timespec times[] = {{.tv_sec = mtime}, {.tv_sec = mtime}};
	struct stat st;

	ck_assert_int_eq(utimensat(f->fd, name, times, 0), 0);
	ck_assert_int_eq(fstatat(f->fd, name, &st, 0), 0);
	return file_id_of(&st);
}

static const struct {
	unsigned flags;
	bool other, minute, later; /* another file; one of another time */
} ids[] = {
	{0, false, false, false},
	{LACKS_INODES, true, false, false},
	{LACKS_INODES | LACKS_TIMES, true, true, false},
};

START_TEST(files_are_told_apart_by_what_there_is)
{
	CLEANUP(folder_remove) struct folder f = lacking(ids[_i].flags);
	struct file_id a, b;

	folder_put(&f, LIT("bytes"), "a");
	folder_put(&f, LIT("other"), "b");
	folder_put(&f, LIT("longer"), "c");
	a = id_of(&f, "a", 1000000);
	b = id_of(&f, "a", 1000000);
	ck_assert(file_id_eq(&a, &b));
	b = id_of(&f, "b", 1000000);
	ck_assert_int_eq(file_id_eq(&a, &b), ids[_i].other);
	b = id_of(&f, "b", 1000059);
	ck_assert_int_eq(file_id_eq(&a, &b), ids[_i].minute);
	ck_assert_int_eq(file_id_eq(&b, &a), ids[_i].minute);
	b = id_of(&f, "b", 1000060);
	ck_assert_int_eq(file_id_eq(&a, &b), ids[_i].later);
	b = id_of(&f, "c", 1000000);
	ck_assert(!file_id_eq(&a, &b));
}
END_TEST

START_TEST(stamps_fit_the_same_bytes)
{
	static const unsigned flags[] = {LACKS_INODES, LACKS_INODES | LACKS_TIMES,
					 LACKS_INODES | LACKS_TIMES | LACKS_SYMLINKS};
	CLEANUP(folder_remove) struct folder f = lacking(flags[_i]);
	struct err e;

	put_entry(&f, "stamps/");
	CLEANUP(closep) int stamps = openat(f.fd, "stamps", O_RDONLY | O_DIRECTORY);

	folder_put(&f, LIT("bytes"), "a");
	id_of(&f, "a", 1000000);
	ck_assert_int_eq(file_stamp_make(f.fd, "a", stamps, "a", &e), 0);
	ck_assert_int_eq(file_stamp_fits(stamps, "a", f.fd, "a", &e), 1);
	save_over(&f, "a", "bytes"); /* another file with the same bytes, as after a copy */
	id_of(&f, "a", 1000000);
	ck_assert_int_eq(file_stamp_fits(stamps, "a", f.fd, "a", &e), 1);
	save_over(&f, "a", "other");
	id_of(&f, "a", 1000000);
	ck_assert_int_eq(file_stamp_fits(stamps, "a", f.fd, "a", &e), 0);
	folder_put(&f, LIT("ckptfs link\n- 5"), "stamps/part");
	ck_assert_int_eq(file_stamp_fits(stamps, "part", f.fd, "a", &e), 0);
}
END_TEST

/* --- folders that can't be renamed --------------------------------------------------------------------------- */

START_TEST(a_draft_is_whole_when_no_mark_leads_to_it)
{
	CLEANUP(folder_remove) struct folder f = lacking(LACKS_FOLDERS);
	CLEANUP(closep) int drafts = -1;
	char old[DRAFTS_OLD_SIZE];
	struct err e;

	put_entry(&f, ".ckptfs/drafts/");
	drafts = drafts_open(f.fd);
	ck_assert_int_eq(drafts_begin_new(drafts, "m-1", &e), 0);
	put_entry(&f, ".ckptfs/drafts/m-1/");
	ck_assert_uint_eq(drafts_count(f.fd), 0);
	ck_assert_int_eq(drafts_end_new(drafts, "m-1", &e), 0);
	ck_assert_uint_eq(drafts_count(f.fd), 1);
	ck_assert_int_eq(drafts_begin_new(drafts, "m-1", &e), -EEXIST);
	ck_assert_int_eq(drafts_remove_new(drafts, &e), 0);
	ck_assert_uint_eq(drafts_count(f.fd), 1);
	ck_assert_int_eq(drafts_retire(f.fd, "m-1", old, &e), 0);
	ck_assert_uint_eq(drafts_count(f.fd), 0);
	ck_assert(is_there(&f, ".ckptfs/drafts/m-1"));
	ck_assert_int_eq(drafts_sweep(f.fd, old, &e), 0);
	ck_assert(!is_there(&f, ".ckptfs/drafts/m-1"));
	drafts_tidy(f.fd);
	ck_assert(!is_there(&f, ".ckptfs/drafts"));
}
END_TEST

START_TEST(what_a_crash_left_of_drafts_is_removed)
{
	CLEANUP(folder_remove) struct folder f = lacking(LACKS_FOLDERS);
	CLEANUP(closep) int drafts = -1;
	char old[DRAFTS_OLD_SIZE];
	struct err e;

	put_entry(&f, ".ckptfs/drafts/");
	put_entry(&f, ".ckptfs/drafts/m-1/");
	put_entry(&f, ".ckptfs/drafts/m-2/");
	put_entry(&f, ".ckptfs/drafts/m-3/");
	drafts = drafts_open(f.fd);
	ck_assert_int_eq(drafts_retire(f.fd, "m-1", old, &e), 0);
	ck_assert_int_eq(io_make_link("m-2", drafts, DRAFT_NEW, &e), 0);
	ck_assert_int_eq(drafts_remove_old(f.fd, &e), 0);
	ck_assert(!is_there(&f, ".ckptfs/drafts/m-1"));
	ck_assert(!is_there(&f, ".ckptfs/drafts/m-2"));
	ck_assert(is_there(&f, ".ckptfs/drafts/m-3"));
	ck_assert_int_eq(drafts_retire(f.fd, "m-3", old, &e), 0);
	ck_assert_int_eq(drafts_begin_new(drafts, "m-3", &e),
			 0); /* the rest is in the way no more */
	ck_assert(!is_there(&f, ".ckptfs/drafts/m-3"));
}
END_TEST

TCase *ability_tests(void)
{
	TCase *c = tcase_create("ability");

	tcase_add_test(c, where_nothing_is_lacking_nothing_is_said);
	tcase_add_test(c, what_is_lacking_is_asked_and_said_once);
	tcase_add_loop_test(c, what_fails_tells_what_is_lacking_or_nothing, 0,
			    sizeof failures / sizeof *failures);
	tcase_add_test(c, what_a_killed_one_left_does_not_matter);
	tcase_add_test(c, without_links_files_are_copied);
	tcase_add_test(c, without_symbolic_links_there_are_files);
	tcase_add_test(c, nameless_files_are_elsewhere);
	tcase_add_loop_test(c, files_are_told_apart_by_what_there_is, 0, sizeof ids / sizeof *ids);
	tcase_add_loop_test(c, stamps_fit_the_same_bytes, 0, 3);
	tcase_add_test(c, a_draft_is_whole_when_no_mark_leads_to_it);
	tcase_add_test(c, what_a_crash_left_of_drafts_is_removed);
	return c;
}

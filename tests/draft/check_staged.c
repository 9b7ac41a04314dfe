/* Tests of src/draft/staged.[ch]: which written files can be committed, and the checksums of what is written. */
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "draft/check_draft.h"
#include "draft/items.h"
#include "draft/model.h"
#include "draft/staged.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#define UNLIKE(kind)                                                                               \
	"s/b.npy: is " kind ", expected DT_FLOAT [1] as the variable has it; to change that, "     \
	"remove it first"

static struct trial trial;

static void setup(void)
{
	trial_setup(&trial, (char *[]){"a", "s/b", "s/c"}, 3);
}

static void teardown(void)
{
	trial_teardown(&trial);
}

/* --- what can be committed --------------------------------------------------------------------------------- */

static int check(const char *path, bool not_yet, struct err *e)
{
	struct draft_item *i = trial_find(&trial, path);

	ck_assert_msg(i, "%s is not there", path);
	*e = (struct err){0};
	return draft_check(trial.d, i, not_yet, e);
}

/* The draft says of all that is refused: TEXT. */
static void assert_why(const char *text)
{
	CLEANUP(buf_release) struct buf why = {0};

	must(draft_why(trial.d, &why), &(struct err){.text = "draft_why"});
	buf_add_byte(&why, 0);
	ck_assert_str_eq((char *)why.p, text);
}

static void assert_refused(const char *path, const char *sentence)
{
	struct err e;

	ck_assert_int_eq(check(path, false, &e), -EINVAL);
	ck_assert_str_eq(e.text, sentence);
	assert_why(sentence);
}

static void assert_passes(const char *path)
{
	struct err e;

	must(check(path, false, &e), &e);
	assert_why("");
}

static void put_npy(const char *path, const char *descr, const char *shape, size_t n)
{
	CLEANUP(buf_release) struct buf b = trial_npy(descr, shape, n);

	trial_put(&trial, path, buf_bytes(&b));
}

static const struct {
	const char *descr, *shape;
	size_t n;
	const char *over, *new; /* why it is refused over a variable, and as a new one; or NULL */
} files[] = {
	{"<f4", "(1,)", 4, NULL, NULL},
	{">f4", "(1,)", 4, NULL, NULL},
	{"<f8", "(1,)", 8, UNLIKE("DT_DOUBLE [1]"), NULL},
	{"<i4", "(1,)", 4, UNLIKE("DT_INT32 [1]"), NULL},
	{"<f4", "(2,)", 8, UNLIKE("DT_FLOAT [2]"), NULL},
	{"<f4", "(0,)", 0, UNLIKE("DT_FLOAT [0]"), NULL},
	{"<f4", "()", 4, UNLIKE("DT_FLOAT []"), NULL},
	{"<f4", "(1, 1)", 4, UNLIKE("DT_FLOAT [1, 1]"), NULL},
	{"|S3", "(1,)", 3, UNLIKE("DT_STRING [1]"), NULL},
	{"<f4", "(1,)", 3, "s/b.npy: has 3 bytes behind its header, expected 4",
	 "s/n.npy: has 3 bytes behind its header, expected 4"},
	{"<f4", "(1,)", 5, "s/b.npy: has 5 bytes behind its header, expected 4",
	 "s/n.npy: has 5 bytes behind its header, expected 4"},
	{"<f4", "(1,)", 0, "s/b.npy: has 0 bytes behind its header, expected 4",
	 "s/n.npy: has 0 bytes behind its header, expected 4"},
	{"|O", "(1,)", 4,
	 "s/b.npy: descr '|O': pickled Python objects; expected numbers, or strings of bytes",
	 "s/n.npy: descr '|O': pickled Python objects; expected numbers, or strings of bytes"},
};

START_TEST(a_file_is_like_its_variable)
{
	put_npy("s/b.npy", files[_i].descr, files[_i].shape, files[_i].n);
	if (files[_i].over)
		assert_refused("s/b.npy", files[_i].over);
	else
		assert_passes("s/b.npy");
}
END_TEST

START_TEST(a_new_file_is_of_any_type_and_shape)
{
	put_npy("s/n.npy", files[_i].descr, files[_i].shape, files[_i].n);
	if (files[_i].new)
		assert_refused("s/n.npy", files[_i].new);
	else
		assert_passes("s/n.npy");
}
END_TEST

static const struct {
	const char *bytes;
	size_t n; /* 0: of a good file its first bytes */
	size_t cut;
	const char *sentence;
} no_npy[] = {
	{"", 0, 0, "s/b.npy: is empty, expected a .npy file"},
	{"1.5 2.5\n", 8, 0, "s/b.npy: this is no .npy file: it does not begin with \\x93NUMPY"},
	{"\x93NUMPY\1\0", 8, 0, "s/b.npy: this is no .npy file: it does not begin with \\x93NUMPY"},
	{"\x93NUMPY\4\0\2\0{}", 12, 0, "s/b.npy: version 4.0 of .npy; expected 1.0, 2.0 or 3.0"},
	{"\x93NUMPY\1\0\2\0{}", 12, 0, "s/b.npy: header: there is no 'descr'"},
	{NULL, 0, 100, "s/b.npy: a header of 118 bytes in a file of 100"},
	{NULL, 0, NPY_HEADER + 1, "s/b.npy: has 1 bytes behind its header, expected 4"},
};

START_TEST(what_is_no_npy_file_is_refused)
{
	CLEANUP(buf_release) struct buf b = trial_npy("<f4", "(1,)", 4);
	struct bytes good = bytes_of(b.p, no_npy[_i].cut);
	struct err e;

	trial_put(&trial, "s/b.npy",
		  no_npy[_i].bytes ? bytes_of(no_npy[_i].bytes, no_npy[_i].n) : good);
	assert_refused("s/b.npy", no_npy[_i].sentence);
	ck_assert_int_eq(check("s/b.npy", true, &e), -EINVAL);
}
END_TEST

/* As numpy.lib.format.open_memmap makes it; what can't become good is refused at once. */
START_TEST(a_file_of_a_header_alone_passes_while_it_is_written)
{
	struct err e;

	put_npy("s/b.npy", "<f4", "(1,)", 0);
	must(check("s/b.npy", true, &e), &e);
	assert_why("");
	assert_refused("s/b.npy", "s/b.npy: has 0 bytes behind its header, expected 4");
	put_npy("s/b.npy", "<f4", "(7,)", 0);
	ck_assert_int_eq(check("s/b.npy", true, &e), -EINVAL);
	ck_assert_str_eq(e.text, UNLIKE("DT_FLOAT [7]"));
	put_npy("s/b.npy", "<f4", "(1,)", 2);
	ck_assert_int_eq(check("s/b.npy", true, &e), -EINVAL);
}
END_TEST

START_TEST(a_refusal_lasts_until_the_file_is_written_to)
{
	struct err e;

	put_npy("s/b.npy", "<f8", "(1,)", 8);
	put_npy("a.npy", "<f4", "(1,)", 3);
	ck_assert_int_eq(check("s/b.npy", false, &e), -EINVAL);
	assert_why(UNLIKE("DT_DOUBLE [1]"));
	ck_assert_int_eq(check("a.npy", false, &e), -EINVAL);
	assert_why(UNLIKE("DT_DOUBLE [1]") "\na.npy: has 3 bytes behind its header, expected 4");
	put_npy("s/b.npy", "<f4", "(1,)", 4);
	assert_why("a.npy: has 3 bytes behind its header, expected 4");
	put_npy("a.npy", "<f4", "(1,)", 4);
	assert_why("");
	assert_passes("a.npy");
	assert_passes("s/b.npy");
}
END_TEST

/* An error of reading says nothing of the file. */
START_TEST(only_what_can_not_be_committed_is_noted)
{
	const struct err why = {.code = -EINVAL, .text = "no"};
	struct draft_item *i;

	put_npy("a.npy", "<f4", "(1,)", 4);
	i = trial_find(&trial, "a.npy");
	staged_note(i, -EIO, &why);
	assert_why("");
	staged_note(i, -EINVAL, &why);
	assert_why("no");
	staged_note(i, 0, &why);
	assert_why("");
}
END_TEST

START_TEST(a_removed_variable_leaves_no_expectation)
{
	struct err e = {0};

	must(draft_unlink(trial.d, trial_index(&trial, "s"), "b.npy", &e), &e);
	put_npy("s/b.npy", "<f8", "(2, 2)", 32);
	assert_passes("s/b.npy");
}
END_TEST

START_TEST(what_is_renamed_over_a_variable_is_to_be_like_it)
{
	struct err e = {0};
	uint32_t s = trial_index(&trial, "s");

	put_npy("s/n.npy", "<f8", "(1,)", 8);
	assert_passes("s/n.npy");
	must(draft_rename(trial.d, s, "n.npy", s, "b.npy", 0, &e), &e);
	assert_refused("s/b.npy", UNLIKE("DT_DOUBLE [1]"));
}
END_TEST

START_TEST(a_variable_that_is_moved_over_a_file_is_to_be_like_it)
{
	struct err e = {0};
	uint32_t s = trial_index(&trial, "s");

	put_npy("n.npy", "<f8", "(1,)", 8);
	must(draft_rename(trial.d, TREE_ROOT, "a.npy", TREE_ROOT, "n.npy", 0, &e), &e);
	must(draft_rename(trial.d, TREE_ROOT, "n.npy", s, "b.npy", 0, &e), &e);
	ck_assert_uint_eq(trial_find(&trial, "s/b.npy")->what, DRAFT_VAR);
	put_npy("s/b.npy", "<f4", "(2,)", 8); /* like the variable that it is now */
	assert_refused("s/b.npy", UNLIKE("DT_FLOAT [2]"));
}
END_TEST

static char *const temporary[] = {".b.npy.x7Yq2", ".b.npy", ".tmp"};

/* Whatever is in it, and nothing of it is in a step. */
START_TEST(a_temporary_file_is_never_refused)
{
	struct err e;

	trial_put(&trial, temporary[_i], bytes_str("anything"));
	must(check(temporary[_i], false, &e), &e);
	assert_why("");
	ck_assert(!draft_is_variable(trial_find(&trial, temporary[_i])));
	ck_assert_uint_eq(draft_count(trial.d), 0);
}
END_TEST

START_TEST(a_file_in_a_temporary_folder_is_never_refused)
{
	struct draft_item *dir;
	struct err e = {0};

	must(draft_mkdir(trial.d, TREE_ROOT, ".part", &dir, &e), &e);
	draft_item_unref(trial.d, dir);
	trial_put(&trial, ".part/x.npy", bytes_str("anything"));
	must(check(".part/x.npy", false, &e), &e);
	ck_assert_uint_eq(draft_count(trial.d), 0);
}
END_TEST

/* A temporary file with the name of a variable is one from then on. */
START_TEST(a_temporary_file_that_gets_its_name_is_looked_at)
{
	struct err e = {0};

	trial_put(&trial, "s/.b.npy.tmp", bytes_str("anything"));
	must(draft_rename(trial.d, trial_index(&trial, "s"), ".b.npy.tmp", trial_index(&trial, "s"),
			  "b.npy", 0, &e),
	     &e);
	assert_refused("s/b.npy",
		       "s/b.npy: this is no .npy file: it does not begin with \\x93NUMPY");
}
END_TEST

START_TEST(a_meta_graph_has_to_be_one)
{
	struct err e;

	trial_put(&trial, "meta_graph.pbtxt", bytes_str("meta_info_def {\n  nothing: 1\n}\n"));
	ck_assert(staged_is_meta(trial_find(&trial, "meta_graph.pbtxt")));
	ck_assert_int_eq(check("meta_graph.pbtxt", false, &e), -EINVAL);
	ck_assert_msg(!strncmp(e.text, "meta_graph.pbtxt: ", 18), "%s", e.text);
	ck_assert_ptr_nonnull(strstr(e.text, "nothing"));
	assert_why(e.text);
	trial_put(&trial, "meta_graph.pbtxt", bytes_str("meta_info_def {\n  tags: \"serve\"\n}\n"));
	assert_passes("meta_graph.pbtxt");
}
END_TEST

START_TEST(fits_compares_with_the_variable_that_is_lain_over)
{
	const struct step *s = trial.base;
	struct var v = s->vars[0];
	struct draft_item *i;
	struct err e = {0};

	put_npy("s/b.npy", "<f4", "(1,)", 4);
	i = trial_find(&trial, "s/b.npy");
	must(staged_fits(trial.d, &v, s, i, &e), &e);
	v.dtype = 9; /* DT_INT64 */
	ck_assert_int_eq(staged_fits(trial.d, &v, s, i, &e), -EINVAL);
	ck_assert_str_eq(e.text, UNLIKE("DT_INT64 [1]"));
	put_npy("n.npy", "<f4", "(1,)", 4);
	must(staged_fits(trial.d, &v, s, trial_find(&trial, "n.npy"), &e), &e);
}
END_TEST

/* --- the checksum of what is written ------------------------------------------------------------------------ */

static const uint8_t letters[] = "abcdefghijklmnopqrstuvwxyz";

enum { LETTERS = sizeof letters - 1 };

static void write_letters(struct draft_item *i, uint64_t from, uint64_t end)
{
	struct err e = {0};

	must(draft_write(trial.d, i, NULL, bytes_of(letters + from, end - from), from, &e), &e);
}

/* What I's checksum would be if N bytes of its file that have to be read were these. */
static uint32_t sum_over(struct draft_item *i, const uint8_t *bytes, size_t n)
{
	CLEANUP(crc_pieces_release) struct crc_pieces sums = {0};
	const struct source src = source_of_memory(bytes_of(bytes, n));
	struct err e = {0};
	uint32_t crc;

	must(staged_sums(i->staged, &sums), &e);
	must(crc_pieces_sum(&sums, &src, &crc, &e), &e);
	return crc;
}

static const uint8_t others[LETTERS] = "..........................";

/* That of the first N letters is known. */
static void assert_known(struct draft_item *i, size_t n)
{
	ck_assert_uint_eq(sum_over(i, others, n), crc32c(letters, n));
}

/* Nothing is known of N bytes. */
static void assert_not_known(struct draft_item *i, size_t n)
{
	ck_assert_uint_eq(sum_over(i, others, n), crc32c(others, n));
}

START_TEST(what_is_written_in_order_has_its_checksum)
{
	struct draft_item *i = trial_open(&trial, "n.npy");

	assert_known(i, 0);
	write_letters(i, 0, 10);
	assert_known(i, 10);
	write_letters(i, 10, 11);
	write_letters(i, 11, LETTERS);
	assert_known(i, LETTERS);
	write_letters(i, 0, LETTERS);
	assert_known(i, LETTERS);
	draft_close(trial.d, i, true);
	assert_known(trial_find(&trial, "n.npy"), LETTERS);
}
END_TEST

static const struct {
	uint64_t from, end;
} disorder[] = {{11, 20}, {9, 20}, {0, 1}};

START_TEST(what_is_written_out_of_order_has_none)
{
	struct draft_item *i = trial_open(&trial, "n.npy");

	write_letters(i, 0, 10);
	write_letters(i, disorder[_i].from, disorder[_i].end);
	assert_not_known(i, 20);
	write_letters(i, disorder[_i].end, LETTERS); /* and order does not bring it back */
	assert_not_known(i, LETTERS);
	write_letters(i, 0, LETTERS); /* but all of it does */
	assert_known(i, LETTERS);
	draft_close(trial.d, i, true);
}
END_TEST

START_TEST(what_is_cut_has_none_but_at_its_start)
{
	struct draft_item *i = trial_open(&trial, "n.npy");
	struct err e = {0};

	write_letters(i, 0, 10);
	must(draft_truncate(trial.d, i, NULL, 5, &e), &e);
	assert_not_known(i, 5);
	must(draft_truncate(trial.d, i, NULL, 0, &e), &e);
	assert_known(i, 0);
	write_letters(i, 0, 10);
	assert_known(i, 10);
	must(draft_truncate(trial.d, i, NULL, 20, &e), &e);
	assert_not_known(i, 20);
	draft_close(trial.d, i, true);
	i = trial_open(&trial, "n.npy"); /* which cuts it */
	assert_known(i, 0);
	draft_close(trial.d, i, true);
}
END_TEST

START_TEST(what_is_allocated_has_none)
{
	struct draft_item *i = trial_open(&trial, "n.npy");

	write_letters(i, 0, 10);
	draft_allocate(trial.d, i, NULL, 0, 0, 20, NULL); /* whether it can be done or not */
	assert_not_known(i, 10);
	assert_not_known(i, 20);
	draft_close(trial.d, i, true);
}
END_TEST

/* Who knows what of it is on disk. */
START_TEST(a_write_that_fails_leaves_none)
{
	struct draft_item *i = trial_open(&trial, "n.npy");
	struct rlimit old, none;
	struct err e = {0};

	write_letters(i, 0, 10);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	none = (struct rlimit){10, old.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	ck_assert_int_eq(draft_write(trial.d, i, NULL, bytes_of(letters + 10, 5), 10, &e), -EFBIG);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_not_known(i, 10);
	draft_close(trial.d, i, true);
}
END_TEST

START_TEST(what_is_copied_up_has_its_checksum)
{
	static const uint8_t none[NPY_HEADER + 8];
	CLEANUP(buf_release) struct buf b = {0};
	struct draft_item *i;
	struct source src;
	struct err e = {0};

	must(draft_open(trial.d, trial_index(&trial, "a.npy"), true, false, &i, &e), &e);
	must(draft_write(trial.d, i, NULL, bytes_str("more"), NPY_HEADER + 4, &e), &e);
	must(source_of_fd(i->staged->fd, &src, &e), &e);
	must(source_read(&src, 0, src.size, &b, &e), &e);
	ck_assert_uint_eq(b.n, sizeof none);
	ck_assert_uint_eq(sum_over(i, none, b.n), crc32c(b.p, b.n));
	must(draft_write(trial.d, i, NULL, bytes_str("over"), NPY_HEADER, &e), &e);
	ck_assert_uint_eq(sum_over(i, none, b.n), crc32c(none, b.n));
	draft_close(trial.d, i, true);
}
END_TEST

/* Only the piece in which something was changed is read again. */
START_TEST(a_change_leaves_the_checksum_of_the_rest)
{
	enum { SIZE = 5 << 19 }; /* two and a half pieces */
	CLEANUP(freep) uint8_t *bytes = calloc(1, SIZE), *else_ = malloc(SIZE);
	struct draft_item *i = trial_open(&trial, "n.npy");
	struct err e = {0};

	memset(else_, '.', SIZE);
	must(draft_write(trial.d, i, NULL, bytes_of(bytes, SIZE), 0, &e), &e);
	must(draft_write(trial.d, i, NULL, bytes_str("over"), (1 << 20) + 5, &e), &e);
	memset(bytes + (1 << 20), '.', 1 << 20);
	ck_assert_uint_eq(sum_over(i, else_, SIZE), crc32c(bytes, SIZE));
	draft_close(trial.d, i, true);
}
END_TEST

static uint32_t crc_from(const struct crc_pieces *sums, const uint8_t *bytes, uint64_t from)
{
	const struct source src = source_of_memory(bytes_of(bytes, LETTERS));
	struct err e = {0};
	uint32_t crc;

	must(staged_crc(sums, &src, from, &crc, &e), &e);
	return crc;
}

START_TEST(a_known_checksum_gives_that_of_the_end)
{
	CLEANUP(crc_pieces_release) struct crc_pieces sums = {0};

	crc_pieces_saw(&sums, 0, letters, LETTERS);
	for (uint64_t from = 0; from <= LETTERS; from++)
		ck_assert_uint_eq(crc_from(&sums, letters, from),
				  crc32c(letters + from, LETTERS - from));
}
END_TEST

START_TEST(with_a_known_checksum_the_end_is_not_read)
{
	CLEANUP(crc_pieces_release) struct crc_pieces sums = {0};

	crc_pieces_saw(&sums, 0, (const uint8_t *)"abcdeXXXXXXXXXXXXXXXXXXXXX", LETTERS);
	ck_assert_uint_eq(crc_from(&sums, letters, 5),
			  crc32c("XXXXXXXXXXXXXXXXXXXXX", LETTERS - 5));
}
END_TEST

START_TEST(without_one_the_file_is_read)
{
	const struct crc_pieces unknown = {0};
	CLEANUP(crc_pieces_release) struct crc_pieces part = {0}, more = {0};

	crc_pieces_saw(&part, 0, others, LETTERS - 1);
	crc_pieces_saw(&more, 0, others, LETTERS);
	crc_pieces_saw(&more, LETTERS, others, 1);
	ck_assert_uint_eq(crc_from(&unknown, letters, 5), crc32c(letters + 5, LETTERS - 5));
	ck_assert_uint_eq(crc_from(&part, letters, 5), crc32c(letters + 5, LETTERS - 5));
	ck_assert_uint_eq(crc_from(&more, letters, 5), crc32c(letters + 5, LETTERS - 5));
}
END_TEST

static void add_files(TCase *t)
{
	const int n_files = sizeof files / sizeof *files, n_no_npy = sizeof no_npy / sizeof *no_npy;
	const int n_temporary = sizeof temporary / sizeof *temporary;

	tcase_add_loop_test(t, a_file_is_like_its_variable, 0, n_files);
	tcase_add_loop_test(t, a_new_file_is_of_any_type_and_shape, 0, n_files);
	tcase_add_loop_test(t, what_is_no_npy_file_is_refused, 0, n_no_npy);
	tcase_add_test(t, a_file_of_a_header_alone_passes_while_it_is_written);
	tcase_add_test(t, a_refusal_lasts_until_the_file_is_written_to);
	tcase_add_test(t, only_what_can_not_be_committed_is_noted);
	tcase_add_test(t, a_removed_variable_leaves_no_expectation);
	tcase_add_test(t, what_is_renamed_over_a_variable_is_to_be_like_it);
	tcase_add_test(t, a_variable_that_is_moved_over_a_file_is_to_be_like_it);
	tcase_add_loop_test(t, a_temporary_file_is_never_refused, 0, n_temporary);
	tcase_add_test(t, a_file_in_a_temporary_folder_is_never_refused);
	tcase_add_test(t, a_temporary_file_that_gets_its_name_is_looked_at);
	tcase_add_test(t, a_meta_graph_has_to_be_one);
	tcase_add_test(t, fits_compares_with_the_variable_that_is_lain_over);
}

TCase *staged_tests(void)
{
	TCase *t = tcase_create("staged");

	tcase_add_checked_fixture(t, setup, teardown);
	add_files(t);
	tcase_add_test(t, what_is_written_in_order_has_its_checksum);
	tcase_add_loop_test(t, what_is_written_out_of_order_has_none, 0,
			    sizeof disorder / sizeof *disorder);
	tcase_add_test(t, what_is_cut_has_none_but_at_its_start);
	tcase_add_test(t, what_is_allocated_has_none);
	tcase_add_test(t, a_write_that_fails_leaves_none);
	tcase_add_test(t, what_is_copied_up_has_its_checksum);
	tcase_add_test(t, a_change_leaves_the_checksum_of_the_rest);
	tcase_add_test(t, a_known_checksum_gives_that_of_the_end);
	tcase_add_test(t, with_a_known_checksum_the_end_is_not_read);
	tcase_add_test(t, without_one_the_file_is_read);
	return t;
}

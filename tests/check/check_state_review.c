/* Tests of src/check/state_review.[ch]. */
#include "base/cleanup.h"
#include "check/check_check.h"
#include "check/state_review.h"
#include "lib/files.h"
#include "lib/lit.h"
#include <stdio.h>
#include <sys/stat.h>

#define LATEST(path) "model_checkpoint_path: \"" path "\"\n"
#define PATH(path)   "all_model_checkpoint_paths: \"" path "\"\n"
#define TIME(t)      "all_model_checkpoint_timestamps: " t "\n"

/* The folder has the V2 steps m-1, m-2 and m-3, of which m-2 is the newest, and two files that are no steps. @ is its path, and
 * @other that of another folder, which has a step m-9. */
static const struct {
	const char *text; /* NULL: there is no state file */
	const char *faults, *notes; /* the sentences, each with a line end */
	const char *mended;
	bool unparsed;
} reviews[] = {
	{NULL, "", "", "", true},
	/* sound */
	{LATEST("m-3") PATH("m-1") PATH("m-3"), "", "", "", false},
	{LATEST("@/m-3") PATH("@/m-3"), "", "", "", false},
	{LATEST("./m-1") PATH("./m-1"), "", "", "", false},
	/* moved */
	{LATEST("/gone/m-3") PATH("m-1") PATH("/gone/m-3"),
	 "lists /gone/m-3, where TensorFlow does not find it; it is in this folder\n"
	 "calls /gone/m-3 the latest, where TensorFlow does not find it; it is in this folder\n",
	 "", LATEST("m-3") PATH("m-1") PATH("m-3"), false},
	{LATEST("C:\\\\x\\\\m-2"),
	 "calls C:\\x\\m-2 the latest, where TensorFlow does not find it; it is in this folder\n",
	 "", LATEST("m-2"), false},
	/* gone */
	{LATEST("m-7") PATH("m-1") PATH("m-7"),
	 "lists m-7, which is gone\ncalls m-7 the latest, which is gone\n", "",
	 LATEST("m-1") PATH("m-1"), false},
	{LATEST("m-3") PATH("m-7") PATH("m-3") TIME("7") TIME("3"), "lists m-7, which is gone\n",
	 "", LATEST("m-3") PATH("m-3") TIME("3.0"), false},
	{LATEST("m-7") PATH("m-7"),
	 "lists m-7, which is gone\ncalls m-7 the latest, which is gone\n", "",
	 LATEST("m-2") PATH("m-2"), false},
	{LATEST("m-7") PATH("m-7") TIME("7"),
	 "lists m-7, which is gone\ncalls m-7 the latest, which is gone\n", "",
	 LATEST("m-2") PATH("m-2") TIME("1003.0"), false},
	/* no pattern of a V1 set */
	{LATEST("m-3") PATH("a/") PATH("w0002/") PATH("w0002-?????"
						      "-of-00002/"),
	 "lists a/, which is gone\nlists w0002/, which is gone\n"
	 "lists w0002-?????"
	 "-of-00002/, which is gone\n",
	 "", LATEST("m-3"), false},
	/* elsewhere */
	{LATEST("@other/m-9") PATH("m-1"), "",
	 "calls the latest @other/m-9, which is in another folder\n", "", false},
	{LATEST("notes") PATH("m-7"), "lists m-7, which is gone\n",
	 "calls the latest notes, which is no checkpoint\n", LATEST("notes"), false},
	/* no state file */
	{"what?", NULL, "", LATEST("m-2") PATH("m-1") PATH("m-3") PATH("m-2"), true},
	{PATH("m-1"), NULL, "", LATEST("m-2") PATH("m-1") PATH("m-3") PATH("m-2"), true},
	{LATEST("m-3") "later { a: 1 }\n", "", "has fields that TensorFlow may refuse\n", "",
	 false},
};

struct fixture {
	struct folder folder, other;
	struct listing listing;
};

/* TEXT with the paths of the folders for @ and @other. */
static char *expand(const struct fixture *f, const char *text)
{
	CLEANUP(buf_release) struct buf out = {0};

	for (const char *p = text; *p; p++) {
		bool other = !strncmp(p, "@other", 6);

		if (*p == '@')
			ck_assert_int_eq(buf_add_str(&out, other ? f->other.path : f->folder.path),
					 0);
		else
			ck_assert_int_eq(buf_add_byte(&out, (uint8_t)*p), 0);
		p += other ? 5 : 0;
	}
	ck_assert_int_eq(buf_add_byte(&out, 0), 0);
	return (char *)TAKE(out.p, NULL);
}

static void put_step(const struct folder *f, const char *name, time_t at)
{
	const struct timespec times[2] = {{.tv_sec = at}, {.tv_sec = at}};
	char file[64];

	snprintf(file, sizeof file, "%s.index", name);
	folder_put(f, LIT(""), "%s", file);
	ck_assert_int_eq(utimensat(f->fd, file, times, 0), 0);
}

static void put_state(const struct fixture *f, const char *text)
{
	CLEANUP(freep) char *expanded = expand(f, text);

	folder_put(&f->folder, bytes_str(expanded), "checkpoint");
}

static void fixture_init(struct fixture *f, const char *text)
{
	*f = (struct fixture){.folder = folder_new(), .other = folder_new()};
	put_step(&f->folder, "m-1", 1001);
	put_step(&f->folder, "m-2", 1003);
	put_step(&f->folder, "m-3", 1002);
	put_step(&f->other, "m-9", 1009);
	folder_put(&f->folder, LIT(""), "notes");
	folder_put(&f->folder, LIT(""), "w0002-00000-of-00002");
	if (text)
		put_state(f, text);
	ck_assert_int_eq(listing_read(f->folder.fd, "checkpoint", &f->listing, NULL), 0);
}

static void fixture_release(struct fixture *f)
{
	listing_release(&f->listing);
	folder_remove(&f->folder);
	folder_remove(&f->other);
}

static void assert_sentences(const struct fixture *f, const struct buf *sentences,
			     const char *lines)
{
	CLEANUP(freep) char *want = expand(f, lines);
	CLEANUP(buf_release) struct buf have = {0};

	for (size_t i = 0; i < sentences->n; i++)
		ck_assert_int_eq(buf_add_byte(&have, sentences->p[i] ? sentences->p[i] : '\n'), 0);
	ck_assert_int_eq(buf_add_byte(&have, 0), 0);
	ck_assert_str_eq((char *)have.p, want);
}

static void assert_text(const struct fixture *f, struct bytes have, const char *text)
{
	CLEANUP(freep) char *want = expand(f, text);

	ck_assert_msg(bytes_eq(have, bytes_str(want)), "%.*s", (int)have.n, (const char *)have.p);
}

START_TEST(what_tensorflow_would_not_find_is_mended)
{
	CLEANUP(fixture_release) struct fixture f;
	CLEANUP(state_review_release) struct state_review r = {0};
	CLEANUP(buf_release) struct buf now = {0};
	struct err e;

	fixture_init(&f, reviews[_i].text);
	ck_assert_int_eq(state_review(f.folder.fd, "checkpoint", &f.listing, &r, &e), 0);
	ck_assert_int_eq(r.parsed, !reviews[_i].unparsed);
	if (reviews[_i].faults)
		assert_sentences(&f, &r.faults, reviews[_i].faults);
	else
		ck_assert_int_eq(strncmp((char *)r.faults.p, "is no state file: ", 18), 0);
	assert_sentences(&f, &r.notes, reviews[_i].notes);
	assert_text(&f, buf_bytes(&r.mended), reviews[_i].mended);
	if (!r.mended.n)
		return;
	ck_assert_int_eq(state_mend(f.folder.fd, "checkpoint", &r, &e), 0);
	read_whole(&now, "%s/checkpoint", f.folder.path);
	assert_text(&f, buf_bytes(&now), reviews[_i].mended);
}
END_TEST

START_TEST(a_mended_file_is_sound_and_keeps_its_mode)
{
	CLEANUP(fixture_release) struct fixture f;
	CLEANUP(state_review_release) struct state_review first = {0}, second = {0};
	struct stat st;

	fixture_init(&f, LATEST("/gone/m-3") PATH("/gone/m-3"));
	ck_assert_int_eq(fchmodat(f.folder.fd, "checkpoint", 0604, 0), 0);
	ck_assert_int_eq(state_review(f.folder.fd, "checkpoint", &f.listing, &first, NULL), 0);
	ck_assert_int_eq(state_mend(f.folder.fd, "checkpoint", &first, NULL), 0);
	ck_assert_int_eq(fstatat(f.folder.fd, "checkpoint", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0604);
	ck_assert_int_eq(state_review(f.folder.fd, "checkpoint", &f.listing, &second, NULL), 0);
	ck_assert_uint_eq(second.faults.n, 0);
}
END_TEST

START_TEST(what_a_trainer_wrote_meanwhile_stays)
{
	CLEANUP(fixture_release) struct fixture f;
	CLEANUP(state_review_release) struct state_review r = {0};
	CLEANUP(buf_release) struct buf now = {0};
	struct err e;

	fixture_init(&f, LATEST("m-7"));
	ck_assert_int_eq(state_review(f.folder.fd, "checkpoint", &f.listing, &r, &e), 0);
	put_state(&f, LATEST("m-1"));
	ck_assert_int_eq(state_mend(f.folder.fd, "checkpoint", &r, &e), -ESTALE);
	read_whole(&now, "%s/checkpoint", f.folder.path);
	assert_text(&f, buf_bytes(&now), LATEST("m-1"));
	ck_assert_int_eq(unlinkat(f.folder.fd, "checkpoint", 0), 0);
	ck_assert_int_eq(state_mend(f.folder.fd, "checkpoint", &r, &e), -ESTALE);
	ck_assert_int_lt(faccessat(f.folder.fd, "checkpoint", F_OK, 0), 0);
}
END_TEST

TCase *state_review_tests(void)
{
	TCase *t = tcase_create("state_review");

	tcase_add_loop_test(t, what_tensorflow_would_not_find_is_mended, 0, COUNT(reviews));
	tcase_add_test(t, a_mended_file_is_sound_and_keeps_its_mode);
	tcase_add_test(t, what_a_trainer_wrote_meanwhile_stays);
	return t;
}

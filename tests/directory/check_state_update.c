/* Tests of src/directory/state_update.[ch]. tests/tf/state.py has TensorFlow read the same. */
#include "base/cleanup.h"
#include "directory/check_directory.h"
#include "directory/latest.h"
#include "directory/state_update.h"
#include "lib/files.h"
#include "lib/lit.h"
#include "message/state.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

/* --- a writer in between ----------------------------------------------------------------------------------- */

int __real_state_file_read(int dirfd, const char *name, struct buf *text, struct err *e);
int __wrap_state_file_read(int dirfd, const char *name, struct buf *text, struct err *e);

/* Behind each of the first WRITES readings of a state file another one is put, or it is removed: the next of TEXTS,
 * again and again. */
static struct {
	const struct folder *folder;
	const char *const *texts; /* NULL in it: no file */
	int n_texts, writes, done;
} rival;

int __wrap_state_file_read(int dirfd, const char *name, struct buf *text, struct err *e)
{
	int r = __real_state_file_read(dirfd, name, text, e);

	if (rival.folder && rival.done < rival.writes) {
		const char *next = rival.texts[rival.done++ % rival.n_texts];

		if (next)
			folder_put(rival.folder, bytes_str(next), "%s", name);
		else
			unlinkat(rival.folder->fd, name, 0);
	}
	return r;
}

/* --- what a file becomes ----------------------------------------------------------------------------------- */

#define LATEST(path) "model_checkpoint_path: \"" path "\"\n"
#define PATH(path)   "all_model_checkpoint_paths: \"" path "\"\n"
#define TIME(t)      "all_model_checkpoint_timestamps: " t "\n"
#define SET(name, n)                                                                               \
	name "-????"                                                                               \
	     "?-of-0000" n
#define LAST(t) "last_preserved_timestamp: " t "\n"

/* In texts @ is the folder's path. A step is NAME, or NAME:N for a V1 set of N. */
static const struct {
	char change;
	const char *step, *to;
	const char *before, *after; /* NULL: no file */
} changes[] = {
	/* add */
	{'a', "m-0", NULL, NULL, LATEST("m-0") PATH("m-0")},
	{'a', "m-1", NULL, LATEST("m-0") PATH("m-0"), LATEST("m-1") PATH("m-0") PATH("m-1")},
	{'a', "m-1", NULL, LATEST("m-2") PATH("m-1") PATH("m-2"),
	 LATEST("m-1") PATH("m-2") PATH("m-1")},
	{'a', "m-1", NULL, LATEST("m-1") PATH("m-1") PATH("m-2") PATH("./m-1"),
	 LATEST("./m-1") PATH("m-2") PATH("./m-1")},
	{'a', "m-2", NULL, LATEST("m-1"), LATEST("m-2") PATH("m-2")},
	{'a', "m-3", NULL, LATEST("m-1") PATH("m-1") PATH("m-2"),
	 LATEST("m-3") PATH("m-1") PATH("m-2") PATH("m-3")},
	{'a', "m-3", NULL, LATEST("m-1") PATH("m-1") "later { a: 1 }\n",
	 LATEST("m-3") PATH("m-1") PATH("m-3") "later { a: 1 }\n"},
	{'a', "m-\303\251", NULL, NULL, LATEST("m-\303\251") PATH("m-\303\251")},
	/* in the style of the file */
	{'a', "m-1", NULL, LATEST("@/m-0") PATH("@/m-0"),
	 LATEST("@/m-1") PATH("@/m-0") PATH("@/m-1")},
	{'a', "m-1", NULL, LATEST("@/m-0"), LATEST("@/m-1") PATH("@/m-1")},
	{'a', "m-1", NULL, LATEST("@/./m-0") PATH("@//m-0"),
	 LATEST("@/./m-1") PATH("@//m-0") PATH("@/./m-1")},
	{'a', "m-1", NULL, LATEST("/gone/m-0") PATH("/gone/m-0"),
	 LATEST("m-1") PATH("/gone/m-0") PATH("m-1")},
	{'a', "m-1", NULL, LATEST("/tmp/m-0") PATH("/tmp/m-0"),
	 LATEST("m-1") PATH("/tmp/m-0") PATH("m-1")},
	{'a', "m-2", NULL, LATEST("@/m-1") PATH("/gone/m-0") PATH("@/m-1"),
	 LATEST("m-2") PATH("/gone/m-0") PATH("@/m-1") PATH("m-2")},
	{'a', "m-2", NULL, LATEST("@/m-1") PATH("m-0") PATH("@/m-1"),
	 LATEST("m-2") PATH("m-0") PATH("@/m-1") PATH("m-2")},
	{'a', "m-1", NULL, LATEST("run/m-0") PATH("run/m-0"),
	 LATEST("m-1") PATH("run/m-0") PATH("m-1")},
	/* one that is there is kept where it leads here */
	{'a', "m-1", NULL, LATEST("@/m-1") PATH("@/m-1") PATH("m-2"),
	 LATEST("@/m-1") PATH("m-2") PATH("@/m-1")},
	{'a', "m-1", NULL, LATEST("/gone/m-2") PATH("/gone/m-1") PATH("/gone/m-2"),
	 LATEST("m-1") PATH("/gone/m-2") PATH("m-1")},
	{'a', "m-1", NULL, LATEST("C:\\\\run\\\\m-1") PATH("C:\\\\run\\\\m-1") PATH("m-2"),
	 LATEST("m-1") PATH("m-2") PATH("m-1")},
	{'a', "b", NULL, LATEST("kept\\\\b") PATH("kept\\\\b"),
	 LATEST("b") PATH("kept\\\\b") PATH("b")},
	{'a', "kept\\b", NULL, LATEST("b") PATH("b"),
	 LATEST("kept\\\\b") PATH("b") PATH("kept\\\\b")},
	/* V1 */
	{'a', "m-1:2", NULL, LATEST("m-0") PATH("m-0"),
	 LATEST(SET("m-1", "2")) PATH("m-0") PATH(SET("m-1", "2"))},
	{'a', "m-0:2", NULL, LATEST(SET("@/m-0", "3")) PATH(SET("@/m-0", "3")),
	 LATEST(SET("@/m-0", "2")) PATH(SET("@/m-0", "2"))},
	{'a', "m-0", NULL, LATEST(SET("m-0", "3")) PATH(SET("m-0", "3")),
	 LATEST("m-0") PATH("m-0")},
	/* one of which nothing can be made */
	{'a', "m-1", NULL, "", LATEST("m-1") PATH("m-1")},
	{'a', "m-1", NULL, "\377 garbage", LATEST("m-1") PATH("m-1")},
	{'a', "m-1", NULL, PATH("m-0"), LATEST("m-1") PATH("m-1")},
	{'p', "m-1", NULL, "model_checkpoint_path", LATEST("m-1") PATH("m-1")},
	{'d', "m-1", NULL, "", ""},
	{'d', "m-1", NULL, "m-1", "m-1"},
	{'r', "m-1", "m-2", "m-1", "m-1"},
	/* add, behind the step `to` alone */
	{'f', "m-3", "m-2", LATEST("m-2") PATH("m-1") PATH("m-2"),
	 LATEST("m-3") PATH("m-1") PATH("m-2") PATH("m-3")},
	{'f', "m-3", "m-2", LATEST("/gone/m-2") PATH("/gone/m-2"),
	 LATEST("m-3") PATH("/gone/m-2") PATH("m-3")},
	{'f', "m-3", "m-1", "# mine\n" LATEST("m-2") PATH("m-1") PATH("m-2"),
	 "# mine\n" LATEST("m-2") PATH("m-1") PATH("m-2")},
	{'f', "m-3", "m-1", LATEST("m-2") PATH("m-2") PATH("m-3"),
	 LATEST("m-2") PATH("m-2") PATH("m-3")},
	{'f', "m-3", "m-2", LATEST("m-3") PATH("m-2") PATH("m-3"),
	 LATEST("m-3") PATH("m-2") PATH("m-3")},
	{'f', "m-3", "m-2", NULL, NULL},
	{'f', "m-3", "m-2", "", ""},
	{'f', "m-3", "m-2", "\377 garbage", "\377 garbage"},
	/* add, with relative and with absolute paths */
	{'l', "m-1", NULL, NULL, LATEST("m-1") PATH("m-1")},
	{'l', "m-1", NULL, LATEST("@/m-0") PATH("@/m-0"), LATEST("m-1") PATH("m-0") PATH("m-1")},
	{'l', "m-2", NULL, LATEST("@/m-1") PATH("/gone/m-0") PATH(SET("@/m-1", "3")) PATH("@/m-2"),
	 LATEST("m-2") PATH("/gone/m-0") PATH(SET("m-1", "3")) PATH("m-2")},
	{'x', "m-1", NULL, NULL, LATEST("@/m-1") PATH("@/m-1")},
	{'x', "m-1", NULL, "\377 garbage", LATEST("@/m-1") PATH("@/m-1")},
	{'x', "m-1", NULL, LATEST("m-0") PATH("m-0"), LATEST("@/m-1") PATH("@/m-0") PATH("@/m-1")},
	{'x', "m-1", NULL, LATEST("@/./m-0") PATH("@/./m-0"),
	 LATEST("@/./m-1") PATH("@/./m-0") PATH("@/./m-1")},
	{'x', "m-2", NULL, LATEST("m-1") PATH("/gone/m-0") PATH(SET("m-1", "3")) PATH("./m-2"),
	 LATEST("@/m-2") PATH("/gone/m-0") PATH(SET("@/m-1", "3")) PATH("@/m-2")},
	/* point */
	{'p', "m-1", NULL, NULL, LATEST("m-1") PATH("m-1")},
	{'p', "m-1", NULL, LATEST("m-2") PATH("m-1") PATH("m-2"),
	 LATEST("m-1") PATH("m-1") PATH("m-2")},
	{'p', "m-1", NULL, LATEST("m-2") PATH("m-2"), LATEST("m-1") PATH("m-2") PATH("m-1")},
	{'p', "m-1", NULL, LATEST("@/m-2") PATH("@/m-1") PATH("@/m-2"),
	 LATEST("@/m-1") PATH("@/m-1") PATH("@/m-2")},
	{'p', "m-1", NULL, LATEST("/gone/m-2") PATH("/gone/m-1") PATH("/gone/m-2"),
	 LATEST("m-1") PATH("m-1") PATH("/gone/m-2")},
	{'p', "m-1", NULL,
	 LATEST("m-2") PATH("m-1") PATH("m-2") TIME("5.0") TIME("6.25") LAST("1.5"),
	 LATEST("m-1") PATH("m-1") PATH("m-2") TIME("5.0") TIME("6.25") LAST("1.5")},
	/* drop */
	{'d', "m-1", NULL, NULL, NULL},
	{'d', "m-1", NULL, LATEST("m-1") PATH("m-1"), NULL},
	{'d', "m-1", NULL, LATEST("m-1"), NULL},
	{'d', "m-1", NULL, LATEST("/gone/m-1") PATH("m-1"), NULL},
	{'d', "m-2", NULL, LATEST("m-2") PATH("m-0") PATH("m-1") PATH("m-2"),
	 LATEST("m-1") PATH("m-0") PATH("m-1")},
	{'d', "m-1", NULL, LATEST("m-2") PATH("m-0") PATH("m-1") PATH("m-2"),
	 LATEST("m-2") PATH("m-0") PATH("m-2")},
	{'d', "m-2", NULL, LATEST("/old/m-2") PATH("/old/m-1") PATH("/old/m-2"),
	 LATEST("/old/m-1") PATH("/old/m-1")},
	{'d', "m-2", NULL, LATEST("m-2") PATH("m-1"), LATEST("m-1") PATH("m-1")},
	{'d', "m-1", NULL, LATEST("m-2") PATH("m-1"), LATEST("m-2")},
	{'d', "m-1", NULL,
	 LATEST("m-2") PATH("m-1") PATH("m-2") TIME("5.0") TIME("6.25") LAST("1.5"),
	 LATEST("m-2") PATH("m-2") TIME("6.25") LAST("1.5")},
	{'d', "m-1", NULL, LATEST("m-2") PATH(SET("m-1", "2")) PATH("m-2"),
	 LATEST("m-2") PATH("m-2")},
	{'d', "m-3", NULL, "# mine\n" LATEST("m-2"), "# mine\n" LATEST("m-2")},
	{'d', "", NULL, "# mine\n" LATEST("m-2"), "# mine\n" LATEST("m-2")},
	/* drop what is kept for good */
	{'k', "m-1", NULL,
	 LATEST("m-2") PATH("m-1") PATH("m-2") TIME("5.0") TIME("6.25") LAST("1.5"),
	 LATEST("m-2") PATH("m-2") TIME("6.25") LAST("5.0")},
	{'k', "m-1", NULL, LATEST("m-2") PATH("m-1") PATH("m-2") LAST("1.5"),
	 LATEST("m-2") PATH("m-2") LAST("1.5")},
	/* rename */
	{'r', "m-1", "n-1", NULL, NULL},
	{'r', "m-1", "n-1", LATEST("m-1") PATH("m-1"), LATEST("n-1") PATH("n-1")},
	{'r', "m-1", "n-1", LATEST("m-2") PATH("m-1") PATH("m-2"),
	 LATEST("m-2") PATH("n-1") PATH("m-2")},
	{'r', "m-1", "n-1", LATEST("m-1"), LATEST("n-1")},
	{'r', "m-1", "n-1", LATEST("./m-1") PATH("@/m-1") PATH("m-2"),
	 LATEST("./n-1") PATH("@/n-1") PATH("m-2")},
	{'r', "m-1", "n-1", LATEST("/gone/m-1") PATH("/gone/m-1") PATH("/gone/m-2"),
	 LATEST("n-1") PATH("n-1") PATH("/gone/m-2")},
	{'r', "m-1", "m-2",
	 LATEST("m-3") PATH("m-1") PATH("m-2") PATH("m-3") TIME("5.0") TIME("6.0") TIME("7.0"),
	 LATEST("m-3") PATH("m-2") PATH("m-3") TIME("5.0") TIME("7.0")},
	{'r', "m-1", "m-2", LATEST("m-1") PATH("m-2"), LATEST("m-2") PATH("m-2")},
	{'r', "m-1:2", "n-1:2", LATEST(SET("m-1", "2")) PATH(SET("m-1", "2")),
	 LATEST(SET("n-1", "2")) PATH(SET("n-1", "2"))},
	{'r', "m-9", "n-9", "# mine\n" LATEST("m-2"), "# mine\n" LATEST("m-2")},
	{'r', "m-9", "", "# mine\n" LATEST("m-2"), "# mine\n" LATEST("m-2")},
	/* as many times as paths, or none */
	{'d', "m-1", NULL, LATEST("m-2") PATH("m-1") PATH("m-2") TIME("5.0") LAST("1.5"),
	 LATEST("m-2") PATH("m-2") LAST("1.5")},
	{'a', "m-3", NULL, LATEST("m-2") PATH("m-2") LAST("1.5"),
	 LATEST("m-3") PATH("m-2") PATH("m-3") LAST("1.5")},
};

static struct step_place place_of(const char *step)
{
	const char *shards = strchr(step, ':');
	struct step_place p = {.name = strndup(step, strcspn(step, ":"))};

	if (shards) {
		p.format = STEP_V1;
		p.shards = (uint32_t)atoi(shards + 1);
	}
	return p;
}

static int apply(const struct folder *f, char change, const char *step, const char *to,
		 struct err *e)
{
	CLEANUP(step_place_release) struct step_place place = place_of(step);
	CLEANUP(step_place_release) struct step_place as = place_of(to ? to : step);
	const char *const after[] = {to, NULL};

	switch (change) {
	case 'f':
		return state_add(f->fd, f->fd, "checkpoint", after, &place, STATE_PATHS_KEPT, e);
	case 'a':
		return state_add(f->fd, f->fd, "checkpoint", NULL, &place, STATE_PATHS_KEPT, e);
	case 'l':
		return state_add(f->fd, f->fd, "checkpoint", NULL, &place, STATE_PATHS_RELATIVE, e);
	case 'x':
		return state_add(f->fd, f->fd, "checkpoint", NULL, &place, STATE_PATHS_ABSOLUTE, e);
	case 'p':
		return state_point(f->fd, "checkpoint", &place, e);
	case 'k':
		return state_preserve(f->fd, "checkpoint", &place, e);
	case 'd':
		return state_drop(f->fd, "checkpoint", &place, e);
	default:
		return state_rename(f->fd, "checkpoint", &place, &as, e);
	}
}

/* TEXT with the folder's path for each @. */
static void expand(struct buf *out, const struct folder *f, const char *text)
{
	for (; *text; text++)
		ck_assert_int_eq(*text == '@' ? buf_add_str(out, f->path)
					      : buf_add_byte(out, (uint8_t)*text),
				 0);
	ck_assert_int_eq(buf_add_byte(out, 0), 0);
}

static void put_state(const struct folder *f, const char *text)
{
	CLEANUP(buf_release) struct buf expanded = {0};

	expand(&expanded, f, text);
	folder_put(f, bytes_of(expanded.p, expanded.n - 1), "checkpoint");
}

/* NULL: there is none. */
static void assert_state(const struct folder *f, const char *text)
{
	CLEANUP(buf_release) struct buf want = {0}, have = {0};

	if (!text) {
		ck_assert_int_ne(faccessat(f->fd, "checkpoint", F_OK, 0), 0);
		return;
	}
	expand(&want, f, text);
	read_whole(&have, "%s/checkpoint", f->path);
	ck_assert_int_eq(buf_add_byte(&have, 0), 0);
	ck_assert_str_eq((char *)have.p, (char *)want.p);
}

/* But the folder itself and the one above. */
static int count_files(const struct folder *f)
{
	DIR *d = opendir(f->path);
	const struct dirent *de;
	int n = 0;

	ck_assert_ptr_nonnull(d);
	while ((de = readdir(d)))
		n += de->d_name[0] != '.';
	closedir(d);
	return n;
}

START_TEST(it_becomes_what_tensorflow_would_write)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	struct err e = {0};
	struct stat st;

	if (changes[_i].before) {
		put_state(&f, changes[_i].before);
		ck_assert_int_eq(fchmodat(f.fd, "checkpoint", 0640, 0), 0);
	}
	folder_put(&f, LIT(""), "kept\\b.index");
	ck_assert_msg(apply(&f, changes[_i].change, changes[_i].step, changes[_i].to, &e) == 0,
		      "%s", e.text);
	assert_state(&f, changes[_i].after);
	ck_assert_int_eq(count_files(&f), changes[_i].after ? 2 : 1);
	if (changes[_i].after) {
		ck_assert_int_eq(fstatat(f.fd, "checkpoint", &st, 0), 0);
		ck_assert_uint_eq(st.st_mode & 07777, changes[_i].before ? 0640 : 0644);
	}
}
END_TEST

START_TEST(what_changes_nothing_writes_nothing)
{
	static const struct {
		char change;
		const char *step, *to;
	} none[] = {{'a', "m-2", NULL},
		    {'p', "m-2", NULL},
		    {'d', "m-3", NULL},
		    {'r', "m-3", "m-4"},
		    {'r', "m-2", "m-2"}};
	CLEANUP(folder_remove) struct folder f = folder_new();
	struct stat before, after;

	put_state(&f, LATEST("m-2") PATH("m-1") PATH("m-2"));
	ck_assert_int_eq(fstatat(f.fd, "checkpoint", &before, 0), 0);
	for (size_t i = 0; i < COUNT(none); i++) {
		ck_assert_int_eq(apply(&f, none[i].change, none[i].step, none[i].to, NULL), 0);
		ck_assert_int_eq(fstatat(f.fd, "checkpoint", &after, 0), 0);
		ck_assert_uint_eq(after.st_ino, before.st_ino);
	}
}
END_TEST

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Parsed: OUT needs state_release. */
static void read_state(const struct folder *f, struct state *out)
{
	CLEANUP(buf_release) struct buf text = {0};

	read_whole(&text, "%s/checkpoint", f->path);
	ck_assert_int_eq(state_parse(buf_bytes(&text), out, NULL), 0);
}

START_TEST(a_new_path_gets_the_time_of_now_where_all_have_theirs)
{
	static const struct {
		char change;
		const char *step;
		double first; /* of those that stay */
	} timed[] = {{'a', "m-3", 5}, {'p', "m-3", 5}, {'a', "m-1", 6.25}};
	CLEANUP(folder_remove) struct folder f = folder_new();

	for (size_t i = 0; i < COUNT(timed); i++) {
		CLEANUP(state_release) struct state s = {0};
		double before = now();

		put_state(&f, LATEST("m-2") PATH("m-1") PATH("m-2") TIME("5.0") TIME("6.25")
				      LAST("1.5"));
		ck_assert_int_eq(apply(&f, timed[i].change, timed[i].step, NULL, NULL), 0);
		read_state(&f, &s);
		ck_assert_str_eq(s.latest, timed[i].step);
		ck_assert_str_eq(s.paths[s.n_paths - 1], timed[i].step);
		ck_assert_uint_eq(s.n_timestamps, s.n_paths);
		ck_assert(s.timestamps[0] == timed[i].first);
		ck_assert(s.timestamps[s.n_paths - 1] >= before);
		ck_assert(s.timestamps[s.n_paths - 1] <= now());
		ck_assert(s.last_preserved == 1.5);
	}
}
END_TEST

START_TEST(a_folder_that_was_moved_is_left_behind)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	CLEANUP(folder_remove) struct folder other = folder_new();
	char moved[80];

	put_state(&f, LATEST("@/m-0") PATH("@/m-0"));
	ck_assert_int_eq(apply(&f, 'a', "m-1", NULL, NULL), 0);
	assert_state(&f, LATEST("@/m-1") PATH("@/m-0") PATH("@/m-1"));
	snprintf(moved, sizeof moved, "%s.moved", f.path);
	ck_assert_int_eq(rename(f.path, moved), 0);
	ck_assert_int_eq(rename(other.path, f.path), 0); /* another in its place */
	ck_assert_int_eq(apply(&f, 'a', "m-2", NULL, NULL), 0);
	ck_assert_int_eq(rename(f.path, other.path), 0);
	ck_assert_int_eq(rename(moved, f.path), 0);
	assert_state(&f, LATEST("m-2") PATH("@/m-0") PATH("@/m-1") PATH("m-2"));
}
END_TEST

START_TEST(a_folder_is_the_same_through_a_link)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	CLEANUP(folder_remove) struct folder other = folder_new();
	CLEANUP(buf_release) struct buf old = {0}, new = {0};

	ck_assert_int_eq(symlinkat(f.path, other.fd, "link"), 0);
	ck_assert_int_eq(buf_printf(&old, LATEST("%s/link/m-0"), other.path), 0);
	ck_assert_int_eq(buf_printf(&new, LATEST("%s/link/m-1") PATH("%s/link/m-1") "%c",
				    other.path, other.path, 0),
			 0);
	folder_put(&f, buf_bytes(&old), "checkpoint");
	ck_assert_int_eq(apply(&f, 'a', "m-1", NULL, NULL), 0);
	assert_state(&f, (char *)new.p);
}
END_TEST

/* --- with others ------------------------------------------------------------------------------------------- */

static const char *const rival_texts[] = {
	LATEST("m-8") PATH("m-7") PATH("m-8"),
	LATEST("m-9") PATH("m-8") PATH("m-9"),
	NULL,
};

static void start_rival(const struct folder *f, int n_texts, int writes)
{
	rival.folder = f;
	rival.texts = rival_texts;
	rival.n_texts = n_texts;
	rival.writes = writes;
	rival.done = 0;
}

START_TEST(what_was_written_meanwhile_is_kept)
{
	static const struct {
		char change;
		const char *step, *to, *after;
	} kept[] = {
		{'a', "m-2", NULL, LATEST("m-2") PATH("m-7") PATH("m-8") PATH("m-2")},
		{'p', "m-7", NULL, LATEST("m-7") PATH("m-7") PATH("m-8")},
		{'d', "m-1", NULL, LATEST("m-8") PATH("m-7") PATH("m-8")},
		{'r', "m-1", "n-1", LATEST("m-8") PATH("m-7") PATH("m-8")},
	};
	CLEANUP(folder_remove) struct folder f = folder_new();

	for (size_t i = 0; i < COUNT(kept); i++) {
		put_state(&f, LATEST("m-1") PATH("m-1"));
		start_rival(&f, 1, 1);
		ck_assert_int_eq(apply(&f, kept[i].change, kept[i].step, kept[i].to, NULL), 0);
		assert_state(&f, kept[i].after);
		ck_assert_int_eq(rival.done, 1);
	}
}
END_TEST

START_TEST(a_file_that_comes_or_goes_meanwhile_is_looked_at_again)
{
	CLEANUP(folder_remove) struct folder f = folder_new();

	start_rival(&f, 2, 1);
	ck_assert_int_eq(apply(&f, 'a', "m-1", NULL, NULL), 0);
	assert_state(&f, LATEST("m-1") PATH("m-7") PATH("m-8") PATH("m-1"));
	rival.texts = rival_texts + 2;
	rival.n_texts = 1;
	rival.done = 0;
	ck_assert_int_eq(apply(&f, 'a', "m-2", NULL, NULL), 0);
	assert_state(&f, LATEST("m-2") PATH("m-2"));
	rival.done = 0;
	ck_assert_int_eq(apply(&f, 'd', "m-2", NULL, NULL), 0);
	assert_state(&f, NULL);
}
END_TEST

START_TEST(it_ends_although_the_file_changes_all_the_time)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	struct err e;

	put_state(&f, LATEST("m-1") PATH("m-1"));
	start_rival(&f, 2, 20);
	ck_assert_int_eq(apply(&f, 'a', "m-2", NULL, &e), -EBUSY);
	ck_assert_str_eq(e.text, "checkpoint: another program writes it all the time");
	ck_assert_int_eq(rival.done, 20);
	ck_assert_int_eq(count_files(&f), 1);
	put_state(&f, LATEST("m-1") PATH("m-1"));
	start_rival(&f, 2, 18); /* so that the tenth time is the first that goes well */
	ck_assert_int_eq(apply(&f, 'a', "m-2", NULL, &e), 0);
	assert_state(&f, LATEST("m-2") PATH("m-8") PATH("m-9") PATH("m-2"));
}
END_TEST

/* --- what fails -------------------------------------------------------------------------------------------- */

START_TEST(what_is_no_file_is_an_error)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	struct err e;

	ck_assert_int_eq(mkdirat(f.fd, "checkpoint", 0755), 0);
	for (const char *c = "apdr"; *c; c++) {
		ck_assert_int_eq(apply(&f, *c, "m-1", "m-2", &e), -EISDIR);
		ck_assert_str_eq(e.text, "checkpoint: is a directory, expected a file");
	}
	ck_assert_int_eq(unlinkat(f.fd, "checkpoint", AT_REMOVEDIR), 0);
	ck_assert_int_eq(mkfifoat(f.fd, "checkpoint", 0644), 0);
	ck_assert_int_eq(apply(&f, 'a', "m-1", NULL, &e), -EINVAL);
	ck_assert_int_eq(unlinkat(f.fd, "checkpoint", 0), 0);
	ck_assert_int_eq(symlinkat("checkpoint", f.fd, "checkpoint"), 0);
	ck_assert_int_eq(apply(&f, 'd', "m-1", NULL, &e), -ELOOP);
	ck_assert_int_eq(count_files(&f), 1);
}
END_TEST

START_TEST(a_file_that_can_not_be_read_is_an_error)
{
	CLEANUP(folder_remove) struct folder f = folder_new();
	struct err e;

	put_state(&f, LATEST("m-1"));
	ck_assert_int_eq(fchmodat(f.fd, "checkpoint", 0, 0), 0);
	if (geteuid() == 0) {
		ck_assert_int_eq(fchmod(f.fd, 0777), 0);
		ck_assert_int_eq(seteuid(65534), 0); /* the test has a process of its own */
	}
	for (const char *c = "apdr"; *c; c++) {
		ck_assert_int_eq(apply(&f, *c, "m-1", "m-2", &e), -EACCES);
		ck_assert_str_eq(e.text, "checkpoint: open: Permission denied");
	}
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
	assert_state(&f, LATEST("m-1"));
}
END_TEST

START_TEST(a_step_that_no_file_can_name_is_refused)
{
	static const char *const steps[] = {"", SET("m-1", "2"), "m-\377"};
	CLEANUP(folder_remove) struct folder f = folder_new();
	struct err e;

	for (size_t i = 0; i < COUNT(steps); i++) {
		ck_assert_int_eq(apply(&f, 'a', steps[i], NULL, &e), -EINVAL);
		ck_assert_int_eq(strncmp(e.text, "checkpoint: ", 12), 0);
		ck_assert_int_eq(apply(&f, 'p', steps[i], NULL, &e), -EINVAL);
		ck_assert_int_eq(count_files(&f), 0);
		put_state(&f, LATEST("m-1"));
		ck_assert_int_eq(apply(&f, 'r', "m-1", steps[i], &e), -EINVAL);
		assert_state(&f, LATEST("m-1"));
		ck_assert_int_eq(unlinkat(f.fd, "checkpoint", 0), 0);
	}
}
END_TEST

TCase *state_update_tests(void)
{
	TCase *t = tcase_create("state_update");

	tcase_add_loop_test(t, it_becomes_what_tensorflow_would_write, 0, COUNT(changes));
	tcase_add_test(t, what_changes_nothing_writes_nothing);
	tcase_add_test(t, a_new_path_gets_the_time_of_now_where_all_have_theirs);
	tcase_add_test(t, a_folder_that_was_moved_is_left_behind);
	tcase_add_test(t, a_folder_is_the_same_through_a_link);
	tcase_add_test(t, what_was_written_meanwhile_is_kept);
	tcase_add_test(t, a_file_that_comes_or_goes_meanwhile_is_looked_at_again);
	tcase_add_test(t, it_ends_although_the_file_changes_all_the_time);
	tcase_add_test(t, what_is_no_file_is_an_error);
	tcase_add_test(t, a_file_that_can_not_be_read_is_an_error);
	tcase_add_test(t, a_step_that_no_file_can_name_is_refused);
	return t;
}

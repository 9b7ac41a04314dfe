/* Tests of src/step/step.[ch]. */
#include "base/cleanup.h"
#include "format/dtype.h"
#include "lib/lit.h"
#include "lib/step.h"
#include "step/check_step.h"
#include "step/step.h"
#include "step/tensor.h"
#include <fcntl.h>
#include <stdio.h>

static int open_fixture(const char *folder)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof path, "%s/fixtures/%s", ASSETS, folder);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "%s", path);
	return fd;
}

static void step_unrefp(struct step **s)
{
	step_unref(*s);
}

/* Reads V as a user would; 0, or what the first call that fails says. */
static int read_var(struct step *s, const struct var *v, int dirfd, struct err *e)
{
	struct tensor *t;
	struct tensor_shape shape;
	CLEANUP(freep)
	uint8_t *all = NULL;
	int r = tensor_open(s, v, dirfd, &t, e);

	if (r < 0)
		return r;
	r = tensor_shape(s, v, dirfd, &shape, e);
	if (r == 0) {
		all = malloc(shape.size + 1);
		ck_assert_ptr_nonnull(all);
		r = tensor_read(t, 0, shape.size, all, e);
	}
	tensor_close(t);
	return r;
}

static int read_key(struct step *s, const char *key, int dirfd, struct err *e)
{
	const struct var *v = step_find(s, bytes_str(key));

	ck_assert_msg(v != NULL, "%s", key);
	return read_var(s, v, dirfd, e);
}

/* --- fixtures ------------------------------------------------------------------------------------------ */

#define MODEL "my-model-2000"

static const struct damage {
	const char *folder, *step;
	const char *key; /* NULL: the step does not open */
	int code;
	const char *words;
	int others; /* variables that fail as well */
} damages[] = {
	{"bad-consumer", MODEL, NULL, -ENOTSUP, MODEL ".index: header: forbids readers", 0},
	{"bad-lengths-crc", "text", "some_empty", -EBADMSG, "crc32c of the lengths", 0},
	{"bad-string-length", "text", "some_empty", -EBADMSG, "crc32c of the lengths", 0},
	{"big-endian", MODEL, "w", 0, "", 0},
	{"data-is-directory", MODEL, "w", -EIO, MODEL ".data-00000-of-00001: Is a directory", 8},
	{"empty-data", MODEL, "w", -EUCLEAN, "has 0 bytes, expected 4 at 28", 8},
	{"empty-index", MODEL, NULL, -EUCLEAN, "0 bytes are too few", 0},
	{"flipped-index-bit", MODEL, NULL, -EBADMSG, "block at 0: crc32c", 0},
	{"flipped-string-bit", "text", "utf8", -EBADMSG, "crc32c is", 0},
	{"flipped-tensor-bit", MODEL, "w", -EBADMSG, "w: crc32c of 4 bytes at 28 is", 0},
	{"footer-past-end", MODEL, NULL, -EUCLEAN, "beyond the file's 289 bytes", 0},
	{"garbage-entry", MODEL, "w", -EUCLEAN, "malformed entry", 0},
	{"huge-num-shards", MODEL, "w", -EIO, "-of-2147483647: No such file", 8},
	{"invalid-dtype", MODEL, "w", -EUCLEAN, "data type 0 is not known", 0},
	{"min-consumer", MODEL, NULL, -ENOTSUP, "needs a reader of version 99", 0},
	{"missing-header", MODEL, NULL, -EUCLEAN, "no header", 0},
	{"missing-shard", MODEL, "w", -EIO, ".data-00000-of-00001: No such file", 8},
	{"missing-slice", "model-3", "model/rows", -EUCLEAN, "a slice that it lists is missing", 0},
	{"negative-dim", MODEL, "w", -EUCLEAN, "a shape of negative size", 0},
	{"negative-num-shards", MODEL, NULL, -EUCLEAN, "header: -1 shards", 0},
	{"negative-offset", MODEL, "w", -EUCLEAN, "4 bytes at offset -4", 0},
	{"negative-shard-id", MODEL, "w", -EUCLEAN, "shard -1 of 1", 0},
	{"negative-size", MODEL, "w", -EUCLEAN, "-4 bytes at offset 28", 0},
	{"offset-past-end", MODEL, "w", -EUCLEAN, "expected 4 at 1099511627776", 0},
	{"other-dtype", MODEL, "global_step", -EUCLEAN, "8 bytes are stored, its shape needs 4", 0},
	{"overflow-to-small", MODEL, "w", -EUCLEAN, "too large", 0},
	{"overflowing-shape", MODEL, "w", -EUCLEAN, "too large", 0},
	{"shard-id-past-end", MODEL, "w", -EUCLEAN, "shard 5 of 1", 0},
	{"size-past-end", MODEL, "w", -EUCLEAN, "has 40 bytes, expected 4194304 at 28", 0},
	{"size-unlike-shape", MODEL, "w", -EUCLEAN, "8 bytes are stored", 0},
	{"slice-past-end", "model-3", "model/rows", -EUCLEAN, "slice 7,50 is out of dimension 0",
	 0},
	{"slices-with-gap", "model-3", "model/rows", -EUCLEAN, "leave 21 of 70 elements out", 0},
	{"too-many-dims", MODEL, "w", -EUCLEAN, "300 dimensions", 0},
	{"truncated-data", MODEL, "w", -EUCLEAN, "has 16 bytes, expected 4 at 28", 4},
	{"truncated-index", MODEL, NULL, -EUCLEAN, "not a table", 0},
	{"unknown-dtype", MODEL, "w", -EUCLEAN, "data type 99 is not known", 0},
	{"unknown-rank", MODEL, "w", 0, "", 0},
	{"wrong-magic", MODEL, NULL, -EUCLEAN, "not a table", 0},
	{"wrong-tensor-crc", MODEL, "w", -EBADMSG, "w: crc32c of 4 bytes at 28 is", 0},
	{"zero-num-shards", MODEL, NULL, -EUCLEAN, "header: 0 shards", 0},
};

static void check_vars(const struct damage *d, struct step *s, int dirfd)
{
	struct err e = {0};
	int failed = 0;

	ck_assert_int_eq(read_key(s, d->key, dirfd, &e), d->code);
	ck_assert_msg(strstr(e.text, d->words), "%s: %s", d->folder, e.text);
	for (uint32_t i = 0; i < s->n_vars; i++)
		if (s->vars[i].kind != VAR_PART)
			failed += read_var(s, &s->vars[i], dirfd, &e) < 0;
	ck_assert_msg(failed == (d->code < 0) + d->others, "%s: %d fail", d->folder, failed);
}

START_TEST(damage_fails_what_it_hits)
{
	const struct damage *d = &damages[_i];
	CLEANUP(closep)
	int dirfd = -1;
	CLEANUP(step_unrefp)
	struct step *s = NULL;
	struct err e = {0};
	char folder[100];
	int r;

	snprintf(folder, sizeof folder, "corrupt/%s", d->folder);
	dirfd = open_fixture(folder);
	r = step_open_v2(dirfd, d->step, VERIFY_READ, &s, &e);
	if (d->key) {
		ck_assert_msg(r == 0, "%s: %s", d->folder, e.text);
		check_vars(d, s, dirfd);
		return;
	}
	ck_assert_msg(r == d->code && e.code == r && strstr(e.text, d->words), "%s: %d %s",
		      d->folder, r, e.text);
	ck_assert_ptr_null(s);
}
END_TEST

START_TEST(a_step_says_what_it_is)
{
	CLEANUP(closep)
	int linear = open_fixture("linear");
	CLEANUP(closep)
	int keras = open_fixture("keras");
	CLEANUP(closep)
	int big = open_fixture("bigendian");
	struct step *s;

	ck_assert_int_eq(step_open_v2(linear, "my-model-0", VERIFY_READ, &s, NULL), 0);
	ck_assert_str_eq(s->place.name, "my-model-0");
	ck_assert(!s->object_based && !s->big_endian);
	ck_assert_uint_eq(s->n_vars, 9);
	for (uint32_t i = 1; i < s->n_vars; i++)
		ck_assert_int_lt(bytes_cmp(var_key(s, &s->vars[i - 1]), var_key(s, &s->vars[i])),
				 0);
	ck_assert_ptr_null(step_find(s, bytes_str("nothing")));
	ck_assert_ptr_null(step_find(s, bytes_str("")));
	ck_assert_ptr_eq(step_ref(s), s);
	step_unref(s);
	ck_assert_ptr_nonnull(step_find(s, bytes_str("w/Adam")));
	step_unref(s);

	ck_assert_int_eq(step_open_v2(keras, "ckpt-3", VERIFY_READ, &s, NULL), 0);
	ck_assert(s->object_based);
	step_unref(s);
	ck_assert_int_eq(step_open_v2(big, "numeric", VERIFY_READ, &s, NULL), 0);
	ck_assert(s->big_endian);
	step_unref(s);
}
END_TEST

START_TEST(what_is_no_index_is_refused)
{
	CLEANUP(folder_remove)
	struct folder f = folder_new();
	struct step *s;
	struct err e;

	ck_assert_int_eq(step_open_v2(f.fd, "none", VERIFY_READ, &s, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "none.index"));
	ck_assert_int_eq(mkdirat(f.fd, "dir.index", 0755), 0);
	ck_assert_int_eq(step_open_v2(f.fd, "dir", VERIFY_READ, &s, &e), -EISDIR);
	ck_assert_int_eq(mkfifoat(f.fd, "fifo.index", 0644), 0);
	ck_assert_int_eq(step_open_v2(f.fd, "fifo", VERIFY_READ, &s, &e), -EINVAL);
	step_put(&f, "", 1, NULL, 0);
	ck_assert_int_eq(step_open_v2(f.fd, "", VERIFY_READ, &s, &e), 0);
	ck_assert(s->n_vars == 0 && s->n_shards == 0);
	step_unref(s);
}
END_TEST

/* --- partitioned --------------------------------------------------------------------------------------- */

#define I64(...)                                                                                   \
	(const int64_t[])                                                                          \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define WHOLE(n, ...)                                                                              \
	{                                                                                          \
		.name = "w", .spec = {                                                             \
			.dtype = DTYPE_FLOAT,                                                      \
			.rank = 2,                                                                 \
			.dims = I64(4, 3),                                                         \
			.n_slices = n,                                                             \
			.slices = I64(__VA_ARGS__)                                                 \
		}                                                                                  \
	}
#define PART(type, rows, cols, at, ...)                                                            \
	{                                                                                          \
		.name = "w", .is_slice = true, .extents = I64(__VA_ARGS__), .spec = {              \
			.dtype = DTYPE_##type,                                                     \
			.rank = 2,                                                                 \
			.dims = I64(rows, cols),                                                   \
			.off = at,                                                                 \
			.size = 4 * (rows) * (cols)                                                \
		}                                                                                  \
	}

static const struct parts {
	struct item items[4];
	int code;
	const char *words;
} partitioned[] = {
	{{WHOLE(2, 0, 2, 0, -1, 2, 2, 0, -1), PART(FLOAT, 2, 3, 0, 0, 2, 0, -1),
	  PART(FLOAT, 2, 3, 24, 2, 2, 0, -1)},
	 0,
	 ""},
	{{WHOLE(2, 0, -1, 1, 2, 0, 4, 0, 1), PART(FLOAT, 4, 2, 0, 0, -1, 1, 2),
	  PART(FLOAT, 4, 1, 24, 0, 4, 0, 1)},
	 0,
	 ""},
	{{WHOLE(1, 0, -1, 0, -1), PART(FLOAT, 4, 3, 0, 0, -1, 0, -1)}, 0, ""},
	{{WHOLE(2, 0, 4, 0, 3, 2, 0, 0, 3), PART(FLOAT, 4, 3, 0, 0, 4, 0, 3),
	  PART(FLOAT, 0, 3, 0, 2, 0, 0, 3)},
	 0,
	 ""}, /* one is empty */
	{{WHOLE(2, 0, 2, 0, 3, 3, 1, 0, 3), PART(FLOAT, 2, 3, 0, 0, 2, 0, 3),
	  PART(FLOAT, 1, 3, 0, 3, 1, 0, 3)},
	 -EUCLEAN,
	 "its slices leave 3 of 12 elements out"},
	{{WHOLE(2, 0, 2, 0, 3, 1, 2, 0, 3), PART(FLOAT, 2, 3, 0, 0, 2, 0, 3),
	  PART(FLOAT, 2, 3, 0, 1, 2, 0, 3)},
	 -EUCLEAN,
	 "two of its slices overlap"},
	{{WHOLE(2, 0, 2, 0, 3, 0, 2, 0, 3), PART(FLOAT, 2, 3, 0, 0, 2, 0, 3)},
	 -EUCLEAN,
	 "two of its slices overlap"}, /* the same twice */
	{{WHOLE(2, 0, 2, 0, 3, 0, 2, 0, -1), PART(FLOAT, 2, 3, 0, 0, 2, 0, 3),
	  PART(FLOAT, 2, 3, 0, 0, 2, 0, -1)},
	 -EUCLEAN,
	 "two of its slices overlap"}, /* the same in two spellings */
	{{WHOLE(2, 0, 3, 0, 3, 1, 3, 0, 3), PART(FLOAT, 3, 3, 0, 0, 3, 0, 3),
	  PART(FLOAT, 3, 3, 0, 1, 3, 0, 3)},
	 -EUCLEAN,
	 "its slices hold more than its shape"},
	{{WHOLE(2, 0, 2, 0, 3, 2, 3, 0, 3), PART(FLOAT, 2, 3, 0, 0, 2, 0, 3),
	  PART(FLOAT, 3, 3, 0, 2, 3, 0, 3)},
	 -EUCLEAN,
	 "slice 2,3 is out of dimension 0, which has 4"},
	{{WHOLE(2, 0, 2, 0, 3, 2, 2, 0, 3), PART(FLOAT, 2, 3, 0, 0, 2, 0, 3)},
	 -EUCLEAN,
	 "a slice that it lists is missing"},
	{{WHOLE(2, 0, 2, 0, 3, 2, 2, 0, 3), PART(FLOAT, 2, 3, 0, 0, 2, 0, 3),
	  PART(FLOAT, 2, 3, 0, 2, 2, 0, -1)},
	 -EUCLEAN,
	 "a slice that it lists is missing"}, /* there in another spelling */
	{{WHOLE(2, 0, 2, 0, 3, 2, 2, 0, 3), PART(FLOAT, 2, 3, 0, 0, 2, 0, 3),
	  PART(INT32, 2, 3, 0, 2, 2, 0, 3)},
	 -EUCLEAN,
	 "a slice is malformed, or of another type"},
	{{WHOLE(2, 0, 2, 0, 3, 2, 2, 0, 3), PART(FLOAT, 2, 3, 0, 0, 2, 0, 3),
	  PART(UINT8, 2, 12, 0, 2, 2, 0, 3)},
	 -EUCLEAN,
	 "a slice is malformed, or of another type"}, /* its size belies its shape */
	{{WHOLE(2, 0, 2, 0, 3, 2, 2, 0, 3), PART(FLOAT, 2, 3, 0, 0, 2, 0, 3),
	  PART(FLOAT, 3, 2, 0, 2, 2, 0, 3)},
	 -EUCLEAN,
	 "a slice's shape is not that of its extents"},
	{{WHOLE(2, 0, 2, 0, 3, 2, 2, 0, 3), PART(FLOAT, 2, 3, 0, 0, 2, 0, 3),
	  PART(FLOAT, 2, 3, 100, 2, 2, 0, 3)},
	 -EUCLEAN,
	 "m.data-00000-of-00001: has 48 bytes, expected 24 at 100"},
};

START_TEST(slices_must_make_up_the_whole)
{
	const struct parts *p = &partitioned[_i];
	const struct item other = {.name = "z",
				   .spec = {.dtype = DTYPE_FLOAT, .off = 44, .size = 4}};
	CLEANUP(folder_remove)
	struct folder f = folder_new();
	uint8_t data[48] = {0};
	struct item items[5] = {other};
	struct step *s;
	struct err e = {0};
	size_t n = 1;
	int r;

	for (size_t i = 0; i < COUNT(p->items) && p->items[i].name; i++)
		items[n++] = p->items[i];
	step_put(&f, "m", 1, items, n);
	folder_put(&f, bytes_of(data, sizeof data), "m.data-00000-of-00001");
	r = step_open_v2(f.fd, "m", VERIFY_OFF, &s, &e);
	ck_assert_msg(r == 0, "%d: %s", _i, e.text);
	r = read_key(s, "w", f.fd, &e);
	ck_assert_msg(r == p->code && strstr(e.text, p->words), "%d: %d %s", _i, r, e.text);
	ck_assert_int_eq(read_key(s, "z", f.fd, &e), 0);
	step_unref(s);
}
END_TEST

START_TEST(a_variable_is_no_slice_of_itself_nor_of_another)
{
	/* The key of the slice of "w" holds an entry that lists slices, among them its own. */
	const struct item items[] = {
		WHOLE(1, 0, 4, 0, 3),
		{.name = "w",
		 .is_slice = true,
		 .extents = I64(0, 4, 0, 3),
		 .spec = {.dtype = DTYPE_FLOAT,
			  .rank = 2,
			  .dims = I64(4, 3),
			  .n_slices = 1,
			  .slices = I64(0, 4, 0, 3)}},
	};
	CLEANUP(folder_remove)
	struct folder f = folder_new();
	struct step *s;
	struct err e;

	step_put(&f, "m", 1, items, COUNT(items));
	ck_assert_int_eq(step_open_v2(f.fd, "m", VERIFY_OFF, &s, NULL), 0);
	ck_assert_int_eq(s->vars[0].kind, VAR_BAD);
	ck_assert_int_eq(read_key(s, "w", f.fd, &e), -EUCLEAN);
	step_unref(s);
}
END_TEST

/* A V1 checkpoint may say of a tensor that it has none; of strings the first one is asked how they are shown. */
START_TEST(a_tensor_without_slices_is_refused)
{
	const struct step_place where = {.name = "m", .file = "m", .format = STEP_V1};
	CLEANUP(folder_remove) struct folder f = folder_new();
	CLEANUP(table_free) struct table t = {0};
	struct tensor_shape shape;
	struct step *s;
	struct err e;

	table_entry(&t, LIT(""), LIT("\x0a\x0b\x0a\x09\x0a\1s\x12\2\x12\0\x18\7"));
	table_end(&t);
	folder_put(&f, buf_bytes(&t.file), "m");
	ck_assert_int_eq(step_open(f.fd, &where, VERIFY_READ, &s, &e), 0);
	ck_assert_uint_eq(s->n_vars, 1);
	ck_assert_int_eq(tensor_shape(s, s->vars, f.fd, &shape, &e), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(e.text, "it has no slices"));
	step_unref(s);
}
END_TEST

/* Columns that all start at 0 of the first axis are compared each with each. */
START_TEST(so_many_slices_that_comparing_them_takes_long_are_refused)
{
	enum { N = 11000 };
	static const int64_t part[] = {2, 1}, whole[] = {2, N};
	static int64_t extents[N][4];
	static struct item items[N + 1];
	CLEANUP(folder_remove)
	struct folder f = folder_new();
	struct step *s;
	struct err e;

	for (int i = 0; i <= N; i++)
		items[i] = (struct item){.name = "w", .spec = {.dtype = DTYPE_UINT8, .rank = 2}};
	for (int i = 0; i < N; i++) {
		extents[i][1] = 2;
		extents[i][2] = i;
		extents[i][3] = 1;
		items[i].is_slice = true;
		items[i].extents = extents[i];
		items[i].spec.dims = part;
		items[i].spec.size = 2;
	}
	items[N].spec.dims = whole;
	items[N].spec.n_slices = N;
	items[N].spec.slices = extents[0];
	step_put(&f, "m", 1, items, N + 1);
	folder_put(&f, LIT("ab"), "m.data-00000-of-00001");
	ck_assert_int_eq(step_open_v2(f.fd, "m", VERIFY_OFF, &s, NULL), 0);
	ck_assert_int_eq(read_key(s, "w", f.fd, &e), -EUCLEAN);
	ck_assert_msg(strstr(e.text, "too many"), "%s", e.text);
	step_unref(s);
}
END_TEST

/* --- shards -------------------------------------------------------------------------------------------- */

/* Two variables in two shards, the second one's at hand. */
static struct step *open_sharded(const struct folder *f)
{
	const struct item items[] = {
		{.name = "a", .spec = {.dtype = DTYPE_INT32, .size = 4}},
		{.name = "b", .spec = {.dtype = DTYPE_INT32, .shard = 6, .off = 2, .size = 4}},
	};
	struct step *s;

	step_put(f, "m", 7, items, COUNT(items));
	folder_put(f, LIT("\0\0\0\0"), "m.data-00000-of-00007");
	ck_assert_int_eq(step_open_v2(f->fd, "m", VERIFY_OFF, &s, NULL), 0);
	ck_assert_uint_eq(s->n_shards, 2);
	return s;
}

#define SECOND "m.data-00006-of-00007"

static void check_second(const struct folder *f, int code, const char *words)
{
	struct step *s = open_sharded(f);
	struct err e = {0};

	ck_assert_int_eq(read_key(s, "a", f->fd, NULL), 0);
	ck_assert_int_eq(read_key(s, "b", f->fd, &e), code);
	ck_assert_msg(strstr(e.text, words), "%s", e.text);
	step_unref(s);
}

START_TEST(a_shard_that_cannot_be_used_fails_what_lies_in_it)
{
	CLEANUP(folder_remove)
	struct folder f = folder_new();

	check_second(&f, -EIO, SECOND ": No such file");
	folder_put(&f, LIT("12345"), SECOND);
	check_second(&f, -EUCLEAN, SECOND ": has 5 bytes, expected 4 at 2");
	folder_put(&f, LIT("123456"), SECOND);
	check_second(&f, 0, "");
	ck_assert_int_eq(renameat(f.fd, SECOND, f.fd, "real"), 0);
	ck_assert_int_eq(symlinkat("real", f.fd, SECOND), 0);
	check_second(&f, 0, "");
	ck_assert_int_eq(unlinkat(f.fd, SECOND, 0), 0);
	ck_assert_int_eq(symlinkat(SECOND, f.fd, SECOND), 0);
	check_second(&f, -EIO, "symbolic links");
	ck_assert_int_eq(unlinkat(f.fd, SECOND, 0), 0);
	ck_assert_int_eq(mkfifoat(f.fd, SECOND, 0644), 0);
	check_second(&f, -EIO, SECOND);
}
END_TEST

/* Whoever removes a step removes its index first: what was parsed just then lacks shards, but is not damaged. */
START_TEST(a_step_that_was_removed_meanwhile_is_stale)
{
	CLEANUP(folder_remove)
	struct folder f = folder_new();
	CLEANUP(step_unrefp)
	struct step *s = open_sharded(&f);
	struct err e;

	ck_assert_int_eq(read_key(s, "b", f.fd, NULL), -EIO);
	ck_assert_int_eq(unlinkat(f.fd, "m.index", 0), 0);
	ck_assert_int_eq(read_key(s, "b", f.fd, &e), -ESTALE);
	ck_assert_str_eq(e.text, "m.index: was removed");
}
END_TEST

START_TEST(a_shard_that_changed_is_stale)
{
	CLEANUP(folder_remove)
	struct folder f = folder_new();
	CLEANUP(step_unrefp)
	struct step *s = NULL;
	struct err e;

	folder_put(&f, LIT("123456"), SECOND);
	s = open_sharded(&f);
	ck_assert_int_eq(read_key(s, "b", f.fd, NULL), 0);
	folder_put(&f, LIT("123456"), "new");
	ck_assert_int_eq(renameat(f.fd, "new", f.fd, SECOND), 0);
	ck_assert_int_eq(read_key(s, "b", f.fd, &e), -ESTALE);
	ck_assert_ptr_nonnull(strstr(e.text, "is not the file that it was"));
	ck_assert_int_eq(unlinkat(f.fd, SECOND, 0), 0);
	ck_assert_int_eq(read_key(s, "b", f.fd, &e), -ESTALE);
	ck_assert_int_eq(read_key(s, "a", f.fd, NULL), 0);
}
END_TEST

START_TEST(a_shard_that_is_cut_while_it_is_open_is_an_error)
{
	CLEANUP(folder_remove)
	struct folder f = folder_new();
	struct tensor *t;
	struct step *s;
	struct err e;
	uint8_t b[4];

	folder_put(&f, LIT("123456"), SECOND);
	s = open_sharded(&f);
	ck_assert_int_eq(tensor_open(s, step_find(s, bytes_str("b")), f.fd, &t, NULL), 0);
	folder_put(&f, LIT("123"), SECOND);
	ck_assert_int_eq(tensor_read(t, 0, 1, b, &e), 0);
	ck_assert_int_eq(tensor_read(t, 0, 4, b, &e), -EIO);
	ck_assert_ptr_nonnull(strstr(e.text, "m: b: the file ends at 3"));
	tensor_close(t);
	step_unref(s);
}
END_TEST

TCase *open_tests(void)
{
	TCase *t = tcase_create("step");

	tcase_add_loop_test(t, damage_fails_what_it_hits, 0, COUNT(damages));
	tcase_add_test(t, a_step_says_what_it_is);
	tcase_add_test(t, what_is_no_index_is_refused);
	tcase_add_loop_test(t, slices_must_make_up_the_whole, 0, COUNT(partitioned));
	tcase_add_test(t, a_variable_is_no_slice_of_itself_nor_of_another);
	tcase_add_test(t, a_tensor_without_slices_is_refused);
	tcase_add_test(t, so_many_slices_that_comparing_them_takes_long_are_refused);
	tcase_add_test(t, a_shard_that_cannot_be_used_fails_what_lies_in_it);
	tcase_add_test(t, a_step_that_was_removed_meanwhile_is_stale);
	tcase_add_test(t, a_shard_that_changed_is_stale);
	tcase_add_test(t, a_shard_that_is_cut_while_it_is_open_is_an_error);
	return t;
}

/* Tests of src/check/check.h: a step is damaged, and what is found is compared with what was damaged. */
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "check/check.h"
#include "check/check_check.h"
#include "directory/listing.h"
#include "format/bundle.h"
#include "format/dtype.h"
#include "lib/files.h"
#include "lib/lit.h"
#include "lib/random.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { KIB = 1 << 10, MIB = 1 << 20 };

/* --- a step ------------------------------------------------------------------------------------------------ */

/* A variable of SIZE uint8. */
struct entry {
	char key[16];
	uint32_t shard;
	uint64_t off, size;
	uint32_t crc;
};

/* Writes m.index. */
static void put_index(const struct folder *f, uint32_t num_shards, const struct entry *entries,
		      size_t n)
{
	CLEANUP(bundle_writer_release) struct bundle_writer w;
	CLEANUP(buf_release) struct buf file = {0};

	bundle_writer_init(&w, num_shards, false);
	for (size_t i = 0; i < n; i++) {
		int64_t dims[] = {(int64_t)entries[i].size};
		const struct bundle_entry entry = {.key = bytes_str(entries[i].key),
						   .dtype = DTYPE_UINT8,
						   .rank = 1,
						   .dims = dims,
						   .shard = entries[i].shard,
						   .off = entries[i].off,
						   .size = entries[i].size,
						   .crc = entries[i].crc};

		ck_assert_int_eq(bundle_writer_add(&w, &entry, NULL), 0);
	}
	ck_assert_int_eq(bundle_writer_finish(&w, sink_of_buf(&file), NULL), 0);
	folder_put(f, buf_bytes(&file), "m.index");
}

/* --- what is found ----------------------------------------------------------------------------------------- */

struct findings {
	struct buf lines; /* "! KEY: TEXT\n" of a problem, "- KEY: TEXT\n" of a note */
	unsigned problems, notes;
	_Atomic uint64_t seen;
	atomic_bool stop;
	const struct folder *replace; /* m.index is another file after the first finding */
	struct checked checked;
	struct err err;
};

static void found(void *arg, enum finding kind, struct bytes key, const char *text)
{
	struct findings *f = arg;
	bool problem = kind == FOUND_PROBLEM;

	f->problems += problem;
	f->notes += !problem;
	ck_assert_int_eq(buf_printf(&f->lines, "%c %.*s: %s\n", problem ? '!' : '-', (int)key.n,
				    (const char *)key.p, text),
			 0);
	if (f->replace) {
		struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};

		ck_assert_int_eq(utimensat(f->replace->fd, "m.index", times, 0), 0);
	}
}

static void findings_release(struct findings *f)
{
	buf_release(&f->lines);
}

static int check_place(int dirfd, const struct step_place *place, struct findings *f)
{
	const struct check c = {
		.threads = 4, .seen = &f->seen, .stop = &f->stop, .found = found, .arg = f};
	int r = check_step(dirfd, place, &c, &f->checked, &f->err);

	ck_assert_int_eq(buf_add_byte(&f->lines, 0), 0);
	return r;
}

/* The step m of the folder. */
static int check_m(const struct folder *f, struct findings *out)
{
	const struct step_place place = {.name = "m", .file = "m.index", .format = STEP_V2};

	return check_place(f->fd, &place, out);
}

static const char *lines_of(const struct findings *f)
{
	return (const char *)f->lines.p;
}

static uint64_t size_of(const struct folder *f, const char *name)
{
	struct stat st;

	ck_assert_int_eq(fstatat(f->fd, name, &st, 0), 0);
	return (uint64_t)st.st_size;
}

/* --- entries that share bytes ------------------------------------------------------------------------------ */

enum { N_ENTRIES = 40, N_SHARDS = 2 };

/* A step of variables at any places of two shards. */
struct many {
	struct folder folder;
	uint8_t *bytes[N_SHARDS];
	uint64_t size[N_SHARDS];
	struct entry entries[N_ENTRIES];
};

static void put_shards(const struct many *m)
{
	for (int i = 0; i < N_SHARDS; i++)
		folder_put(&m->folder, bytes_of(m->bytes[i], m->size[i]), "m.data-%05d-of-%05d", i,
			   N_SHARDS);
}

/* Most entries are small, some have more than what is read at once; many overlap, and some are the same bytes. */
static void many_init(struct many *m, uint64_t seed)
{
	m->folder = folder_new();
	for (int i = 0; i < N_SHARDS; i++) {
		m->size[i] = 3 * MIB + random_below(&seed, MIB);
		m->bytes[i] = malloc(m->size[i]);
		ck_assert_ptr_nonnull(m->bytes[i]);
		for (uint64_t k = 0; k < m->size[i]; k++)
			m->bytes[i][k] = (uint8_t)random_next(&seed);
	}
	for (int i = 0; i < N_ENTRIES; i++) {
		struct entry *e = &m->entries[i];

		e->shard = (uint32_t)random_below(&seed, N_SHARDS);
		e->size = random_below(&seed, i % 4 ? 64 * KIB : 2 * MIB);
		e->off = random_below(&seed, m->size[e->shard] - e->size);
		if (i % 10 == 9) /* the bytes of the one before */
			*e = m->entries[i - 1];
		e->crc = crc32c(m->bytes[e->shard] + e->off, e->size);
		snprintf(e->key, sizeof e->key, "v%02d", i);
	}
	put_shards(m);
	put_index(&m->folder, N_SHARDS, m->entries, N_ENTRIES);
}

static void many_release(struct many *m)
{
	for (int i = 0; i < N_SHARDS; i++)
		free(m->bytes[i]);
	folder_remove(&m->folder);
}

/* How many bytes of the shards some entry has. */
static uint64_t count_covered(const struct many *m)
{
	uint64_t n = 0;

	for (uint32_t shard = 0; shard < N_SHARDS; shard++) {
		CLEANUP(freep) uint8_t *covered = calloc(m->size[shard], 1);

		ck_assert_ptr_nonnull(covered);
		for (int i = 0; i < N_ENTRIES; i++)
			if (m->entries[i].shard == shard)
				memset(covered + m->entries[i].off, 1, m->entries[i].size);
		for (uint64_t k = 0; k < m->size[shard]; k++)
			n += covered[k];
	}
	return n;
}

START_TEST(each_byte_is_read_once_whatever_the_entries_share)
{
	CLEANUP(many_release) struct many m;
	CLEANUP(findings_release) struct findings f = {0};

	many_init(&m, (uint64_t)_i);
	ck_assert_int_eq(check_m(&m.folder, &f), 0);
	ck_assert_msg(!*lines_of(&f), "%.2000s", lines_of(&f));
	ck_assert_uint_eq(f.checked.variables, N_ENTRIES);
	ck_assert_uint_eq(f.checked.num_shards, N_SHARDS);
	ck_assert_uint_eq(f.seen, count_covered(&m));
	ck_assert_uint_eq(f.checked.bytes, count_covered(&m) + size_of(&m.folder, "m.index"));
}
END_TEST

START_TEST(a_flipped_bit_fails_the_entries_that_have_it_and_no_other)
{
	CLEANUP(many_release) struct many m;
	uint64_t seed = 1000 + (uint64_t)_i;

	many_init(&m, seed);
	for (int tries = 0; tries < 8; tries++) {
		CLEANUP(findings_release) struct findings f = {0};
		CLEANUP(buf_release) struct buf want = {0};
		uint32_t shard = (uint32_t)random_below(&seed, N_SHARDS);
		uint64_t at = random_below(&seed, m.size[shard]);

		m.bytes[shard][at] ^= 0x10;
		put_shards(&m);
		for (int i = 0; i < N_ENTRIES; i++) {
			const struct entry *e = &m.entries[i];

			if (e->shard == shard && e->off <= at && at - e->off < e->size)
				buf_printf(&want,
					   "! %s: m.data-%05u-of-%05d: crc32c of %ju bytes at %ju "
					   "is %08x, recorded %08x\n",
					   e->key, shard, N_SHARDS, (uintmax_t)e->size,
					   (uintmax_t)e->off,
					   crc32c(m.bytes[shard] + e->off, e->size), e->crc);
		}
		buf_add_byte(&want, 0);
		ck_assert_int_eq(check_m(&m.folder, &f), 0);
		ck_assert_msg(!strcmp(lines_of(&f), (char *)want.p), "%.2000s", lines_of(&f));
		m.bytes[shard][at] ^= 0x10;
	}
}
END_TEST

START_TEST(a_variable_without_bytes_can_have_a_wrong_checksum)
{
	CLEANUP(folder_remove) struct folder folder = folder_new();
	CLEANUP(findings_release) struct findings f = {0};
	const struct entry entries[] = {{.key = "bad", .crc = 7}, {.key = "good"}};

	folder_put(&folder, LIT(""), "m.data-00000-of-00001");
	put_index(&folder, 1, entries, COUNT(entries));
	ck_assert_int_eq(check_m(&folder, &f), 0);
	ck_assert_str_eq(lines_of(&f),
			 "! bad: m.data-00000-of-00001: crc32c of 0 bytes at 0 is 00000000, "
			 "recorded 00000007\n");
}
END_TEST

/* --- shards ------------------------------------------------------------------------------------------------ */

/* m has the variables a and b in shard 0, and c in shard 1; all are zeros. */
static void put_three(const struct folder *f)
{
	static const uint8_t zeros[16];
	const uint32_t crc = crc32c(zeros, 8);
	const struct entry entries[] = {
		{"a", 0, 0, 8, crc}, {"b", 0, 8, 8, crc}, {"c", 1, 0, 8, crc}};

	folder_put(f, bytes_of(zeros, 16), "m.data-00000-of-00002");
	folder_put(f, bytes_of(zeros, 8), "m.data-00001-of-00002");
	put_index(f, 2, entries, COUNT(entries));
}

START_TEST(a_missing_shard_is_told_once)
{
	CLEANUP(folder_remove) struct folder folder = folder_new();
	CLEANUP(findings_release) struct findings f = {0};

	put_three(&folder);
	ck_assert_int_eq(unlinkat(folder.fd, "m.data-00000-of-00002", 0), 0);
	ck_assert_int_eq(check_m(&folder, &f), 0);
	ck_assert_str_eq(lines_of(&f),
			 "! : m.data-00000-of-00002: No such file or directory; 2 variables have "
			 "bytes in it\n");
	ck_assert_uint_eq(f.seen, 8);
}
END_TEST

START_TEST(what_lies_beyond_a_cut_shard_fails)
{
	CLEANUP(folder_remove) struct folder folder = folder_new();
	CLEANUP(findings_release) struct findings f = {0};

	put_three(&folder);
	folder_put(&folder, bytes_of((uint8_t[12]){0}, 12), "m.data-00000-of-00002");
	ck_assert_int_eq(check_m(&folder, &f), 0);
	ck_assert_uint_eq(f.problems, 1);
	ck_assert_int_eq(strncmp(lines_of(&f), "! b: ", 5), 0);
	ck_assert_uint_eq(f.seen, 16);
}
END_TEST

START_TEST(a_damaged_index_is_one_problem_of_the_step)
{
	CLEANUP(folder_remove) struct folder folder = folder_new();
	CLEANUP(findings_release) struct findings f = {0};

	folder_put(&folder, LIT("no table"), "m.index");
	ck_assert_int_eq(check_m(&folder, &f), 0);
	ck_assert_uint_eq(f.problems, 1);
	ck_assert_int_eq(strncmp(lines_of(&f), "! : m.index: ", 13), 0);
	ck_assert_uint_eq(f.checked.num_shards, 0);
}
END_TEST

/* --- what can't be known ----------------------------------------------------------------------------------- */

START_TEST(what_was_found_means_nothing_if_the_step_goes_or_is_replaced)
{
	CLEANUP(folder_remove) struct folder folder = folder_new();
	CLEANUP(findings_release) struct findings gone = {0}, replaced = {.replace = &folder};

	ck_assert_int_eq(check_m(&folder, &gone), -ENOENT);
	ck_assert_uint_eq(gone.problems + gone.notes, 0);
	put_three(&folder);
	ck_assert_int_eq(unlinkat(folder.fd, "m.data-00001-of-00002", 0), 0);
	ck_assert_int_eq(check_m(&folder, &replaced), -ESTALE);
	ck_assert_str_eq(replaced.err.text, "m.index: was replaced while it was read");
}
END_TEST

START_TEST(it_ends_when_it_is_told_to)
{
	CLEANUP(folder_remove) struct folder folder = folder_new();
	CLEANUP(findings_release) struct findings f = {.stop = true};

	put_three(&folder);
	ck_assert_int_eq(check_m(&folder, &f), -ECANCELED);
	ck_assert_uint_eq(f.seen, 0);
}
END_TEST

START_TEST(more_problems_than_anybody_reads_are_counted)
{
	enum { N = 10007 };
	CLEANUP(folder_remove) struct folder folder = folder_new();
	CLEANUP(findings_release) struct findings f = {0};
	CLEANUP(freep) struct entry *entries = calloc(N, sizeof *entries);

	ck_assert_ptr_nonnull(entries);
	for (size_t i = 0; i < N; i++) {
		entries[i].size = 1;
		snprintf(entries[i].key, sizeof entries[i].key, "%05zu", i);
	}
	folder_put(&folder, LIT("x"), "m.data-00000-of-00001");
	put_index(&folder, 1, entries, N);
	ck_assert_int_eq(check_m(&folder, &f), 0);
	ck_assert_uint_eq(f.problems, 10001);
	ck_assert_ptr_nonnull(strstr(lines_of(&f), "! : 7 more variables are damaged\n"));
	ck_assert_uint_eq(f.seen, 1);
}
END_TEST

/* --- fixtures ---------------------------------------------------------------------------------------------- */

static const struct {
	const char *fixture, *step;
	const char *file; /* whose byte AT is changed; NULL: none is */
	uint64_t at;
	const char *problem; /* a part of the one that is found; NULL: there is none */
} fixtures[] = {
	{"linear", "my-model-0", NULL, 0, NULL},
	{"linear", "my-model-0", "my-model-0.index", 20, "! : my-model-0.index: "},
	{"linear", "my-model-0", "my-model-0.meta", 0, "! : my-model-0.meta: "},
	{"keras", "ckpt-3", NULL, 0, NULL},
	{"partitioned", "model-3", NULL, 0, NULL},
	{"partitioned", "model-3", "model-3.data-00000-of-00001", 100, ": its slice "},
	{"strings", "text", NULL, 0, NULL},
	{"dtypes", "variant", NULL, 0, NULL},
	{"dtypes", "variant", "variant.data-00000-of-00001", 30, " bytes at "},
	{"v1-sharded", "model-2", NULL, 0, NULL},
	{"v1-sharded", "model-2", "model-2.meta", 0, "! : model-2.meta: "},
};

static void flip(const struct folder *f, const char *name, uint64_t at)
{
	CLEANUP(buf_release) struct buf bytes = {0};

	read_whole(&bytes, "%s/%s", f->path, name);
	ck_assert_uint_lt(at, bytes.n);
	bytes.p[at] ^= 0xff;
	folder_put(f, buf_bytes(&bytes), "%s", name);
}

static int check_listed(const struct folder *f, const char *step, struct findings *out)
{
	CLEANUP(listing_release) struct listing l = {0};
	const struct listed *item;

	ck_assert_int_eq(listing_read(f->fd, STATE_NAME, &l, NULL), 0);
	item = listing_find(&l, LISTED_STEP, step);
	ck_assert_ptr_nonnull(item);
	return check_place(f->fd, &item->place, out);
}

START_TEST(damage_to_what_tensorflow_saved_is_found)
{
	CLEANUP(folder_remove) struct folder folder = folder_new();
	CLEANUP(findings_release) struct findings f = {0};
	char path[4096];

	snprintf(path, sizeof path, "%s/fixtures/%s", ASSETS, fixtures[_i].fixture);
	folder_copy(&folder, path);
	if (fixtures[_i].file)
		flip(&folder, fixtures[_i].file, fixtures[_i].at);
	ck_assert_int_eq(check_listed(&folder, fixtures[_i].step, &f), 0);
	ck_assert_msg(f.problems == (fixtures[_i].problem != NULL), "%s", lines_of(&f));
	if (fixtures[_i].problem)
		ck_assert_msg(strstr(lines_of(&f), fixtures[_i].problem) != NULL, "%s",
			      lines_of(&f));
	ck_assert_uint_eq(f.notes, 0);
}
END_TEST

/* V1 has checksums of its blocks: what is lost with one is told of each variable in it. */
START_TEST(a_damaged_block_of_v1_fails_its_slices)
{
	CLEANUP(folder_remove) struct folder folder = folder_new();
	CLEANUP(findings_release) struct findings f = {0};

	folder_copy(&folder, ASSETS "/fixtures/v1-sharded");
	flip(&folder, "model-2-00001-of-00002", 5);
	ck_assert_int_eq(check_listed(&folder, "model-2", &f), 0);
	ck_assert_msg(f.problems > 0, "%s", lines_of(&f));
	ck_assert_ptr_nonnull(strstr(lines_of(&f), "model-2-00001-of-00002"));
	ck_assert_ptr_null(strstr(lines_of(&f), "model-2-00000-of-00002"));
}
END_TEST

START_TEST(a_graph_of_other_variables_is_worth_a_note)
{
	CLEANUP(folder_remove) struct folder folder = folder_new();
	CLEANUP(findings_release) struct findings f = {0};
	CLEANUP(buf_release) struct buf meta = {0};

	put_three(&folder);
	read_whole(&meta, "%s/fixtures/linear/my-model-0.meta", ASSETS);
	folder_put(&folder, buf_bytes(&meta), "m.meta");
	ck_assert_int_eq(check_m(&folder, &f), 0);
	ck_assert_str_eq(
		lines_of(&f),
		"- : 8 variables of its graph are not stored: b/Adam, b/Adam_1, beta1_power, "
		"beta2_power, global_step and 3 more\n"
		"- : 2 variables are stored that its graph does not list: a, c\n");
}
END_TEST

TCase *check_step_tests(void)
{
	TCase *t = tcase_create("check_step");

	tcase_add_loop_test(t, each_byte_is_read_once_whatever_the_entries_share, 0, 4);
	tcase_add_loop_test(t, a_flipped_bit_fails_the_entries_that_have_it_and_no_other, 0, 4);
	tcase_add_test(t, a_variable_without_bytes_can_have_a_wrong_checksum);
	tcase_add_test(t, a_missing_shard_is_told_once);
	tcase_add_test(t, what_lies_beyond_a_cut_shard_fails);
	tcase_add_test(t, a_damaged_index_is_one_problem_of_the_step);
	tcase_add_test(t, what_was_found_means_nothing_if_the_step_goes_or_is_replaced);
	tcase_add_test(t, it_ends_when_it_is_told_to);
	tcase_add_test(t, more_problems_than_anybody_reads_are_counted);
	tcase_add_loop_test(t, damage_to_what_tensorflow_saved_is_found, 0, COUNT(fixtures));
	tcase_add_test(t, a_damaged_block_of_v1_fails_its_slices);
	tcase_add_test(t, a_graph_of_other_variables_is_worth_a_note);
	return t;
}

/* Tests of src/format/bundle.h. What TensorFlow's own messages make of the fixtures is in tests/assets/bundle. */
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "format/bundle.h"
#include "format/check_format.h"
#include "format/dtype.h"
#include "format/ordered_code.h"
#include "format/slice.h"
#include "lib/files.h"
#include "lib/hex.h"
#include "lib/lit.h"
#include "lib/table.h"

static void must(int r)
{
	if (r < 0)
		ck_abort_msg("error %d", r);
}

/* --- fixtures ------------------------------------------------------------------------------------------ */

struct facts {
	FILE *file;
	char *line;
	size_t cap;
	unsigned n; /* numbered lines; the one at hand is of entry `number` */
	char *fields[10];
};

static bool next_fact(struct facts *f)
{
	char *rest = NULL;

	if (getline(&f->line, &f->cap, f->file) <= 0)
		return false;
	for (size_t i = 0; i < COUNT(f->fields); i++)
		f->fields[i] = strtok_r(i ? NULL : f->line, " \n", &rest);
	return true;
}

static void slices_text(struct buf *out, const struct bundle_entry *entry)
{
	const int64_t *x = entry->slices;

	for (uint32_t i = 0; i < entry->n_slices; i++) {
		must(buf_add_str(out, i ? "/" : ""));
		if (!entry->rank)
			must(buf_add_str(out, "."));
		for (unsigned k = 0; k < entry->rank; k++, x += 2)
			must(buf_printf(out, "%s%lld,%lld", k ? ":" : "", (long long)x[0],
					(long long)x[1]));
	}
	must(buf_add(out, entry->n_slices ? "" : "-", entry->n_slices ? 1 : 2));
}

static void check_fact(char *const fields[], const struct bundle_entry *entry)
{
	CLEANUP(buf_release)
	struct buf key = {0};
	CLEANUP(buf_release)
	struct buf slices = {0};
	int64_t dims[SHAPE_MAX_RANK];

	add_hex(&key, fields[2]);
	slices_text(&slices, entry);
	ck_assert_msg(entry->why.code == 0, "%s: %s", fields[2], entry->why.text);
	ck_assert_msg(bytes_eq(entry->key, buf_bytes(&key)), "%s: another key", fields[2]);
	ck_assert_int_eq(entry->dtype, atoi(fields[3]));
	ck_assert_uint_eq(entry->rank, parse_numbers(fields[4], dims, SHAPE_MAX_RANK));
	ck_assert_mem_eq(entry->dims, dims, entry->rank * sizeof *dims);
	ck_assert_uint_eq(entry->shard, strtoul(fields[5], NULL, 10));
	ck_assert_uint_eq(entry->off, strtoull(fields[6], NULL, 10));
	ck_assert_uint_eq(entry->size, strtoull(fields[7], NULL, 10));
	ck_assert_uint_eq(crc32c_mask(entry->crc), strtoul(fields[8], NULL, 16));
	ck_assert_str_eq((char *)slices.p, fields[9]);
}

/* F is at the line of an index; afterwards at that of the next. */
static bool check_index(struct facts *f)
{
	CLEANUP(buf_release)
	struct buf file = {0};
	unsigned long entries = strtoul(f->fields[4], NULL, 10), n = 0;
	struct bundle_entry entry;
	struct bundle b;
	bool more;

	read_whole(&file, "%s/fixtures/%s", ASSETS, f->fields[1]);
	ck_assert_int_eq(bundle_open(&b, source_of_memory(buf_bytes(&file)), NULL), 0);
	ck_assert_int_eq(b.num_shards, atoi(f->fields[2]));
	ck_assert_int_eq(b.big_endian, atoi(f->fields[3]));
	more = next_fact(f);
	for (; bundle_next(&b, &entry, NULL) > 0; n++)
		if (more && !strcmp(f->fields[0], "entry") &&
		    n == strtoul(f->fields[1], NULL, 10)) {
			check_fact(f->fields, &entry);
			more = next_fact(f);
		}
	ck_assert_uint_eq(n, entries);
	ck_assert_msg(!more || !strcmp(f->fields[0], "index"), "entry %s was not met",
		      f->fields[1]);
	bundle_close(&b);
	return more;
}

START_TEST(indexes_hold_what_tensorflow_reads_from_them)
{
	struct facts f = {.file = fopen(ASSETS "/bundle/entries.txt", "re")};
	int n = 1;

	ck_assert_ptr_nonnull(f.file);
	ck_assert(next_fact(&f));
	while (check_index(&f))
		n++;
	ck_assert_int_gt(n, 20);
	fclose(f.file);
	free(f.line);
}
END_TEST

START_TEST(slices_stand_under_the_keys_that_tensorflow_gave_them)
{
	CLEANUP(buf_release)
	struct buf file = {0};
	CLEANUP(buf_release)
	struct buf keys = {0}; /* of entries that start with 00, which here are all slices */
	struct bundle_entry entry;
	struct bundle b;
	int found = 0;

	read_whole(&file, "%s/fixtures/partitioned/model-3.index", ASSETS);
	ck_assert_int_eq(bundle_open(&b, source_of_memory(buf_bytes(&file)), NULL), 0);
	while (bundle_next(&b, &entry, NULL) > 0) {
		if (!entry.key.p[0]) {
			must(buf_add(&keys, entry.key.p, entry.key.n));
			must(buf_add_str(&keys, "|"));
		}
		for (uint32_t i = 0; i < entry.n_slices; i++, found++) {
			CLEANUP(buf_release)
			struct buf key = {0};

			must(slice_key_encode(&key, entry.key, entry.rank,
					      entry.slices + 2 * i * entry.rank));
			must(buf_add_str(&key, "|"));
			ck_assert_ptr_nonnull(memmem(keys.p, keys.n, key.p, key.n));
		}
	}
	ck_assert_int_gt(found, 30);
	bundle_close(&b);
}
END_TEST

/* --- headers ------------------------------------------------------------------------------------------- */

static const struct header {
	struct bytes value;
	int code;
	const char *words;
} headers[] = {
	{LIT_INIT("\x08\1\x1a\2\x08\1"), 0, ""},
	{LIT_INIT("\x08\1"), 0, ""}, /* no version */
	{LIT_INIT("\x08\1\x10\1"), 0, ""}, /* big-endian */
	{LIT_INIT("\x08\1\x1a\2\x08\x63"), 0, ""}, /* a producer of a later version */
	{LIT_INIT("\x08\1\x1a\2\x10\1"), 0, ""}, /* min_consumer 1 */
	{LIT_INIT("\x08\1\x1a\4\x1a\2\2\3"), 0, ""}, /* forbids 2 and 3 */
	{LIT_INIT("\x08\1\x3a\1z\x45zzzz"), 0, ""}, /* fields of a later version */
	{LIT_INIT(""), -EUCLEAN, "header: 0 shards"},
	{LIT_INIT("\x08\0"), -EUCLEAN, "header: 0 shards"},
	{LIT_INIT("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"), -EUCLEAN, "header: -1 shards"},
	{LIT_INIT("\x08\1\x10\2"), -EUCLEAN, "byte order 2"},
	{LIT_INIT("\x08\1\x1a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"), -EUCLEAN,
	 "producer version -1"},
	{LIT_INIT("\x08\1\x1a\2\x10\2"), -ENOTSUP, "needs a reader of version 2"},
	{LIT_INIT("\x08\1\x1a\4\x1a\2\2\1"), -ENOTSUP, "forbids readers of version 1"},
	{LIT_INIT("\x08\1\x1a\4\x18\2\x18\1"), -ENOTSUP,
	 "forbids readers of version 1"}, /* not packed */
	{LIT_INIT("\x08"), -EUCLEAN, "header: malformed"},
	{LIT_INIT("\x08\1\x1a\x20\x08\1"), -EUCLEAN, "header: malformed"},
	{LIT_INIT("\xff\xff\xff\xff\xff\xff\xff"), -EUCLEAN, "header: malformed"},
};

START_TEST(headers_are_checked)
{
	const struct header *h = &headers[_i];
	CLEANUP(table_free)
	struct table t = {0};
	struct bundle b;
	struct err e = {0};
	int r;

	table_entry(&t, LIT(""), h->value);
	table_end(&t);
	r = bundle_open(&b, source_of_memory(buf_bytes(&t.file)), &e);
	ck_assert_msg(r == h->code && e.code == h->code && strstr(e.text, h->words), "%d: %d %s",
		      _i, r, e.text);
	if (r == 0)
		bundle_close(&b);
}
END_TEST

START_TEST(without_a_header_it_is_no_bundle)
{
	CLEANUP(table_free)
	struct table none = {0};
	CLEANUP(table_free)
	struct table other = {0};
	struct bundle b;
	struct err e;

	table_end(&none);
	ck_assert_int_eq(bundle_open(&b, source_of_memory(buf_bytes(&none.file)), &e), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(e.text, "no header"));
	table_entry(&other, LIT("a"), LIT("\x08\1"));
	table_end(&other);
	ck_assert_int_eq(bundle_open(&b, source_of_memory(buf_bytes(&other.file)), &e), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(e.text, "no header"));
}
END_TEST

/* --- entries ------------------------------------------------------------------------------------------- */

#define DIMS(...)                                                                                  \
	(const int64_t[])                                                                          \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define FLOATS .dtype = DTYPE_FLOAT, .rank = 2, .dims = DIMS(2, 3)

static const struct entry_case {
	struct spec spec;
	int code;
	const char *words;
} entries[] = {
	{{FLOATS, .size = 24}, 0, ""},
	{{FLOATS, .size = 24, .shard = 1, .off = 1ull << 62}, 0, ""},
	{{.dtype = DTYPE_FLOAT, .rank = 2, .dims = DIMS(0, INT64_MAX)}, 0, ""},
	{{.dtype = DTYPE_STRING, .rank = 1, .dims = DIMS(3), .size = 7}, 0, ""},
	{{.dtype = DTYPE_VARIANT, .size = 99}, 0, ""},
	{{FLOATS, .n_slices = 2, .slices = DIMS(0, 1, 0, -1, 1, 1, 0, -1)}, 0, ""},
	{{.dtype = 0, .size = 4}, -EUCLEAN, "data type 0 is not known"},
	{{.dtype = 34, .size = 4}, -EUCLEAN, "data type 34 is not known"},
	{{.dtype = 101, .size = 4}, -EUCLEAN, "data type 101 is not known"},
	{{.dtype = -1, .size = 4}, -EUCLEAN, "data type -1 is not known"},
	{{FLOATS, .size = 23}, -EUCLEAN, "23 bytes are stored, its shape needs 24"},
	{{FLOATS, .size = 25}, -EUCLEAN, "25 bytes are stored, its shape needs 24"},
	{{FLOATS}, -EUCLEAN, "0 bytes are stored, its shape needs 24"},
	{{FLOATS, .size = 24, .shard = 2}, -EUCLEAN, "shard 2 of 2"},
	{{FLOATS, .size = 24, .shard = UINT32_MAX}, -EUCLEAN, "shard -1 of 2"},
	{{FLOATS, .size = 24, .off = -8ull}, -EUCLEAN, "24 bytes at offset -8"},
	{{FLOATS, .size = -24ull}, -EUCLEAN, "-24 bytes at offset 0"},
	{{FLOATS, .size = 24, .off = INT64_MAX},
	 -EUCLEAN,
	 "24 bytes at offset 9223372036854775807"},
	{{.dtype = DTYPE_STRING, .rank = 1, .dims = DIMS(3), .size = 6},
	 -EUCLEAN,
	 "can't hold 3 strings"},
	{{.dtype = DTYPE_STRING, .size = 3}, -EUCLEAN, "can't hold 1 strings"},
	{{.dtype = DTYPE_FLOAT, .rank = 1, .dims = DIMS(-1)}, -EUCLEAN, "a shape of negative size"},
	{{.dtype = DTYPE_UINT8, .rank = 2, .dims = DIMS(1ll << 40, 1ll << 40)},
	 -EUCLEAN,
	 "too large"},
	{{.dtype = DTYPE_FLOAT, .rank = 1, .dims = DIMS(INT64_MAX)},
	 -EUCLEAN,
	 "more than 2^63 bytes"},
};

static struct bytes encode(struct buf *out, const struct spec *s)
{
	out->n = 0;
	entry_encode(out, s);
	return buf_bytes(out);
}

START_TEST(entries_are_checked_and_the_others_stay_good)
{
	const struct entry_case *c = &entries[_i];
	const struct spec good = {FLOATS, .size = 24, .off = 8, .crc = 5};
	CLEANUP(table_free)
	struct table t = {0};
	CLEANUP(buf_release)
	struct buf value = {0};
	struct bundle_entry entry;
	struct bundle b;

	add_header(&t, 2, false);
	table_entry(&t, LIT("a"), encode(&value, &good));
	table_entry(&t, LIT("b"), encode(&value, &c->spec));
	table_entry(&t, LIT("c"), encode(&value, &good));
	table_end(&t);
	ck_assert_int_eq(bundle_open(&b, source_of_memory(buf_bytes(&t.file)), NULL), 0);
	for (char key = 'a'; key <= 'c'; key++) {
		ck_assert_int_eq(bundle_next(&b, &entry, NULL), 1);
		ck_assert(bytes_eq(entry.key, bytes_of(&key, 1)));
		if (key == 'b') {
			ck_assert_msg(entry.why.code == c->code && strstr(entry.why.text, c->words),
				      "%d: %d %s", _i, entry.why.code, entry.why.text);
			continue;
		}
		ck_assert_int_eq(entry.why.code, 0);
		ck_assert_uint_eq(entry.rank, 2);
		ck_assert(entry.dims[0] == 2 && entry.dims[1] == 3);
		ck_assert(entry.off == 8 && entry.size == 24 && crc32c_mask(entry.crc) == 5);
	}
	ck_assert_int_eq(bundle_next(&b, &entry, NULL), 0);
	bundle_close(&b);
}
END_TEST

/* Values that entry_encode would not make. */
static const struct value_case {
	struct bytes value;
	int code;
	const char *words;
} values[] = {
	{LIT_INIT("\x08\1\x28\4"), 0, ""}, /* no shape: a scalar */
	{LIT_INIT("\x08\1\x12\2\x18\1\x28\4"), 0, ""}, /* of unknown rank, and no dimensions */
	{LIT_INIT("\x08\1\x12\6\x12\2\x08\1\x18\1\x28\4"), -EUCLEAN,
	 "1 dimensions of unknown rank"},
	{LIT_INIT("\x08\1\x12\2\x12\0"), 0, ""}, /* a dimension of 0 */
	{LIT_INIT("\x08\1\x12\5\x12\3\x12\1z"), 0, ""}, /* the same with a name */
	{LIT_INIT("\x08\1\x28\4\x3a\0"), 0, ""}, /* a scalar with a slice of it, and its data */
	{LIT_INIT("\x08\1\x28\4\x3a\2\x0a\0"), -EUCLEAN, "slice 0 has 1 dimensions, the shape 0"},
	{LIT_INIT(""), -EUCLEAN, "data type 0"},
	{LIT_INIT("\x08"), -EUCLEAN, "malformed entry"},
	{LIT_INIT("\x08\1\x12\x7f\x12\2\x08\1"), -EUCLEAN, "malformed entry"},
	{LIT_INIT("\x0f"), -EUCLEAN, "malformed entry"},
};

START_TEST(values_are_read_as_protobuf_has_them)
{
	const struct value_case *c = &values[_i];
	CLEANUP(table_free)
	struct table t = {0};
	struct bundle_entry entry;
	struct bundle b;

	add_header(&t, 1, false);
	table_entry(&t, LIT("a"), c->value);
	table_end(&t);
	ck_assert_int_eq(bundle_open(&b, source_of_memory(buf_bytes(&t.file)), NULL), 0);
	ck_assert_int_eq(bundle_next(&b, &entry, NULL), 1);
	ck_assert_msg(entry.why.code == c->code && strstr(entry.why.text, c->words), "%d: %d %s",
		      _i, entry.why.code, entry.why.text);
	bundle_close(&b);
}
END_TEST

START_TEST(a_rank_of_254_is_taken_and_one_of_255_is_not)
{
	int64_t dims[255];
	struct spec spec = {.dtype = DTYPE_UINT8, .rank = 254, .dims = dims, .size = 1};
	CLEANUP(table_free)
	struct table t = {0};
	CLEANUP(buf_release)
	struct buf value = {0};
	struct bundle_entry entry;
	struct bundle b;

	for (size_t i = 0; i < COUNT(dims); i++)
		dims[i] = 1;
	add_header(&t, 1, false);
	table_entry(&t, LIT("a"), encode(&value, &spec));
	spec.rank = 255;
	table_entry(&t, LIT("b"), encode(&value, &spec));
	table_end(&t);
	ck_assert_int_eq(bundle_open(&b, source_of_memory(buf_bytes(&t.file)), NULL), 0);
	ck_assert_int_eq(bundle_next(&b, &entry, NULL), 1);
	ck_assert(entry.why.code == 0 && entry.rank == 254);
	ck_assert_int_eq(bundle_next(&b, &entry, NULL), 1);
	ck_assert_ptr_nonnull(strstr(entry.why.text, "255 dimensions, more than 254"));
	bundle_close(&b);
}
END_TEST

START_TEST(shards_are_named_as_tensorflow_names_them)
{
	static const struct {
		uint32_t shard, of;
		const char *name;
	} names[] = {
		{0, 1, "p/m-1.data-00000-of-00001"},
		{12345, 99999, "p/m-1.data-12345-of-99999"},
		{100001, 100002, "p/m-1.data-100001-of-100002"},
		{INT32_MAX - 1, INT32_MAX, "p/m-1.data-2147483646-of-2147483647"},
	};

	for (size_t i = 0; i < COUNT(names); i++) {
		CLEANUP(buf_release)
		struct buf name = {0};

		must(bundle_shard_name(&name, bytes_str("p/m-1"), names[i].shard, names[i].of));
		ck_assert(bytes_eq(buf_bytes(&name), bytes_str(names[i].name)));
	}
}
END_TEST

TCase *bundle_tests(void)
{
	TCase *t = tcase_create("bundle");

	tcase_add_test(t, indexes_hold_what_tensorflow_reads_from_them);
	tcase_add_test(t, slices_stand_under_the_keys_that_tensorflow_gave_them);
	tcase_add_loop_test(t, headers_are_checked, 0, COUNT(headers));
	tcase_add_test(t, without_a_header_it_is_no_bundle);
	tcase_add_loop_test(t, entries_are_checked_and_the_others_stay_good, 0, COUNT(entries));
	tcase_add_loop_test(t, values_are_read_as_protobuf_has_them, 0, COUNT(values));
	tcase_add_test(t, a_rank_of_254_is_taken_and_one_of_255_is_not);
	tcase_add_test(t, shards_are_named_as_tensorflow_names_them);
	return t;
}

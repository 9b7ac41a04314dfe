/* Tests of the writer in src/format/bundle.h: indexes that TensorFlow wrote, taken apart, are written again. */
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "format/bundle.h"
#include "format/check_format.h"
#include "format/dtype.h"
#include "lib/files.h"
#include "lib/lit.h"
#include "lib/table.h"
#include <ftw.h>

static void must(int r)
{
	if (r < 0)
		ck_abort_msg("error %d", r);
}

/* --- fixtures ---------------------------------------------------------------------------------------------- */

typedef int adder(struct bundle_writer *w, const struct bundle_entry *entry, struct err *e);

static void write_again(struct bytes file, adder *add, struct buf *out)
{
	CLEANUP(bundle_writer_release) struct bundle_writer w;
	struct bundle_entry entry;
	struct bundle b;
	struct err e;

	must(bundle_open(&b, source_of_memory(file), NULL));
	bundle_writer_init(&w, (uint32_t)b.num_shards, b.big_endian);
	while (bundle_next(&b, &entry, NULL) > 0)
		if (add(&w, &entry, &e) < 0)
			ck_abort_msg("%.*s: %s", (int)entry.key.n, (char *)entry.key.p, e.text);
	bundle_close(&b);
	must(bundle_writer_finish(&w, sink_of_buf(out), NULL));
}

static int indexes;

/* Tables there are not TensorFlow's own. */
static bool is_foreign(const char *folder)
{
	return !strcmp(folder, "bigendian") || !strcmp(folder, "corrupt") ||
	       !strcmp(folder, "snappy");
}

static int check_file(const char *path, const struct stat *st, int type, struct FTW *where)
{
	static adder *const adders[] = {bundle_writer_add, bundle_writer_copy};
	CLEANUP(buf_release)
	struct buf file = {0};

	(void)st;
	if (type == FTW_D && is_foreign(path + where->base))
		return FTW_SKIP_SUBTREE;
	if (type != FTW_F || !bytes_ends(bytes_str(path), LIT(".index")))
		return FTW_CONTINUE;
	read_whole(&file, "%s", path);
	for (size_t i = 0; i < COUNT(adders); i++) {
		CLEANUP(buf_release)
		struct buf again = {0};

		write_again(buf_bytes(&file), adders[i], &again);
		ck_assert_msg(bytes_eq(buf_bytes(&file), buf_bytes(&again)), "%s, %zu", path, i);
	}
	indexes++;
	return FTW_CONTINUE;
}

START_TEST(indexes_of_tensorflow_are_written_byte_for_byte)
{
	ck_assert_int_eq(nftw(ASSETS "/fixtures", check_file, 16, FTW_PHYS | FTW_ACTIONRETVAL), 0);
	ck_assert_int_gt(indexes, 20);
}
END_TEST

START_TEST(an_index_may_be_big_endian)
{
	CLEANUP(buf_release)
	struct buf file = {0};
	CLEANUP(buf_release)
	struct buf again = {0};
	CLEANUP(sstable_iter_release) struct sstable_iter want = {0};
	CLEANUP(sstable_iter_release) struct sstable_iter have = {0};
	struct sstable a, b;

	read_whole(&file, "%s/fixtures/bigendian/numeric.index", ASSETS);
	write_again(buf_bytes(&file), bundle_writer_add, &again);
	must(sstable_open(&a, source_of_memory(buf_bytes(&file)), NULL));
	must(sstable_open(&b, source_of_memory(buf_bytes(&again)), NULL));
	must(sstable_iter_init(&want, &a, NULL));
	must(sstable_iter_init(&have, &b, NULL));
	while (sstable_next(&want, NULL) > 0) {
		ck_assert_int_eq(sstable_next(&have, NULL), 1);
		ck_assert(bytes_eq(sstable_key(&want), sstable_key(&have)));
		ck_assert(bytes_eq(sstable_value(&want), sstable_value(&have)));
	}
	ck_assert_int_eq(sstable_next(&have, NULL), 0);
	sstable_close(&a);
	sstable_close(&b);
}
END_TEST

/* --- entries ----------------------------------------------------------------------------------------------- */

static const struct bundle_entry plain = {
	.key = LIT_INIT("w"),
	.dtype = DTYPE_FLOAT,
	.rank = 1,
	.dims = (int64_t[]){2},
	.size = 8,
	.crc = 0x28c0c9b1,
};

/* Two tensors of TensorFlow, w = [1, 2] and b = 7, added in the order of the shard: the whole file. */
START_TEST(the_bytes_are_those_of_tensorflow_whatever_the_order)
{
	CLEANUP(bundle_writer_release) struct bundle_writer w;
	CLEANUP(buf_release)
	struct buf out = {0};
	struct bundle_entry b = {
		.key = LIT("b"), .dtype = DTYPE_INT64, .off = 8, .size = 8, .crc = 0};
	struct bytes want = LIT("\0\0\6\x08\1\x1a\2\x08\1"
				"\0\1\x0d"
				"b\x08\x09\x12\0\x20\x08\x28\x08\x35\xbb\xd7\x9f\x11"
				"\0\1\x0fw\x08\1\x12\4\x12\2\x08\2\x28\x08\x35\x59\x3c\xe5\x35"
				"\0\0\0\0\1\0\0\0\0\4\x4b\x38\xdb"
				"\0\0\0\0\1\0\0\0\0\xc0\xf2\xa1\xb0"
				"\0\1\2x\0\x35\0\0\0\0\1\0\0\0\0\xec\xb2\x22\x2a"
				"\x3a\x08\x47\x0e");

	b.crc = crc32c("\7\0\0\0\0\0\0", 8);
	bundle_writer_init(&w, 1, false);
	must(bundle_writer_add(&w, &plain, NULL));
	must(bundle_writer_add(&w, &b, NULL));
	must(bundle_writer_finish(&w, sink_of_buf(&out), NULL));
	ck_assert_uint_eq(out.n, 138);
	ck_assert_mem_eq(out.p, want.p, want.n);
}
END_TEST

START_TEST(what_an_entry_has_beside_its_known_fields_is_copied)
{
	/* A name of a dimension, and two fields that no version has: one in the entry, one in its shape. */
	struct bytes value =
		LIT("\x08\1\x12\x0a\x12\5\x08\2\x12\1n\xa2\6\0\x18\2\x28\x08\x35\4\3\2\1"
		    "\xb8\x3e\x2a");
	struct bytes want = LIT("\x08\1\x12\x0a\x12\5\x08\2\x12\1n\xa2\6\0\x18\1\x20\x80\1\x28\x08"
				"\x35\4\3\2\1\xb8\x3e\x2a");
	CLEANUP(table_free)
	struct table t = {0};
	CLEANUP(bundle_writer_release) struct bundle_writer w;
	CLEANUP(buf_release)
	struct buf out = {0};
	struct bundle_entry entry;
	struct bundle b;

	add_header(&t, 3, false);
	table_entry(&t, LIT("w"), value);
	table_end(&t);
	must(bundle_open(&b, source_of_memory(buf_bytes(&t.file)), NULL));
	ck_assert_int_eq(bundle_next(&b, &entry, NULL), 1);
	ck_assert(bytes_eq(entry.value, value));
	entry.key = LIT("renamed");
	entry.shard = 1;
	entry.off = 128;
	bundle_writer_init(&w, 2, false);
	must(bundle_writer_copy(&w, &entry, NULL));
	bundle_close(&b);
	must(bundle_writer_finish(&w, sink_of_buf(&out), NULL));
	must(bundle_open(&b, source_of_memory(buf_bytes(&out)), NULL));
	ck_assert_int_eq(b.num_shards, 2);
	ck_assert_int_eq(bundle_next(&b, &entry, NULL), 1);
	ck_assert(bytes_eq(entry.key, LIT("renamed")));
	ck_assert(bytes_eq(entry.value, want));
	bundle_close(&b);
}
END_TEST

START_TEST(a_key_that_comes_twice_is_refused)
{
	CLEANUP(bundle_writer_release) struct bundle_writer w;
	CLEANUP(buf_release)
	struct buf out = {0};
	struct bundle_entry other = plain;
	struct err e;

	bundle_writer_init(&w, 1, false);
	must(bundle_writer_add(&w, &plain, NULL));
	other.key = LIT("v");
	must(bundle_writer_add(&w, &other, NULL));
	must(bundle_writer_add(&w, &plain, NULL));
	ck_assert_int_eq(bundle_writer_finish(&w, sink_of_buf(&out), &e), -EEXIST);
	ck_assert_str_eq(e.text, "key \"w\" comes twice");
}
END_TEST

static const struct faulty {
	struct bundle_entry entry;
	const char *words;
} faulty[] = {
	{{.dtype = DTYPE_FLOAT}, "without a key"},
	{{.key = LIT_INIT("k")}, "data type 0 is not known"},
	{{.key = LIT_INIT("k"), .dtype = 101}, "data type 101 is not known"},
	{{.key = LIT_INIT("k"), .dtype = 1, .rank = 1, .dims = (int64_t[]){-1}}, "negative size"},
	{{.key = LIT_INIT("k"), .dtype = 1, .rank = 2, .dims = (int64_t[]){INT64_MAX, 2}},
	 "too large"},
	{{.key = LIT_INIT("k"), .dtype = 1, .shard = 2}, "shard 2 of 2"},
	{{.key = LIT_INIT("k"), .dtype = 1, .off = 1ull << 63}, "0 bytes at offset"},
	{{.key = LIT_INIT("k"), .dtype = 1, .off = 1, .size = INT64_MAX}, "bytes at offset 1"},
};

START_TEST(what_the_reader_would_refuse_is_not_written)
{
	CLEANUP(bundle_writer_release) struct bundle_writer w;
	struct err e;

	bundle_writer_init(&w, 2, false);
	ck_assert_int_eq(bundle_writer_add(&w, &faulty[_i].entry, &e), -EINVAL);
	ck_assert_msg(strstr(e.text, faulty[_i].words) != NULL, "%s", e.text);
	ck_assert_int_eq(bundle_writer_copy(&w, &faulty[_i].entry, &e), -EINVAL);
}
END_TEST

TCase *bundle_writer_tests(void)
{
	TCase *t = tcase_create("bundle_writer");

	tcase_add_test(t, indexes_of_tensorflow_are_written_byte_for_byte);
	tcase_add_test(t, an_index_may_be_big_endian);
	tcase_add_test(t, the_bytes_are_those_of_tensorflow_whatever_the_order);
	tcase_add_test(t, what_an_entry_has_beside_its_known_fields_is_copied);
	tcase_add_test(t, a_key_that_comes_twice_is_refused);
	tcase_add_loop_test(t, what_the_reader_would_refuse_is_not_written, 0, COUNT(faulty));
	return t;
}

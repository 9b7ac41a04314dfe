/* Tests of the writer in src/format/sstable.h: tables that TensorFlow wrote, taken apart, are written again. */
#include "base/cleanup.h"
#include "format/check_format.h"
#include "format/sstable.h"
#include "lib/files.h"
#include "lib/lit.h"
#include "lib/random.h"
#include <ftw.h>
#include <stdio.h>

static void must(int r)
{
	if (r < 0)
		ck_abort_msg("error %d", r);
}

/* Appends the table of all entries of T. */
static void write_again(const struct sstable *t, struct buf *out)
{
	CLEANUP(sstable_iter_release) struct sstable_iter it;
	CLEANUP(sstable_writer_release) struct sstable_writer w;

	sstable_writer_init(&w, sink_of_buf(out));
	must(sstable_iter_init(&it, t, NULL));
	while (sstable_next(&it, NULL) > 0)
		must(sstable_writer_add(&w, sstable_key(&it), sstable_value(&it), NULL));
	must(sstable_writer_finish(&w, NULL));
}

static int tables;

/* Tables there are not TensorFlow's own. */
static bool is_foreign(const char *folder)
{
	return !strcmp(folder, "bigendian") || !strcmp(folder, "corrupt") ||
	       !strcmp(folder, "snappy");
}

static int check_file(const char *path, const struct stat *st, int type, struct FTW *where)
{
	CLEANUP(buf_release)
	struct buf file = {0};
	CLEANUP(buf_release)
	struct buf again = {0};
	struct sstable t;

	if (type == FTW_D && is_foreign(path + where->base))
		return FTW_SKIP_SUBTREE;
	if (type != FTW_F || st->st_size < SSTABLE_FOOTER)
		return FTW_CONTINUE;
	read_whole(&file, "%s", path);
	if (sstable_open(&t, source_of_memory(buf_bytes(&file)), NULL) < 0)
		return FTW_CONTINUE;
	write_again(&t, &again);
	ck_assert_msg(bytes_eq(buf_bytes(&file), buf_bytes(&again)), "%s", path);
	sstable_close(&t);
	tables++;
	return FTW_CONTINUE;
}

START_TEST(tables_of_tensorflow_are_written_byte_for_byte)
{
	ck_assert_int_eq(nftw(ASSETS "/fixtures", check_file, 16, FTW_PHYS | FTW_ACTIONRETVAL), 0);
	ck_assert_int_gt(tables, 20);
}
END_TEST

/* --- what TensorFlow's table_builder.cc says, where the fixtures have no case of it ------------------------- */

static struct bytes stored(const struct buf *file, struct extent at)
{
	ck_assert_uint_le(at.off + at.len, file->n);
	return bytes_of(file->p + at.off, at.len);
}

static struct extent handle_of(struct bytes value)
{
	struct cursor c = cursor_of(value);
	struct extent at;

	ck_assert(cursor_varint(&c, &at.off) && cursor_varint(&c, &at.len) && !cursor_left(&c));
	return at;
}

/* The keys of the index block of what is written for KEYS without values, each in a block of its own thanks to a
 * value of 256 KiB. */
static void check_separators(const struct bytes *keys, size_t n, const struct bytes *want)
{
	static uint8_t large[256 << 10];
	CLEANUP(sstable_writer_release) struct sstable_writer w;
	CLEANUP(block_iter_release) struct block_iter it = {0};
	CLEANUP(buf_release)
	struct buf file = {0};
	struct sstable t;

	sstable_writer_init(&w, sink_of_buf(&file));
	for (size_t i = 0; i < n; i++)
		must(sstable_writer_add(&w, keys[i], bytes_of(large, sizeof large), NULL));
	must(sstable_writer_finish(&w, NULL));
	must(sstable_open(&t, source_of_memory(buf_bytes(&file)), NULL));
	must(block_iter_init(&it, buf_bytes(&t.index), 0, NULL));
	for (size_t i = 0; i < n; i++) {
		ck_assert_int_eq(block_iter_next(&it, NULL), 1);
		ck_assert_msg(bytes_eq(buf_bytes(&it.key), want[i]), "%zu: %.*s", i, (int)it.key.n,
			      (char *)it.key.p);
		stored(&file, handle_of(it.value));
	}
	ck_assert_int_eq(block_iter_next(&it, NULL), 0);
	sstable_close(&t);
}

START_TEST(keys_of_the_index_block_are_short)
{
	static const struct bytes keys[] = {
		LIT_INIT(""),
		LIT_INIT("abcde"),
		LIT_INIT("abzzz"),
		LIT_INIT("ac"),
		LIT_INIT("ac\xff"),
		LIT_INIT("ad"),
		LIT_INIT("bxx"),
		LIT_INIT("e\xff"),
		LIT_INIT("f\xfe\1"),
		LIT_INIT("f\xff\1"),
		LIT_INIT("f\xff\3"),
		LIT_INIT("\xff\xff"),
		LIT_INIT("\xff\xff"
			 "cd"),
	};
	static const struct bytes want[] = {
		LIT_INIT(""),
		LIT_INIT("abd"),
		LIT_INIT("abzzz"),
		LIT_INIT("ac"),
		LIT_INIT("ac\xff"),
		LIT_INIT("ad"),
		LIT_INIT("c"),
		LIT_INIT("e\xff"),
		LIT_INIT("f\xfe\1"),
		LIT_INIT("f\xff\2"),
		LIT_INIT("g"),
		LIT_INIT("\xff\xff"),
		LIT_INIT("\xff\xff"
			 "d"),
	};

	check_separators(keys, COUNT(keys), want);
	check_separators((struct bytes[]){LIT("\xff\xff")}, 1, (struct bytes[]){LIT("\xff\xff")});
	check_separators((struct bytes[]){LIT("")}, 1, (struct bytes[]){LIT("")});
}
END_TEST

START_TEST(a_table_without_entries_is_one)
{
	CLEANUP(sstable_writer_release) struct sstable_writer w;
	CLEANUP(buf_release)
	struct buf file = {0};
	struct bytes block = LIT("\0\0\0\0\1\0\0\0\0\xc0\xf2\xa1\xb0");

	sstable_writer_init(&w, sink_of_buf(&file));
	must(sstable_writer_finish(&w, NULL));
	ck_assert_uint_eq(file.n, 2 * block.n + SSTABLE_FOOTER);
	ck_assert_mem_eq(file.p, block.p, block.n);
	ck_assert_mem_eq(file.p + block.n, block.p, block.n);
	ck_assert_mem_eq(file.p + 2 * block.n, "\0\x08\x0d\x08\0", 5);
}
END_TEST

/* The bytes of a table that has nothing but a header, as TensorFlow opens it. */
START_TEST(a_header_alone_makes_a_table)
{
	CLEANUP(sstable_writer_release) struct sstable_writer w;
	CLEANUP(buf_release)
	struct buf file = {0};
	struct bytes want = LIT("\0\0\6\x08\1\x1a\2\x08\1\0\0\0\0\1\0\0\0\0\x62\x94\x57\xf9"
				"\0\0\0\0\1\0\0\0\0\xc0\xf2\xa1\xb0"
				"\0\0\2\0\x11\0\0\0\0\1\0\0\0\0\xcc\xbf\x8b\x5d\x16\x08\x23\x0d");

	sstable_writer_init(&w, sink_of_buf(&file));
	must(sstable_writer_add(&w, LIT(""), LIT("\x08\1\x1a\2\x08\1"), NULL));
	must(sstable_writer_finish(&w, NULL));
	ck_assert_uint_eq(file.n, 101);
	ck_assert_mem_eq(file.p, want.p, want.n);
}
END_TEST

START_TEST(keys_must_ascend)
{
	static const struct bytes pairs[][2] = {
		{LIT_INIT(""), LIT_INIT("")},       {LIT_INIT("a"), LIT_INIT("")},
		{LIT_INIT("a"), LIT_INIT("a")},     {LIT_INIT("b"), LIT_INIT("a")},
		{LIT_INIT("\x80"), LIT_INIT("\1")}, {LIT_INIT("ab"), LIT_INIT("a")},
	};

	for (size_t i = 0; i < COUNT(pairs); i++) {
		CLEANUP(sstable_writer_release) struct sstable_writer w;
		CLEANUP(buf_release)
		struct buf file = {0};
		struct err e;

		sstable_writer_init(&w, sink_of_buf(&file));
		must(sstable_writer_add(&w, pairs[i][0], LIT("value"), &e));
		ck_assert_int_eq(sstable_writer_add(&w, pairs[i][1], LIT("value"), &e), -EINVAL);
		ck_assert_ptr_nonnull(strstr(e.text, "does not come behind"));
	}
}
END_TEST

START_TEST(what_the_sink_says_is_told)
{
	/* Data block, its trailer, metaindex block, its trailer, index block, its trailer, footer. */
	for (size_t max = 1; max < 100; max++) {
		CLEANUP(sstable_writer_release) struct sstable_writer w;
		CLEANUP(buf_release)
		struct buf file = {.max = max};
		struct err e;

		sstable_writer_init(&w, sink_of_buf(&file));
		must(sstable_writer_add(&w, LIT("k"), LIT(""), &e));
		ck_assert_int_eq(sstable_writer_finish(&w, &e), max < 97 ? -E2BIG : 0);
	}
}
END_TEST

/* Entries of random sizes about that of a block, so that blocks end anywhere. */
START_TEST(what_is_written_is_read)
{
	static uint8_t value[700 << 10];
	uint64_t seed = 7;

	for (int round = 0; round < 30; round++) {
		CLEANUP(sstable_writer_release) struct sstable_writer w;
		CLEANUP(sstable_iter_release) struct sstable_iter it;
		CLEANUP(buf_release)
		struct buf file = {0};
		uint64_t again = seed;
		struct sstable t;
		char key[24];

		sstable_writer_init(&w, sink_of_buf(&file));
		for (int i = 0; i < 60; i++) {
			snprintf(key, sizeof key, "%d/%05d", i / 9, i);
			must(sstable_writer_add(
				&w, bytes_str(key),
				bytes_of(value,
					 random_below(&seed, 1ul << random_below(&seed, 20)) *
							 sizeof value >>
						 20),
				NULL));
		}
		must(sstable_writer_finish(&w, NULL));
		must(sstable_open(&t, source_of_memory(buf_bytes(&file)), NULL));
		must(sstable_iter_init(&it, &t, NULL));
		for (int i = 0; i < 60; i++) {
			size_t n = random_below(&again, 1ul << random_below(&again, 20)) *
					   sizeof value >>
				   20;

			snprintf(key, sizeof key, "%d/%05d", i / 9, i);
			ck_assert_int_eq(sstable_next(&it, NULL), 1);
			ck_assert(bytes_eq(sstable_key(&it), bytes_str(key)));
			ck_assert_uint_eq(sstable_value(&it).n, n);
		}
		ck_assert_int_eq(sstable_next(&it, NULL), 0);
		sstable_close(&t);
	}
}
END_TEST

TCase *sstable_writer_tests(void)
{
	TCase *t = tcase_create("sstable_writer");

	tcase_add_test(t, tables_of_tensorflow_are_written_byte_for_byte);
	tcase_add_test(t, keys_of_the_index_block_are_short);
	tcase_add_test(t, a_table_without_entries_is_one);
	tcase_add_test(t, a_header_alone_makes_a_table);
	tcase_add_test(t, keys_must_ascend);
	tcase_add_test(t, what_the_sink_says_is_told);
	tcase_add_test(t, what_is_written_is_read);
	return t;
}

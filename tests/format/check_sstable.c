/* Tests of src/format/sstable.h and sstable_block.[ch]. */
#include "base/cleanup.h"
#include "format/check_format.h"
#include "format/sstable.h"
#include "lib/files.h"
#include "lib/lit.h"
#include "lib/random.h"
#include "lib/table.h"

static void must(int r)
{
	if (r < 0)
		ck_abort_msg("error %d", r);
}

static void note(struct buf *out, struct bytes b)
{
	add_varint(out, b.n);
	must(buf_add(out, b.p, b.n));
}

static void note_entry(struct buf *out, struct bytes key, struct bytes value)
{
	note(out, key);
	note(out, value);
}

/* All entries of FILE into OUT, each as note_entry has it; 0, or what fails. */
static int walk(struct bytes file, struct buf *out, struct err *e)
{
	struct sstable t;
	struct sstable_iter it;
	int r = sstable_open(&t, source_of_memory(file), e);

	if (r < 0)
		return r;
	r = sstable_iter_init(&it, &t, e);
	if (r == 0)
		while ((r = sstable_next(&it, e)) > 0)
			if (out)
				note_entry(out, sstable_key(&it), sstable_value(&it));
	sstable_iter_release(&it);
	sstable_close(&t);
	return r;
}

/* --- sound ones ---------------------------------------------------------------------------------------- */

START_TEST(a_compressed_table_has_the_entries_of_the_plain_one)
{
	CLEANUP(buf_release)
	struct buf plain = {0};
	CLEANUP(buf_release)
	struct buf snappy = {0};
	CLEANUP(buf_release)
	struct buf want = {0};
	CLEANUP(buf_release)
	struct buf have = {0};

	read_whole(&plain, "%s/fixtures/partitioned/model-3.index", ASSETS);
	read_whole(&snappy, "%s/fixtures/snappy/model-3.index", ASSETS);
	ck_assert_int_eq(walk(buf_bytes(&plain), &want, NULL), 0);
	ck_assert_int_eq(walk(buf_bytes(&snappy), &have, NULL), 0);
	ck_assert_uint_gt(want.n, 0);
	ck_assert(bytes_eq(buf_bytes(&want), buf_bytes(&have)));
}
END_TEST

/* A key greater than the one before it: a random byte of it grows, what is behind is new. */
static void next_key(struct buf *key, uint64_t *seed)
{
	size_t at = key->n ? random_below(seed, key->n + 1) : 0;

	if (at < key->n && key->p[at] < 0xff) {
		key->p[at]++;
		key->n = at + 1;
	}
	for (size_t more = 1 + random_below(seed, 9); more; more--)
		must(buf_add_byte(key, (uint8_t)random_below(seed, 4)));
	if (key->n > 300)
		key->n = 300; /* if nothing else changed, the caller has it end */
}

static void fill_table(struct table *t, struct buf *want, uint64_t *seed)
{
	CLEANUP(buf_release)
	struct buf key = {0};
	uint8_t value[40];

	for (size_t n = random_below(seed, 60); n && key.n < 300; n--) {
		struct bytes v = bytes_of(value, random_below(seed, sizeof value));

		next_key(&key, seed);
		memset(value, (int)n, v.n);
		table_entry(t, buf_bytes(&key), v);
		note_entry(want, buf_bytes(&key), v);
		if (random_below(seed, 5) == 0)
			table_cut(t);
	}
	table_end(t);
}

START_TEST(what_was_put_into_a_table_comes_out)
{
	uint64_t seed = 1;

	for (int i = 0; i < 2000; i++) {
		CLEANUP(table_free)
		struct table t = {.type = i % 2 ? TABLE_SNAPPY : TABLE_PLAIN};
		CLEANUP(buf_release)
		struct buf want = {0};
		CLEANUP(buf_release)
		struct buf have = {0};
		struct err e = {0};

		fill_table(&t, &want, &seed);
		if (walk(buf_bytes(&t.file), &have, &e) < 0)
			ck_abort_msg("table %d: %s", i, e.text);
		if (!bytes_eq(buf_bytes(&want), buf_bytes(&have)))
			ck_abort_msg("table %d has other entries", i);
	}
}
END_TEST

START_TEST(blocks_may_have_no_entries_and_no_restarts)
{
	CLEANUP(table_free)
	struct table t = {0};
	CLEANUP(buf_release)
	struct buf want = {0};
	CLEANUP(buf_release)
	struct buf have = {0};

	table_cut_at(&t, LIT(""));
	table_entry(&t, LIT("a"), LIT(""));
	table_cut(&t);
	table_cut_at(&t, LIT("b"));
	table_index(&t, LIT("bb"), table_block(&t, LIT("\0\0\0\0")));
	table_entry(&t, LIT("c"), LIT("1"));
	table_cut_at(&t, LIT("zzz"));
	table_end(&t);
	note_entry(&want, LIT("a"), LIT(""));
	note_entry(&want, LIT("c"), LIT("1"));
	ck_assert_int_eq(walk(buf_bytes(&t.file), &have, NULL), 0);
	ck_assert(bytes_eq(buf_bytes(&want), buf_bytes(&have)));
}
END_TEST

START_TEST(a_million_entries_may_stand_in_one_block)
{
	CLEANUP(table_free)
	struct table t = {0};
	struct sstable table;
	struct sstable_iter it;
	uint8_t key[4];
	uint32_t n = 0;

	for (uint32_t i = 0; i < 1000000; i++) {
		put_be32(key, i);
		table_entry(&t, bytes_of(key, 4), bytes_of(key, i % 3));
	}
	table_end(&t);
	ck_assert_int_eq(sstable_open(&table, source_of_memory(buf_bytes(&t.file)), NULL), 0);
	ck_assert_int_eq(sstable_iter_init(&it, &table, NULL), 0);
	for (; sstable_next(&it, NULL) > 0; n++) {
		put_be32(key, n);
		if (!bytes_eq(sstable_key(&it), bytes_of(key, 4)) || sstable_value(&it).n != n % 3)
			ck_abort_msg("entry %u", n);
	}
	ck_assert_uint_eq(n, 1000000);
	sstable_iter_release(&it);
	sstable_close(&table);
}
END_TEST

/* --- damaged ones -------------------------------------------------------------------------------------- */

static void sound(struct table *t)
{
	table_entry(t, LIT(""), LIT("header"));
	table_entry(t, LIT("abc"), LIT("1"));
	table_cut(t);
	table_entry(t, LIT("abd"), LIT("2"));
	table_end(t);
}

static void no_footer(struct table *t)
{
	sound(t);
	t->file.n = TABLE_FOOTER - 1;
}

static void cut_by_a_byte(struct table *t)
{
	sound(t);
	t->file.n--;
}

static void longer_by_a_byte(struct table *t)
{
	sound(t);
	must(buf_add_byte(&t->file, 0));
}

static void other_magic(struct table *t)
{
	sound(t);
	t->file.p[t->file.n - 1] ^= 1;
}

static void no_handles(struct table *t)
{
	sound(t);
	memset(t->file.p + t->file.n - TABLE_FOOTER, 0xff, 40);
}

static void index_at(struct table *t, uint64_t off, uint64_t len)
{
	sound(t);
	table_footer(t, (struct table_at){off, len});
}

static void index_beyond_the_file(struct table *t)
{
	index_at(t, 1000, 10);
}

static void index_longer_than_the_file(struct table *t)
{
	index_at(t, 0, 1000);
}

static void index_of_all_lengths(struct table *t)
{
	index_at(t, 0, UINT64_MAX);
}

static void index_that_wraps(struct table *t)
{
	index_at(t, UINT64_MAX, 4);
}

static void index_elsewhere(struct table *t)
{
	index_at(t, 1, 20);
}

static void data_beyond_the_file(struct table *t)
{
	table_index(t, LIT("a"), (struct table_at){1 << 20, 8});
	table_end(t);
}

static void data_longer_than_the_file(struct table *t)
{
	table_index(t, LIT("a"), (struct table_at){0, 1ull << 62});
	table_end(t);
}

static void half_a_handle(struct table *t)
{
	block_entry(&t->index, LIT("a"), LIT("\x07"));
	table_end(t);
}

static void no_handle(struct table *t)
{
	block_entry(&t->index, LIT("a"), LIT(""));
	table_end(t);
}

static void other_data(struct table *t)
{
	sound(t);
	t->file.p[4] ^= 0x40;
}

static void other_index(struct table *t)
{
	struct table_at at;

	sound(t);
	ck_assert(table_find_index(t->file.p, t->file.n, &at));
	t->file.p[at.off + 2] ^= 0x40;
}

static void other_type_byte(struct table *t)
{
	struct table_at at;

	sound(t);
	ck_assert(table_find_index(t->file.p, t->file.n, &at));
	t->file.p[at.off + at.len] = 1;
}

static void unknown_type(struct table *t)
{
	t->type = 7;
	sound(t);
}

/* CONTENTS as they stand, and TYPE. */
static void stored(struct table *t, struct bytes contents, int type)
{
	struct table_at at = table_block(t, contents);

	t->file.p[at.off + at.len] = (uint8_t)type;
	table_reseal(t->file.p, t->file.n, at);
	table_index(t, LIT("zz"), at);
	table_end(t);
}

static void snappy_bomb(struct table *t)
{
	stored(t, LIT("\x80\x80\x80\x80\x04zz"), TABLE_SNAPPY); /* 1 GiB */
}

static void snappy_of_more_than_32_bits(struct table *t)
{
	stored(t, LIT("\x80\x80\x80\x80\x80\x80\x01zz"), TABLE_SNAPPY);
}

static void snappy_of_nothing(struct table *t)
{
	stored(t, LIT(""), TABLE_SNAPPY);
}

static void snappy_that_lies(struct table *t)
{
	stored(t, LIT("\x10\xff\xff\xff"), TABLE_SNAPPY);
}

static void snappy_of_an_empty_block(struct table *t)
{
	stored(t, LIT("\0"), TABLE_SNAPPY);
}

static void block_of_three_bytes(struct table *t)
{
	stored(t, LIT("\0\0\0"), TABLE_PLAIN);
}

static void restarts_beyond_the_block(struct table *t)
{
	block_entry(&t->data, LIT("a"), LIT("1"));
	block_end(&t->data, 3);
	stored(t, buf_bytes(&t->data.bytes), TABLE_PLAIN);
	t->data.bytes.n = 0;
}

static void all_restarts(struct table *t)
{
	stored(t, LIT("\0\0\0\0\xff\xff\xff\xff"), TABLE_PLAIN);
}

static void raw(struct table *t, uint64_t shared, uint64_t unshared, uint64_t value,
		struct bytes rest)
{
	table_entry(t, LIT("abc"), LIT("1"));
	block_raw_entry(&t->data, shared, unshared, value, rest);
	table_cut_at(t, LIT("zz"));
	table_end(t);
}

static void shares_more_than_there_is(struct table *t)
{
	raw(t, 4, 1, 0, LIT("z"));
}

static void shares_from_the_start(struct table *t)
{
	block_raw_entry(&t->data, 1, 1, 0, LIT("z"));
	table_cut_at(t, LIT("zz"));
	table_end(t);
}

static void shares_across_blocks(struct table *t)
{
	table_entry(t, LIT("abc"), LIT("1"));
	table_cut(t);
	block_raw_entry(&t->data, 1, 1, 0, LIT("z"));
	table_cut_at(t, LIT("zz"));
	table_end(t);
}

static void key_beyond_the_block(struct table *t)
{
	raw(t, 0, 200, 0, LIT("z"));
}

static void value_beyond_the_block(struct table *t)
{
	raw(t, 0, 1, 200, LIT("z"));
}

static void value_into_the_restarts(struct table *t)
{
	raw(t, 0, 1, 4, LIT("z"));
}

static void value_of_more_than_32_bits(struct table *t)
{
	raw(t, 0, 1, 1ull << 32, LIT("z"));
}

static void half_an_entry(struct table *t)
{
	raw(t, 0, 0x80, 0, LIT(""));
}

static void backwards(struct table *t)
{
	raw(t, 0, 1, 0, LIT("a"));
}

static void backwards_behind_what_is_shared(struct table *t)
{
	raw(t, 2, 1, 0, LIT("a"));
}

static void twice(struct table *t)
{
	raw(t, 3, 0, 0, LIT(""));
}

static void shortened(struct table *t)
{
	raw(t, 2, 0, 0, LIT(""));
}

static void two_blocks(struct table *t, struct bytes first, struct bytes first_index,
		       struct bytes second, struct bytes second_index)
{
	table_entry(t, first, LIT("1"));
	table_cut_at(t, first_index);
	table_entry(t, second, LIT("2"));
	table_cut_at(t, second_index);
	table_end(t);
}

static void blocks_backwards(struct table *t)
{
	two_blocks(t, LIT("m"), LIT("n"), LIT("b"), LIT("z"));
}

static void twice_in_two_blocks(struct table *t)
{
	two_blocks(t, LIT("m"), LIT("n"), LIT("m"), LIT("z"));
}

static void twice_with_empty_blocks_between(struct table *t)
{
	table_entry(t, LIT("m"), LIT("1"));
	table_cut(t);
	table_cut_at(t, LIT("n"));
	table_entry(t, LIT("m"), LIT("2"));
	table_cut_at(t, LIT("z"));
	table_end(t);
}

static void beyond_its_index_key(struct table *t)
{
	two_blocks(t, LIT("m"), LIT("l"), LIT("y"), LIT("z"));
}

static void beyond_the_last_index_key(struct table *t)
{
	two_blocks(t, LIT("m"), LIT("n"), LIT("yy"), LIT("y"));
}

static void index_backwards(struct table *t)
{
	two_blocks(t, LIT("m"), LIT("n"), LIT("b"), LIT("c"));
}

static void same_block_again(struct table *t)
{
	table_entry(t, LIT("m"), LIT("1"));
	table_cut(t);
	table_index(t, LIT("n"), (struct table_at){0, 13});
	table_end(t);
}

#define CASE(f, code, words)                                                                       \
	{                                                                                          \
#f, f, code, words                                                                 \
	}

static const struct damage {
	const char *name;
	void (*make)(struct table *t);
	int code;
	const char *words;
} damages[] = {
	CASE(sound, 0, ""),
	CASE(no_footer, -EUCLEAN, "47 bytes are too few for a table"),
	CASE(cut_by_a_byte, -EUCLEAN, "not a table"),
	CASE(longer_by_a_byte, -EUCLEAN, "not a table"),
	CASE(other_magic, -EUCLEAN, "not a table"),
	CASE(no_handles, -EUCLEAN, "footer: malformed handles"),
	CASE(index_beyond_the_file, -EUCLEAN,
	     "index block: block at 1000: 15 bytes at 1000 are beyond"),
	CASE(index_longer_than_the_file, -EUCLEAN, "index block: block at 0: 1005 bytes"),
	CASE(index_of_all_lengths, -EUCLEAN, "length 18446744073709551615"),
	CASE(index_that_wraps, -EUCLEAN, "are beyond the file"),
	CASE(index_elsewhere, -EBADMSG, "index block: block at 1: crc32c is"),
	CASE(data_beyond_the_file, -EUCLEAN, "block at 1048576: 13 bytes"),
	CASE(data_longer_than_the_file, -EUCLEAN, "are beyond the file"),
	CASE(half_a_handle, -EUCLEAN, "index block: malformed handle"),
	CASE(no_handle, -EUCLEAN, "index block: malformed handle"),
	CASE(other_data, -EBADMSG, "block at 0: crc32c is"),
	CASE(other_index, -EBADMSG, "index block"),
	CASE(other_type_byte, -EBADMSG, "crc32c is"),
	CASE(unknown_type, -EUCLEAN, "compression type 7"),
	CASE(snappy_bomb, -EUCLEAN, "snappy: 7 bytes claim to hold 1073741824"),
	CASE(snappy_of_more_than_32_bits, -EUCLEAN, "snappy: no length"),
	CASE(snappy_of_nothing, -EUCLEAN, "snappy: no length"),
	CASE(snappy_that_lies, -EUCLEAN, "snappy: malformed"),
	CASE(snappy_of_an_empty_block, -EUCLEAN, "0 bytes can't hold a restart array of 4"),
	CASE(block_of_three_bytes, -EUCLEAN, "3 bytes can't hold a restart array"),
	CASE(restarts_beyond_the_block, -EUCLEAN, "13 bytes can't hold a restart array of 16"),
	CASE(all_restarts, -EUCLEAN, "can't hold a restart array of 17179869184"),
	CASE(shares_more_than_there_is, -EUCLEAN, "block at 0: malformed entry"),
	CASE(shares_from_the_start, -EUCLEAN, "malformed entry"),
	CASE(shares_across_blocks, -EUCLEAN, "malformed entry"),
	CASE(key_beyond_the_block, -EUCLEAN, "malformed entry"),
	CASE(value_beyond_the_block, -EUCLEAN, "malformed entry"),
	CASE(value_into_the_restarts, -EUCLEAN, "malformed entry"),
	CASE(value_of_more_than_32_bits, -EUCLEAN, "malformed entry"),
	CASE(half_an_entry, -EUCLEAN, "malformed entry"),
	CASE(backwards, -EUCLEAN, "keys are not in order at \"a\""),
	CASE(backwards_behind_what_is_shared, -EUCLEAN, "keys are not in order at \"aba\""),
	CASE(twice, -EUCLEAN, "keys are not in order at \"abc\""),
	CASE(shortened, -EUCLEAN, "keys are not in order at \"ab\""),
	CASE(blocks_backwards, -EUCLEAN, "starts before the block before it ends"),
	CASE(twice_in_two_blocks, -EUCLEAN, "starts before the block before it ends"),
	CASE(twice_with_empty_blocks_between, -EUCLEAN, "starts before the block before it ends"),
	CASE(beyond_its_index_key, -EUCLEAN, "beyond its key in the index block"),
	CASE(beyond_the_last_index_key, -EUCLEAN, "beyond its key in the index block"),
	CASE(index_backwards, -EUCLEAN, "keys are not in order at \"c\""),
	CASE(same_block_again, -EUCLEAN, "starts before the block before it ends"),
};

START_TEST(damaged_tables_are_refused)
{
	const struct damage *d = &damages[_i];
	CLEANUP(table_free)
	struct table t = {0};
	struct err e = {0};

	d->make(&t);
	ck_assert_msg(walk(buf_bytes(&t.file), NULL, &e) == d->code && e.code == d->code &&
			      strstr(e.text, d->words),
		      "%s: %d %s", d->name, e.code, e.text);
}
END_TEST

START_TEST(no_flipped_bit_changes_an_entry)
{
	CLEANUP(buf_release)
	struct buf file = {0};
	CLEANUP(buf_release)
	struct buf want = {0};
	size_t same = 0;

	read_whole(&file, "%s/fixtures/linear/my-model-0.index", ASSETS);
	ck_assert_int_eq(walk(buf_bytes(&file), &want, NULL), 0);
	for (size_t bit = 0; bit < 8 * file.n; bit++) {
		CLEANUP(buf_release)
		struct buf have = {0};
		struct err e = {0};

		file.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (walk(buf_bytes(&file), &have, &e) == 0) {
			same++;
			if (!bytes_eq(buf_bytes(&want), buf_bytes(&have)))
				ck_abort_msg("bit %zu", bit);
		} else if (!e.code || !e.text[0]) {
			ck_abort_msg("bit %zu: no words", bit);
		}
		file.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	/* Nobody reads the metaindex block with its trailer, its handle in the footer, and the zeros there. */
	ck_assert_uint_le(same, 8 * (13 + 40));
}
END_TEST

START_TEST(no_part_of_a_table_is_one)
{
	CLEANUP(buf_release)
	struct buf file = {0};
	struct err e;

	read_whole(&file, "%s/fixtures/linear/my-model-0.index", ASSETS);
	for (size_t n = 0; n < file.n; n++)
		if (walk(bytes_of(file.p, n), NULL, &e) != -EUCLEAN)
			ck_abort_msg("of %zu bytes", n);
}
END_TEST

START_TEST(no_byte_of_a_table_can_change_unnoticed)
{
	CLEANUP(buf_release) struct buf file = {0};
	struct err e;

	read_whole(&file, "%s/fixtures/linear/my-model-0.index", ASSETS);
	for (size_t bit = 0; bit <= 8 * file.n; bit++) {
		struct sstable t = {0};
		uint64_t unused = 0;
		int r;

		if (bit)
			file.p[(bit - 1) / 8] ^= 1 << (bit - 1) % 8;
		r = walk(buf_bytes(&file), NULL, &e);
		if (r == 0 && (r = sstable_open(&t, source_of_memory(buf_bytes(&file)), &e)) == 0)
			r = sstable_check(&t, &unused, &e);
		sstable_close(&t);
		if (bit ? r == 0 : r < 0 || unused)
			ck_abort_msg("bit %zu: %d", bit - 1, r);
		if (bit)
			file.p[(bit - 1) / 8] ^= 1 << (bit - 1) % 8;
	}
}
END_TEST

START_TEST(bytes_between_blocks_are_counted)
{
	struct table t = {0};
	struct sstable s = {0};
	struct table_at metaindex;
	uint64_t unused = 0;

	table_entry(&t, LIT("a"), LIT("1"));
	table_cut(&t);
	must(buf_add_str(&t.file, "seven b"));
	table_entry(&t, LIT("b"), LIT("2"));
	table_cut(&t);
	metaindex = table_block(&t, LIT("\0\0\0\0\1\0\0\0"));
	block_end(&t.index, 1);
	table_footer(&t, table_block(&t, buf_bytes(&t.index.bytes)));
	t.file.p[t.file.n - TABLE_FOOTER] = (uint8_t)metaindex.off;
	t.file.p[t.file.n - TABLE_FOOTER + 1] = (uint8_t)metaindex.len;
	must(sstable_open(&s, source_of_memory(buf_bytes(&t.file)), NULL));
	must(sstable_check(&s, &unused, NULL));
	ck_assert_uint_eq(unused, 7);
	sstable_close(&s);
	table_free(&t);
}
END_TEST

TCase *sstable_tests(void)
{
	TCase *t = tcase_create("sstable");

	tcase_add_test(t, no_byte_of_a_table_can_change_unnoticed);
	tcase_add_test(t, bytes_between_blocks_are_counted);
	tcase_add_test(t, a_compressed_table_has_the_entries_of_the_plain_one);
	tcase_add_test(t, what_was_put_into_a_table_comes_out);
	tcase_add_test(t, blocks_may_have_no_entries_and_no_restarts);
	tcase_add_test(t, a_million_entries_may_stand_in_one_block);
	tcase_add_loop_test(t, damaged_tables_are_refused, 0, COUNT(damages));
	tcase_add_test(t, no_flipped_bit_changes_an_entry);
	tcase_add_test(t, no_part_of_a_table_is_one);
	return t;
}

/* Tests of sstable_writer_merge in src/format/sstable.h, and of what src/format/bundle.h makes of it: a table is written over
 * another. */
#include "base/cleanup.h"
#include "format/bundle.h"
#include "format/check_format.h"
#include "format/dtype.h"
#include "lib/lit.h"
#include "lib/random.h"
#include "lib/table.h"
#include <stdio.h>

static void must(int r)
{
	if (r < 0)
		ck_abort_msg("error %d", r);
}

/* --- a model ----------------------------------------------------------------------------------------------- */

enum { KEYS = 3000, MOST_CHANGES = 6, KEY = 16 };

/* What is in a table: of each key which value, counted from 1; 0: none. */
struct model {
	unsigned version[KEYS];
	struct sstable_change changes[MOST_CHANGES * 60 + 1];
	char keys[MOST_CHANGES * 60 + 1][KEY];
	size_t n;
};

static struct bytes key_of(char out[KEY], unsigned number)
{
	return bytes_of(out, (size_t)snprintf(out, KEY, "k/%06u", number));
}

/* Values have different lengths, from none to 1,000 bytes. */
static struct bytes value_of(unsigned number, unsigned version)
{
	static uint8_t room[2000];
	uint64_t seed = number * UINT64_C(1000003) + version;

	for (size_t i = 0; !room[0] && i < sizeof room; i++)
		room[i] = (uint8_t)(i * 7 + 1);
	return bytes_of(room + random_below(&seed, 900), random_below(&seed, 1000));
}

static void change(struct model *m, unsigned number, unsigned version)
{
	if (!version && !m->version[number])
		return;
	m->changes[m->n] = (struct sstable_change){
		.key = key_of(m->keys[m->n], number),
		.value = version ? value_of(number, version) : bytes_of(NULL, 0),
		.replaces = m->version[number],
		.removes = !version,
	};
	m->n++;
	m->version[number] = version;
}

static int compare_changes(const void *a, const void *b)
{
	const struct sstable_change *x = a, *y = b;

	return bytes_cmp(x->key, y->key);
}

/* A few changes in different places: one value is made anew, or a run of keys is removed, or put in. The number of places. */
static size_t change_some(struct model *m, uint64_t *seed)
{
	size_t places = random_below(seed, MOST_CHANGES);

	m->n = 0;
	for (size_t i = 0; i < places; i++) {
		unsigned part = KEYS / MOST_CHANGES;
		unsigned at = (unsigned)(i * part + random_below(seed, part - 60));
		unsigned run = random_below(seed, 3) ? 1 : (unsigned)random_below(seed, 60);
		unsigned version = random_below(seed, 3) ? (unsigned)random_next(seed) | 1 : 0;

		for (unsigned k = 0; k < run; k++)
			change(m, at + k, version);
	}
	qsort(m->changes, m->n, sizeof *m->changes, compare_changes);
	return places;
}

static int merge(struct bytes old, const struct sstable_change *changes, size_t n, struct buf *out,
		 struct err *e)
{
	CLEANUP(sstable_writer_release) struct sstable_writer w;
	struct sstable t;
	int r;

	out->n = 0;
	must(sstable_open(&t, source_of_memory(old), NULL));
	sstable_writer_init(&w, sink_of_buf(out));
	r = sstable_writer_merge(&w, &t, changes, n, e);
	if (r == 0)
		r = sstable_writer_finish(&w, e);
	sstable_close(&t);
	return r;
}

static void write_all(const struct model *m, struct buf *out)
{
	CLEANUP(sstable_writer_release) struct sstable_writer w;
	char key[KEY];

	sstable_writer_init(&w, sink_of_buf(out));
	for (unsigned i = 0; i < KEYS; i++)
		if (m->version[i])
			must(sstable_writer_add(&w, key_of(key, i), value_of(i, m->version[i]),
						NULL));
	must(sstable_writer_finish(&w, NULL));
}

/* The same in blocks that this program would not write: they have one restart. So they are only met again if they were copied. */
static void write_foreign(const struct model *m, struct buf *out)
{
	CLEANUP(table_free)
	struct table t = {0};
	char key[KEY];

	for (unsigned i = 0; i < KEYS; i++) {
		if (m->version[i])
			table_entry(&t, key_of(key, i), value_of(i, m->version[i]));
		if (i % 300 == 299)
			table_cut(&t);
	}
	table_end(&t);
	buf_swap(out, &t.file);
}

static void check_entries(const struct sstable *t, const struct model *m)
{
	CLEANUP(sstable_iter_release) struct sstable_iter it;
	char key[KEY];

	must(sstable_iter_init(&it, t, NULL));
	for (unsigned i = 0; i < KEYS; i++) {
		if (!m->version[i])
			continue;
		ck_assert_int_eq(sstable_next(&it, NULL), 1);
		ck_assert(bytes_eq(sstable_key(&it), key_of(key, i)));
		ck_assert(bytes_eq(sstable_value(&it), value_of(i, m->version[i])));
	}
	ck_assert_int_eq(sstable_next(&it, NULL), 0);
}

/* All keys are found from the index block on, which the walk does not need. */
static void check_search(const struct sstable *t, const struct model *m, uint64_t *seed)
{
	for (unsigned i = 0; i < 50; i++) {
		CLEANUP(buf_release)
		struct buf block = {0};
		unsigned number = (unsigned)random_below(seed, KEYS);
		struct bytes value;
		char key[KEY];
		int r = sstable_get(t, key_of(key, number), &block, &value, NULL);

		ck_assert_int_eq(r, m->version[number] != 0);
		if (r)
			ck_assert(bytes_eq(value, value_of(number, m->version[number])));
	}
}

/* The blocks of NEW; OTHER: how many of them OLD does not have, whole. */
static size_t count_blocks(struct bytes new, struct bytes old, size_t *other)
{
	CLEANUP(block_iter_release) struct block_iter it = {0};
	struct sstable t;
	size_t n = 0;

	*other = 0;
	must(sstable_open(&t, source_of_memory(new), NULL));
	must(block_iter_init(&it, buf_bytes(&t.index), t.index_at, NULL));
	for (; block_iter_next(&it, NULL) > 0; n++) {
		struct cursor c = cursor_of(it.value);
		struct extent at;

		ck_assert(handle_read(&c, &at));
		*other += !memmem(old.p, old.n, new.p + at.off, at.len + BLOCK_TRAILER);
	}
	sstable_close(&t);
	return n;
}

/* --- what is written --------------------------------------------------------------------------------------- */

START_TEST(a_merged_table_has_what_one_written_anew_has)
{
	static struct model m;
	CLEANUP(buf_release)
	struct buf old = {0};
	CLEANUP(buf_release)
	struct buf new = {0};
	uint64_t seed = (uint64_t)_i;

	for (unsigned i = 0; i < KEYS; i++)
		m.version[i] = random_below(&seed, 4) ? 1 : 0;
	write_foreign(&m, &old);
	for (int round = 0; round < 12; round++) {
		size_t places = change_some(&m, &seed), other, blocks;
		struct sstable t;
		uint64_t unused;

		must(merge(buf_bytes(&old), m.changes, m.n, &new, NULL));
		must(sstable_open(&t, source_of_memory(buf_bytes(&new)), NULL));
		must(sstable_check(&t, &unused, NULL));
		ck_assert_uint_eq(unused, 0);
		check_entries(&t, &m);
		check_search(&t, &m, &seed);
		sstable_close(&t);
		/* Only blocks with changes are made anew, and what they were joined with. */
		blocks = count_blocks(buf_bytes(&new), buf_bytes(&old), &other);
		ck_assert_uint_le(other, 2 * places);
		ck_assert_uint_le(blocks, new.n / (64 << 10) + 2);
		buf_swap(&old, &new);
	}
}
END_TEST

START_TEST(without_a_change_it_is_the_same_file)
{
	static struct model m;
	CLEANUP(buf_release)
	struct buf old = {0};
	CLEANUP(buf_release)
	struct buf new = {0};

	for (unsigned i = 0; i < KEYS; i++)
		m.version[i] = 1;
	write_all(&m, &old);
	must(merge(buf_bytes(&old), NULL, 0, &new, NULL));
	ck_assert(bytes_eq(buf_bytes(&old), buf_bytes(&new)));
}
END_TEST

/* A value of the same length in each block: all are made anew, and are what TensorFlow would write. */
START_TEST(blocks_end_where_they_ended)
{
	static struct model m;
	CLEANUP(buf_release)
	struct buf old = {0};
	CLEANUP(buf_release)
	struct buf new = {0};
	struct sstable_change changes[KEYS / 100];
	char keys[KEYS / 100][KEY];

	for (unsigned i = 0; i < KEYS; i++)
		m.version[i] = 1;
	write_all(&m, &old);
	for (unsigned i = 0; i < KEYS / 100; i++)
		changes[i] = (struct sstable_change){.key = key_of(keys[i], i * 100),
						     .value = value_of(i * 100, 1),
						     .replaces = true};
	must(merge(buf_bytes(&old), changes, COUNT(changes), &new, NULL));
	ck_assert(bytes_eq(buf_bytes(&old), buf_bytes(&new)));
}
END_TEST

/* Growing by one key at the end each time does not leave a block for each. */
START_TEST(keys_behind_the_last_do_not_make_many_blocks)
{
	CLEANUP(buf_release)
	struct buf old = {0};
	CLEANUP(buf_release)
	struct buf new = {0};
	static struct model m;
	size_t other;

	m.version[0] = 1;
	write_all(&m, &old);
	for (unsigned i = 1; i < 300; i++) {
		m.n = 0;
		change(&m, i, 1);
		must(merge(buf_bytes(&old), m.changes, m.n, &new, NULL));
		buf_swap(&old, &new);
	}
	ck_assert_uint_le(count_blocks(buf_bytes(&old), buf_bytes(&new), &other), 2);
}
END_TEST

/* --- what OLD may be --------------------------------------------------------------------------------------- */

/* Three blocks of two entries each, of TYPE. */
static void make_table(struct table *t, int type)
{
	t->type = type;
	for (unsigned i = 0; i < 6; i++) {
		char key[] = {'a' + (char)i, 0};

		table_entry(t, bytes_str(key), LIT("vvvvvvvvvvvvvvvv"));
		if (i % 2)
			table_cut(t);
	}
	table_end(t);
}

static const struct sstable_change in_the_middle = {
	.key = LIT_INIT("c"), .value = LIT_INIT("new"), .replaces = true};

/* A block that is not looked at is not copied with its damage. */
START_TEST(a_damaged_block_is_not_copied)
{
	CLEANUP(table_free)
	struct table t = {0};
	CLEANUP(buf_release)
	struct buf out = {0};
	struct err e;

	make_table(&t, TABLE_PLAIN);
	t.file.p[_i] ^= 1;
	ck_assert_int_eq(merge(buf_bytes(&t.file), &in_the_middle, 1, &out, &e), -EBADMSG);
	ck_assert_msg(strstr(e.text, "crc32c is") != NULL, "%s", e.text);
}
END_TEST

static void check_same_entries(struct bytes a, struct bytes b)
{
	CLEANUP(sstable_iter_release) struct sstable_iter x, y;
	struct sstable t, u;
	int r;

	must(sstable_open(&t, source_of_memory(a), NULL));
	must(sstable_open(&u, source_of_memory(b), NULL));
	must(sstable_iter_init(&x, &t, NULL));
	must(sstable_iter_init(&y, &u, NULL));
	while ((r = sstable_next(&x, NULL)) > 0) {
		ck_assert_int_eq(sstable_next(&y, NULL), 1);
		ck_assert(bytes_eq(sstable_key(&x), sstable_key(&y)));
		ck_assert(bytes_eq(sstable_value(&x), sstable_value(&y)));
	}
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(sstable_next(&y, NULL), 0);
	sstable_close(&t);
	sstable_close(&u);
}

START_TEST(compressed_blocks_are_written_plain)
{
	CLEANUP(table_free)
	struct table snappy = {0};
	CLEANUP(table_free)
	struct table plain = {0};
	CLEANUP(buf_release)
	struct buf out = {0};
	size_t other;

	make_table(&snappy, TABLE_SNAPPY);
	make_table(&plain, TABLE_PLAIN);
	must(merge(buf_bytes(&snappy.file), NULL, 0, &out, NULL));
	check_same_entries(buf_bytes(&plain.file), buf_bytes(&out));
	ck_assert_uint_eq(count_blocks(buf_bytes(&out), buf_bytes(&snappy.file), &other), other);
}
END_TEST

START_TEST(what_is_there_is_not_replaced_unasked)
{
	CLEANUP(table_free)
	struct table t = {0};
	CLEANUP(buf_release)
	struct buf out = {0};
	struct sstable_change twice = in_the_middle;
	struct err e;

	make_table(&t, TABLE_PLAIN);
	twice.replaces = false;
	ck_assert_int_eq(merge(buf_bytes(&t.file), &twice, 1, &out, &e), -EEXIST);
	ck_assert_str_eq(e.text, "key \"c\" comes twice");
}
END_TEST

/* Nobody finds "c" there: it is sought in the first block. */
START_TEST(keys_before_their_block_are_refused)
{
	CLEANUP(table_free)
	struct table t = {0};
	CLEANUP(buf_release)
	struct buf out = {0};
	struct err e;

	table_entry(&t, LIT("a"), LIT("1"));
	table_cut_at(&t, LIT("d"));
	table_entry(&t, LIT("c"), LIT("2"));
	table_entry(&t, LIT("e"), LIT("3"));
	table_cut(&t);
	table_end(&t);
	ck_assert_int_eq(merge(buf_bytes(&t.file), NULL, 0, &out, &e), -EINVAL);
	ck_assert_msg(strstr(e.text, "does not come behind") != NULL, "%s", e.text);
	ck_assert_int_lt(merge(buf_bytes(&t.file), &in_the_middle, 1, &out, &e), 0);
}
END_TEST

/* --- of a bundle ------------------------------------------------------------------------------------------- */

static struct bundle_entry entry_of(const char *key, uint32_t shard)
{
	return (struct bundle_entry){.key = bytes_str(key),
				     .dtype = DTYPE_FLOAT,
				     .shard = shard,
				     .off = shard * 4,
				     .size = 4,
				     .crc = 1};
}

static void write_bundle(const char *keys, uint32_t shard, struct buf *out)
{
	CLEANUP(bundle_writer_release) struct bundle_writer w;
	struct bundle_entry entry;

	bundle_writer_init(&w, 3, false);
	for (; *keys; keys++) {
		char key[2] = {*keys};

		entry = entry_of(key, *keys == 'c' ? shard : 0);
		must(bundle_writer_add(&w, &entry, NULL));
	}
	must(bundle_writer_finish(&w, sink_of_buf(out), NULL));
}

START_TEST(an_index_over_another_is_as_one_written_anew)
{
	CLEANUP(bundle_writer_release) struct bundle_writer w;
	CLEANUP(buf_release)
	struct buf old = {0};
	CLEANUP(buf_release)
	struct buf new = {0};
	CLEANUP(buf_release)
	struct buf want = {0};
	struct bundle_entry changed = entry_of("c", 2), added = entry_of("f", 0);
	struct bundle b;
	struct err e;

	write_bundle("abcde", 0, &old);
	write_bundle("acdef", 2, &want);
	must(bundle_open(&b, source_of_memory(buf_bytes(&old)), NULL));
	bundle_writer_init(&w, 3, false);
	must(bundle_writer_leave(&w, LIT("b"), NULL));
	must(bundle_writer_add(&w, &added, NULL));
	must(bundle_writer_add(&w, &changed, NULL));
	ck_assert_int_eq(bundle_writer_finish_over(&w, &b, sink_of_buf(&new), &e), -EEXIST);
	must(bundle_writer_leave(&w, LIT("c"), NULL));
	new.n = 0;
	must(bundle_writer_finish_over(&w, &b, sink_of_buf(&new), NULL));
	ck_assert(bytes_eq(buf_bytes(&new), buf_bytes(&want)));
	must(bundle_writer_add(&w, &changed, NULL));
	ck_assert_int_eq(bundle_writer_finish_over(&w, &b, sink_of_buf(&new), &e), -EEXIST);
	bundle_close(&b);
}
END_TEST

START_TEST(entries_are_found_in_their_order)
{
	CLEANUP(buf_release)
	struct buf file = {0};
	struct bundle_entry entry;
	struct bundle b;

	write_bundle("abdf", 0, &file);
	must(bundle_open(&b, source_of_memory(buf_bytes(&file)), NULL));
	ck_assert_int_eq(bundle_find(&b, LIT("b"), &entry, NULL), 1);
	ck_assert(bytes_eq(entry.key, LIT("b")));
	ck_assert_int_eq(bundle_find(&b, LIT("c"), &entry, NULL), 0);
	ck_assert_int_eq(bundle_find(&b, LIT("d"), &entry, NULL), 1);
	ck_assert_int_eq(bundle_find(&b, LIT("f"), &entry, NULL), 1);
	ck_assert_int_eq(bundle_find(&b, LIT("g"), &entry, NULL), 0);
	bundle_close(&b);
}
END_TEST

/* Blocks that need not be looked at are not read: so their damage is not found. */
START_TEST(a_block_without_the_key_is_not_read)
{
	CLEANUP(table_free)
	struct table t = {0};
	CLEANUP(sstable_iter_release) struct sstable_iter it;
	struct sstable table;

	make_table(&t, TABLE_PLAIN);
	t.file.p[0] ^= 1;
	must(sstable_open(&table, source_of_memory(buf_bytes(&t.file)), NULL));
	must(sstable_iter_init(&it, &table, NULL));
	ck_assert_int_eq(sstable_seek(&it, LIT("d"), NULL), 1);
	ck_assert_int_eq(sstable_next(&it, NULL), 1);
	ck_assert(bytes_eq(sstable_key(&it), LIT("c")));
	ck_assert_int_eq(sstable_seek(&it, LIT("f"), NULL), 1);
	ck_assert_int_eq(sstable_next(&it, NULL), 1);
	ck_assert(bytes_eq(sstable_key(&it), LIT("e")));
	ck_assert_int_eq(sstable_seek(&it, LIT("g"), NULL), 0);
	sstable_close(&table);
}
END_TEST

TCase *sstable_merge_tests(void)
{
	TCase *t = tcase_create("sstable_merge");

	tcase_add_loop_test(t, a_merged_table_has_what_one_written_anew_has, 0, 3);
	tcase_add_test(t, without_a_change_it_is_the_same_file);
	tcase_add_test(t, blocks_end_where_they_ended);
	tcase_add_test(t, keys_behind_the_last_do_not_make_many_blocks);
	tcase_add_loop_test(t, a_damaged_block_is_not_copied, 0, 64);
	tcase_add_test(t, compressed_blocks_are_written_plain);
	tcase_add_test(t, what_is_there_is_not_replaced_unasked);
	tcase_add_test(t, keys_before_their_block_are_refused);
	tcase_add_test(t, an_index_over_another_is_as_one_written_anew);
	tcase_add_test(t, entries_are_found_in_their_order);
	tcase_add_test(t, a_block_without_the_key_is_not_read);
	return t;
}

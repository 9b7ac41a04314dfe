/* Tests of src/format/string_tensor.[ch]. The tensors that TensorFlow wrote are read whole in check_tensor.c. */
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "format/bundle.h"
#include "format/check_format.h"
#include "format/dtype.h"
#include "format/slice.h"
#include "format/string_tensor.h"
#include "lib/files.h"
#include "lib/lit.h"
#include "lib/random.h"
#include "lib/table.h"

static void must(int r)
{
	if (r < 0)
		ck_abort_msg("error %d", r);
}

static int read_at(struct bytes file, uint64_t off, uint64_t size, uint64_t n, uint32_t masked,
		   struct strings *out, struct err *e)
{
	struct source src = source_of_memory(file);
	struct values_place at = {
		.off = off, .size = size, .n = n, .check = true, .crc = crc32c_unmask(masked)};

	return strings_read(&src, &at, out, e);
}

/* --- what TensorFlow wrote ----------------------------------------------------------------------------- */

START_TEST(strings_of_tensorflow_are_read)
{
	CLEANUP(strings_release)
	struct strings s = {0};
	struct bytes file = LIT("\2\0\3\x1b\x42\x8b\xca"
				"abxyz");

	must(read_at(file, 0, file.n, 3, 0x3fc4ad10, &s, NULL));
	ck_assert_uint_eq(s.n, 3);
	ck_assert_uint_eq(s.data, 7);
	ck_assert_uint_eq(s.longest, 3);
	ck_assert(!s.ends_in_nul);
	ck_assert_uint_eq(strings_start(&s, 0), 7);
	ck_assert_uint_eq(strings_len(&s, 0), 2);
	ck_assert_uint_eq(strings_start(&s, 1), 9);
	ck_assert_uint_eq(strings_len(&s, 1), 0);
	ck_assert_uint_eq(strings_start(&s, 2), 9);
	ck_assert_uint_eq(strings_len(&s, 2), 3);
}
END_TEST

START_TEST(no_strings_and_an_empty_one_are_read)
{
	CLEANUP(strings_release)
	struct strings none = {0};
	CLEANUP(strings_release)
	struct strings empty = {0};
	struct bytes stored = LIT("\0\xa6\x7b\x11\x3a");
	uint32_t crc = crc32c_mask(crc32c_extend(0x48674bc7, stored.p + 1, 4));

	must(read_at(LIT("\xd8\xea\x82\xa2"), 0, 4, 0, crc32c_mask(crc32c("\xd8\xea\x82\xa2", 4)),
		     &none, NULL));
	ck_assert(none.n == 0 && none.longest == 0);
	must(read_at(stored, 0, 5, 1, crc, &empty, NULL));
	ck_assert(empty.n == 1 && empty.longest == 0 && !empty.ends_in_nul);
}
END_TEST

/* A length of more than 32 bits enters the checksum in 8 bytes; the string itself is not there. */
START_TEST(lengths_of_more_than_32_bits_have_the_checksum_of_tensorflow)
{
	struct strings s = {0};
	struct err e;
	struct bytes file = LIT("\2\x85\x80\x80\x80\x10\xa6\xe4\x22\x34hi");

	ck_assert_int_eq(read_at(file, 0, file.n, 2, 0, &s, &e), -EUCLEAN);
	ck_assert_ptr_nonnull(strstr(e.text, "4294967303 bytes of strings, room for 2"));
}
END_TEST

/* --- made here ----------------------------------------------------------------------------------------- */

struct made {
	struct buf file;
	uint64_t off, size, n;
	uint32_t crc; /* masked */
	bool big_endian;
};

static uint32_t extend_length(uint32_t crc, uint64_t len, bool big_endian)
{
	uint8_t b[8];

	for (int i = 0; i < 4; i++)
		b[i] = (uint8_t)(len >> 8 * (big_endian ? 3 - i : i));
	return crc32c_extend(crc, b, 4);
}

/* Writes strings of LENS as TensorFlow would, with junk before and behind; each byte is FILL. */
static void make(struct made *m, const uint64_t *lens, uint64_t n, uint8_t fill)
{
	uint32_t crc = 0;
	uint8_t stored[4];

	must(buf_add_str(&m->file, "before"));
	m->off = m->file.n;
	m->n = n;
	for (uint64_t i = 0; i < n; i++) {
		add_varint(&m->file, lens[i]);
		crc = extend_length(crc, lens[i], m->big_endian);
	}
	put_le32(stored, m->big_endian ? __builtin_bswap32(crc32c_mask(crc)) : crc32c_mask(crc));
	must(buf_add(&m->file, stored, 4));
	crc = crc32c_extend(crc, stored, 4);
	for (uint64_t i = 0; i < n; i++) {
		size_t at = m->file.n;

		must(buf_reserve(&m->file, lens[i]));
		memset(m->file.p + at, fill, lens[i]);
		m->file.n += lens[i];
		crc = crc32c_extend(crc, m->file.p + at, lens[i]);
	}
	m->crc = crc32c_mask(crc);
	m->size = m->file.n - m->off;
	must(buf_add_str(&m->file, "behind"));
}

static int read_made(const struct made *m, struct strings *out, struct err *e)
{
	struct source src = source_of_memory(buf_bytes(&m->file));
	struct values_place at = {.off = m->off,
				  .size = m->size,
				  .n = m->n,
				  .big_endian = m->big_endian,
				  .check = true,
				  .crc = crc32c_unmask(m->crc)};

	return strings_read(&src, &at, out, e);
}

static void check_made(const struct made *m, const uint64_t *lens, bool ends_in_nul)
{
	CLEANUP(strings_release)
	struct strings s = {0};
	struct err e = {0};
	uint64_t at, longest = 0;

	if (read_made(m, &s, &e) < 0)
		ck_abort_msg("%s", e.text);
	at = s.data;
	for (uint64_t i = 0; i < m->n; i++) {
		if (strings_start(&s, i) != at || strings_len(&s, i) != lens[i])
			ck_abort_msg("string %lu", (unsigned long)i);
		at += lens[i];
		longest = lens[i] > longest ? lens[i] : longest;
	}
	ck_assert_uint_eq(at, m->off + m->size);
	ck_assert_uint_eq(s.longest, longest);
	ck_assert(s.ends_in_nul == ends_in_nul);
}

/* The reader takes pieces of 256 KiB. */
static const uint64_t borders[] = {
	0, 1, 127, 128, 16383, 16384, (256 << 10) - 21, 256 << 10, 300000, 2097151, 2097152};

START_TEST(lengths_at_the_borders_of_varints_and_pieces_are_read)
{
	for (int big_endian = 0; big_endian < 2; big_endian++) {
		for (uint8_t fill = 0; fill < 2; fill++) {
			struct made m = {.big_endian = big_endian};

			make(&m, borders, COUNT(borders), fill);
			check_made(&m, borders, !fill);
			buf_release(&m.file);
		}
	}
}
END_TEST

START_TEST(more_lengths_than_a_piece_holds_are_read)
{
	uint64_t seed = 4;

	for (size_t n = 262140; n <= 262150; n += 2) {
		CLEANUP(freep)
		uint64_t *lens = calloc(n, sizeof *lens);
		struct made m = {0};

		ck_assert_ptr_nonnull(lens);
		for (size_t i = 0; i < n / 100; i++)
			lens[random_below(&seed, n)] = random_below(&seed, 300);
		make(&m, lens, n, 'x');
		check_made(&m, lens, false);
		buf_release(&m.file);
	}
}
END_TEST

START_TEST(a_length_may_lie_across_two_pieces)
{
	enum { PIECE = 256 << 10, N = PIECE + 30 };
	CLEANUP(freep)
	uint64_t *lens = calloc(N, sizeof *lens);

	ck_assert_ptr_nonnull(lens);
	for (size_t at = PIECE - 12; at < PIECE + 2; at++) {
		struct made m = {0};

		lens[at] = 1 << 14; /* 3 bytes, behind AT of one byte each */
		make(&m, lens, N, 'x');
		check_made(&m, lens, false);
		buf_release(&m.file);
		lens[at] = 0;
	}
}
END_TEST

START_TEST(a_nul_is_noticed_at_the_end_of_a_string_alone)
{
	static const struct {
		struct bytes text;
		uint64_t lens[3];
		bool nul;
	} cases[] = {
		{LIT_INIT("abcdef"), {2, 2, 2}, false},  {LIT_INIT("a\0cdef"), {2, 2, 2}, true},
		{LIT_INIT("\0bcdef"), {2, 2, 2}, false}, {LIT_INIT("\0bcdef"), {1, 3, 2}, true},
		{LIT_INIT("abcde\0"), {0, 0, 6}, true},  {LIT_INIT("abc\0ef"), {3, 0, 3}, false},
		{LIT_INIT("abc\0ef"), {0, 4, 2}, true},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP(strings_release)
		struct strings s = {0};
		struct made m = {0};
		uint8_t *text;

		make(&m, cases[i].lens, 3, 0);
		text = m.file.p + m.off + 7;
		memcpy(text, cases[i].text.p, 6);
		m.crc = crc32c_mask(crc32c_extend(crc32c_unmask(get_le32(text - 4)), text - 4, 10));
		must(read_made(&m, &s, NULL));
		ck_assert_msg(s.ends_in_nul == cases[i].nul, "%zu", i);
		buf_release(&m.file);
	}
}
END_TEST

/* --- damaged ------------------------------------------------------------------------------------------- */

static const struct damage {
	struct bytes file;
	uint64_t off, size, n;
	int code;
	const char *words;
} damages[] = {
	{LIT_INIT("\2\0\3\x1b\x42\x8b\xca"
		  "abxyz"),
	 0, 12, 3, 0, ""},
	{LIT_INIT("\2\0\3\x1b\x42\x8b\xca"
		  "abxyZ"),
	 0, 12, 3, -EBADMSG, "crc32c is"},
	{LIT_INIT("\2\0\2\x1b\x42\x8b\xca"
		  "abxyz"),
	 0, 12, 3, -EBADMSG, "crc32c of the lengths is"},
	{LIT_INIT("\2\0\3\x1b\x42\x8b\xcb"
		  "abxyz"),
	 0, 12, 3, -EBADMSG, "crc32c of the lengths is"},
	{LIT_INIT("\2\0\3\x1b\x42\x8b\xca"
		  "abxyz"),
	 0, 11, 3, -EUCLEAN, "5 bytes of strings, room for 4"},
	{LIT_INIT("\2\0\3\x1b\x42\x8b\xca"
		  "abxyz"),
	 0, 6, 3, -EUCLEAN, "no room for the lengths' checksum"},
	{LIT_INIT("\2\0\3\x1b\x42\x8b\xca"
		  "abxyz"),
	 0, 13, 3, -EUCLEAN, "3 strings in 13 bytes at 0 of a file of 12"},
	{LIT_INIT("\2\0\3\x1b\x42\x8b\xca"
		  "abxyz"),
	 UINT64_MAX, 12, 3, -EUCLEAN, "of a file of 12"},
	{LIT_INIT("\2\0\3\x1b\x42\x8b\xca"
		  "abxyz"),
	 0, 12, 13, -EUCLEAN, "13 strings in 12 bytes"},
	{LIT_INIT("\2\0\3"), 0, 3, UINT64_MAX, -EUCLEAN, "strings in 3 bytes"},
	{LIT_INIT("\2\x80"), 0, 2, 2, -EUCLEAN, "length of string 1 is malformed"},
	{LIT_INIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\1zzzz"), 0, 15, 2, -EUCLEAN,
	 "length of string 1 is malformed"},
	{LIT_INIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\1zzzz"), 0, 15, 2, -EUCLEAN,
	 "length of string 0 is malformed"},
};

START_TEST(damaged_strings_are_refused)
{
	const struct damage *d = &damages[_i];
	struct strings s = {0};
	struct err e = {0};
	int r = read_at(d->file, d->off, d->size, d->n, 0x3fc4ad10, &s, &e);

	ck_assert_msg(r == d->code && strstr(e.text, d->words), "%d: %d %s", _i, r, e.text);
	ck_assert((s.ends != NULL) == (r == 0));
	strings_release(&s);
}
END_TEST

START_TEST(no_flipped_bit_passes)
{
	const uint64_t lens[] = {3, 200, 0, 1};
	struct made m = {0};

	make(&m, lens, COUNT(lens), 'a');
	for (uint64_t bit = 8 * m.off; bit < 8 * (m.off + m.size); bit++) {
		struct strings s = {0};

		m.file.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (read_made(&m, &s, NULL) == 0)
			ck_abort_msg("bit %lu", (unsigned long)bit);
		m.file.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	check_made(&m, lens, false);
	buf_release(&m.file);
}
END_TEST

/* --- written ------------------------------------------------------------------------------------------- */

static void write_all(struct strings_writer *w, const struct bytes *strings, size_t n)
{
	for (size_t i = 0; i < n; i++)
		must(strings_writer_length(w, strings[i].n, NULL));
	must(strings_writer_lengths_end(w, NULL));
	for (size_t i = 0; i < n; i++)
		must(strings_writer_bytes(w, strings[i], NULL));
}

START_TEST(written_strings_have_the_bytes_of_tensorflow)
{
	static const struct {
		struct bytes strings[3], want;
		size_t n;
		uint32_t crc; /* masked */
	} cases[] = {
		{{LIT_INIT("ab"), LIT_INIT(""), LIT_INIT("xyz")},
		 LIT_INIT("\2\0\3\x1b\x42\x8b\xca"
			  "abxyz"),
		 3,
		 0x3fc4ad10},
		{{LIT_INIT("")}, LIT_INIT("\0\xa6\x7b\x11\x3a"), 1, 0},
		{{LIT_INIT("")}, LIT_INIT("\xd8\xea\x82\xa2"), 0, 0},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP(buf_release)
		struct buf out = {0};
		struct strings_writer w = {.out = sink_of_buf(&out)};

		write_all(&w, cases[i].strings, cases[i].n);
		ck_assert(bytes_eq(buf_bytes(&out), cases[i].want));
		ck_assert_uint_eq(w.size, out.n);
		if (cases[i].crc)
			ck_assert_uint_eq(crc32c_mask(w.crc), cases[i].crc);
	}
}
END_TEST

START_TEST(written_lengths_of_more_than_32_bits_have_the_checksum_of_tensorflow)
{
	CLEANUP(buf_release)
	struct buf out = {0};
	struct strings_writer w = {.out = sink_of_buf(&out)};

	must(strings_writer_length(&w, 2, NULL));
	must(strings_writer_length(&w, (1ull << 32) + 5, NULL));
	must(strings_writer_lengths_end(&w, NULL));
	ck_assert(bytes_eq(buf_bytes(&out), LIT("\2\x85\x80\x80\x80\x10\xa6\xe4\x22\x34")));
}
END_TEST

/* Reads the tensor of ENTRY from SHARD and writes it again. */
static void check_tensor(const struct bundle_entry *entry, bool big_endian, struct bytes shard)
{
	CLEANUP(strings_release)
	struct strings s = {0};
	CLEANUP(buf_release)
	struct buf out = {0};
	CLEANUP(freep)
	struct bytes *all = NULL;
	struct strings_writer w = {.out = sink_of_buf(&out), .big_endian = big_endian};
	struct source src = source_of_memory(shard);
	struct values_place at = {entry->off, entry->size, 1, big_endian, true, entry->crc};

	ck_assert(shape_count(entry->rank, entry->dims, &at.n));
	must(strings_read(&src, &at, &s, NULL));
	all = calloc(s.n + 1, sizeof *all);
	ck_assert_ptr_nonnull(all);
	for (uint64_t i = 0; i < s.n; i++)
		all[i] = bytes_of(shard.p + strings_start(&s, i), strings_len(&s, i));
	write_all(&w, all, s.n);
	ck_assert(bytes_eq(buf_bytes(&out), bytes_of(shard.p + entry->off, entry->size)));
	ck_assert_uint_eq(w.crc, entry->crc);
}

START_TEST(string_tensors_of_tensorflow_are_written_byte_for_byte)
{
	static const char *const steps[] = {"strings/text", "keras/ckpt-2"};

	for (size_t i = 0; i < COUNT(steps); i++) {
		CLEANUP(buf_release)
		struct buf index = {0};
		CLEANUP(buf_release)
		struct buf shard = {0};
		struct bundle_entry entry;
		struct bundle b;
		int n = 0;

		read_whole(&index, "%s/fixtures/%s.index", ASSETS, steps[i]);
		read_whole(&shard, "%s/fixtures/%s.data-00000-of-00001", ASSETS, steps[i]);
		must(bundle_open(&b, source_of_memory(buf_bytes(&index)), NULL));
		while (bundle_next(&b, &entry, NULL) > 0)
			if (entry.dtype == DTYPE_STRING) {
				check_tensor(&entry, b.big_endian, buf_bytes(&shard));
				n++;
			}
		ck_assert_int_gt(n, 0);
		bundle_close(&b);
	}
}
END_TEST

TCase *string_tensor_tests(void)
{
	TCase *t = tcase_create("string_tensor");

	tcase_add_test(t, strings_of_tensorflow_are_read);
	tcase_add_test(t, no_strings_and_an_empty_one_are_read);
	tcase_add_test(t, lengths_of_more_than_32_bits_have_the_checksum_of_tensorflow);
	tcase_add_test(t, lengths_at_the_borders_of_varints_and_pieces_are_read);
	tcase_add_test(t, more_lengths_than_a_piece_holds_are_read);
	tcase_add_test(t, a_length_may_lie_across_two_pieces);
	tcase_add_test(t, a_nul_is_noticed_at_the_end_of_a_string_alone);
	tcase_add_loop_test(t, damaged_strings_are_refused, 0, COUNT(damages));
	tcase_add_test(t, no_flipped_bit_passes);
	tcase_add_test(t, written_strings_have_the_bytes_of_tensorflow);
	tcase_add_test(t, written_lengths_of_more_than_32_bits_have_the_checksum_of_tensorflow);
	tcase_add_test(t, string_tensors_of_tensorflow_are_written_byte_for_byte);
	return t;
}

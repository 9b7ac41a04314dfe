#include "base/check_base.h"
#include "base/crc32c.h"
#include "lib/random.h"
#include <string.h>

enum { SIZE = 1 << 16 };

static void fill(uint8_t *p, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)random_next(&seed);
}

START_TEST(published_checksums_are_met)
{
	uint8_t zeros[32] = {0}, ones[32], up[32], down[32];

	memset(ones, 0xff, sizeof ones);
	for (uint8_t i = 0; i < 32; i++) {
		up[i] = i;
		down[i] = 31 - i;
	}
	/* RFC 3720, B.4, and the check value of the polynomial */
	const struct {
		const void *p;
		size_t n;
		uint32_t crc;
	} known[] = {
		{zeros, 32, 0x8a9136aa}, {ones, 32, 0x62a8ab43},       {up, 32, 0x46dd794e},
		{down, 32, 0x113fdb5c},  {"123456789", 9, 0xe3069283}, {"", 0, 0},
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
		ck_assert_uint_eq(crc32c(known[i].p, known[i].n), known[i].crc);
		ck_assert_uint_eq(crc32c_portable(0, known[i].p, known[i].n), known[i].crc);
	}
	ck_assert_uint_eq(crc32c(NULL, 0), 0);
	ck_assert_uint_eq(crc32c_portable(7, NULL, 0), 7);
}
END_TEST

/* The masked checksums are those that tf.io.TFRecordWriter writes behind these records. */
START_TEST(masks_are_those_of_tensorflow)
{
	const uint8_t zeros[32] = {0};
	uint64_t state = 1;

	ck_assert_uint_eq(crc32c_mask(crc32c("123456789", 9)), 0xc78ab0e5);
	ck_assert_uint_eq(crc32c_mask(crc32c(zeros, 32)), 0x0fd7fffa);
	ck_assert_uint_eq(crc32c_unmask(0xc78ab0e5), 0xe3069283);
	for (int i = 0; i < 1000; i++) {
		uint32_t crc = (uint32_t)random_next(&state);

		if (crc32c_unmask(crc32c_mask(crc)) != crc || crc32c_mask(crc) == crc)
			ck_abort_msg("%08x", crc);
	}
}
END_TEST

START_TEST(both_ways_agree_at_every_length_and_alignment)
{
	static uint8_t data[SIZE];
	uint64_t state = 2;

	fill(data, SIZE, 3);
	for (size_t at = 0; at < 17; at++)
		for (size_t n = 0; n < 300; n++)
			if (crc32c(data + at, n) != crc32c_portable(0, data + at, n))
				ck_abort_msg("%zu bytes at %zu", n, at);
	for (int i = 0; i < 300; i++) {
		size_t at = random_below(&state, SIZE), n = random_below(&state, SIZE - at + 1);
		uint32_t crc = (uint32_t)random_next(&state);

		if (crc32c_extend(crc, data + at, n) != crc32c_portable(crc, data + at, n))
			ck_abort_msg("%zu bytes at %zu behind %08x", n, at, crc);
	}
}
END_TEST

START_TEST(a_checksum_can_be_taken_in_parts)
{
	static uint8_t data[SIZE];
	uint64_t state = 4;
	uint32_t whole;

	fill(data, SIZE, 5);
	whole = crc32c(data, SIZE);
	for (int i = 0; i < 300; i++) {
		size_t cut = random_below(&state, SIZE + 1);
		uint32_t a = crc32c(data, cut), b = crc32c(data + cut, SIZE - cut);

		if (crc32c_extend(a, data + cut, SIZE - cut) != whole)
			ck_abort_msg("extended at %zu", cut);
		if (crc32c_portable(a, data + cut, SIZE - cut) != whole)
			ck_abort_msg("extended portably at %zu", cut);
		if (crc32c_combine(a, b, SIZE - cut) != whole)
			ck_abort_msg("combined at %zu", cut);
	}
	ck_assert_uint_eq(crc32c_combine(whole, 0, 0), whole);
	ck_assert_uint_eq(crc32c_combine(0, whole, SIZE), whole);
}
END_TEST

/* Of 2^POWER zeros, by doubling one. */
static uint32_t crc_of_zeros(int power)
{
	uint32_t crc = crc32c("", 1);

	for (int i = 0; i < power; i++)
		crc = crc32c_combine(crc, crc, 1ull << i);
	return crc;
}

START_TEST(lengths_beyond_32_bits_are_combined)
{
	uint32_t front = crc32c("front", 5), parts = front;

	/* 2^40 zeros in one step, and as 1 + 1 + 2 + 4 + ... + 2^39 */
	parts = crc32c_extend(parts, "", 1);
	for (int i = 0; i < 40; i++)
		parts = crc32c_combine(parts, crc_of_zeros(i), 1ull << i);
	ck_assert_uint_eq(crc32c_combine(front, crc_of_zeros(40), 1ull << 40), parts);
	ck_assert_uint_ne(crc32c_combine(front, crc_of_zeros(40), 1ull << 8), parts);
}
END_TEST

TCase *crc32c_tests(void)
{
	TCase *t = tcase_create("crc32c");

	tcase_add_test(t, published_checksums_are_met);
	tcase_add_test(t, masks_are_those_of_tensorflow);
	tcase_add_test(t, both_ways_agree_at_every_length_and_alignment);
	tcase_add_test(t, a_checksum_can_be_taken_in_parts);
	tcase_add_test(t, lengths_beyond_32_bits_are_combined);
	return t;
}

/* Tests of src/format/variant_tensor.[ch]. Variants that TensorFlow wrote are also read in tests/tf/read.sh. */
#include "base/crc32c.h"
#include "format/check_format.h"
#include "format/variant_tensor.h"
#include "lib/lit.h"

/* An empty TensorList as TensorFlow stores it, and its entry's checksum, masked. */
#define EMPTY_LIST                                                                                 \
	"\x1d\x0a\x16tensorflow::TensorList\x12\x03\0\x01\x03"                                     \
	"\x65\xa4\xee\xb5"
enum { EMPTY_LIST_CRC = 0x91896da1 };

static int check(struct bytes file, uint64_t n, uint32_t masked, struct err *e)
{
	struct source src = source_of_memory(file);
	struct values_place at = {.size = file.n, .n = n, .crc = crc32c_unmask(masked)};

	return variants_check(&src, &at, e);
}

START_TEST(variant_of_tensorflow_is_good)
{
	struct err e = {0};

	ck_assert_msg(check(LIT(EMPTY_LIST), 1, EMPTY_LIST_CRC, &e) == 0, "%s", e.text);
}
END_TEST

START_TEST(no_elements_have_the_checksum_of_nothing)
{
	ck_assert_int_eq(check(LIT(""), 0, crc32c_mask(0), NULL), 0);
	ck_assert_int_eq(check(LIT(""), 0, 0, NULL), -EBADMSG);
}
END_TEST

START_TEST(each_flipped_bit_is_found)
{
	uint8_t bytes[] = EMPTY_LIST;
	size_t n = sizeof bytes - 1;

	for (size_t bit = 0; bit < 8 * n; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		int r = check(bytes_of(bytes, n), 1, EMPTY_LIST_CRC, NULL);

		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (r != -EBADMSG && r != -EUCLEAN)
			ck_abort_msg("bit %zu: %d", bit, r);
	}
}
END_TEST

START_TEST(one_that_is_cut_short_is_malformed)
{
	struct bytes whole = LIT(EMPTY_LIST);

	for (size_t n = 0; n < whole.n; n++)
		if (check(bytes_of(whole.p, n), 1, EMPTY_LIST_CRC, NULL) != -EUCLEAN)
			ck_abort_msg("cut to %zu bytes it is not refused", n);
	ck_assert_int_eq(check(whole, 2, EMPTY_LIST_CRC, NULL), -EUCLEAN);
}
END_TEST

TCase *variant_tensor_tests(void)
{
	TCase *t = tcase_create("variant_tensor");

	tcase_add_test(t, variant_of_tensorflow_is_good);
	tcase_add_test(t, no_elements_have_the_checksum_of_nothing);
	tcase_add_test(t, each_flipped_bit_is_found);
	tcase_add_test(t, one_that_is_cut_short_is_malformed);
	return t;
}

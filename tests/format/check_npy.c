/* Tests of src/format/npy.[ch] against the headers that NumPy writes (tests/assets/npy). */
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "format/bundle.h"
#include "format/check_format.h"
#include "format/dtype.h"
#include "format/npy.h"
#include "lib/hex.h"

/* Calls CHECK with each line of headers.txt that starts with WORD, and says how many there were. */
static int each_line(const char *word, void (*check)(char *fields[4]))
{
	FILE *file = fopen(ASSETS "/npy/headers.txt", "re");
	CLEANUP(freep)
	char *line = NULL;
	size_t cap = 0;
	int n = 0;

	ck_assert_ptr_nonnull(file);
	while (getline(&line, &cap, file) > 0) {
		char *fields[4], *rest = NULL;

		if (strcmp(strtok_r(line, " \n", &rest), word) != 0)
			continue;
		for (int i = 0; i < 4; i++)
			ck_assert_ptr_nonnull(fields[i] = strtok_r(NULL, " \n", &rest));
		check(fields);
		n++;
	}
	fclose(file);
	return n;
}

static void check_header(char *fields[4])
{
	CLEANUP(buf_release)
	struct buf want = {0};
	CLEANUP(buf_release)
	struct buf descr = {0};
	CLEANUP(buf_release)
	struct buf have = {0};
	int64_t dims[BUNDLE_MAX_RANK];
	unsigned rank = parse_numbers(fields[2], dims, BUNDLE_MAX_RANK);

	add_hex(&want, fields[3]);
	ck_assert_int_eq(npy_descr(&descr, atoi(fields[0]), fields[1][0] == '>'), 0);
	ck_assert_int_eq(npy_header(&have, buf_bytes(&descr), rank, dims), 0);
	ck_assert_msg(bytes_eq(buf_bytes(&have), buf_bytes(&want)), "type %s%s, shape %s:\n%.*s",
		      fields[1], fields[0], fields[2], (int)(have.n - 10), (char *)have.p + 10);
	ck_assert_uint_eq(have.n % 64, 0);
}

START_TEST(headers_are_those_of_numpy)
{
	ck_assert_int_gt(each_line("header", check_header), 150);
}
END_TEST

static void check_wide(char *fields[4])
{
	CLEANUP(buf_release)
	struct buf start = {0};
	CLEANUP(buf_release)
	struct buf descr = {0};
	CLEANUP(buf_release)
	struct buf have = {0};
	size_t n = strtoul(fields[0], NULL, 10);

	add_hex(&start, fields[1]);
	ck_assert_int_eq(buf_add_str(&descr, "[('"), 0);
	for (size_t i = 0; i < n; i++)
		if (buf_add_byte(&descr, 'a') < 0)
			ck_abort();
	ck_assert_int_eq(buf_add_str(&descr, "', '<u2')]"), 0);
	ck_assert_int_eq(npy_header(&have, buf_bytes(&descr), 1, (int64_t[]){5}), 0);
	ck_assert_uint_eq(have.n, strtoul(fields[2], NULL, 10));
	ck_assert_mem_eq(have.p, start.p, start.n);
	ck_assert_uint_eq(crc32c(have.p, have.n), strtoul(fields[3], NULL, 16));
}

START_TEST(headers_beyond_16_bits_are_version_2)
{
	ck_assert_int_gt(each_line("wide", check_wide), 5);
}
END_TEST

START_TEST(types_without_a_size_have_no_descr)
{
	static const int none[] = {
		DTYPE_INVALID, DTYPE_STRING, DTYPE_RESOURCE, DTYPE_VARIANT, 34, 101, -1};

	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
		struct buf out = {0};

		ck_assert_int_eq(npy_descr(&out, none[i], false), -EINVAL);
		ck_assert_ptr_null(out.p);
	}
}
END_TEST

TCase *npy_tests(void)
{
	TCase *t = tcase_create("npy");

	tcase_add_test(t, headers_are_those_of_numpy);
	tcase_add_test(t, headers_beyond_16_bits_are_version_2);
	tcase_add_test(t, types_without_a_size_have_no_descr);
	return t;
}

/* Tests of src/format/npy.h against the headers that NumPy writes, and what it reads (tests/assets/npy). */
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "format/bundle.h"
#include "format/check_format.h"
#include "format/dtype.h"
#include "format/npy.h"
#include "lib/hex.h"
#include "lib/lit.h"
#include "lib/random.h"

static void must(int r)
{
	if (r < 0)
		ck_abort_msg("error %d", r);
}

/* Calls CHECK with each line of FILE_NAME that starts with WORD, and says how many there were. */
static int each_line_of(const char *file_name, const char *word, void (*check)(char *fields[4]))
{
	CLEANUP(freep)
	char *line = NULL, *path = NULL;
	FILE *file;
	size_t cap = 0;
	int n = 0;

	ck_assert_int_gt(asprintf(&path, "%s/npy/%s", ASSETS, file_name), 0);
	file = fopen(path, "re");
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
	int64_t dims[SHAPE_MAX_RANK];
	unsigned rank = parse_numbers(fields[2], dims, SHAPE_MAX_RANK);

	add_hex(&want, fields[3]);
	ck_assert_int_eq(npy_descr(&descr, atoi(fields[0]), fields[1][0] == '>'), 0);
	ck_assert_int_eq(npy_header(&have, buf_bytes(&descr), rank, dims), 0);
	ck_assert_msg(bytes_eq(buf_bytes(&have), buf_bytes(&want)), "type %s%s, shape %s:\n%.*s",
		      fields[1], fields[0], fields[2], (int)(have.n - 10), (char *)have.p + 10);
	ck_assert_uint_eq(have.n % 64, 0);
	ck_assert_uint_eq(npy_descr_size(atoi(fields[0])), descr.n);
	ck_assert_uint_eq(npy_header_size(descr.n, rank, dims), have.n);
}

START_TEST(headers_are_those_of_numpy)
{
	ck_assert_int_gt(each_line_of("headers.txt", "header", check_header), 150);
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
	ck_assert_uint_eq(npy_header_size(descr.n, 1, (int64_t[]){5}), have.n);
	ck_assert_mem_eq(have.p, start.p, start.n);
	ck_assert_uint_eq(crc32c(have.p, have.n), strtoul(fields[3], NULL, 16));
}

START_TEST(headers_beyond_16_bits_are_version_2)
{
	ck_assert_int_gt(each_line_of("headers.txt", "wide", check_wide), 5);
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
		ck_assert_uint_eq(npy_descr_size(none[i]), 0);
	}
}
END_TEST

static void check_size(int dtype, bool big_endian, unsigned rank, const int64_t *dims)
{
	CLEANUP(buf_release)
	struct buf descr = {0};
	CLEANUP(buf_release)
	struct buf header = {0};

	if (npy_descr(&descr, dtype, big_endian) < 0)
		return;
	must(npy_header(&header, buf_bytes(&descr), rank, dims));
	ck_assert_uint_eq(npy_descr_size(dtype), descr.n);
	ck_assert_msg(npy_header_size(descr.n, rank, dims) == header.n,
		      "%zu bytes are foretold of %zu:\n%.*s", npy_header_size(descr.n, rank, dims),
		      header.n, (int)(header.n - 10), (char *)header.p + 10);
}

/* Dimensions have each number of digits, so that the header's end passes multiples of 64. */
START_TEST(the_size_of_a_header_is_known_without_printing_it)
{
	int64_t dims[SHAPE_MAX_RANK];
	uint64_t seed = 5;

	for (int dtype = -1; dtype < 40; dtype++)
		for (unsigned rank = 0; rank <= SHAPE_MAX_RANK; rank += rank < 9 ? 1 : 49) {
			int64_t bound = 1;

			for (unsigned digits = 1; digits <= 19; digits++) {
				for (unsigned k = 0; k < rank; k++)
					dims[k] = (int64_t)random_below(&seed, (uint64_t)bound);
				check_size(dtype, digits % 2, rank, dims);
				if (rank) /* exactly so many digits */
					dims[rank - 1] = bound - 1;
				check_size(dtype, digits % 2, rank, dims);
				bound = digits < 18 ? bound * 10 : INT64_MAX;
			}
		}
}
END_TEST

/* --- parsed ------------------------------------------------------------------------------------------------ */

static int parse(struct bytes file, struct npy *out, struct err *e)
{
	struct source src = source_of_memory(file);

	return npy_parse(&src, 0, out, e);
}

/* NumPy's name for what was found, as make_parsed.py has it. */
static void dtype_text(const struct npy *npy, struct buf *out)
{
	const struct dtype_info *t = dtype_info(npy->dtype);
	char order = npy->big_endian ? '>' : '<';

	if (npy->dtype == DTYPE_STRING && npy->has_length)
		must(buf_printf(out, "length:%cu8,bytes:|S%d", order, (int)npy->item - 8));
	else if (npy->dtype == DTYPE_STRING)
		must(buf_printf(out, "|S%d", (int)npy->item));
	else
		must(buf_printf(out, "%s%s%c%s", t->field ? t->field : "", t->field ? ":" : "",
				t->item == 1 ? '|' : order, t->numpy));
	must(buf_add(out, "", 1));
}

static void check_found(char *const fields[5], const struct npy *npy)
{
	CLEANUP(buf_release)
	struct buf text = {0};
	int64_t dims[SHAPE_MAX_RANK];

	dtype_text(npy, &text);
	ck_assert_str_eq((char *)text.p, fields[0]);
	ck_assert_uint_eq(npy->rank, parse_numbers(fields[1], dims, SHAPE_MAX_RANK));
	ck_assert_mem_eq(npy->dims, dims, npy->rank * sizeof *dims);
	ck_assert_int_eq(npy->fortran, atoi(fields[2]));
}

START_TEST(what_numpy_reads_is_read_and_what_it_refuses_is_refused)
{
	FILE *file = fopen(ASSETS "/npy/parsed.txt", "re");
	CLEANUP(freep)
	char *line = NULL;
	size_t cap = 0;
	int n = 0;

	ck_assert_ptr_nonnull(file);
	for (; getline(&line, &cap, file) > 0; n++) {
		CLEANUP(buf_release)
		struct buf npy_file = {0};
		struct err e = {0};
		struct npy npy;
		char *fields[5], *rest = NULL, *verdict = strtok_r(line, " \n", &rest);
		int r;

		for (int i = 0; i < 4; i++)
			ck_assert_ptr_nonnull(fields[i] = strtok_r(NULL, " \n", &rest));
		add_hex(&npy_file, fields[3]);
		r = parse(buf_bytes(&npy_file), &npy, &e);
		if (!strcmp(verdict, "read") || (!strcmp(verdict, "odd") && r == 0)) {
			ck_assert_msg(r == 0, "line %d: %s", n + 1, e.text);
			check_found(fields, &npy);
		} else {
			ck_assert_msg(r == -EINVAL, "line %d, which is %s: %d", n + 1, verdict, r);
			ck_assert(e.text[0] != 0);
		}
	}
	ck_assert_int_gt(n, 1000);
	fclose(file);
}
END_TEST

START_TEST(a_header_that_was_printed_is_parsed)
{
	uint64_t seed = 3;

	for (int i = 0; i < 5000; i++) {
		CLEANUP(buf_release)
		struct buf descr = {0};
		CLEANUP(buf_release)
		struct buf file = {0};
		int dtype = (int)random_below(&seed, 34);
		bool big_endian = random_below(&seed, 2);
		unsigned rank = (unsigned)random_below(&seed, i % 10 ? 6 : SHAPE_MAX_RANK + 1);
		int64_t dims[SHAPE_MAX_RANK];
		struct npy npy;
		struct err e;

		if (npy_descr(&descr, dtype, big_endian) < 0)
			continue;
		for (unsigned k = 0; k < rank; k++)
			dims[k] = (int64_t)random_below(&seed, rank < 6 ? 1000 : 2);
		must(npy_header(&file, buf_bytes(&descr), rank, dims));
		must(buf_add(&file, "more", 4));
		if (parse(buf_bytes(&file), &npy, &e) < 0)
			ck_abort_msg("%s", e.text);
		ck_assert_int_eq(npy.dtype, dtype);
		ck_assert(npy.big_endian == (big_endian && dtype_info(dtype)->item > 1));
		ck_assert(!npy.fortran && !npy.has_length);
		ck_assert_uint_eq(npy.rank, rank);
		ck_assert_mem_eq(npy.dims, dims, rank * sizeof *dims);
		ck_assert_uint_eq(npy.data, file.n - 4);
		ck_assert_uint_eq(npy.stored, 4);
		ck_assert_uint_eq(npy.item, dtype_info(dtype)->item);
		ck_assert_uint_eq(npy.size, npy.item * npy.count);
	}
}
END_TEST

static const struct refusal {
	const char *descr, *shape, *words;
} refusals[] = {
	{"'<V2'", "(3,)", "saves only the size; save the array viewed as a field of that name"},
	{"'<V1'", "(3,)", "a.view([('int4', '|i1')])"},
	{"'<f1'", "(3,)", "a.view([('bfloat16', '<u2')])"},
	{"'|O'", "(3,)", "descr '|O': pickled Python objects; expected numbers"},
	{"'<U3'", "(3,)", "save numpy.char.encode(a, 'utf-8')"},
	{"'<M8[ns]'", "(3,)", "descr '<M8[ns]': TensorFlow has no such type"},
	{"'f4'", "(3,)", "TensorFlow has no such type; expected one as '<f4'"},
	{"'|f4'", "(3,)", "TensorFlow has no such type"},
	{"[('x', '<f4')]", "(3,)", "descr [('x', '<f4')]: a dtype with fields; expected one"},
	{"[('int4', '|u1')]", "(3,)", "a dtype with fields"},
	{"[('a', [('b', '<f4')])]", "(3,)", "descr [('a', [('b', '<f4')])]: a dtype with fields"},
	{"'|S2147483648'", "(0,)", "TensorFlow has no such type"},
	{"'|S0'", "(268435457,)", "268435457 empty strings; expected at most"},
	{"'<f4'", "(9223372036854775808,)", "a whole number that fits 64 bits"},
	{"'<f4'", "(9223372036854775807, 2)", "more than 2^63 bytes"},
	{"'<f4'", "(3, 9223372036854775807, 0)", "more than 2^63 bytes"},
	{"'<f4'", "(2305843009213693952,)", "more than 2^63 bytes"},
	{"'<f4'", "(-1,)", "header: '-1,)}' at byte"},
	{"'<f4'", "(3)", "',' in a tuple of one"},
	{"'<f4'", "(3,", "header: '}' at byte"},
	{"'<f4'", "(3,), 'more': 1", "key 'more'; expected 'descr', 'fortran_order', 'shape'"},
	{"7", "(3,)", "where a dtype is expected"},
	{"'<f4'", "(3,)} {", "where its end is expected"},
};

START_TEST(a_refusal_says_what_was_found)
{
	const struct refusal *want = &refusals[_i];
	CLEANUP(buf_release)
	struct buf file = {0};
	struct npy npy;
	struct err e = {0};

	must(buf_add(&file, "\x93NUMPY\1\0\0\0", 10));
	must(buf_printf(&file, "{'fortran_order': False, 'descr': %s, 'shape': %s}", want->descr,
			want->shape));
	file.p[8] = (uint8_t)(file.n - 10);
	ck_assert_int_eq(parse(buf_bytes(&file), &npy, &e), -EINVAL);
	ck_assert_msg(strstr(e.text, want->words) != NULL, "%s", e.text);
}
END_TEST

START_TEST(ranks_up_to_254_are_parsed)
{
	for (unsigned rank = 253; rank < 257; rank++) {
		CLEANUP(buf_release)
		struct buf file = {0};
		int64_t dims[256] = {0};
		struct npy npy;
		struct err e = {0};

		must(npy_header(&file, bytes_str("'<f4'"), rank, dims));
		ck_assert_int_eq(parse(buf_bytes(&file), &npy, &e), rank > 254 ? -EINVAL : 0);
		if (rank > 254)
			ck_assert_str_eq(e.text, "more than 254 dimensions");
	}
}
END_TEST

/* A length beyond the file, and one that the file has but that is too long. */
START_TEST(the_length_of_a_header_is_checked)
{
	enum { MIB = 1 << 20 };
	CLEANUP(buf_release)
	struct buf file = {0};
	struct npy npy;
	struct err e = {0};

	must(buf_add(&file, "\x93NUMPY\2\0", 8));
	must(buf_reserve(&file, MIB + 100));
	memset(file.p + 8, ' ', MIB + 100 - 8);
	file.n = MIB + 100;
	put_le32(file.p + 8, MIB + 100 - 12 + 1);
	ck_assert_int_eq(parse(buf_bytes(&file), &npy, &e), -EINVAL);
	ck_assert_str_eq(e.text, "a header of 1048665 bytes in a file of 1048676");
	put_le32(file.p + 8, MIB + 1);
	ck_assert_int_eq(parse(buf_bytes(&file), &npy, &e), -EINVAL);
	ck_assert_str_eq(e.text, "a header of 1048577 bytes; expected at most 1048576");
	put_le32(file.p + 8, MIB);
	memcpy(file.p + 12, "{'fortran_order':True,'descr':'|S3','shape':()}", 47);
	ck_assert_int_eq(parse(buf_bytes(&file), &npy, &e), 0);
	ck_assert_uint_eq(npy.data, MIB + 12);
	ck_assert_uint_eq(npy.size, 3);
	ck_assert_uint_eq(npy.stored, 88);
}
END_TEST

/* --- stored ------------------------------------------------------------------------------------------------ */

/* Lines of stored.txt: a .npy file and the bytes of its elements, in C order, little- and big-endian. */
static void check_stored(char *fields[4])
{
	CLEANUP(buf_release)
	struct buf file = {0};
	struct source src;
	struct npy npy;
	uint64_t seed = 5;

	add_hex(&file, fields[1]);
	src = source_of_memory(buf_bytes(&file));
	must(npy_parse(&src, 0, &npy, NULL));
	ck_assert_uint_eq(npy.size, npy.stored);
	for (int big_endian = 0; big_endian < 2; big_endian++)
		for (int i = 0; i < 20; i++) {
			CLEANUP(buf_release)
			struct buf want = {0};
			CLEANUP(buf_release)
			struct buf have = {0};
			struct npy_stored stored;

			add_hex(&want,
				strcmp(fields[2 + big_endian], "-") ? fields[2 + big_endian] : "");
			must(npy_store(&src, &npy, big_endian, 1 + random_below(&seed, 200),
				       sink_of_buf(&have), &stored, NULL));
			ck_assert_msg(bytes_eq(buf_bytes(&want), buf_bytes(&have)), "%s",
				      fields[0]);
			ck_assert_uint_eq(stored.size, have.n);
			if (npy.dtype != DTYPE_STRING)
				ck_assert_uint_eq(stored.crc, crc32c(have.p, have.n));
		}
}

START_TEST(elements_are_stored_in_c_order_and_the_byte_order_of_the_bundle)
{
	ck_assert_int_gt(each_line_of("stored.txt", "stored", check_stored), 100);
}
END_TEST

START_TEST(a_string_longer_than_its_field_is_refused)
{
	CLEANUP(buf_release)
	struct buf file = {0};
	CLEANUP(buf_release)
	struct buf out = {0};
	struct npy_stored stored = {.size = 7};
	struct source src;
	struct npy npy;
	struct err e;

	must(npy_header(&file, bytes_str("[('length', '<u8'), ('bytes', '|S2')]"), 0, NULL));
	must(buf_add(&file, "\3\0\0\0\0\0\0\0ab", 10));
	src = source_of_memory(buf_bytes(&file));
	must(npy_parse(&src, 0, &npy, NULL));
	ck_assert_int_eq(npy_store(&src, &npy, false, 100, sink_of_buf(&out), &stored, &e),
			 -EINVAL);
	ck_assert_str_eq(e.text, "a string of length 3 in a field of 2 bytes");
	ck_assert_uint_eq(stored.size, 7);
}
END_TEST

TCase *npy_tests(void)
{
	TCase *t = tcase_create("npy");

	tcase_add_test(t, headers_are_those_of_numpy);
	tcase_add_test(t, headers_beyond_16_bits_are_version_2);
	tcase_add_test(t, types_without_a_size_have_no_descr);
	tcase_add_test(t, the_size_of_a_header_is_known_without_printing_it);
	tcase_add_test(t, what_numpy_reads_is_read_and_what_it_refuses_is_refused);
	tcase_add_test(t, a_header_that_was_printed_is_parsed);
	tcase_add_loop_test(t, a_refusal_says_what_was_found, 0, COUNT(refusals));
	tcase_add_test(t, ranks_up_to_254_are_parsed);
	tcase_add_test(t, the_length_of_a_header_is_checked);
	tcase_add_test(t, elements_are_stored_in_c_order_and_the_byte_order_of_the_bundle);
	tcase_add_test(t, a_string_longer_than_its_field_is_refused);
	return t;
}

/* Tests of src/format/elements.[ch]. Arrays that NumPy turned are read in check_npy.c. */
#include "base/cleanup.h"
#include "format/check_format.h"
#include "format/elements.h"
#include "lib/lit.h"
#include "lib/random.h"

static void must(int r)
{
	if (r < 0)
		ck_abort_msg("error %d", r);
}

START_TEST(words_are_reversed)
{
	uint8_t p[8];

	memcpy(p, "12345678", 8);
	elements_swap(p, 8, 1);
	ck_assert_mem_eq(p, "12345678", 8);
	elements_swap(p, 8, 2);
	ck_assert_mem_eq(p, "21436587", 8);
	elements_swap(p, 8, 4);
	ck_assert_mem_eq(p, "34127856", 8);
	elements_swap(p, 8, 8);
	ck_assert_mem_eq(p, "65872143", 8);
	elements_swap(p, 0, 8);
}
END_TEST

/* --- order ------------------------------------------------------------------------------------------------- */

struct pieces {
	struct buf all;
	size_t item, largest;
};

static int take_piece(void *to, struct bytes b, struct err *e)
{
	struct pieces *p = to;

	(void)e;
	ck_assert_uint_eq(b.n % p->item, 0);
	p->largest = b.n > p->largest ? b.n : p->largest;
	return buf_add(&p->all, b.p, b.n);
}

/* Where the element that is at INDEX in C order lies in Fortran order. */
static uint64_t fortran_index(unsigned rank, const int64_t *dims, uint64_t index)
{
	uint64_t at = 0, i[8];

	for (unsigned d = rank; d-- > 0; index /= (uint64_t)dims[d])
		i[d] = index % (uint64_t)dims[d];
	for (unsigned d = rank; d-- > 0;)
		at = at * (uint64_t)dims[d] + i[d];
	return at;
}

static void check_order(struct elements *el, size_t budget)
{
	CLEANUP(buf_release)
	struct buf file = {0};
	struct pieces got = {.item = el->item};
	struct source src;
	uint64_t n = 1;
	uint64_t seed = 1;

	for (unsigned d = 0; d < el->rank; d++)
		n *= (uint64_t)el->dims[d];
	for (uint64_t i = 0; i < el->off + n * el->item; i++)
		must(buf_add_byte(&file, (uint8_t)random_next(&seed)));
	src = source_of_memory(buf_bytes(&file));
	must(elements_put(&src, el, budget, (struct sink){take_piece, &got}, NULL));
	ck_assert_uint_eq(got.all.n, n * el->item);
	ck_assert_uint_le(got.largest, budget > el->item ? budget : el->item);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t from = el->fortran ? fortran_index(el->rank, el->dims, i) : i;

		if (memcmp(got.all.p + i * el->item, file.p + el->off + from * el->item, el->item))
			ck_abort_msg("element %lu", (unsigned long)i);
	}
	buf_release(&got.all);
}

START_TEST(all_shapes_are_put_in_c_order_within_any_budget)
{
	uint64_t seed = 11;

	for (int i = 0; i < 3000; i++) {
		int64_t dims[6];
		struct elements el = {.off = random_below(&seed, 200),
				      .rank = (unsigned)random_below(&seed, 7),
				      .dims = dims,
				      .item = 1 + random_below(&seed, 20),
				      .word = 1,
				      .fortran = i % 4 != 0};

		for (unsigned d = 0; d < el.rank; d++)
			dims[d] = (int64_t)random_below(&seed, i % 50 ? 7 : 8) + !!(i % 50);
		check_order(&el, 1 + random_below(&seed, 1ul << random_below(&seed, 16)));
	}
}
END_TEST

/* Gaps of the source on both sides of what is worth reading. */
START_TEST(elements_that_lie_far_apart_are_found)
{
	static const int64_t shapes[][3] = {{1023, 300, 3}, {1024, 300, 3}, {1025, 300, 3},
					    {3, 300, 1025}, {2, 1400, 300}, {900, 2, 300},
					    {1, 30000, 9},  {5, 1, 70000}};

	for (size_t i = 0; i < COUNT(shapes); i++)
		for (size_t budget = 100; budget < 3 << 20; budget *= 30) {
			struct elements el = {.rank = 3,
					      .dims = shapes[i],
					      .item = 4,
					      .word = 1,
					      .fortran = true};

			check_order(&el, budget);
		}
}
END_TEST

START_TEST(a_source_that_is_too_short_is_an_error)
{
	for (int fortran = 0; fortran < 2; fortran++)
		for (uint64_t missing = 1; missing < 70; missing++) {
			static const uint8_t bytes[64];
			struct source src =
				source_of_memory(bytes_of(bytes, missing < 64 ? 64 - missing : 0));
			struct pieces got = {.item = 4};
			struct elements el = {.off = missing < 64 ? 0 : missing - 60,
					      .rank = 2,
					      .dims = (int64_t[]){4, 4},
					      .item = 4,
					      .word = 1,
					      .fortran = fortran};

			ck_assert_int_eq(
				elements_put(&src, &el, 8, (struct sink){take_piece, &got}, NULL),
				-EUCLEAN);
			buf_release(&got.all);
		}
}
END_TEST

TCase *elements_tests(void)
{
	TCase *t = tcase_create("elements");

	tcase_add_test(t, words_are_reversed);
	tcase_add_test(t, all_shapes_are_put_in_c_order_within_any_budget);
	tcase_add_test(t, elements_that_lie_far_apart_are_found);
	tcase_add_test(t, a_source_that_is_too_short_is_an_error);
	return t;
}

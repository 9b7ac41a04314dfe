/* Tests of src/format/slice.[ch] against a model that looks at each element of the whole. */
#include "base/cleanup.h"
#include "format/check_format.h"
#include "format/slice.h"
#include "lib/random.h"
#include <string.h>

enum { MAX_RANK = 6, MAX_ELEMENTS = 5 * 5 * 5 * 5 * 5 * 5 };

struct shape {
	unsigned rank;
	int64_t dims[MAX_RANK], extents[2 * MAX_RANK], other[2 * MAX_RANK];
	uint64_t count, inside, shared;
	uint64_t places[MAX_ELEMENTS]; /* of the slice's elements in the whole, in order */
};

static bool covers(const int64_t *extents, unsigned rank, const int64_t *at)
{
	for (unsigned i = 0; i < rank; i++)
		if (at[i] < extents[2 * i] || at[i] >= extents[2 * i] + extents[2 * i + 1])
			return false;
	return true;
}

/* The model: coordinates are counted up like an odometer. */
static void look_at_each(struct shape *s)
{
	int64_t at[MAX_RANK] = {0};

	s->count = 1;
	for (unsigned i = 0; i < s->rank; i++)
		s->count *= (uint64_t)s->dims[i];
	s->inside = s->shared = 0;
	for (uint64_t n = 0; n < s->count; n++) {
		bool in = covers(s->extents, s->rank, at);

		if (in)
			s->places[s->inside++] = n;
		s->shared += in && covers(s->other, s->rank, at);
		for (unsigned i = s->rank; i-- > 0 && ++at[i] == s->dims[i];)
			at[i] = 0;
	}
}

static void random_slice(const struct shape *s, int64_t *extents, uint64_t *seed)
{
	for (unsigned i = 0; i < s->rank; i++) {
		size_t dim = (size_t)s->dims[i];
		size_t start = random_below(seed, 2) ? 0 : random_below(seed, dim + 1);

		extents[2 * i] = (int64_t)start;
		extents[2 * i + 1] =
			(int64_t)(random_below(seed, 2) ? dim - start
							: random_below(seed, dim - start + 1));
	}
}

static void random_shape(struct shape *s, uint64_t *seed)
{
	s->rank = (unsigned)random_below(seed, MAX_RANK + 1);
	for (unsigned i = 0; i < s->rank; i++)
		s->dims[i] = (int64_t)(random_below(seed, 12) ? 1 + random_below(seed, 5) : 0);
	random_slice(s, s->extents, seed);
	random_slice(s, s->other, seed);
	look_at_each(s);
}

static void check_before(const struct shape *s)
{
	uint64_t before = 0;

	for (uint64_t n = 0; n <= s->count; n++) {
		uint64_t have = slice_before(s->rank, s->dims, s->extents, n);

		while (before < s->inside && s->places[before] < n)
			before++;
		if (have != before)
			ck_abort_msg("rank %u: %lu of the slice before %lu, not %lu", s->rank,
				     (unsigned long)have, (unsigned long)n, (unsigned long)before);
	}
}

static void check_runs(const struct shape *s)
{
	for (uint64_t from = 0; from < s->inside; from++) {
		uint64_t len = 0, at = slice_run(s->rank, s->dims, s->extents, from, &len);

		if (at != s->places[from])
			ck_abort_msg("element %lu at %lu", (unsigned long)from, (unsigned long)at);
		if (!len || len > s->inside - from)
			ck_abort_msg("a run of %lu", (unsigned long)len);
		if (s->places[from + len - 1] != at + len - 1)
			ck_abort_msg("element %lu does not lie side by side", (unsigned long)from);
	}
}

START_TEST(elements_lie_where_the_model_has_them)
{
	static struct shape s;
	uint64_t seed = 2;

	for (int i = 0; i < 3000; i++) {
		random_shape(&s, &seed);
		check_before(&s);
		check_runs(&s);
		if (slices_overlap(s.rank, s.extents, s.other) != (s.shared > 0))
			ck_abort_msg("shape %d: %lu shared", i, (unsigned long)s.shared);
	}
}
END_TEST

/* Elements of ITEM bytes, of which each byte tells which element and which byte of it. */
static void number(uint8_t *p, uint64_t element, size_t item)
{
	for (size_t k = 0; k < item; k++)
		p[k] = (uint8_t)(element * 7 + k * 101 + 1);
}

/* What is scattered into a window is where the model has it, and gathered from there it is what it was. */
static void check_scatter(const struct shape *s, size_t item, uint64_t *seed)
{
	static uint8_t src[3 * MAX_ELEMENTS], dst[3 * MAX_ELEMENTS + 1], want[sizeof dst];
	static uint8_t back[sizeof dst];
	uint64_t first = random_below(seed, s->count + 1);
	uint64_t n = random_below(seed, s->count - first + 1);
	uint64_t from = slice_before(s->rank, s->dims, s->extents, first);
	uint64_t to = slice_before(s->rank, s->dims, s->extents, first + n);

	memset(dst, 0, sizeof dst);
	memset(want, 0, sizeof want);
	for (uint64_t i = from; i < to; i++) {
		number(src + (i - from) * item, i, item);
		number(want + (s->places[i] - first) * item, i, item);
	}
	slice_scatter(s->rank, s->dims, s->extents, item, from, to - from, src, dst, first);
	if (memcmp(dst, want, sizeof dst) != 0)
		ck_abort_msg("rank %u, elements %lu to %lu", s->rank, (unsigned long)from,
			     (unsigned long)to);

	/* What lies between the slice's elements must not come along, nor anything be written past the last. */
	memset(dst, 0xee, sizeof dst);
	slice_scatter(s->rank, s->dims, s->extents, item, from, to - from, src, dst, first);
	memset(back, 0x55, sizeof back);
	slice_gather(s->rank, s->dims, s->extents, item, from, to - from, dst, back, first);
	if (memcmp(back, src, (size_t)(to - from) * item) != 0 || back[(to - from) * item] != 0x55)
		ck_abort_msg("rank %u, elements %lu to %lu taken back", s->rank,
			     (unsigned long)from, (unsigned long)to);
}

START_TEST(elements_are_put_where_the_model_has_them_and_taken_back)
{
	static struct shape s;
	uint64_t seed = 3;

	for (int i = 0; i < 3000; i++) {
		random_shape(&s, &seed);
		check_scatter(&s, 1 + random_below(&seed, 3), &seed);
	}
}
END_TEST

START_TEST(counts_that_do_not_fit_are_refused)
{
	static const struct {
		unsigned rank;
		int64_t dims[4];
		bool ok;
		uint64_t count;
	} shapes[] = {
		{0, {0}, true, 1},
		{1, {0}, true, 0},
		{1, {-1}, false, 0},
		{3, {2, 3, 4}, true, 24},
		{1, {INT64_MAX}, true, INT64_MAX},
		{2, {INT64_MAX, 2}, false, 0},
		{4, {1ll << 31, 1ll << 31, 1, 1}, true, 1ull << 62},
		{3, {1ll << 31, 1ll << 31, 2}, false, 0},
		{3, {0, INT64_MAX, INT64_MAX}, true, 0},
		{2, {0, -1}, false, 0},
		{2, {-1, -1}, false, 0},
	};

	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
		uint64_t count = 77;
		bool ok = shape_count(shapes[i].rank, shapes[i].dims, &count);

		ck_assert_msg(ok == shapes[i].ok && count == (ok ? shapes[i].count : 77), "%zu", i);
	}
}
END_TEST

START_TEST(extents_are_spelled_out_or_refused)
{
	static const struct {
		int64_t dims[2], extents[4];
		uint64_t count;
		int code;
		const char *words;
	} slices[] = {
		{{4, 3}, {0, 2, 0, -1}, 6, 0, ""},
		{{4, 3}, {0, -1, 0, -1}, 12, 0, ""},
		{{4, 3}, {4, 0, 3, 0}, 0, 0, ""},
		{{4, 0}, {1, 3, 0, -1}, 0, 0, ""},
		{{4, 3}, {3, 2, 0, 3}, 0, -EUCLEAN, "slice 3,2 is out of dimension 0, which has 4"},
		{{4, 3}, {0, 4, 1, 3}, 0, -EUCLEAN, "slice 1,3 is out of dimension 1, which has 3"},
		{{4, 3}, {-1, 2, 0, 3}, 0, -EUCLEAN, "slice -1,2"},
		{{4, 3}, {1, -1, 0, 3}, 0, -EUCLEAN, "slice 1,-1"},
		{{4, 3}, {0, -2, 0, 3}, 0, -EUCLEAN, "slice 0,-2"},
		{{4, 3}, {5, 0, 0, 3}, 0, -EUCLEAN, "slice 5,0"},
		{{4, 3}, {INT64_MAX, INT64_MAX, 0, 3}, 0, -EUCLEAN, "out of dimension 0"},
		{{4, 3}, {1, INT64_MAX, 0, 3}, 0, -EUCLEAN, "out of dimension 0"},
		{{4, 3}, {INT64_MIN, INT64_MIN, 0, 3}, 0, -EUCLEAN, "out of dimension 0"},
	};

	for (size_t i = 0; i < sizeof slices / sizeof slices[0]; i++) {
		int64_t extents[4];
		uint64_t count = 0;
		struct err e = {0};

		memcpy(extents, slices[i].extents, sizeof extents);
		ck_assert_int_eq(slice_resolve(2, slices[i].dims, extents, &count, &e),
				 slices[i].code);
		ck_assert_msg(strstr(e.text, slices[i].words), "%zu: %s", i, e.text);
		ck_assert_uint_eq(count, slices[i].count);
		if (slices[i].code == 0)
			ck_assert_int_eq(extents[1] * extents[3], (int64_t)count);
	}
}
END_TEST

TCase *slice_tests(void)
{
	TCase *t = tcase_create("slice");

	tcase_add_test(t, elements_lie_where_the_model_has_them);
	tcase_add_test(t, elements_are_put_where_the_model_has_them_and_taken_back);
	tcase_add_test(t, counts_that_do_not_fit_are_refused);
	tcase_add_test(t, extents_are_spelled_out_or_refused);
	return t;
}

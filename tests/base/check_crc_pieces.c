#include "base/check_base.h"
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "base/crc_pieces.h"
#include "lib/random.h"
#include <string.h>

enum { PIECE = 1 << 20, MOST = 3 * PIECE + 777 };

static uint32_t sum(const struct crc_pieces *c, const uint8_t *p, size_t n)
{
	const struct source src = source_of_memory(bytes_of(p, n));
	struct err e = {0};
	uint32_t crc;

	ck_assert_msg(crc_pieces_sum(c, &src, &crc, &e) == 0, "%s", e.text);
	return crc;
}

/* A file, and what is followed of it. */
struct followed {
	struct crc_pieces c;
	uint8_t *p;
	size_t n;
	uint64_t seed;
};

static void change(struct followed *f)
{
	size_t off = random_below(&f->seed, 8) ? random_below(&f->seed, MOST) : f->n;
	size_t n = random_below(&f->seed, random_below(&f->seed, 2) ? MOST - off + 1 : 5000) + 1;

	n = n < MOST - off ? n : MOST - off;
	off = random_below(&f->seed, 4) ? off : off / PIECE * PIECE;
	for (size_t i = 0; i < n; i += 97)
		f->p[off + i] = (uint8_t)random_next(&f->seed);
	f->n = f->n > off + n ? f->n : off + n;
	if (random_below(&f->seed, 5))
		crc_pieces_saw(&f->c, off, f->p + off, n);
	else
		crc_pieces_forget(&f->c, off, n);
}

static void cut(struct followed *f)
{
	size_t size = random_below(&f->seed, 3) ? random_below(&f->seed, MOST) : 0;

	if (size < f->n)
		memset(f->p + size, 0, f->n - size);
	f->n = size;
	crc_pieces_cut(&f->c, size);
}

START_TEST(whatever_happens_the_sum_is_that_of_the_file)
{
	struct followed f = {.p = calloc(1, MOST), .seed = 1 + (uint64_t)_i};

	for (unsigned k = 0; k < 60; k++) {
		if (random_below(&f.seed, 10))
			change(&f);
		else
			cut(&f);
		ck_assert_uint_eq(sum(&f.c, f.p, f.n), crc32c(f.p, f.n));
	}
	crc_pieces_release(&f.c);
	free(f.p);
}
END_TEST

/* A file of so many bytes is not there: its list must not be made for it either. */
START_TEST(what_is_far_behind_the_end_is_not_followed)
{
	CLEANUP(crc_pieces_release) struct crc_pieces c = {0};

	crc_pieces_saw(&c, (uint64_t)1 << 60, (const uint8_t *)"x", 1);
	crc_pieces_forget(&c, (uint64_t)1 << 60, UINT64_MAX);
	crc_pieces_cut(&c, (uint64_t)1 << 62);
	ck_assert_uint_eq(c.list.n, 0);
}
END_TEST

START_TEST(a_copy_is_of_its_own)
{
	CLEANUP(crc_pieces_release) struct crc_pieces c = {0}, copy = {0};

	crc_pieces_saw(&c, 0, (const uint8_t *)"abc", 3);
	ck_assert_int_eq(crc_pieces_copy(&c, &copy), 0);
	crc_pieces_forget(&c, 0, 1);
	ck_assert_uint_eq(sum(&copy, (const uint8_t *)"...", 3), crc32c("abc", 3));
	ck_assert_uint_eq(sum(&c, (const uint8_t *)"...", 3), crc32c("...", 3));
}
END_TEST

TCase *crc_pieces_tests(void)
{
	TCase *t = tcase_create("crc_pieces");

	tcase_add_loop_test(t, whatever_happens_the_sum_is_that_of_the_file, 0, 40);
	tcase_add_test(t, what_is_far_behind_the_end_is_not_followed);
	tcase_add_test(t, a_copy_is_of_its_own);
	return t;
}

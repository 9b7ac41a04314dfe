/* Tests of src/base/threads.[ch]. */
#include "base/check_base.h"
#include "base/threads.h"
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { N = 3000 };

struct seen {
	_Atomic unsigned worked[N];
	atomic_uint inside; /* how many threads are in `take` or `end` */
	uint64_t taken, ended; /* pieces, as `take` and `end` have them */
	uint64_t bad_work, bad_take; /* the first pieces that fail there */
};

struct scratch {
	uint64_t piece, worked;
};

static int work(void *arg, uint64_t piece, void *scratch, struct err *e)
{
	struct seen *s = arg;
	struct scratch *own = scratch;

	own->piece = piece;
	own->worked++;
	s->worked[piece]++;
	if (piece % 7 == 0)
		sched_yield();
	return piece >= s->bad_work ? err_set(e, -EIO, "piece %d", (int)piece) : 0;
}

static int take(void *arg, uint64_t piece, void *scratch, struct err *e)
{
	struct seen *s = arg;

	ck_assert_uint_eq(s->inside++, 0);
	ck_assert_uint_eq(s->taken, piece);
	ck_assert_uint_eq(((struct scratch *)scratch)->piece, piece);
	s->taken++;
	s->inside--;
	return piece >= s->bad_take ? err_set(e, 1, "taken %d", (int)piece) : 0;
}

static void end(void *arg, void *scratch)
{
	struct seen *s = arg;

	ck_assert_uint_eq(s->inside++, 0);
	s->ended += ((struct scratch *)scratch)->worked;
	s->inside--;
}

static int run(struct seen *s, uint64_t n, struct err *e)
{
	const struct pieces p = {n, sizeof(struct scratch), work, take, end, s};

	return pieces_run(&p, e);
}

START_TEST(each_piece_is_worked_once_and_taken_in_order)
{
	struct seen s = {.bad_work = N, .bad_take = N};

	ck_assert_int_eq(run(&s, N, NULL), 0);
	for (int i = 0; i < N; i++)
		ck_assert_uint_eq(s.worked[i], 1);
	ck_assert_uint_eq(s.taken, N);
}
END_TEST

START_TEST(the_first_failure_is_told)
{
	struct seen s = {.bad_work = 1000, .bad_take = N};
	struct err e = {0};

	ck_assert_int_eq(run(&s, N, &e), -EIO);
	ck_assert_str_eq(e.text, "piece 1000");
	ck_assert_uint_eq(s.taken, 1000);

	s = (struct seen){.bad_work = N, .bad_take = 500};
	ck_assert_int_eq(run(&s, N, &e), 1);
	ck_assert_str_eq(e.text, "taken 500");
	ck_assert_uint_eq(s.taken, 501);
}
END_TEST

START_TEST(what_threads_have_is_put_together_at_the_end)
{
	struct seen s = {.bad_work = N};
	const struct pieces p = {N, sizeof(struct scratch), work, NULL, end, &s};

	ck_assert_int_eq(pieces_run(&p, NULL), 0);
	ck_assert_uint_eq(s.ended, N);
	ck_assert_uint_eq(s.taken, 0);
}
END_TEST

START_TEST(nothing_is_done_without_pieces)
{
	struct seen s = {.bad_work = N, .bad_take = N};

	ck_assert_int_eq(run(&s, 0, NULL), 0);
	ck_assert_uint_eq(s.taken + s.ended, 0);
}
END_TEST

START_TEST(cores_are_those_that_the_process_may_use)
{
	cpu_set_t all, one;
	int first = 0;

	ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
	while (!CPU_ISSET(first, &all))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	ck_assert_uint_eq(threads_cores(), (unsigned)CPU_COUNT(&all));
	ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
	ck_assert_uint_eq(threads_cores(), 1);
	ck_assert_int_eq(sched_setaffinity(0, sizeof all, &all), 0);
}
END_TEST

TCase *threads_tests(void)
{
	TCase *c = tcase_create("threads");

	tcase_add_test(c, each_piece_is_worked_once_and_taken_in_order);
	tcase_add_test(c, the_first_failure_is_told);
	tcase_add_test(c, what_threads_have_is_put_together_at_the_end);
	tcase_add_test(c, nothing_is_done_without_pieces);
	tcase_add_test(c, cores_are_those_that_the_process_may_use);
	return c;
}

/* Tests of src/draft/write.c: writes that are answered before they are done. */
#include "base/cleanup.h"
#include "draft/check_draft.h"
#include "draft/items.h"
#include "draft/model.h"
#include "draft/staged.h"
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>

static struct trial trial;
static struct behind_room room;
static struct draft_item *file;

static void setup(void)
{
	trial_setup(&trial, (char *[]){"a"}, 1);
	behind_room_init(&room);
	file = trial_open(&trial, "n.npy");
}

static void teardown(void)
{
	draft_close(trial.d, file, true);
	behind_room_release(&room);
	trial_teardown(&trial);
}

static int write_behind(const char *text, uint64_t off, void (*answer)(void *), void *arg,
			struct err *e)
{
	const struct behind_asker who = {&room, answer, arg};

	return draft_write_behind(trial.d, file, NULL, bytes_str(text), off, &who, e);
}

static size_t read_file(char *out, size_t size)
{
	struct err e = {0};
	int64_t n = draft_read(trial.d, file, NULL, 0, size, (uint8_t *)out, &e);

	must((int)n, &e);
	return (size_t)n;
}

static void assert_holds(const char *text)
{
	char have[100];
	size_t n = read_file(have, sizeof have);

	ck_assert_msg(n == strlen(text) && !memcmp(have, text, n), "has \"%.*s\", expected \"%s\"",
		      (int)n, have, text);
}

static off_t size_on_disk(void)
{
	struct stat st;

	ck_assert_int_eq(fstat(file->staged->fd, &st), 0);
	return st.st_size;
}

/* --- when ------------------------------------------------------------------------------------------------------ */

static void note_size(void *arg)
{
	*(off_t *)arg = size_on_disk();
}

START_TEST(a_write_is_answered_before_it_is_done)
{
	struct err e = {0};
	off_t size = -1;

	must(write_behind("bytes", 0, note_size, &size, &e), &e);
	ck_assert_int_eq(size, 0);
	ck_assert_int_eq(size_on_disk(), 5);
	assert_holds("bytes");
}
END_TEST

/* Something is asked of the file while a write to it has been answered and is not done. */
struct question {
	void (*ask)(struct question *);
	pthread_t thread;
	int ended[2]; /* a pipe: closed when it was answered */
	bool early;
	char have[100];
	size_t n;
};

static void *ask(void *arg)
{
	struct question *q = arg;

	q->ask(q);
	close(q->ended[1]);
	return NULL;
}

/* Were it not to wait for the write it would be answered now. */
static void ask_meanwhile(void *arg)
{
	struct question *q = arg;
	struct pollfd end;

	ck_assert_int_eq(pipe(q->ended), 0);
	end = (struct pollfd){.fd = q->ended[0], .events = POLLIN};
	ck_assert_int_eq(pthread_create(&q->thread, NULL, ask, q), 0);
	q->early = poll(&end, 1, 50) != 0;
}

static void ask_bytes(struct question *q)
{
	q->n = read_file(q->have, sizeof q->have);
}

static void ask_size(struct question *q)
{
	CLEANUP(draft_seen_release) struct draft_seen s;
	struct err e = {0};

	must(draft_see_item(trial.d, file, &s, &e), &e);
	q->n = (size_t)s.st.st_size;
}

static void ask_size_by_name(struct question *q)
{
	CLEANUP(draft_seen_release) struct draft_seen s;
	struct err e = {0};

	must(draft_see(trial.d, trial_index(&trial, ""), "n.npy", &s, &e), &e);
	q->n = (size_t)s.st.st_size;
}

static void close_it(struct question *q)
{
	draft_check(trial.d, file, true, NULL);
	q->n = (size_t)size_on_disk();
}

static void sync_it(struct question *q)
{
	struct err e = {0};

	must(draft_sync(trial.d, file, &e), &e);
	q->n = (size_t)size_on_disk();
}

/* It waits for a commit's sake. */
static void await_all(struct question *q)
{
	pthread_mutex_lock(&trial.d->lock);
	draft_await_writes(trial.d);
	q->n = (size_t)size_on_disk();
	pthread_mutex_unlock(&trial.d->lock);
}

static void cut_it(struct question *q)
{
	struct err e = {0};

	must(draft_truncate(trial.d, file, NULL, 5, &e), &e);
	q->n = (size_t)size_on_disk();
}

/* Through another open file, which is answered when it is done. */
static void write_too(struct question *q)
{
	struct err e = {0};

	must(draft_write(trial.d, file, NULL, bytes_str("B"), 0, &e), &e);
	q->n = read_file(q->have, sizeof q->have);
}

static const struct {
	void (*ask)(struct question *);
	const char *holds; /* or NULL */
	size_t n;
} questions[] = {
	{ask_bytes, "bytes", 5}, {ask_size, NULL, 5},     {ask_size_by_name, NULL, 5},
	{close_it, NULL, 5},     {sync_it, NULL, 5},      {await_all, NULL, 5},
	{cut_it, NULL, 5},       {write_too, "Bytes", 5},
};

START_TEST(what_comes_after_it_waits_for_it)
{
	struct question q = {.ask = questions[_i].ask};
	struct err e = {0};

	must(draft_write(trial.d, file, NULL, bytes_str("X"), 0, &e), &e);
	must(write_behind("bytes", 0, ask_meanwhile, &q, &e), &e);
	ck_assert_int_eq(pthread_join(q.thread, NULL), 0);
	close(q.ended[0]);
	ck_assert(!q.early);
	ck_assert_uint_eq(q.n, questions[_i].n);
	if (questions[_i].holds)
		ck_assert(!memcmp(q.have, questions[_i].holds, q.n));
}
END_TEST

/* --- order ----------------------------------------------------------------------------------------------------- */

struct second {
	pthread_t thread;
	sem_t taken;
};

static void note_taken(void *arg)
{
	sem_post(&((struct second *)arg)->taken);
}

static void *write_second(void *arg)
{
	struct err e = {0};

	must(write_behind("second", 0, note_taken, arg, &e), &e);
	return NULL;
}

static void let_second_come(void *arg)
{
	struct second *s = arg;

	ck_assert_int_eq(pthread_create(&s->thread, NULL, write_second, s), 0);
	sem_wait(&s->taken);
	poll(NULL, 0, 20); /* were it to go first, it would now */
}

START_TEST(writes_are_done_in_the_order_in_which_they_were_answered)
{
	struct second s;
	struct err e = {0};

	sem_init(&s.taken, 0, 0);
	must(write_behind("first, and more", 0, let_second_come, &s, &e), &e);
	ck_assert_int_eq(pthread_join(s.thread, NULL), 0);
	assert_holds("second and more");
	sem_destroy(&s.taken);
}
END_TEST

/* --- failures -------------------------------------------------------------------------------------------------- */

static void count(void *arg)
{
	++*(unsigned *)arg;
}

/* Nothing can be written beyond byte 3 meanwhile. */
static int write_too_much(unsigned *answered, struct err *e)
{
	struct rlimit old, most;
	int r;

	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	most = (struct rlimit){3, old.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &most), 0);
	r = write_behind("bytes", 0, count, answered, e);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_DFL);
	return r;
}

static void assert_lost(int r, const struct err *e)
{
	ck_assert_int_eq(r, -EFBIG);
	ck_assert_str_eq(e->text, "n.npy: not all that was written to it could be stored; "
				  "write it anew: File too large");
}

START_TEST(what_is_lost_is_said_until_the_file_is_cut)
{
	unsigned answered = 0;
	struct err e = {0};

	must(write_too_much(&answered, &e), &e);
	ck_assert_uint_eq(answered, 1);
	for (unsigned k = 0; k < 2; k++) {
		assert_lost(write_behind("bytes", 0, count, &answered, &e), &e);
		assert_lost(draft_write(trial.d, file, NULL, bytes_str("bytes"), 0, &e), &e);
		assert_lost(draft_truncate(trial.d, file, NULL, 2, &e), &e);
		assert_lost(draft_check(trial.d, file, true, &e), &e);
		assert_lost(draft_sync(trial.d, file, &e), &e);
		assert_lost(draft_item_open(trial.d, file, &e), &e); /* as a commit does */
		ck_assert_int_eq(staged_refusal(file, &e), -EINVAL);
	}
	ck_assert_uint_eq(answered, 1);
	must(draft_truncate(trial.d, file, NULL, 0, &e), &e);
	must(write_behind("bytes", 0, count, &answered, &e), &e);
	ck_assert_uint_eq(answered, 2);
	must(draft_sync(trial.d, file, &e), &e);
	ck_assert_int_eq(staged_refusal(file, &e), 0);
	assert_holds("bytes");
}
END_TEST

START_TEST(what_can_not_be_taken_over_is_not_answered)
{
	unsigned answered = 0;
	uint32_t index = file->index;
	struct err e = {0};

	atomic_store(&trial.d->ended, true);
	file->index = 0; /* the number leads to what the base has there */
	for (unsigned k = 0; k < 20; k++)
		ck_assert_int_eq(write_behind("bytes", 0, count, &answered, &e), -ESTALE);
	ck_assert_uint_eq(answered, 0);
	atomic_store(&trial.d->ended, false);
	file->index = index;
	must(write_behind("bytes", 0, count, &answered, &e), &e); /* and there is room */
	ck_assert_uint_eq(answered, 1);
}
END_TEST

TCase *write_tests(void)
{
	TCase *t = tcase_create("write");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_write_is_answered_before_it_is_done);
	tcase_add_loop_test(t, what_comes_after_it_waits_for_it, 0,
			    sizeof questions / sizeof *questions);
	tcase_add_test(t, writes_are_done_in_the_order_in_which_they_were_answered);
	tcase_add_test(t, what_is_lost_is_said_until_the_file_is_cut);
	tcase_add_test(t, what_can_not_be_taken_over_is_not_answered);
	return t;
}

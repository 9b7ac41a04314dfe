/* Tests of src/step/verify.[ch]: in whatever order and pieces the bytes of a variable are shown, its checksum is compared
 * when the last of them was seen, and not before. */
#include "base/crc32c.h"
#include "lib/random.h"
#include "step/check_step.h"
#include "step/verify.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MIB = 1 << 20 };

/* One stored range, of which SIZE random bytes are in memory. */
struct fixture {
	struct verify *verify;
	struct stored range;
	uint8_t *bytes, *seen;
	uint64_t n_seen;
};

static void set_up(struct fixture *f, uint64_t size, uint64_t *seed)
{
	*f = (struct fixture){.verify = verify_new(1), .range = {.size = size}};
	f->bytes = malloc(size);
	f->seen = calloc(1, size);
	ck_assert(f->verify && f->bytes && f->seen);
	for (uint64_t i = 0; i < size; i++)
		f->bytes[i] = (uint8_t)random_next(seed);
	f->range.crc = crc32c(f->bytes, size);
}

static void tear_down(struct fixture *f)
{
	verify_free(f->verify);
	free(f->bytes);
	free(f->seen);
}

/* Shows [off, off + len); whether that was the last of it, the result must be WANT, else 0. True when it was. */
static bool show(struct fixture *f, uint64_t off, size_t len, int want)
{
	int r = verify_saw(f->verify, &f->range, off, f->bytes + off, len, NULL);

	for (uint64_t i = off; i < off + len; i++) {
		f->n_seen += !f->seen[i];
		f->seen[i] = 1;
	}
	if (r != (f->n_seen == f->range.size ? want : 0))
		ck_abort_msg("%llu of %llu bytes seen, after %zu at %llu: %d",
			     (unsigned long long)f->n_seen, (unsigned long long)f->range.size, len,
			     (unsigned long long)off, r);
	return f->n_seen == f->range.size;
}

/* Windows of at most MAX bytes at random, half of them where something is still missing. */
static void show_at_random(struct fixture *f, size_t max, uint64_t *seed, int want)
{
	bool done = false;

	while (!done) {
		uint64_t off = random_below(seed, f->range.size);
		size_t len = 1 + random_below(seed, max);

		if (random_next(seed) & 1)
			while (f->seen[off])
				off = (off + 1) % f->range.size;
		if (len > f->range.size - off)
			len = f->range.size - off;
		done = show(f, off, len, want);
	}
}

static void try_sizes(bool damage, uint64_t seed)
{
	static const struct {
		uint64_t size;
		size_t max;
	} cases[] = {{1, 1},
		     {7, 3},
		     {4096, 1000},
		     {MIB - 1, 200000},
		     {MIB, 300000},
		     {MIB + 1, 300000},
		     {3 * MIB + 17, MIB},
		     {2 * MIB, 2 * MIB},
		     {300000, 9000}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fixture f;

		set_up(&f, cases[i].size, &seed);
		if (damage)
			f.bytes[random_below(&seed, f.range.size)] ^=
				(uint8_t)(1 << random_below(&seed, 8));
		show_at_random(&f, cases[i].max, &seed, damage ? -EBADMSG : 0);
		ck_assert_int_eq(verify_check(f.verify, 0, NULL), damage ? -EBADMSG : 0);
		ck_assert_int_eq(verify_saw(f.verify, &f.range, 0, f.bytes, 1, NULL),
				 damage ? -EBADMSG : 0);
		tear_down(&f);
	}
}

START_TEST(good_bytes_are_good_in_any_order)
{
	for (uint64_t seed = 0; seed < 12; seed++)
		try_sizes(false, seed);
}
END_TEST

START_TEST(a_flipped_bit_is_found_with_the_last_byte_and_ever_after)
{
	for (uint64_t seed = 100; seed < 112; seed++)
		try_sizes(true, seed);
}
END_TEST

/* As the kernel does for mappings: pages, the last first. 1024 intervals in a chunk is what it remembers. */
START_TEST(pages_may_come_backwards)
{
	uint64_t seed = 5;
	struct fixture f;

	for (int damage = 0; damage < 2; damage++) {
		set_up(&f, 3 * MIB + 100, &seed);
		f.bytes[MIB + 5] ^= (uint8_t)damage;
		for (int64_t page = 3 * MIB / 4096; page >= 0; page--) {
			uint64_t off = (uint64_t)page * 4096;

			show(&f, off, off + 4096 < f.range.size ? 4096 : f.range.size - off,
			     damage ? -EBADMSG : 0);
		}
		ck_assert_uint_eq(f.n_seen, f.range.size);
		tear_down(&f);
	}
}
END_TEST

START_TEST(what_is_read_in_part_only_is_not_judged)
{
	uint64_t seed = 6;
	struct fixture f;

	set_up(&f, 2 * MIB, &seed);
	f.bytes[0] ^= 1;
	show(&f, 0, MIB, 0);
	show(&f, 0, MIB, 0);
	show(&f, MIB + 1, MIB - 1, 0);
	ck_assert_int_eq(verify_check(f.verify, 0, NULL), 0);
	show(&f, MIB, 1, -EBADMSG);
	tear_down(&f);
}
END_TEST

struct shower {
	pthread_t thread;
	struct fixture *f;
	unsigned first;
	_Atomic int *bad;
};

static void *show_every_fourth(void *arg)
{
	struct shower *s = arg;
	struct fixture *f = s->f;

	for (uint64_t off = s->first * (uint64_t)10000; off < f->range.size; off += 40000) {
		size_t len = off + 10000 < f->range.size ? 10000 : f->range.size - off;

		if (verify_saw(f->verify, &f->range, off, f->bytes + off, len, NULL) < 0)
			++*s->bad;
	}
	return NULL;
}

START_TEST(four_threads_together_find_it_once)
{
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct shower showers[4];
		_Atomic int bad = 0;
		struct fixture f;
		uint64_t state = seed;

		set_up(&f, 2 * MIB + 12345, &state);
		f.bytes[random_below(&state, f.range.size)] ^= seed & 1;
		for (unsigned i = 0; i < 4; i++) {
			showers[i] = (struct shower){.f = &f, .first = i, .bad = &bad};
			ck_assert_int_eq(pthread_create(&showers[i].thread, NULL, show_every_fourth,
							&showers[i]),
					 0);
		}
		for (unsigned i = 0; i < 4; i++)
			pthread_join(showers[i].thread, NULL);
		ck_assert_int_eq(bad, seed & 1);
		ck_assert_int_eq(verify_check(f.verify, 0, NULL), seed & 1 ? -EBADMSG : 0);
		tear_down(&f);
	}
}
END_TEST

TCase *verify_tests(void)
{
	TCase *t = tcase_create("verify");

	tcase_add_test(t, good_bytes_are_good_in_any_order);
	tcase_add_test(t, a_flipped_bit_is_found_with_the_last_byte_and_ever_after);
	tcase_add_test(t, pages_may_come_backwards);
	tcase_add_test(t, what_is_read_in_part_only_is_not_judged);
	tcase_add_test(t, four_threads_together_find_it_once);
	return t;
}

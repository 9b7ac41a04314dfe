#include "tool/compare.h"
#include "base/cleanup.h"
#include "format/dtype.h"
#include "format/elements.h"
#include "tool/array.h"
#include "tool/number.h"
#include <math.h>
#include <stdatomic.h>

enum {
	PIECE = 256 << 10, /* bytes */
	MAX_THREADS = 63, /* besides the caller's */
};

static bool share_shard(const struct step *a, const struct var *x, const struct step *b,
			const struct var *y)
{
	return x->off == y->off && x->size == y->size &&
	       file_id_eq(&a->shards[x->shard].id, &b->shards[y->shard].id);
}

bool compare_shares(const struct place *a, const struct place *b)
{
	const struct step *s = a->loaded->step, *t = b->loaded->step;
	const struct var *x = place_var(a), *y = place_var(b);

	return x->kind == VAR_WHOLE && y->kind == VAR_WHOLE && s->place.format == STEP_V2 &&
	       t->place.format == STEP_V2 && s->big_endian == t->big_endian && s->n_shards &&
	       t->n_shards && share_shard(s, x, t, y);
}

/* --- sums ----------------------------------------------------------------------------------------------------- */

struct sums_of_two {
	uint64_t differ, pairs;
	double max, sum; /* of absolute differences */
	double aa, bb, ab, dd; /* sums of products; D is the difference */
};

enum {
	BLOCK = 512, /* doubles at a time */
	LANES = 2, /* of them in one vector */
};

/* The compiler puts these into vector registers. */
typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));
typedef int64_t lanes_mask __attribute__((vector_size(LANES * sizeof(int64_t))));

union block {
	double v[BLOCK];
	lanes l[BLOCK / LANES];
};

/* The N elements at P as doubles. */
static void widen(int dtype, bool big_endian, const uint8_t *p, size_t n, union block *out)
{
	size_t item = dtype_info(dtype)->item;
	float f;

	if (dtype == DTYPE_DOUBLE && !big_endian)
		memcpy(out->v, p, n * item);
	else if (dtype == DTYPE_FLOAT && !big_endian)
		for (size_t i = 0; i < n; i++) {
			memcpy(&f, p + i * sizeof f, sizeof f);
			out->v[i] = f;
		}
	else
		for (size_t i = 0; i < n; i++)
			out->v[i] = number_value(dtype, big_endian, p + i * item);
}

static void add_pair(struct sums_of_two *s, double a, double b, double tolerance)
{
	double d = fabs(a - b);

	if (!isfinite(a) || !isfinite(b)) {
		s->differ += !(a == b || (isnan(a) && isnan(b)));
		return;
	}
	s->pairs++;
	s->differ += d > tolerance;
	s->max = d > s->max ? d : s->max;
	s->sum += d;
	s->dd += d * d;
	s->aa += a * a;
	s->bb += b * b;
	s->ab += a * b;
}

static double total(lanes v)
{
	return v[0] + v[1];
}

/* As add_pair of a whole block, all of which is finite. */
static void add_block(struct sums_of_two *s, const union block *a, const union block *b,
		      double tolerance)
{
	lanes sum = {0}, dd = {0}, aa = {0}, bb = {0}, ab = {0}, max = {0};
	lanes_mask differ = {0}; /* a comparison that holds is -1 */

	for (size_t i = 0; i < BLOCK / LANES; i++) {
		lanes x = a->l[i], y = b->l[i], d = x - y;
		lanes_mask negative = d < 0, more;

		d = (lanes)(((lanes_mask)-d & negative) | ((lanes_mask)d & ~negative));
		more = d > max;
		max = (lanes)(((lanes_mask)d & more) | ((lanes_mask)max & ~more));
		differ -= d > tolerance;
		sum += d;
		dd += d * d;
		aa += x * x;
		bb += y * y;
		ab += x * y;
	}
	s->pairs += BLOCK;
	for (int k = 0; k < LANES; k++) {
		s->differ += (uint64_t)differ[k];
		s->max = max[k] > s->max ? max[k] : s->max;
	}
	s->sum += total(sum);
	s->dd += total(dd);
	s->aa += total(aa);
	s->bb += total(bb);
	s->ab += total(ab);
}

static bool is_finite(const union block *b)
{
	lanes sum = {0};

	for (size_t i = 0; i < BLOCK / LANES; i++)
		sum += b->l[i] - b->l[i]; /* 0, or NaN if it is not finite */
	return total(sum) == 0;
}

static void add_sums(struct sums_of_two *s, const struct sums_of_two *more)
{
	s->differ += more->differ;
	s->pairs += more->pairs;
	s->max = more->max > s->max ? more->max : s->max;
	s->sum += more->sum;
	s->dd += more->dd;
	s->aa += more->aa;
	s->bb += more->bb;
	s->ab += more->ab;
}

/* --- both arrays ---------------------------------------------------------------------------------------------- */

/* What the threads share. Each takes the next piece until there are none. */
struct two {
	struct array a, b;
	bool swaps; /* their byte orders differ */
	double tolerance;
	size_t elements; /* of a piece */
	bool summing; /* else only whether they differ is asked */
	_Atomic uint64_t next;
	atomic_bool ended; /* somebody has failed, or found a difference where one is enough */
	pthread_mutex_t lock;
	int status; /* under lock, as all below: 1 a difference, or an error */
	struct err why;
	struct sums_of_two sums;
};

static bool has_numbers(const struct two *t)
{
	return !t->a.shape.record && dtype_info(t->a.var->dtype)->real.kind != REAL_NONE;
}

/* Strings can be padded to different lengths. */
static bool same_element(const struct two *t, const uint8_t *a, const uint8_t *b)
{
	if (t->a.var->dtype == DTYPE_STRING)
		return bytes_eq(array_string(&t->a, a), array_string(&t->b, b));
	return !memcmp(a, b, array_item(&t->a));
}

static uint64_t count_others(const struct two *t, const uint8_t *a, const uint8_t *b, size_t n)
{
	uint64_t differ = 0;

	for (size_t i = 0; i < n; i++)
		differ += !same_element(t, a + i * array_item(&t->a), b + i * array_item(&t->b));
	return differ;
}

static void add_numbers(const struct two *t, const uint8_t *a, const uint8_t *b, size_t n,
			struct sums_of_two *s)
{
	size_t item = array_item(&t->a);
	int dtype = t->a.var->dtype;
	union block x, y;

	for (size_t at = 0; at < n; at += BLOCK) {
		size_t some = n - at < BLOCK ? n - at : BLOCK;

		widen(dtype, t->a.step->big_endian, a + at * item, some, &x);
		widen(dtype, t->b.step->big_endian, b + at * item, some, &y);
		if (some == BLOCK && is_finite(&x) && is_finite(&y)) {
			add_block(s, &x, &y, t->tolerance);
			continue;
		}
		for (size_t i = 0; i < some; i++)
			add_pair(s, x.v[i], y.v[i], t->tolerance);
	}
}

/* The bytes of B are changed. */
static bool same_piece(const struct two *t, const uint8_t *a, uint8_t *b, size_t n)
{
	if (t->a.var->dtype == DTYPE_STRING)
		return !count_others(t, a, b, n);
	if (t->swaps && !t->b.shape.record)
		elements_swap(b, n * array_item(&t->b), dtype_info(t->b.var->dtype)->word);
	return !memcmp(a, b, n * array_item(&t->a));
}

/* 1: a piece differs. */
static int take_pieces(struct two *t, uint8_t *a, uint8_t *b, struct sums_of_two *s, struct err *e)
{
	uint64_t first;
	int r = 0;

	while (r == 0 && !t->ended &&
	       (first = atomic_fetch_add(&t->next, t->elements)) < t->a.count) {
		size_t left = (size_t)(t->a.count - first);
		size_t n = left < t->elements ? left : t->elements;

		r = array_get(&t->a, first, n, a, e);
		if (r == 0)
			r = array_get(&t->b, first, n, b, e);
		if (r < 0)
			return r;
		if (!t->summing)
			r = !same_piece(t, a, b, n);
		else if (has_numbers(t))
			add_numbers(t, a, b, n, s);
		else
			s->differ += count_others(t, a, b, n);
	}
	return r;
}

static void *run_thread(void *arg)
{
	struct two *t = arg;
	CLEANUP(freep) uint8_t *a = malloc(t->elements * array_item(&t->a));
	CLEANUP(freep) uint8_t *b = malloc(t->elements * array_item(&t->b));
	struct sums_of_two sums = {0};
	struct err why = {0};
	int r = a && b ? take_pieces(t, a, b, &sums, &why) : err_set(&why, -ENOMEM, "no memory");

	HOLD(&t->lock);
	add_sums(&t->sums, &sums);
	if (r == 0)
		return NULL;
	t->ended = true;
	if (t->status >= 0) {
		t->status = r;
		t->why = why;
	}
	return NULL;
}

/* On all cores, but no more threads than pieces. */
static int run(struct two *t, bool summing, struct err *e)
{
	pthread_t threads[MAX_THREADS];
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t pieces = t->a.count / t->elements;
	int n = 0;

	t->summing = summing;
	t->next = 0;
	t->ended = false;
	t->status = 0;
	while (n < MAX_THREADS && n + 1 < cores && (uint64_t)n < pieces &&
	       pthread_create(&threads[n], NULL, run_thread, t) == 0)
		n++;
	run_thread(t);
	while (n > 0)
		pthread_join(threads[--n], NULL);
	if (t->status < 0 && e)
		*e = t->why;
	return t->status;
}

static int open_two(struct two *t, const struct place *a, const struct place *b, struct err *e)
{
	int r = array_open(a, &t->a, e);

	if (r < 0)
		return r;
	r = array_open(b, &t->b, e);
	if (r < 0)
		array_close(&t->a);
	return r;
}

static void conclude(const struct two *t, struct change *out)
{
	const struct sums_of_two *s = &t->sums;
	double norms = sqrt(s->aa) * sqrt(s->bb);

	*out = (struct change){
		.elements = t->a.count,
		.differ = s->differ,
		.numbers = has_numbers(t),
		.max = s->max,
		.mean = s->pairs ? s->sum / (double)s->pairs : 0,
		.relative = s->dd > 0 ? sqrt(s->dd) / sqrt(s->aa) : 0,
		.cosine = norms > 0 ? s->ab / norms : (double)NAN,
	};
}

static int compare_opened(struct two *t, struct err *e)
{
	size_t item = array_item(&t->a) > array_item(&t->b) ? array_item(&t->a) : array_item(&t->b);
	int r;

	if (t->a.count != t->b.count) { /* records of different lengths */
		t->sums.differ = t->a.count > t->b.count ? t->a.count : t->b.count;
		return 1;
	}
	t->elements = item < PIECE ? PIECE / item : 1;
	r = run(t, false, e);
	if (r <= 0)
		return r;
	r = run(t, true, e);
	return r < 0 ? r : 1;
}

int compare_arrays(const struct place *a, const struct place *b, double tolerance,
		   struct change *out, struct err *e)
{
	struct two t = {.tolerance = tolerance,
			.swaps = a->loaded->step->big_endian != b->loaded->step->big_endian};
	int r = open_two(&t, a, b, e);

	if (r < 0)
		return r;
	pthread_mutex_init(&t.lock, NULL);
	r = compare_opened(&t, e);
	if (r == 1)
		conclude(&t, out);
	pthread_mutex_destroy(&t.lock);
	array_close(&t.a);
	array_close(&t.b);
	return r;
}

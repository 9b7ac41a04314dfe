#include "tool/compare.h"
#include "base/cleanup.h"
#include "base/threads.h"
#include "format/dtype.h"
#include "format/elements.h"
#include "step/sums.h"
#include "tool/array.h"
#include <math.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

enum { PIECE = 256 << 10 }; /* bytes */

static bool share_shard(const struct step *a, const struct var *x, const struct step *b,
			const struct var *y)
{
	return x->off == y->off && x->size == y->size &&
	       file_id_eq(&a->shards[x->shard].id, &b->shards[y->shard].id);
}

bool compare_is_like(const struct place *a, const struct place *b)
{
	const struct var *x = place_var(a), *y = place_var(b);

	return x->dtype == y->dtype && x->rank == y->rank &&
	       (!x->rank || !memcmp(var_dims(a->loaded->step, x), var_dims(b->loaded->step, y),
				    x->rank * sizeof(int64_t)));
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
	BLOCK = 1024, /* numbers at a time, as doubles */
	FLOATS = 8192, /* or as floats */
	LANES = 4, /* of them in one vector */
};

/* One by one: what is not finite has no difference. */
static void add_pairs(struct sums_of_two *s, const double *a, const double *b, size_t n,
		      double tolerance)
{
	for (size_t i = 0; i < n; i++) {
		double x = a[i], y = b[i], d = fabs(x - y);

		if (!isfinite(x) || !isfinite(y)) {
			s->differ += !(x == y || (isnan(x) && isnan(y)));
			continue;
		}
		s->pairs++;
		s->differ += d > tolerance;
		s->max = d > s->max ? d : s->max;
		s->sum += d;
		s->dd += d * d;
		s->aa += x * x;
		s->bb += y * y;
		s->ab += x * y;
	}
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

#ifdef __x86_64__
typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));
typedef int64_t lanes_mask __attribute__((vector_size(LANES * sizeof(int64_t))));

#define WITH_VECTORS __attribute__((target("avx2"), always_inline)) static inline

/* Number I and those behind it, of doubles or FLOATS. */
WITH_VECTORS lanes load(const void *p, size_t i, bool floats)
{
	if (floats)
		return _mm256_cvtps_pd(_mm_loadu_ps((const float *)p + i));
	return _mm256_loadu_pd((const double *)p + i);
}

WITH_VECTORS bool add_lanes(struct sums_of_two *s, const void *a, const void *b, size_t n,
			    bool floats, double tolerance)
{
	lanes sum = {0}, dd = {0}, aa = {0}, bb = {0}, ab = {0}, max = {0};
	lanes_mask differ = {0}; /* a comparison that holds is -1 */
	struct sums_of_two of = {.pairs = n};

	for (size_t i = 0; i < n; i += LANES) {
		lanes x = load(a, i, floats), y = load(b, i, floats), d;

		d = (lanes)((lanes_mask)(x - y) & INT64_MAX);
		max = _mm256_max_pd(d, max);
		differ -= d > tolerance;
		sum += d;
		dd += d * d;
		aa += x * x;
		bb += y * y;
		ab += x * y;
	}
	for (int k = 0; k < LANES; k++) {
		const struct sums_of_two lane = {
			(uint64_t)differ[k], 0, max[k], sum[k], aa[k], bb[k], ab[k], dd[k]};

		add_sums(&of, &lane);
	}
	if (!isfinite(of.aa) || !isfinite(of.bb) || !isfinite(of.dd))
		return false;
	add_sums(s, &of);
	return true;
}

/* The same of BLOCK pairs of doubles, or of FLOATS pairs of floats. False, and nothing is added: some are not finite, or too large. */
__attribute__((target("avx2"))) static bool add_block(struct sums_of_two *s, const double *a,
						      const double *b, double tolerance)
{
	return add_lanes(s, a, b, BLOCK, false, tolerance);
}

__attribute__((target("avx2"))) static bool add_floats(struct sums_of_two *s, const uint8_t *a,
						       const uint8_t *b, double tolerance)
{
	return add_lanes(s, a, b, FLOATS, true, tolerance);
}

static bool has_vectors(void)
{
	return __builtin_cpu_supports("avx2");
}
#else
static bool add_block(struct sums_of_two *s, const double *a, const double *b, double tolerance)
{
	add_pairs(s, a, b, BLOCK, tolerance);
	return true;
}

/* They become doubles first. */
static bool add_floats(struct sums_of_two *s, const uint8_t *a, const uint8_t *b, double tolerance)
{
	(void)s;
	(void)a;
	(void)b;
	(void)tolerance;
	return false;
}

static bool has_vectors(void)
{
	return true;
}
#endif

/* --- both arrays ---------------------------------------------------------------------------------------------- */

struct two {
	struct array a, b;
	bool swaps; /* their byte orders differ */
	bool vectors; /* add_block can be called */
	bool floats; /* and add_floats: they are in this machine's byte order */
	const struct comparing *how;
	size_t elements; /* of a piece */
	uint8_t *same; /* [pieces]: it has the same bytes in both */
	bool any; /* some piece has not */
	struct sums_of_two sums;
};

/* What each thread has. */
struct scratch {
	bool same;
	struct sums_of_two sums; /* of a piece */
	uint8_t bytes[]; /* of a piece of A, then of B */
};

static size_t larger_item(const struct two *t)
{
	size_t a = array_item(&t->a), b = array_item(&t->b);

	return a > b ? a : b;
}

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

/* The bytes of B get the order of A's. */
static bool same_piece(const struct two *t, const uint8_t *a, uint8_t *b, size_t n)
{
	if (t->a.var->dtype == DTYPE_STRING)
		return !count_others(t, a, b, n);
	if (t->swaps && !t->b.shape.record)
		elements_swap(b, n * array_item(&t->b), dtype_info(t->b.var->dtype)->word);
	return !memcmp(a, b, n * array_item(&t->a));
}

/* Both have the byte order of A. */
static void add_numbers(const struct two *t, const uint8_t *a, const uint8_t *b, size_t n,
			struct sums_of_two *s)
{
	double tolerance = t->how->tolerance;
	size_t item = array_item(&t->a);
	double x[BLOCK], y[BLOCK];

	for (size_t at = 0, some; at < n; at += some) {
		some = FLOATS;
		if (t->floats && n - at >= FLOATS &&
		    add_floats(s, a + at * item, b + at * item, tolerance))
			continue;
		some = n - at < BLOCK ? n - at : BLOCK;
		sums_values(t->a.var->dtype, t->a.step->big_endian, a + at * item, some, x);
		sums_values(t->a.var->dtype, t->a.step->big_endian, b + at * item, some, y);
		if (some < BLOCK || !t->vectors || !add_block(s, x, y, tolerance))
			add_pairs(s, x, y, some, tolerance);
	}
}

/* How many elements piece I has. */
static size_t piece_elements(const struct two *t, uint64_t i)
{
	return pieces_part(t->a.count, t->elements, i);
}

static int read_piece(void *arg, uint64_t i, void *scratch, struct err *e)
{
	const struct two *t = arg;
	struct scratch *own = scratch;
	uint8_t *a = own->bytes, *b = own->bytes + t->elements * array_item(&t->a);
	size_t n = piece_elements(t, i);
	int r = array_get(&t->a, i * t->elements, n, a, e);

	if (r == 0)
		r = array_get(&t->b, i * t->elements, n, b, e);
	if (r < 0)
		return r;
	if (t->how->seen)
		*t->how->seen += n * array_item(&t->a);
	own->sums = (struct sums_of_two){0};
	own->same = same_piece(t, a, b, n);
	if (own->same)
		return 0;
	if (t->how->only_whether && t->how->tolerance <= 0)
		own->sums.differ = 1;
	else if (has_numbers(t))
		add_numbers(t, a, b, n, &own->sums);
	else
		own->sums.differ = count_others(t, a, b, n);
	return 0;
}

static int take_piece(void *arg, uint64_t i, void *scratch, struct err *e)
{
	struct two *t = arg;
	const struct scratch *own = scratch;

	(void)e;
	t->same[i] = own->same;
	t->any |= !own->same;
	add_sums(&t->sums, &own->sums);
	return t->how->only_whether && t->sums.differ;
}

/* The norms are of all elements, so of the same ones, too. */
static int read_same(void *arg, uint64_t i, void *scratch, struct err *e)
{
	const struct two *t = arg;
	struct scratch *own = scratch;
	size_t n = piece_elements(t, i);
	int r = t->same[i] ? array_get(&t->a, i * t->elements, n, own->bytes, e) : 0;

	own->sums = (struct sums_of_two){0};
	if (r == 0 && t->same[i])
		add_numbers(t, own->bytes, own->bytes, n, &own->sums);
	return r;
}

static int take_same(void *arg, uint64_t i, void *scratch, struct err *e)
{
	struct two *t = arg;
	struct scratch *own = scratch;

	(void)i;
	(void)e;
	add_sums(&t->sums, &own->sums);
	return 0;
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
		.numbers = has_numbers(t) && !t->how->only_whether,
		.max = s->max,
		.mean = s->pairs ? s->sum / (double)s->pairs : 0,
		.relative = s->dd > 0 ? sqrt(s->dd) / sqrt(s->aa) : 0,
		.cosine = norms > 0 ? s->ab / norms : (double)NAN,
	};
}

static int compare_opened(struct two *t, struct err *e)
{
	size_t item = larger_item(t);
	struct pieces p = {.work = read_piece, .take = take_piece, .arg = t};
	int r;

	if (t->a.count != t->b.count) { /* records of different lengths */
		t->sums.differ = t->a.count > t->b.count ? t->a.count : t->b.count;
		return 1;
	}
	t->elements = item < PIECE ? PIECE / item : 1;
	if (t->elements > t->a.count)
		t->elements = t->a.count ? (size_t)t->a.count : 1;
	p.n = pieces_count(t->a.count, t->elements);
	p.scratch = sizeof(struct scratch) + t->elements * (array_item(&t->a) + array_item(&t->b));
	t->same = calloc(p.n + 1, 1);
	if (!t->same)
		return err_set(e, -ENOMEM, "no memory");
	r = pieces_run(&p, e);
	if (r || !t->any || !has_numbers(t) || t->how->only_whether)
		return r ? r : t->any;
	p.work = read_same;
	p.take = take_same;
	r = pieces_run(&p, e);
	return r < 0 ? r : 1;
}

int compare_arrays(const struct place *a, const struct place *b, const struct comparing *how,
		   struct change *out, struct err *e)
{
	struct two t = {.how = how,
			.vectors = has_vectors(),
			.swaps = a->loaded->step->big_endian != b->loaded->step->big_endian};
	int r = open_two(&t, a, b, e);

	if (r < 0)
		return r;
	t.floats = t.vectors && t.a.var->dtype == DTYPE_FLOAT &&
		   t.a.step->big_endian == (BYTE_ORDER == BIG_ENDIAN);
	r = compare_opened(&t, e);
	if (r == 1)
		conclude(&t, out);
	free(t.same);
	array_close(&t.a);
	array_close(&t.b);
	return r;
}

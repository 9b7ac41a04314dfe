#include "tool/histogram.h"
#include "base/threads.h"
#include "step/sums.h"
#include <math.h>

enum { PIECE = 1 << 20, BLOCK = 1024 }; /* bytes; doubles at a time */

struct counting {
	struct array array;
	size_t elements; /* of a piece */
	double min, scale; /* bins for a difference of 1 */
	uint64_t *bins;
	_Atomic uint64_t *seen;
};

/* What each thread has. */
struct scratch {
	uint64_t bins[HISTOGRAM_BINS];
	uint8_t bytes[]; /* of a piece */
};

static void count(const struct counting *c, const double *v, size_t n, uint64_t *bins)
{
	for (size_t i = 0; i < n; i++) {
		double at = (v[i] - c->min) * c->scale;

		if (isfinite(v[i]))
			bins[at < HISTOGRAM_BINS - 1 ? (size_t)at : HISTOGRAM_BINS - 1]++;
	}
}

static int count_piece(void *arg, uint64_t i, void *scratch, struct err *e)
{
	const struct counting *c = arg;
	const struct array *a = &c->array;
	struct scratch *own = scratch;
	uint64_t first = i * c->elements;
	size_t n = a->count - first < c->elements ? (size_t)(a->count - first) : c->elements;
	int r = array_get(a, first, n, own->bytes, e);
	double v[BLOCK];

	for (size_t at = 0; at < n && r == 0; at += BLOCK) {
		size_t some = n - at < BLOCK ? n - at : BLOCK;

		sums_values(a->var->dtype, a->step->big_endian, own->bytes + at * array_item(a),
			    some, v);
		count(c, v, some, own->bins);
	}
	*c->seen += n * array_item(a);
	return r;
}

static void add_bins(void *arg, void *scratch)
{
	const struct counting *c = arg;
	const struct scratch *own = scratch;

	for (size_t i = 0; i < HISTOGRAM_BINS; i++)
		c->bins[i] += own->bins[i];
}

int histogram_count(const struct place *p, double min, double max, _Atomic uint64_t *seen,
		    uint64_t bins[HISTOGRAM_BINS], struct err *e)
{
	/* Halves: the difference of two doubles can be too large for one. */
	double half = max / 2 - min / 2;
	struct counting c = {.min = min,
			     .scale = half > 0 ? HISTOGRAM_BINS / half / 2 : 0,
			     .bins = bins,
			     .seen = seen};
	struct pieces pieces = {.work = count_piece, .end = add_bins, .arg = &c};
	int r = array_open(p, &c.array, e);

	memset(bins, 0, HISTOGRAM_BINS * sizeof *bins);
	if (r < 0)
		return r;
	c.elements = PIECE / array_item(&c.array);
	pieces.n = (c.array.count + c.elements - 1) / c.elements;
	pieces.scratch = sizeof(struct scratch) + PIECE;
	r = pieces_run(&pieces, e);
	array_close(&c.array);
	return r;
}

int histogram_text(const uint64_t bins[HISTOGRAM_BINS], struct buf *out)
{
	static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	const uint64_t n_blocks = sizeof blocks / sizeof *blocks;
	uint64_t most = 1;
	int r = 0;

	for (size_t i = 0; i < HISTOGRAM_BINS; i++)
		most = bins[i] > most ? bins[i] : most;
	for (size_t i = 0; i < HISTOGRAM_BINS && r == 0; i++)
		r = buf_add_str(out, bins[i] ? blocks[(uint64_t)((double)bins[i] / (double)most *
								 (double)(n_blocks - 1))]
					     : " ");
	return r;
}

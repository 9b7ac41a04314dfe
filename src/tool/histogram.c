#include "tool/histogram.h"
#include "tool/number.h"
#include <math.h>

enum { PIECE = 1 << 20 };

struct counting {
	const struct array *array;
	double min, scale; /* bins for a difference of 1 */
	uint64_t *bins;
};

static int count(void *arg, uint64_t first, const uint8_t *p, size_t n, struct err *e)
{
	struct counting *c = arg;
	int dtype = c->array->var->dtype;
	bool big_endian = c->array->step->big_endian;

	(void)first;
	(void)e;
	for (size_t i = 0; i < n; i++) {
		double v = number_value(dtype, big_endian, p + i * array_item(c->array));
		double at = (v - c->min) * c->scale;

		if (isfinite(v))
			c->bins[at < HISTOGRAM_BINS - 1 ? (size_t)at : HISTOGRAM_BINS - 1]++;
	}
	return 0;
}

int histogram_count(const struct place *p, double min, double max, uint64_t bins[HISTOGRAM_BINS],
		    struct err *e)
{
	struct array a;
	/* Halves: the difference of two doubles can be too large for one. */
	double half = max / 2 - min / 2;
	struct counting c = {&a, min, half > 0 ? HISTOGRAM_BINS / half / 2 : 0, bins};
	int r = array_open(p, &a, e);

	memset(bins, 0, HISTOGRAM_BINS * sizeof *bins);
	if (r < 0)
		return r;
	r = array_read(&a, PIECE, count, &c, e);
	array_close(&a);
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

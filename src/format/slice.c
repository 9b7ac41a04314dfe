#include "format/slice.h"
#include <inttypes.h>
#include <string.h>

bool shape_count(unsigned rank, const int64_t *dims, uint64_t *count)
{
	int64_t n = 1;

	for (unsigned i = 0; i < rank; i++)
		if (dims[i] < 0 || __builtin_mul_overflow(n, dims[i], &n))
			return false;
	*count = (uint64_t)n;
	return true;
}

int slice_resolve(unsigned rank, const int64_t *dims, int64_t *extents, uint64_t *count,
		  struct err *e)
{
	uint64_t n = 1; /* does not overflow: it is at most the whole's */

	for (unsigned i = 0; i < rank; i++) {
		int64_t *start = &extents[2 * i], *len = start + 1;

		if (*start == 0 && *len == -1)
			*len = dims[i];
		if (*start < 0 || *len < 0 || *start > dims[i] || *len > dims[i] - *start)
			return err_set(e, -EUCLEAN,
				       "slice %" PRId64 ",%" PRId64
				       " is out of dimension %u, which has %" PRId64,
				       *start, *len, i, dims[i]);
		n *= (uint64_t)*len;
	}
	*count = n;
	return 0;
}

bool slices_overlap(unsigned rank, const int64_t *a, const int64_t *b)
{
	for (unsigned i = 0; i < 2 * rank; i += 2) {
		int64_t start = a[i] > b[i] ? a[i] : b[i];

		if (a[i] + a[i + 1] <= start || b[i] + b[i + 1] <= start)
			return false;
	}
	return true;
}

uint64_t slice_before(unsigned rank, const int64_t *dims, const int64_t *extents, uint64_t index)
{
	uint64_t whole = 1, part = 1, before = 0;

	for (unsigned i = 0; i < rank; i++) {
		whole *= (uint64_t)dims[i];
		part *= (uint64_t)extents[2 * i + 1];
	}
	if (rank == 0)
		return index;
	for (unsigned i = 0; i < rank && part; i++) {
		uint64_t start = (uint64_t)extents[2 * i], len = (uint64_t)extents[2 * i + 1], at;

		whole /= (uint64_t)dims[i]; /* not 0: part isn't */
		part /= len;
		at = index / whole;
		index %= whole;
		if (at < start)
			break;
		if (at >= start + len)
			return before + len * part;
		before += (at - start) * part;
	}
	return before;
}

uint64_t slice_run(unsigned rank, const int64_t *dims, const int64_t *extents, uint64_t from,
		   uint64_t *len)
{
	uint64_t run = 1, stride = 1, at = 0, number;
	unsigned outer = rank; /* dimensions before those of a run */

	/* A run: the last dimensions, as far as the slice has them in full, times its length in the one before them. */
	while (outer > 0) {
		outer--;
		run *= (uint64_t)extents[2 * outer + 1];
		if (extents[2 * outer + 1] != dims[outer])
			break;
	}
	number = from / run;
	for (unsigned i = rank; i-- > 0; stride *= (uint64_t)dims[i]) {
		uint64_t k = 0;

		if (i < outer) {
			k = number % (uint64_t)extents[2 * i + 1];
			number /= (uint64_t)extents[2 * i + 1];
		}
		at += ((uint64_t)extents[2 * i] + k) * stride;
	}
	*len = run - from % run;
	return at + from % run;
}

/* The next run of the slice's elements [FROM, FROM + N): LEN elements, at AT in the whole. FROM and N are then those
 * behind it. False at the end. */
static bool next_run(unsigned rank, const int64_t *dims, const int64_t *extents, uint64_t *from,
		     uint64_t *n, uint64_t *at, uint64_t *len)
{
	if (!*n)
		return false;
	*at = slice_run(rank, dims, extents, *from, len);
	if (*len > *n)
		*len = *n;
	*from += *len;
	*n -= *len;
	return true;
}

void slice_scatter(unsigned rank, const int64_t *dims, const int64_t *extents, size_t item,
		   uint64_t from, uint64_t n, const uint8_t *src, uint8_t *dst, uint64_t window)
{
	for (uint64_t at, len; next_run(rank, dims, extents, &from, &n, &at, &len);
	     src += len * item)
		memcpy(dst + (at - window) * item, src, len * item);
}

void slice_gather(unsigned rank, const int64_t *dims, const int64_t *extents, size_t item,
		  uint64_t from, uint64_t n, const uint8_t *src, uint8_t *dst, uint64_t window)
{
	for (uint64_t at, len; next_run(rank, dims, extents, &from, &n, &at, &len);
	     dst += len * item)
		memcpy(dst, src + (at - window) * item, len * item);
}

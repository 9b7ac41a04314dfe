#include "format/elements.h"
#include "base/cleanup.h"
#include "format/slice.h"

/* Runs that lie less than NEAR bytes apart are read at once, with what is between them. */
enum { NEAR = 4096, READ_AHEAD = 256 << 10 };

/* Always inlined, so that WORD is a constant. */
static inline __attribute__((always_inline)) void swap(uint8_t *p, size_t n, size_t word)
{
	for (; n; n -= word, p += word) {
		uint8_t old[8];

		memcpy(old, p, word);
		for (size_t i = 0; i < word; i++)
			p[i] = old[word - 1 - i];
	}
}

void elements_swap(uint8_t *p, size_t n, size_t word)
{
	if (word == 2)
		swap(p, n, 2);
	else if (word == 4)
		swap(p, n, 4);
	else if (word == 8)
		swap(p, n, 8);
}

static int put(const struct elements *el, struct buf *b, const struct sink *out, struct err *e)
{
	if (el->word > 1)
		elements_swap(b->p, b->n, el->word);
	return sink_put(out, b->p, b->n, e);
}

static int put_in_order(const struct source *src, const struct elements *el, uint64_t size,
			size_t budget, const struct sink *out, struct err *e)
{
	CLEANUP(buf_release) struct buf piece = {0};
	uint64_t step = budget - budget % el->item;
	int r = 0;

	for (uint64_t done = 0; done < size && r == 0; done += piece.n) {
		r = source_read(src, el->off + done, size - done < step ? size - done : step,
				&piece, e);
		if (r == 0)
			r = put(el, &piece, out, e);
	}
	return r;
}

/* --- Fortran order ----------------------------------------------------------------------------------------- */

/* The part of the array that is turned at a time. Its elements lie side by side in the result, so it has one index in
 * each dimension before `split`, a range in `split`, and the dimensions behind that as a whole. */
struct box {
	const struct source *src;
	const struct elements *el;
	unsigned split;
	uint64_t start[SHAPE_MAX_RANK], len[SHAPE_MAX_RANK];
	/* Bytes from an index to the next: in the source, in `out`. */
	uint64_t from[SHAPE_MAX_RANK], to[SHAPE_MAX_RANK];
	struct buf out;
	struct buf ahead; /* bytes of the source */
	uint64_t ahead_at, worth;
};

static int box_init(struct box *b, size_t budget, struct err *e)
{
	uint64_t step = b->el->item, row = b->el->item;

	for (unsigned i = 0; i < b->el->rank; i++) {
		b->from[i] = step;
		step *= (uint64_t)b->el->dims[i];
		b->len[i] = 1;
	}
	for (b->split = b->el->rank - 1;; b->split--) {
		uint64_t n = (uint64_t)b->el->dims[b->split];

		b->to[b->split] = row;
		b->len[b->split] = n <= budget / row ? n : budget / row;
		if (b->split == 0 || n > budget / row)
			break;
		row *= n;
	}
	row *= b->len[b->split];
	return buf_reserve(&b->out, row) < 0 ? err_set(e, -ENOMEM, "no memory for %zu bytes", row)
					     : 0;
}

/* How many bytes of the source to read at once: up to the first gap that is not small. */
static uint64_t worth_reading(const struct box *b)
{
	uint64_t n = b->len[0] * b->el->item;

	for (unsigned d = 1; d < b->el->rank && b->from[d] - n < NEAR; d++)
		n += b->from[d] * (b->len[d] - 1);
	return n < READ_AHEAD ? n : READ_AHEAD;
}

/* *OUT: N bytes of the source at OFF, until the next call. */
static int look_ahead(struct box *b, uint64_t off, uint64_t n, const uint8_t **out, struct err *e)
{
	uint64_t left = b->src->size - off, want = b->worth;
	int r;

	if (off < b->ahead_at || off + n > b->ahead_at + b->ahead.n) {
		want = want > left ? left : want;
		r = source_read(b->src, off, want > n ? want : n, &b->ahead, e);
		if (r < 0)
			return r;
		b->ahead_at = off;
	}
	*out = b->ahead.p + (off - b->ahead_at);
	return 0;
}

/* Copies the elements along the first dimension to their places. In the source they lie side by side, at OFF. */
static int turn_run(struct box *b, uint64_t off, uint8_t *to, struct err *e)
{
	size_t item = b->el->item;
	const uint8_t *p;
	int r = look_ahead(b, off, b->len[0] * item, &p, e);

	for (uint64_t i = 0; r == 0 && i < b->len[0]; i++)
		memcpy(to + i * b->to[0], p + i * item, item);
	return r;
}

static int turn(struct box *b, struct err *e)
{
	uint64_t index[SHAPE_MAX_RANK] = {0}, off = b->el->off, to = 0;
	unsigned d = 0;
	int r = 0;

	for (unsigned i = 0; i < b->el->rank; i++)
		off += b->start[i] * b->from[i];
	b->worth = worth_reading(b);
	while (r == 0 && d < b->el->rank) {
		r = turn_run(b, off, b->out.p + to, e);
		for (d = 1; d < b->el->rank; d++) {
			off += b->from[d];
			to += b->to[d];
			if (++index[d] < b->len[d])
				break;
			off -= b->from[d] * b->len[d];
			to -= b->to[d] * b->len[d];
			index[d] = 0;
		}
	}
	b->out.n = b->len[b->split] * b->to[b->split];
	return r;
}

/* Goes on to the next part; false if there is none. FULL: the length of each range in `split` but the last. */
static bool advance(struct box *b, uint64_t full)
{
	unsigned d = b->split;

	b->start[d] += b->len[d];
	while (b->start[d] == (uint64_t)b->el->dims[d]) {
		b->start[d] = 0;
		if (d-- == 0)
			return false;
		b->start[d]++;
	}
	b->len[b->split] = (uint64_t)b->el->dims[b->split] - b->start[b->split];
	if (b->len[b->split] > full)
		b->len[b->split] = full;
	return true;
}

static int put_turned(const struct source *src, const struct elements *el, size_t budget,
		      const struct sink *out, struct err *e)
{
	struct box b = {.src = src, .el = el};
	int r = box_init(&b, budget, e);
	uint64_t full = b.len[b.split];

	do {
		if (r == 0)
			r = turn(&b, e);
		if (r == 0)
			r = put(el, &b.out, out, e);
	} while (r == 0 && advance(&b, full));
	buf_release(&b.out);
	buf_release(&b.ahead);
	return r;
}

int elements_put(const struct source *src, const struct elements *el, size_t budget,
		 struct sink out, struct err *e)
{
	uint64_t size = el->item;

	for (unsigned i = 0; i < el->rank; i++)
		size *= (uint64_t)el->dims[i];
	if (budget < el->item)
		budget = el->item;
	if (el->fortran && el->rank > 1 && size)
		return put_turned(src, el, budget, &out, e);
	return put_in_order(src, el, size, budget, &out, e);
}

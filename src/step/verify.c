#include "step/verify.h"
#include "base/cleanup.h"
#include "base/crc32c.h"
#include <inttypes.h>
#include <pthread.h>

enum {
	CHUNK = 1 << 20,
	MAX_INTERVALS = 1024, /* of a chunk: four for each page; others are not remembered */
	N_BUCKETS = 64,
};

enum { UNKNOWN, GOOD, BAD };

struct interval {
	uint32_t start, end; /* in the chunk */
	uint32_t crc;
};

struct chunk {
	bool done; /* seen whole: CRC is its checksum, and there are no intervals */
	uint16_t n, cap;
	uint32_t crc;
	struct interval *intervals; /* sorted, neither overlapping nor touching */
};

/* A range of which some bytes were seen. */
struct progress {
	struct progress *next;
	uint32_t number;
	uint32_t users; /* how many threads have it; under verify->lock */
	pthread_mutex_t lock;
	uint32_t n_chunks, n_done;
	struct chunk chunks[];
};

struct verify {
	pthread_mutex_t lock;
	struct progress *buckets[N_BUCKETS]; /* by number; under lock */
	_Atomic uint8_t known[]; /* UNKNOWN, GOOD, BAD */
};

struct verify *verify_new(uint32_t n)
{
	struct verify *v = calloc(1, sizeof *v + n);

	if (v)
		pthread_mutex_init(&v->lock, NULL);
	return v;
}

static void progress_free(struct progress *p)
{
	for (uint32_t i = 0; i < p->n_chunks; i++)
		free(p->chunks[i].intervals);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

void verify_free(struct verify *v)
{
	if (!v)
		return;
	for (unsigned i = 0; i < N_BUCKETS; i++)
		for (struct progress *p = v->buckets[i], *next; p; p = next) {
			next = p->next;
			progress_free(p);
		}
	pthread_mutex_destroy(&v->lock);
	free(v);
}

/* --- a chunk ----------------------------------------------------------------------------------------------- */

/* The first interval that ends at START or behind it. */
static unsigned find_interval(const struct chunk *c, uint32_t start)
{
	unsigned lo = 0, hi = c->n;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (c->intervals[mid].end < start)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool insert_interval(struct chunk *c, unsigned at, struct interval new)
{
	if (c->n == MAX_INTERVALS)
		return false;
	if (c->n == c->cap) {
		uint16_t cap = c->cap ? c->cap * 2 : 4;
		struct interval *p = realloc(c->intervals, cap * sizeof *p);

		if (!p)
			return false;
		c->intervals = p;
		c->cap = cap;
	}
	memmove(c->intervals + at + 1, c->intervals + at, (c->n - at) * sizeof new);
	c->intervals[at] = new;
	c->n++;
	return true;
}

static void join_with_next(struct chunk *c, unsigned at)
{
	struct interval *a = &c->intervals[at], *b = a + 1;

	if (at + 1 >= c->n || a->end != b->start)
		return;
	a->crc = crc32c_combine(a->crc, b->crc, b->end - b->start);
	a->end = b->end;
	c->n--;
	memmove(b, b + 1, (c->n - at - 1u) * sizeof *b);
}

/* Notes [start, end), with its bytes at P. None of it was seen before, and its place is in front of interval AT.
 * Returns the number of the interval behind it. */
static unsigned add_gap(struct chunk *c, unsigned at, uint32_t start, uint32_t end,
			const uint8_t *p)
{
	if (at > 0 && c->intervals[at - 1].end == start) {
		struct interval *before = &c->intervals[at - 1];

		before->crc = crc32c_extend(before->crc, p, end - start);
		before->end = end;
		join_with_next(c, at - 1);
		return at;
	}
	if (!insert_interval(c, at, (struct interval){start, end, crc32c(p, end - start)}))
		return at;
	join_with_next(c, at);
	return at + 1;
}

static void chunk_saw(struct chunk *c, uint32_t start, uint32_t end, const uint8_t *p)
{
	unsigned at = find_interval(c, start);
	uint32_t pos = start;

	/* An interval that ends at START is the one that add_gap extends. */
	if (at < c->n && c->intervals[at].end == start)
		at++;
	while (pos < end) {
		uint32_t gap_end =
			at < c->n && c->intervals[at].start < end ? c->intervals[at].start : end;

		if (pos < gap_end) {
			at = add_gap(c, at, pos, gap_end, p + (pos - start));
			pos = gap_end;
			/* It may have been joined with the interval behind it, which was seen before. */
			if (at > 0 && c->intervals[at - 1].end > pos)
				pos = c->intervals[at - 1].end;
		} else {
			pos = c->intervals[at++].end;
		}
	}
}

/* --- a range ----------------------------------------------------------------------------------------------- */

static uint32_t chunk_length(uint64_t size, uint32_t i)
{
	uint64_t left = size - (uint64_t)i * CHUNK;

	return left < CHUNK ? (uint32_t)left : CHUNK;
}

static void finish_chunk(struct progress *p, struct chunk *c, uint32_t len)
{
	if (c->done || c->n != 1 || c->intervals[0].end - c->intervals[0].start != len)
		return;
	c->done = true;
	c->crc = c->intervals[0].crc;
	free(c->intervals);
	c->intervals = NULL;
	c->n = c->cap = 0;
	p->n_done++;
}

/* The caller has p->lock. */
static void progress_saw(struct progress *p, uint64_t size, uint64_t off, const uint8_t *bytes,
			 size_t len)
{
	while (len) {
		uint32_t i = (uint32_t)(off / CHUNK), start = (uint32_t)(off % CHUNK);
		uint32_t n = CHUNK - start < len ? CHUNK - start : (uint32_t)len;

		if (!p->chunks[i].done)
			chunk_saw(&p->chunks[i], start, start + n, bytes);
		finish_chunk(p, &p->chunks[i], chunk_length(size, i));
		off += n;
		bytes += n;
		len -= n;
	}
}

static uint32_t whole_crc(const struct progress *p, uint64_t size)
{
	uint32_t crc = 0;

	for (uint32_t i = 0; i < p->n_chunks; i++)
		crc = crc32c_combine(crc, p->chunks[i].crc, chunk_length(size, i));
	return crc;
}

static struct progress *progress_new(uint32_t number, uint64_t size)
{
	uint64_t n = size / CHUNK + (size % CHUNK != 0);
	struct progress *p = n < UINT32_MAX ? calloc(1, sizeof *p + n * sizeof *p->chunks) : NULL;

	if (!p)
		return NULL;
	pthread_mutex_init(&p->lock, NULL);
	p->number = number;
	p->n_chunks = (uint32_t)n;
	return p;
}

/* The progress of S, made if need be; NULL: no memory. */
static struct progress *progress_get(struct verify *verify, const struct stored *s)
{
	struct progress **bucket = &verify->buckets[s->number % N_BUCKETS], *p;

	pthread_mutex_lock(&verify->lock);
	for (p = *bucket; p && p->number != s->number;)
		p = p->next;
	if (!p && (p = progress_new(s->number, s->size))) {
		p->next = *bucket;
		*bucket = p;
	}
	if (p)
		p->users++;
	pthread_mutex_unlock(&verify->lock);
	return p;
}

static void progress_put(struct verify *verify, struct progress *p)
{
	struct progress **at = &verify->buckets[p->number % N_BUCKETS];

	pthread_mutex_lock(&verify->lock);
	if (--p->users == 0 && p->n_done == p->n_chunks) {
		while (*at != p)
			at = &(*at)->next;
		*at = p->next;
		progress_free(p);
	}
	pthread_mutex_unlock(&verify->lock);
}

/* CRC is the checksum of all of S. */
static int judge(struct verify *v, const struct stored *s, uint32_t crc, struct err *e)
{
	v->known[s->number] = crc == s->crc ? GOOD : BAD;
	if (crc == s->crc)
		return 0;
	return err_set(e, -EBADMSG,
		       "crc32c of %" PRIu64 " bytes at %" PRIu64 " is %08" PRIx32
		       ", recorded %08" PRIx32,
		       s->size, s->off, crc, s->crc);
}

int verify_check(const struct verify *v, uint32_t number, struct err *e)
{
	return v->known[number] == BAD
		       ? err_set(e, -EBADMSG, "is damaged: its checksum was found to be wrong")
		       : 0;
}

int verify_saw(struct verify *v, const struct stored *s, uint64_t off, const uint8_t *p, size_t len,
	       struct err *e)
{
	struct progress *progress;
	int r = 0;

	if (v->known[s->number] != UNKNOWN)
		return verify_check(v, s->number, e);
	if (off == 0 && len == s->size) /* most are read at once */
		return judge(v, s, crc32c(p, len), e);
	progress = progress_get(v, s);
	if (!progress)
		return 0;
	pthread_mutex_lock(&progress->lock);
	progress_saw(progress, s->size, off, p, len);
	if (progress->n_done == progress->n_chunks)
		r = judge(v, s, whole_crc(progress, s->size), e);
	pthread_mutex_unlock(&progress->lock);
	progress_put(v, progress);
	return r;
}

int verify_all(struct verify *v, const struct stored *s, const struct source *src, struct err *e)
{
	CLEANUP(buf_release) struct buf piece = {0};
	uint64_t off = 0;
	uint32_t crc = 0;
	int r;

	if (v->known[s->number] != UNKNOWN)
		return verify_check(v, s->number, e);
	if (buf_reserve(&piece, s->size < CHUNK ? s->size + 1 : CHUNK) < 0)
		return err_set(e, -ENOMEM, "no memory for %d bytes", CHUNK);
	while (off < s->size) {
		size_t n = s->size - off < CHUNK ? s->size - off : CHUNK;

		r = source_read_into(src, s->off + off, piece.p, n, e);
		if (r < 0)
			return r;
		crc = crc32c_extend(crc, piece.p, n);
		off += n;
	}
	return judge(v, s, crc, e);
}

/* src/check/check_bundle.c: the stored bytes of a V2 step against their checksums.
 *
 * Entries may share bytes, and a hostile index may have a million entries over the same gigabytes. So that each
 * byte is read once, all that entries cover is cut into ranges: at each place where an entry starts or ends, and at
 * 1 MiB at the latest. An entry is one range, or several that follow on each other. Its checksum is then made from
 * two of the running ones, which go from the first range to the one before the entry, and to the entry's last:
 *     crc(A B) = combine(crc A, crc B, length of B). That is linear, so crc B = combine(crc A, crc(A B), length of B).
 * The checksums of strings and variants are not those of their bytes. They are read one by one. */
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "check/check_job.h"
#include "format/dtype.h"
#include "format/string_tensor.h"
#include "format/variant_tensor.h"
#include <fcntl.h>
#include <inttypes.h>

enum {
	UNIT = 1 << 20, /* the most that is read at once */
	AHEAD = 16 << 20, /* how far the kernel reads ahead of us */
	MAX_OVERLAP = 4, /* strings and variants may cover a shard that many times */
};

struct range {
	uint64_t off;
	uint32_t len, shard;
	int status; /* 0, or why it could not be read */
	uint32_t crc;
	uint32_t running; /* the checksum of all ranges up to its end, once `is_summed` */
	uint32_t failed; /* the first range from it on that could not be read, once all are read */
};

struct data {
	struct range *ranges; /* [n], sorted by shard and place */
	uint32_t n;
	uint32_t *others; /* [n_others]: the strings and variants, sorted in the same way */
	uint32_t n_others;
	bool is_summed;
	pthread_mutex_t lock;
	uint32_t next_range; /* to be read; under lock */
	_Atomic uint32_t next_other;
};

static bool is_raw(const struct var *v)
{
	return v->dtype != DTYPE_STRING && v->dtype != DTYPE_VARIANT;
}

/* --- cutting ----------------------------------------------------------------------------------------------- */

struct edge {
	uint64_t pos;
	uint32_t shard;
	int32_t step; /* 1: an entry starts, -1: it ends */
};

static int compare_edges(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	if (x->shard != y->shard)
		return x->shard < y->shard ? -1 : 1;
	return (x->pos > y->pos) - (x->pos < y->pos);
}

static int add_edges(struct job *j, struct buf *edges)
{
	int r = 0;

	for (uint32_t i = 0; i < j->s->n_vars && r == 0; i++) {
		const struct var *v = &j->s->vars[i];
		struct edge pair[2] = {{v->off, v->shard, 1}, {v->off + v->size, v->shard, -1}};

		if (v->size && is_raw(v) && job_can_read(j, v))
			r = buf_add(edges, pair, sizeof pair);
	}
	return r;
}

static int add_ranges(struct buf *ranges, uint32_t shard, uint64_t from, uint64_t to)
{
	int r = 0;

	while (from < to && r == 0) {
		struct range range = {.off = from, .shard = shard};

		range.len = to - from < UNIT ? (uint32_t)(to - from) : UNIT;
		r = ranges->n / sizeof range < UINT32_MAX ? buf_add(ranges, &range, sizeof range)
							  : -E2BIG;
		from += range.len;
	}
	return r;
}

static int cut_ranges(struct job *j, struct data *d)
{
	CLEANUP(buf_release) struct buf edges = {0};
	struct buf ranges = {0};
	int64_t depth = 0;
	struct edge *at;
	size_t n;
	int r = add_edges(j, &edges);

	if (r < 0)
		return r;
	at = (struct edge *)edges.p;
	n = edges.n / sizeof *at;
	if (n)
		qsort(at, n, sizeof *at, compare_edges);
	for (size_t i = 0; i + 1 < n && r == 0; i++) {
		depth += at[i].step;
		if (depth > 0)
			r = add_ranges(&ranges, at[i].shard, at[i].pos, at[i + 1].pos);
	}
	d->ranges = (struct range *)ranges.p;
	d->n = (uint32_t)(ranges.n / sizeof *d->ranges);
	return r;
}

/* --- reading ----------------------------------------------------------------------------------------------- */

/* What each thread has. */
struct worker {
	struct job *j;
	uint8_t *buffer; /* [UNIT] */
	int fd;
	uint32_t shard; /* the one that FD is */
	struct source src;
};

/* Has W read SHARD. */
static bool open_shard(struct worker *w, uint32_t shard)
{
	struct err e = {0};

	if (w->fd >= 0 && w->shard == shard)
		return true;
	closep(&w->fd);
	w->fd = step_open_shard(w->j->s, w->j->dirfd, shard, &e);
	if (w->fd < 0) {
		job_stop(w->j, &e);
		return false;
	}
	w->shard = shard;
	w->src = (struct source){.fd = w->fd, .size = w->j->s->shards[shard].id.size};
	return true;
}

/* Takes the next ranges to be read: from FROM to before TO, which follow on each other and have UNIT bytes at most.
 * False: all are taken. */
static bool take_unit(struct data *d, uint32_t *from, uint32_t *to)
{
	const struct range *at = d->ranges;
	uint32_t i, len = 0;

	pthread_mutex_lock(&d->lock);
	*from = i = d->next_range;
	while (i < d->n && len + at[i].len <= UNIT &&
	       (i == *from ||
		(at[i].shard == at[i - 1].shard && at[i].off == at[i - 1].off + at[i - 1].len)))
		len += at[i++].len;
	*to = d->next_range = i;
	pthread_mutex_unlock(&d->lock);
	return *from < *to;
}

static void read_unit(struct worker *w, struct range *first, const struct range *last)
{
	uint64_t len = last->off + last->len - first->off;
	int r = source_read_into(&w->src, first->off, w->buffer, len, NULL);

	for (struct range *at = first; at <= last; at++) {
		uint8_t *p = w->buffer + (at->off - first->off);

		if (r < 0) /* which of them is it? */
			at->status = source_read_into(&w->src, at->off, p, at->len, NULL);
		if (at->status == 0)
			at->crc = crc32c(p, at->len);
		job_saw(w->j, at->len);
	}
}

static void read_units(struct worker *w, struct data *d)
{
	uint32_t from, to;

	while (!job_stopped(w->j) && take_unit(d, &from, &to)) {
		struct range *first = &d->ranges[from];
		bool new = w->fd < 0 || w->shard != first->shard;

		if (!open_shard(w, first->shard))
			return;
		posix_fadvise(w->fd, (off_t)first->off + (new ? 0 : AHEAD),
			      new ? AHEAD + UNIT : UNIT, POSIX_FADV_WILLNEED);
		read_unit(w, first, &d->ranges[to - 1]);
	}
}

static void check_other(struct worker *w, uint32_t var)
{
	const struct var *v = &w->j->s->vars[var];
	struct values_place at = {
		.off = v->off,
		.size = v->size,
		.n = var_count(w->j->s, v),
		.big_endian = w->j->s->big_endian,
		.check = true,
		.crc = v->crc,
	};
	struct err why = {0};
	int r = v->dtype == DTYPE_STRING ? strings_check(&w->src, &at, &why)
					 : variants_check(&w->src, &at, &why);

	if (r == -ENOMEM) {
		job_stop(w->j, &why);
	} else if (r < 0) {
		err_wrap(&why, r, "%" PRIu64 " bytes at %" PRIu64, v->size, v->off);
		job_fail_in_shard(w->j, var, &why);
	}
	job_saw(w->j, v->size);
}

static void read_data(struct job *j, void *arg)
{
	struct data *d = arg;
	struct worker w = {.j = j, .buffer = malloc(UNIT), .fd = -1};
	struct err e = {0};

	if (!w.buffer) {
		err_set(&e, -ENOMEM, "no memory for %d bytes", UNIT);
		job_stop(j, &e);
		return;
	}
	read_units(&w, d);
	for (uint32_t i; (i = d->next_other++) < d->n_others && !job_stopped(j);)
		if (open_shard(&w, j->s->vars[d->others[i]].shard))
			check_other(&w, d->others[i]);
	closep(&w.fd);
	free(w.buffer);
}

/* --- strings and variants ---------------------------------------------------------------------------------- */

static int compare_places(const void *a, const void *b, void *step)
{
	const struct step *s = step;
	const struct var *x = &s->vars[*(const uint32_t *)a], *y = &s->vars[*(const uint32_t *)b];

	if (x->shard != y->shard)
		return x->shard < y->shard ? -1 : 1;
	return (x->off > y->off) - (x->off < y->off);
}

/* Fails those variables, and drops them, for which a shard would be read more than MAX_OVERLAP times. */
static void limit_overlap(struct job *j, struct data *d)
{
	uint32_t shard = 0, kept = 0;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < d->n_others; i++) {
		const struct var *v = &j->s->vars[d->others[i]];
		struct err why;

		if (v->shard != shard)
			sum = 0;
		shard = v->shard;
		sum += v->size;
		if (sum / MAX_OVERLAP <= j->s->shards[shard].id.size) {
			d->others[kept++] = d->others[i];
			continue;
		}
		err_set(&why, -EUCLEAN, "not verified: its bytes are those of too many others");
		job_fail(j, d->others[i], &why);
		sum -= v->size;
	}
	d->n_others = kept;
}

static int gather_others(struct job *j, struct data *d)
{
	d->others = calloc(j->s->n_vars + (size_t)1, sizeof *d->others);
	if (!d->others)
		return -ENOMEM;
	for (uint32_t i = 0; i < j->s->n_vars; i++)
		if (!is_raw(&j->s->vars[i]) && job_can_read(j, &j->s->vars[i]))
			d->others[d->n_others++] = i;
	qsort_r(d->others, d->n_others, sizeof *d->others, compare_places, j->s);
	limit_overlap(j, d);
	return 0;
}

/* --- comparing --------------------------------------------------------------------------------------------- */

/* The first range at or behind POS of SHARD; that may be one of a later shard, or be behind the last. */
static uint32_t find_range(const struct data *d, uint32_t shard, uint64_t pos)
{
	const struct range *ranges = d->ranges;
	uint32_t lo = 0, hi = d->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (ranges[mid].shard < shard ||
		    (ranges[mid].shard == shard && ranges[mid].off < pos))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void find_failed(struct data *d)
{
	uint32_t failed = d->n;

	for (uint32_t i = d->n; i-- > 0;) {
		failed = d->ranges[i].status < 0 ? i : failed;
		d->ranges[i].failed = failed;
	}
}

/* Not done without need: most steps have only entries of one range, and to combine a million checksums takes
 * seconds. */
static void sum_up(struct data *d)
{
	uint32_t crc = 0;

	for (uint32_t i = 0; i < d->n && !d->is_summed; i++)
		d->ranges[i].running = crc =
			crc32c_combine(crc, d->ranges[i].crc, d->ranges[i].len);
	d->is_summed = true;
}

/* The checksum of V, which is the ranges FROM to before TO. */
static uint32_t crc_of(struct data *d, const struct var *v, uint32_t from, uint32_t to)
{
	const struct range *ranges = d->ranges;

	if (from == to)
		return 0;
	if (to - from == 1)
		return ranges[from].crc;
	sum_up(d);
	return crc32c_combine(from ? ranges[from - 1].running : 0, ranges[to - 1].running, v->size);
}

static void compare_var(struct job *j, struct data *d, uint32_t var)
{
	const struct var *v = &j->s->vars[var];
	uint32_t from = find_range(d, v->shard, v->off);
	uint32_t to = v->size ? find_range(d, v->shard, v->off + v->size) : from;
	struct err why;
	uint32_t crc;

	if (from < to && d->ranges[from].failed < to) {
		const struct range *bad = &d->ranges[d->ranges[from].failed];

		err_sys(&why, bad->status, "reading %" PRIu32 " bytes at %" PRIu64, bad->len,
			bad->off);
		job_fail_in_shard(j, var, &why);
		return;
	}
	crc = crc_of(d, v, from, to);
	if (crc == v->crc)
		return;
	err_set(&why, -EBADMSG,
		"crc32c of %" PRIu64 " bytes at %" PRIu64 " is %08" PRIx32 ", recorded %08" PRIx32,
		v->size, v->off, crc, v->crc);
	job_fail_in_shard(j, var, &why);
}

static uint64_t count_bytes(const struct job *j, const struct data *d)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < d->n; i++)
		sum += d->ranges[i].len;
	for (uint32_t i = 0; i < d->n_others; i++)
		sum += j->s->vars[d->others[i]].size;
	return sum;
}

void check_bundle_data(struct job *j)
{
	struct data d = {.lock = PTHREAD_MUTEX_INITIALIZER};
	struct err e = {0};
	int r = cut_ranges(j, &d);

	if (r == 0)
		r = gather_others(j, &d);
	if (r < 0) {
		err_sys(&e, r, "%" PRIu32 " variables", j->s->n_vars);
		job_stop(j, &e);
	} else {
		job_run(j, read_data, &d);
		find_failed(&d);
		for (uint32_t i = 0; i < j->s->n_vars && !job_stopped(j); i++)
			if (is_raw(&j->s->vars[i]) && job_can_read(j, &j->s->vars[i]))
				compare_var(j, &d, i);
		j->out->bytes += count_bytes(j, &d);
	}
	free(d.ranges);
	free(d.others);
}

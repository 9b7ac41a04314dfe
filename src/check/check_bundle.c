/* src/check/check_bundle.c: the stored bytes of a V2 step against their checksums.
 *
 * Variables may share bytes, and a hostile index may have a million entries over the same gigabytes. So the bytes that any
 * entry covers are cut where some entry starts or ends, and at 1 MiB: the ranges. Each is read once; the checksum of an entry
 * is made from those of the ranges that it is made of:
 *     crc(A B) = combine(crc A, crc B), which is linear, hence crc B = combine(crc A, crc(A B)).
 * So with the checksum of all ranges up to each, that of any run of them takes one step.
 * Strings and variants have checksums that are not those of their bytes, and are read by themselves. */
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "check/check_job.h"
#include "format/dtype.h"
#include "format/string_tensor.h"
#include "format/variant_tensor.h"
#include <fcntl.h>
#include <inttypes.h>

enum {
	UNIT = 1 << 20, /* what is read at once */
	AHEAD = 16 << 20, /* how far the kernel reads ahead of us */
	MAX_OVERLAP = 4, /* strings may cover a shard that many times */
};

struct range {
	uint64_t off;
	uint32_t len, shard, crc;
	int status; /* 0, or why it could not be read */
};

/* Ranges that are read at once. */
struct unit {
	uint32_t first, n;
};

/* The ranges before one. */
struct sum {
	uint32_t crc, failed;
};

struct data {
	struct buf ranges, units; /* sorted by shard and place */
	struct buf others; /* uint32_t: strings and variants, so too */
	struct sum *sums; /* [n_ranges + 1], once there is need of them */
	_Atomic uint32_t next_unit, next_other;
};

static void data_release(struct data *d)
{
	buf_release(&d->ranges);
	buf_release(&d->units);
	buf_release(&d->others);
	free(d->sums);
}

static struct range *ranges_of(const struct data *d, uint32_t *n)
{
	*n = (uint32_t)(d->ranges.n / sizeof(struct range));
	return (struct range *)d->ranges.p;
}

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

static int add_ranges(struct data *d, uint32_t shard, uint64_t from, uint64_t to)
{
	int r = 0;

	while (from < to && r == 0) {
		struct range range = {.off = from, .shard = shard};

		range.len = to - from < UNIT ? (uint32_t)(to - from) : UNIT;
		r = d->ranges.n / sizeof range < UINT32_MAX
			    ? buf_add(&d->ranges, &range, sizeof range)
			    : -E2BIG;
		from += range.len;
	}
	return r;
}

static int cut_ranges(struct job *j, struct data *d)
{
	CLEANUP(buf_release) struct buf edges = {0};
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
			r = add_ranges(d, at[i].shard, at[i].pos, at[i + 1].pos);
	}
	return r;
}

static int gather_units(struct data *d)
{
	struct unit unit = {0};
	uint32_t n, len = 0;
	const struct range *ranges = ranges_of(d, &n);
	int r = 0;

	for (uint32_t i = 0; i < n && r == 0; i++) {
		bool joins = unit.n && ranges[i].shard == ranges[i - 1].shard &&
			     ranges[i].off == ranges[i - 1].off + ranges[i - 1].len &&
			     len + ranges[i].len <= UNIT;

		if (!joins && unit.n)
			r = buf_add(&d->units, &unit, sizeof unit);
		if (!joins) {
			unit = (struct unit){i, 0};
			len = 0;
		}
		unit.n++;
		len += ranges[i].len;
	}
	return r == 0 && unit.n ? buf_add(&d->units, &unit, sizeof unit) : r;
}

/* --- reading ----------------------------------------------------------------------------------------------- */

/* A thread's own. */
struct worker {
	struct job *j;
	uint8_t *buffer; /* [UNIT] */
	int fd;
	uint32_t shard; /* that fd has open */
	struct source src;
};

/* Makes SRC the shard. */
static bool open_shard(struct worker *r, uint32_t shard)
{
	struct err e = {0};

	if (r->fd >= 0 && r->shard == shard)
		return true;
	closep(&r->fd);
	r->fd = step_open_shard(r->j->s, r->j->dirfd, shard, &e);
	if (r->fd < 0) {
		job_stop(r->j, &e);
		return false;
	}
	r->shard = shard;
	r->src = (struct source){.fd = r->fd, .size = r->j->s->shards[shard].id.size};
	return true;
}

static void read_unit(struct worker *r, struct range *ranges, const struct unit *unit)
{
	struct range *first = &ranges[unit->first], *last = first + unit->n - 1;
	uint64_t len = last->off + last->len - first->off;
	int err = source_read_into(&r->src, first->off, r->buffer, len, NULL);

	for (struct range *at = first; at <= last; at++) {
		uint8_t *p = r->buffer + (at->off - first->off);

		if (err < 0) /* which of them is it? */
			at->status = source_read_into(&r->src, at->off, p, at->len, NULL);
		if (at->status == 0)
			at->crc = crc32c(p, at->len);
		job_saw(r->j, at->len);
	}
}

static void read_units(struct worker *r, struct data *d)
{
	uint32_t n, n_units = (uint32_t)(d->units.n / sizeof(struct unit));
	const struct unit *units = (struct unit *)d->units.p;
	struct range *ranges = ranges_of(d, &n);

	for (uint32_t i; (i = d->next_unit++) < n_units && !job_stopped(r->j);) {
		const struct range *first = &ranges[units[i].first];
		bool new = r->fd < 0 || r->shard != first->shard;

		if (!open_shard(r, first->shard))
			return;
		posix_fadvise(r->fd, (off_t)first->off + (new ? 0 : AHEAD),
			      new ? AHEAD + UNIT : UNIT, POSIX_FADV_WILLNEED);
		read_unit(r, ranges, &units[i]);
	}
}

static void check_other(struct worker *r, uint32_t var)
{
	const struct var *v = &r->j->s->vars[var];
	struct strings_place at = {
		.off = v->off,
		.size = v->size,
		.n = var_count(r->j->s, v),
		.big_endian = r->j->s->big_endian,
		.check = true,
		.crc = v->crc,
	};
	struct variants_place variants = {at.off, at.size, at.n, at.big_endian, at.crc};
	struct err why = {0};
	int err = v->dtype == DTYPE_STRING ? strings_check(&r->src, &at, &why)
					   : variants_check(&r->src, &variants, &why);

	if (err == -ENOMEM) {
		job_stop(r->j, &why);
	} else if (err < 0) {
		CLEANUP(buf_release) struct buf file = {0};

		step_shard_file(r->j->s, v->shard, &file);
		err_wrap(&why, err, "%.*s: %" PRIu64 " bytes at %" PRIu64, (int)file.n,
			 (char *)file.p, v->size, v->off);
		job_fail(r->j, var, &why);
	}
	job_saw(r->j, v->size);
}

static void read_data(struct job *j, void *arg)
{
	struct data *d = arg;
	struct worker r = {.j = j, .buffer = malloc(UNIT), .fd = -1};
	const uint32_t *others = (uint32_t *)d->others.p;
	uint32_t n_others = (uint32_t)(d->others.n / sizeof *others);
	struct err e = {0};

	if (!r.buffer) {
		err_set(&e, -ENOMEM, "no memory for %d bytes", UNIT);
		job_stop(j, &e);
		return;
	}
	read_units(&r, d);
	for (uint32_t i; (i = d->next_other++) < n_others && !job_stopped(j);)
		if (open_shard(&r, j->s->vars[others[i]].shard))
			check_other(&r, others[i]);
	closep(&r.fd);
	free(r.buffer);
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

/* Fails those that would have a shard read more than MAX_OVERLAP times, and drops them. */
static void limit_overlap(struct job *j, struct data *d)
{
	uint32_t *others = (uint32_t *)d->others.p, shard = 0;
	size_t n = d->others.n / sizeof *others, kept = 0;
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++) {
		const struct var *v = &j->s->vars[others[i]];
		struct err why;

		if (v->shard != shard)
			sum = 0;
		shard = v->shard;
		sum += v->size;
		if (sum / MAX_OVERLAP <= j->s->shards[shard].id.size) {
			others[kept++] = others[i];
			continue;
		}
		err_set(&why, -EUCLEAN, "not verified: its bytes are those of too many others");
		job_fail(j, others[i], &why);
		sum -= v->size;
	}
	d->others.n = kept * sizeof *others;
}

static int gather_others(struct job *j, struct data *d)
{
	int r = 0;

	for (uint32_t i = 0; i < j->s->n_vars && r == 0; i++)
		if (!is_raw(&j->s->vars[i]) && job_can_read(j, &j->s->vars[i]))
			r = buf_add(&d->others, &i, sizeof i);
	if (r < 0 || !d->others.n)
		return r;
	qsort_r(d->others.p, d->others.n / sizeof(uint32_t), sizeof(uint32_t), compare_places,
		j->s);
	limit_overlap(j, d);
	return 0;
}

/* --- comparing --------------------------------------------------------------------------------------------- */

/* The range that starts at V's first byte. */
static uint32_t find_range(const struct range *ranges, uint32_t n, const struct var *v)
{
	uint32_t lo = 0, hi = n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (ranges[mid].shard < v->shard ||
		    (ranges[mid].shard == v->shard && ranges[mid].off < v->off))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool make_sums(struct data *d)
{
	uint32_t n;
	const struct range *ranges = ranges_of(d, &n);
	struct sum *sums = calloc((size_t)n + 1, sizeof *sums);

	for (uint32_t i = 0; sums && i < n; i++) {
		sums[i + 1].crc = crc32c_combine(sums[i].crc, ranges[i].crc, ranges[i].len);
		sums[i + 1].failed = sums[i].failed + (ranges[i].status < 0);
	}
	d->sums = sums;
	return sums != NULL;
}

/* The range behind the last of V's, whose first is FROM. */
static uint32_t find_end(const struct range *ranges, uint32_t n, uint32_t from, const struct var *v)
{
	uint32_t lo = from, hi = n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (ranges[mid].shard == v->shard && ranges[mid].off < v->off + v->size)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The first range from FROM on that could not be read. */
static uint32_t find_failed(const struct sum *sums, uint32_t from, uint32_t to)
{
	uint32_t lo = from, hi = to;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (sums[mid + 1].failed > sums[from].failed)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

static void compare(struct job *j, uint32_t var, uint32_t have, const struct range *failed)
{
	CLEANUP(buf_release) struct buf file = {0};
	const struct var *v = &j->s->vars[var];
	struct err why;

	if (!failed && have == v->crc)
		return;
	step_shard_file(j->s, v->shard, &file);
	if (failed)
		err_sys(&why, failed->status, "%.*s: reading %" PRIu32 " bytes at %" PRIu64,
			(int)file.n, (char *)file.p, failed->len, failed->off);
	else
		err_set(&why, -EBADMSG,
			"%.*s: crc32c of %" PRIu64 " bytes at %" PRIu64 " is %08" PRIx32
			", recorded %08" PRIx32,
			(int)file.n, (char *)file.p, v->size, v->off, have, v->crc);
	job_fail(j, var, &why);
}

static void compare_var(struct job *j, struct data *d, uint32_t var)
{
	const struct var *v = &j->s->vars[var];
	uint32_t n, from, to, bad;
	const struct range *ranges = ranges_of(d, &n);

	if (!v->size) {
		compare(j, var, 0, NULL); /* nothing is to be read, but its checksum can be wrong */
		return;
	}
	from = find_range(ranges, n, v);
	if (ranges[from].len == v->size) {
		compare(j, var, ranges[from].crc, ranges[from].status ? &ranges[from] : NULL);
		return;
	}
	if (!d->sums && !make_sums(d)) {
		struct err e = {0};

		err_set(&e, -ENOMEM, "no memory for %" PRIu32 " checksums", n);
		job_stop(j, &e);
		return;
	}
	to = find_end(ranges, n, from, v);
	bad = find_failed(d->sums, from, to);
	compare(j, var, crc32c_combine(d->sums[from].crc, d->sums[to].crc, v->size),
		bad < to ? &ranges[bad] : NULL);
}

static uint64_t count_bytes(const struct job *j, const struct data *d)
{
	const uint32_t *others = (uint32_t *)d->others.p;
	uint32_t n;
	const struct range *ranges = ranges_of(d, &n);
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += ranges[i].len;
	for (size_t i = 0; i < d->others.n / sizeof *others; i++)
		sum += j->s->vars[others[i]].size;
	return sum;
}

void check_bundle_data(struct job *j)
{
	CLEANUP(data_release) struct data d = {0};
	struct err e = {0};
	int r = cut_ranges(j, &d);

	if (r == 0)
		r = gather_units(&d);
	if (r == 0)
		r = gather_others(j, &d);
	if (r < 0) {
		err_sys(&e, r, "%" PRIu32 " variables", j->s->n_vars);
		job_stop(j, &e);
		return;
	}
	job_run(j, read_data, &d);
	for (uint32_t i = 0; i < j->s->n_vars && !job_stopped(j); i++)
		if (is_raw(&j->s->vars[i]) && job_can_read(j, &j->s->vars[i]))
			compare_var(j, &d, i);
	j->out->bytes += count_bytes(j, &d);
}

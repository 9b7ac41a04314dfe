#include "step/stats.h"
#include "base/cleanup.h"
#include "base/threads.h"
#include "format/dtype.h"
#include "step/sums.h"
#include <math.h>

enum { PIECE = 1 << 20 }; /* bytes, at the most */

/* An array of numbers, in a tensor or in a file. */
struct values {
	const struct tensor *t; /* or NULL */
	const struct source *src; /* without a tensor: the array is at OFF */
	uint64_t off, size;
	int dtype;
	bool big_endian;
};

/* One array that several threads read. */
struct reading {
	const struct values *a;
	const struct stop *stop;
	size_t piece; /* bytes; a multiple of every element's size */
	size_t n_codes; /* 0: values are added; else it is counted how often each code is there */
	struct sums sums;
	uint64_t *codes; /* [n_codes] */
};

/* What each thread has. */
struct scratch {
	struct sums sums; /* of a piece */
	uint64_t *codes; /* NULL: it has counted none */
	uint8_t bytes[];
};

static size_t item_of(const struct values *a)
{
	return dtype_info(a->dtype)->item;
}

/* Of many elements of one or two bytes: how many codes they have. */
static size_t n_codes(const struct values *a)
{
	size_t codes = item_of(a) > 2 ? 0 : (size_t)1 << 8 * item_of(a);

	return a->size / item_of(a) < codes / 4 ? 0 : codes;
}

/* Four tables take turns. With one, a byte that comes again at once would wait until its count is stored. */
static void count_bytes(const uint8_t *p, size_t n, uint64_t *codes)
{
	uint32_t tables[4][256] = {{0}};
	size_t i = 0;

	for (; i + 4 <= n; i += 4) {
		tables[0][p[i]]++;
		tables[1][p[i + 1]]++;
		tables[2][p[i + 2]]++;
		tables[3][p[i + 3]]++;
	}
	for (; i < n; i++)
		tables[0][p[i]]++;
	for (size_t c = 0; c < 256; c++)
		codes[c] += (uint64_t)tables[0][c] + tables[1][c] + tables[2][c] + tables[3][c];
}

static void count_codes(const struct values *a, const uint8_t *p, size_t n, uint64_t *codes)
{
	uint16_t code;

	if (item_of(a) == 1) {
		count_bytes(p, n, codes);
		return;
	}
	for (size_t i = 0; i + 2 <= n; i += 2) {
		memcpy(&code, p + i, sizeof code);
		codes[code]++;
	}
}

static int read_piece(void *arg, uint64_t i, void *scratch, struct err *e)
{
	const struct reading *rd = arg;
	const struct values *a = rd->a;
	struct scratch *own = scratch;
	uint64_t off = i * rd->piece;
	size_t n = a->size - off < rd->piece ? (size_t)(a->size - off) : rd->piece;
	int r;

	if (rd->stop && rd->stop->asked && rd->stop->asked(rd->stop->arg))
		return err_set(e, -EINTR, "interrupted");
	if (rd->n_codes && !own->codes)
		own->codes = calloc(rd->n_codes, sizeof *own->codes);
	if (rd->n_codes && !own->codes)
		return err_set(e, -ENOMEM, "no memory");
	r = a->t ? tensor_read(a->t, off, n, own->bytes, e)
		 : source_read_into(a->src, a->off + off, own->bytes, n, e);
	if (r < 0)
		return r;
	if (rd->stop && rd->stop->seen)
		*rd->stop->seen += n;
	own->sums = (struct sums){0};
	if (rd->n_codes)
		count_codes(a, own->bytes, n, own->codes);
	else
		sums_add_elements(&own->sums, a->dtype, a->big_endian, own->bytes, n / item_of(a));
	return 0;
}

static int add_piece(void *arg, uint64_t i, void *scratch, struct err *e)
{
	struct reading *rd = arg;

	(void)i;
	(void)e;
	sums_add(&rd->sums, &((struct scratch *)scratch)->sums);
	return 0;
}

static void add_codes(void *arg, void *scratch)
{
	struct reading *rd = arg;
	struct scratch *own = scratch;

	for (size_t i = 0; own->codes && i < rd->n_codes; i++)
		rd->codes[i] += own->codes[i];
	free(own->codes);
}

static int read_pieces(struct reading *rd, struct err *e)
{
	const struct pieces p = {
		.n = (rd->a->size + rd->piece - 1) / rd->piece,
		.scratch = sizeof(struct scratch) + rd->piece,
		.work = read_piece,
		.take = rd->n_codes ? NULL : add_piece,
		.end = add_codes,
		.arg = rd,
	};

	return pieces_run(&p, e);
}

static int read_values(const struct values *a, const struct stop *stop, struct stats *out,
		       struct err *e)
{
	CLEANUP(freep) uint64_t *codes = calloc(n_codes(a) + 1, sizeof *codes);
	struct reading rd = {.a = a,
			     .stop = stop,
			     .piece = a->size && a->size < PIECE ? (size_t)a->size : PIECE,
			     .n_codes = n_codes(a),
			     .codes = codes};
	struct sums *s = &rd.sums;
	int r = codes ? read_pieces(&rd, e) : err_set(e, -ENOMEM, "no memory");

	if (r < 0)
		return r;
	for (size_t i = 0; i < rd.n_codes; i++)
		if (codes[i])
			sums_add_value(s, sums_value(a->dtype, a->big_endian, (uint16_t)i),
				       codes[i]);
	*out = (struct stats){
		.count = s->count,
		.zeros = s->zeros,
		.nans = s->nans,
		.infs = s->infs,
		.mean = s->mean,
		.std = s->n ? sqrt(s->m2 / (double)s->n) : 0,
		.min = s->min,
		.max = s->max,
		.norm = sqrt(s->squares),
	};
	return 0;
}

static int check_numbers(int dtype, struct err *e)
{
	const struct dtype_info *type = dtype_info(dtype);

	return type->real.kind == REAL_NONE
		       ? err_set(e, -ENODATA, "%s has no real numbers", type->name)
		       : 0;
}

int stats_of(struct step *s, const struct var *v, int dirfd, const struct stop *stop,
	     struct stats *out, struct err *e)
{
	struct values a = {.dtype = v->dtype, .big_endian = s->big_endian};
	struct tensor_shape shape;
	struct tensor *t;
	int r;

	if (v->kind == VAR_BAD)
		return step_check(s, v, dirfd, e);
	r = check_numbers(v->dtype, e);
	if (r == 0)
		r = tensor_open(s, v, dirfd, &t, e);
	if (r < 0)
		return r;
	r = tensor_shape(s, v, dirfd, &shape, e);
	a.t = t;
	a.size = shape.size;
	if (r == 0)
		r = read_values(&a, stop, out, e);
	tensor_close(t);
	return r;
}

int stats_of_file(const struct source *src, const struct npy *npy, const struct stop *stop,
		  struct stats *out, struct err *e)
{
	const struct values a = {.src = src,
				 .off = npy->data,
				 .size = npy->size,
				 .dtype = npy->dtype,
				 .big_endian = npy->big_endian};
	int r = check_numbers(npy->dtype, e);

	return r < 0 ? r : read_values(&a, stop, out, e);
}

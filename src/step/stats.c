#include "step/stats.h"
#include "base/cleanup.h"
#include "format/dtype.h"
#include "step/sums.h"
#include <math.h>

enum {
	PIECE = 1 << 20, /* bytes; a multiple of every element's size */
	MAX_THREADS = 63, /* besides the caller's */
};

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
	_Atomic uint64_t next; /* where the next piece begins */
	atomic_bool ended; /* somebody has failed */
	pthread_mutex_t lock;
	int status; /* under lock, as all below */
	struct err why;
	struct sums sums;
	uint64_t *codes; /* of small types: how often each was seen */
};

static size_t item_of(const struct values *a)
{
	return dtype_info(a->dtype)->item;
}

/* How many codes a small type has: one of one or two bytes. 0 for others. */
static size_t n_codes(const struct values *a)
{
	return item_of(a) > 2 ? 0 : (size_t)1 << 8 * item_of(a);
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

static void fail(struct reading *rd, int r, const struct err *why)
{
	pthread_mutex_lock(&rd->lock);
	if (rd->status == 0) {
		rd->status = r;
		rd->why = *why;
	}
	pthread_mutex_unlock(&rd->lock);
	rd->ended = true;
}

/* Reads pieces that no other thread reads, until there are none left. */
static int read_pieces(struct reading *rd, uint8_t *piece, struct sums *sums, uint64_t *codes,
		       struct err *e)
{
	const struct values *a = rd->a;
	uint64_t off;
	int r = 0;

	while (r == 0 && !rd->ended && (off = atomic_fetch_add(&rd->next, PIECE)) < a->size) {
		size_t n = a->size - off < PIECE ? (size_t)(a->size - off) : PIECE;

		if (rd->stop && rd->stop->asked(rd->stop->arg))
			return err_set(e, -EINTR, "interrupted");
		r = a->t ? tensor_read(a->t, off, n, piece, e)
			 : source_read_into(a->src, a->off + off, piece, n, e);
		if (r == 0 && codes)
			count_codes(a, piece, n, codes);
		else if (r == 0)
			sums_add_elements(sums, a->dtype, a->big_endian, piece, n / item_of(a));
	}
	return r;
}

static void *run_thread(void *arg)
{
	struct reading *rd = arg;
	CLEANUP(freep) uint8_t *piece = malloc(PIECE);
	CLEANUP(freep) uint64_t *codes = calloc(n_codes(rd->a) + 1, sizeof *codes);
	struct sums sums = {0};
	struct err why = {0};
	int r = piece && codes ? 0 : err_set(&why, -ENOMEM, "no memory");

	if (r == 0)
		r = read_pieces(rd, piece, &sums, n_codes(rd->a) ? codes : NULL, &why);
	if (r < 0) {
		fail(rd, r, &why);
		return NULL;
	}
	pthread_mutex_lock(&rd->lock);
	sums_add(&rd->sums, &sums);
	for (size_t i = 0; i < n_codes(rd->a); i++)
		rd->codes[i] += codes[i];
	pthread_mutex_unlock(&rd->lock);
	return NULL;
}

/* Starts no more threads than there are cores or pieces. If one can't be started the others do its work. */
static void run_threads(struct reading *rd)
{
	pthread_t threads[MAX_THREADS];
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t pieces = rd->a->size / PIECE;
	int n = 0;

	while (n < MAX_THREADS && n + 1 < cores && (uint64_t)n < pieces &&
	       pthread_create(&threads[n], NULL, run_thread, rd) == 0)
		n++;
	run_thread(rd);
	while (n > 0)
		pthread_join(threads[--n], NULL);
}

static int read_values(const struct values *a, const struct stop *stop, struct stats *out,
		       struct err *e)
{
	CLEANUP(freep) uint64_t *codes = calloc(n_codes(a) + 1, sizeof *codes);
	struct reading rd = {.a = a, .stop = stop, .codes = codes};
	struct sums *s = &rd.sums;

	if (!codes)
		return err_set(e, -ENOMEM, "no memory");
	pthread_mutex_init(&rd.lock, NULL);
	run_threads(&rd);
	pthread_mutex_destroy(&rd.lock);
	if (rd.status < 0 && e)
		*e = rd.why;
	if (rd.status < 0)
		return rd.status;
	for (size_t i = 0; i < n_codes(a); i++)
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

#include "make/blend.h"
#include "base/cleanup.h"
#include "base/threads.h"
#include "format/dtype.h"
#include "step/sums.h"
#include "tool/array.h"
#include "tool/convert.h"
#include <fcntl.h>

/* Numbers of a piece, and those of which the values are worked out at a time; a complex one is two of them. */
enum { PIECE = 1 << 16, BLOCK = 1024 };

/* --- steps -------------------------------------------------------------------------------------------------------- */

int blend_find(struct places *ps, char **paths, size_t n, struct place *out, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		int r = place_find(ps, paths[i], WISH_SCOPE, &out[i], e);

		if (r < 0)
			return r;
		if (out[i].kind != PLACE_STEP)
			return err_set(e, -EINVAL, "%s: is no step", paths[i]);
		if (out[i].loaded->step->object_based != out[0].loaded->step->object_based)
			return err_set(e, -EINVAL,
				       "%s and %s: only one of them has an object graph, so their "
				       "variables have names of different kinds",
				       paths[0], paths[i]);
	}
	return 0;
}

int blend_begin(struct new_step *to, const struct place *beside, const char *name, struct err *e)
{
	int fd;

	if (strchr(name, '/'))
		return err_set(e, -EINVAL, "%s: expected the name of a step, without a directory",
			       name);
	fd = fcntl(beside->dirfd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? err_sys(e, -errno, "dup") : new_step_begin(to, fd, name, e);
}

int blend_copy_texts(struct new_step *to, const struct place *from, struct err *e)
{
	static const enum text_kind kinds[] = {TEXT_META_GRAPH, TEXT_DEBUG_INFO};
	int r = 0;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds && r == 0; i++) {
		struct place text = *from;

		text.kind = PLACE_TEXT;
		text.at = kinds[i];
		if (from->loaded->texts.there[kinds[i]])
			r = new_step_copy(to, &text, e);
	}
	return r;
}

/* --- numbers ------------------------------------------------------------------------------------------------------ */

/* A complex number is two of these. */
static int part_of(int dtype)
{
	return dtype == DTYPE_COMPLEX64    ? DTYPE_FLOAT
	       : dtype == DTYPE_COMPLEX128 ? DTYPE_DOUBLE
					   : dtype;
}

bool blend_has_mean(int dtype)
{
	const struct dtype_info *part = dtype_info(part_of(dtype));

	return part && part->real.kind == REAL_FLOAT;
}

struct mixer {
	struct array *arrays;
	size_t n;
	int dtype; /* of what is made */
	size_t parts; /* numbers of an element */
	size_t elements; /* of a piece */
	struct put_file to;
	_Atomic uint64_t *seen;
};

static size_t piece_elements(const struct mixer *m, uint64_t piece)
{
	return pieces_part(m->arrays->count, m->elements, piece);
}

/* A thread's own: the sums, and behind them the bytes of one array. */
static uint8_t *bytes_in(const struct mixer *m, double *own)
{
	return (uint8_t *)(own + m->elements * m->parts);
}

/* The N numbers of A at P are added to SUM; those of the FIRST array begin it. */
static void add_numbers(const struct array *a, bool first, const uint8_t *p, size_t n, double *sum)
{
	int dtype = part_of(a->var->dtype);
	double one[BLOCK];

	for (size_t at = 0; at < n; at += BLOCK) {
		size_t some = n - at < BLOCK ? n - at : BLOCK;
		double *to = first ? sum + at : one;

		sums_values(dtype, a->step->big_endian, p + at * dtype_info(dtype)->item, some, to);
		for (size_t i = 0; !first && i < some; i++)
			sum[at + i] += one[i];
	}
}

static int mix_piece(void *arg, uint64_t piece, void *scratch, struct err *e)
{
	const struct mixer *m = arg;
	double *sum = scratch;
	uint8_t *bytes = bytes_in(m, scratch);
	size_t n = piece_elements(m, piece), numbers = n * m->parts;

	for (size_t k = 0; k < m->n; k++) {
		const struct array *a = &m->arrays[k];
		int r = array_get(a, piece * m->elements, n, bytes, e);

		if (r < 0)
			return r;
		*m->seen += n * array_item(a);
		add_numbers(a, k == 0, bytes, numbers, sum);
	}
	for (size_t i = 0; m->n > 1 && i < numbers; i++)
		sum[i] /= (double)m->n;
	convert_to(part_of(m->dtype), sum, numbers, bytes);
	return 0;
}

static int put_piece(void *arg, uint64_t piece, void *scratch, struct err *e)
{
	struct mixer *m = arg;
	size_t size = piece_elements(m, piece) * m->parts * dtype_info(part_of(m->dtype))->item;

	return put_bytes(&m->to, bytes_of(bytes_in(m, scratch), size), e);
}

static int mix_all(struct mixer *m, struct err *e)
{
	const struct array *a = m->arrays;
	struct pieces p = {.work = mix_piece, .take = put_piece, .arg = m};

	m->parts = array_item(a) / dtype_info(part_of(a->var->dtype))->item;
	m->elements = PIECE / m->parts;
	if (m->elements > a->count)
		m->elements = a->count ? (size_t)a->count : 1;
	p.n = pieces_count(a->count, m->elements);
	p.scratch = 2 * m->elements * m->parts * sizeof(double);
	return pieces_run(&p, e);
}

static int open_all(struct mixer *m, const struct place *from, size_t n, struct err *e)
{
	int r = 0;

	while (m->n < n && r == 0) {
		r = array_open(&from[m->n], &m->arrays[m->n], e);
		m->n += r == 0;
	}
	return r;
}

int blend(struct new_step *to, const struct place *from, size_t n, int dtype,
	  _Atomic uint64_t *seen, struct err *e)
{
	CLEANUP(freep) struct array *arrays = calloc(n, sizeof *arrays);
	struct mixer m = {.arrays = arrays, .dtype = dtype, .seen = seen};
	const struct var *v = place_var(from);
	int r = arrays ? open_all(&m, from, n, e) : err_set(e, -ENOMEM, "no memory");

	if (r == 0)
		r = put_begin_array(&to->put, blend_stem(from, from->at), dtype, v->rank,
				    var_dims(from->loaded->step, v), &m.to, e);
	if (r == 0)
		r = put_end(&m.to, mix_all(&m, e), e);
	while (m.n)
		array_close(&arrays[--m.n]);
	return r;
}

#include "make/blend.h"
#include "base/cleanup.h"
#include "format/dtype.h"
#include "step/sums.h"
#include "tool/array.h"
#include "tool/convert.h"
#include <fcntl.h>

/* Numbers of a piece. */
enum { PIECE = 1 << 16 };

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

bool blend_is_like(const struct place *a, const struct place *b)
{
	const struct var *x = place_var(a), *y = place_var(b);

	return x->dtype == y->dtype && x->rank == y->rank &&
	       (!x->rank || !memcmp(var_dims(a->loaded->step, x), var_dims(b->loaded->step, y),
				    x->rank * sizeof(int64_t)));
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
	double *sum, *one; /* PIECE of each */
	uint8_t *bytes; /* of PIECE numbers */
};

/* Mixes the elements from FIRST on; N of them. */
static int mix_piece(struct mixer *m, uint64_t first, size_t n, struct new_array *to, struct err *e)
{
	size_t numbers = 0;
	int dtype = part_of(m->dtype), r = 0;

	for (size_t k = 0; k < m->n && r == 0; k++) {
		const struct array *a = &m->arrays[k];
		int from = part_of(a->var->dtype);
		double *to_numbers = k ? m->one : m->sum;

		numbers = n * (array_item(a) / dtype_info(from)->item);
		r = array_get(a, first, n, m->bytes, e);
		if (r < 0)
			return r;
		sums_values(from, a->step->big_endian, m->bytes, numbers, to_numbers);
		for (size_t i = 0; k && i < numbers; i++)
			m->sum[i] += m->one[i];
	}
	for (size_t i = 0; m->n > 1 && i < numbers; i++)
		m->sum[i] /= (double)m->n;
	convert_to(dtype, m->sum, numbers, m->bytes);
	return new_array_put(to, bytes_of(m->bytes, numbers * dtype_info(dtype)->item), e);
}

static int mix_all(struct mixer *m, struct new_array *to, struct err *e)
{
	const struct array *a = m->arrays;
	size_t most = PIECE / 2;
	int r = 0;

	for (uint64_t first = 0; first < a->count && r == 0; first += most) {
		size_t n = a->count - first < most ? (size_t)(a->count - first) : most;

		r = mix_piece(m, first, n, to, e);
	}
	return r;
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

int blend(struct new_step *to, const struct place *from, size_t n, int dtype, struct err *e)
{
	CLEANUP(freep) struct array *arrays = calloc(n, sizeof *arrays);
	CLEANUP(freep) double *numbers = malloc(2 * PIECE * sizeof *numbers);
	CLEANUP(freep) uint8_t *bytes = malloc(PIECE * sizeof *numbers);
	struct mixer m = {arrays, 0, dtype, numbers, numbers + PIECE, bytes};
	const struct var *v = place_var(from);
	struct new_array out;
	int r = arrays && numbers && bytes ? open_all(&m, from, n, e)
					   : err_set(e, -ENOMEM, "no memory");

	if (r == 0)
		r = new_array_begin(to, blend_stem(from, from->at), dtype, v->rank,
				    var_dims(from->loaded->step, v), &out, e);
	if (r == 0)
		r = new_array_end(&out, mix_all(&m, &out, e), e);
	while (m.n)
		array_close(&arrays[--m.n]);
	return r;
}

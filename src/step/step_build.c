#include "step/step_build.h"
#include "base/cleanup.h"
#include "format/dtype.h"
#include "format/ordered_code.h"
#include "format/slice.h"
#include <inttypes.h>

enum {
	MAX_TEXTS = 1 << 20, /* bytes; a hostile index can make each entry need a text */
	MAX_OVERLAP_CHECKS = 50000000, /* how many pairs of slices are compared in one step */
};

void builder_release(struct builder *b)
{
	buf_release(&b->vars);
	buf_release(&b->parts);
	buf_release(&b->shards);
	buf_release(&b->dims);
	buf_release(&b->names);
	buf_release(&b->texts);
	buf_release(&b->strings);
}

/* --- adding ------------------------------------------------------------------------------------------------ */

static int add_dims(struct builder *b, const int64_t *dims, size_t n, uint32_t *at)
{
	size_t where = b->dims.n / sizeof *dims;

	if (where + n > UINT32_MAX)
		return -E2BIG;
	*at = (uint32_t)where;
	return buf_add(&b->dims, dims, n * sizeof *dims);
}

/* Most variables have a shape that others have: they share it. */
static int add_shape(struct builder *b, const int64_t *dims, uint8_t rank, uint32_t *at)
{
	struct shape_at *found;
	uint64_t digest = rank;
	int r;

	for (unsigned i = 0; i < rank; i++)
		digest = (digest ^ (uint64_t)dims[i]) * 0x9e3779b97f4a7c15u;
	found = &b->shapes[(digest >> 32) % N_SHAPES];
	*at = found->dims;
	if (!rank || (found->rank == rank &&
		      !memcmp((int64_t *)b->dims.p + found->dims, dims, rank * sizeof *dims)))
		return 0;
	r = add_dims(b, dims, rank, at);
	if (r == 0)
		*found = (struct shape_at){*at, rank};
	return r;
}

int build_var(struct builder *b, struct var v, struct bytes key, const int64_t *dims)
{
	struct string_info unknown = {0};
	int r;

	if (b->names.n + key.n > UINT32_MAX || builder_n_vars(b) == UINT32_MAX / 2)
		return -E2BIG;
	r = buf_reserve(&b->dims, sizeof *dims); /* never NULL, even for a scalar */
	if (r < 0)
		return r;
	v.key = (uint32_t)b->names.n;
	v.key_n = (uint32_t)key.n;
	r = buf_add(&b->names, key.p, key.n);
	if (r == 0)
		r = add_shape(b, dims, v.rank, &v.dims);
	if (r == 0 && v.dtype == DTYPE_STRING && (v.kind == VAR_WHOLE || v.kind == VAR_PART)) {
		v.aux = (uint32_t)(b->strings.n / sizeof unknown);
		r = buf_add(&b->strings, &unknown, sizeof unknown);
	}
	return r == 0 ? buf_add(&b->vars, &v, sizeof v) : r;
}

int build_sliced(struct builder *b, struct var v, struct bytes key, const int64_t *dims,
		 const int64_t *extents, uint32_t n)
{
	size_t pairs = 2 * (size_t)v.rank;
	int r = 0;

	v.kind = VAR_SLICED;
	v.aux = (uint32_t)(b->parts.n / sizeof(struct part));
	v.n_parts = n;
	for (size_t i = 0; i < n && r == 0; i++) {
		struct part part = {0};

		r = add_dims(b, extents + i * pairs, pairs, &part.extents);
		if (r == 0)
			r = buf_add(&b->parts, &part, sizeof part);
	}
	return r == 0 ? build_var(b, v, key, dims) : r;
}

static int make_bad(struct builder *b, struct var *v, const char *why)
{
	size_t n = strlen(why) + 1;
	int r = b->texts.n ? 0 : buf_add(&b->texts, "malformed", sizeof "malformed");

	v->kind = VAR_BAD;
	v->aux = 0; /* "malformed", for those whose text no longer fits */
	if (r < 0 || b->texts.n + n > MAX_TEXTS)
		return r;
	v->aux = (uint32_t)b->texts.n;
	return buf_add(&b->texts, why, n);
}

int build_bad(struct builder *b, struct var v, struct bytes key, const int64_t *dims,
	      const char *why)
{
	int r = make_bad(b, &v, why);

	return r < 0 ? r : build_var(b, v, key, dims);
}

int build_shard(struct builder *b, int dirfd, const char *file, uint32_t number,
		const struct stat *index)
{
	struct shard shard = {.number = number};
	struct stat st;

	if (fstatat(dirfd, file, &st, 0) < 0) {
		shard.status = -errno;
		st = *index; /* a variable has to show some owner and time */
	} else if (!S_ISREG(st.st_mode)) {
		shard.status = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	}
	shard.id = file_id_of(&st);
	shard.mode = st.st_mode & 0666;
	shard.uid = st.st_uid;
	shard.gid = st.st_gid;
	return buf_add(&b->shards, &shard, sizeof shard);
}

/* --- joining ----------------------------------------------------------------------------------------------- */

static int64_t *dims_at(const struct builder *b, uint32_t at)
{
	return (int64_t *)b->dims.p + at;
}

/* Finds the entry of PART, a slice of V, and compares it with V. On return the extents are spelled out, and COUNT is
 * how many elements the slice has. */
static int find_part(struct builder *b, const struct var *v, struct part *part, uint64_t *count,
		     struct err *e)
{
	CLEANUP(buf_release) struct buf key = {0};
	struct bytes name = bytes_of(b->names.p + v->key, v->key_n);
	int64_t *extents = dims_at(b, part->extents);
	struct var *p;
	int r;

	if (slice_key_encode(&key, name, v->rank, extents) < 0)
		return err_set(e, -ENOMEM, "no memory for a slice's key");
	p = var_find(builder_vars(b), builder_n_vars(b), b->names.p, buf_bytes(&key));
	if (p && p->kind == VAR_WHOLE)
		p->kind = VAR_PART;
	r = slice_resolve(v->rank, dims_at(b, v->dims), extents, count, e);
	if (r < 0)
		return r;
	if (!p)
		return err_set(e, -EUCLEAN, "a slice that it lists is missing");
	if (p->kind != VAR_PART || p->dtype != v->dtype || p->rank != v->rank)
		return err_set(e, -EUCLEAN, "a slice is malformed, or of another type");
	for (unsigned i = 0; i < v->rank; i++)
		if (dims_at(b, p->dims)[i] != extents[2 * i + 1])
			return err_set(e, -EUCLEAN, "a slice's shape is not that of its extents");
	part->var = (uint32_t)(p - builder_vars(b));
	return 0;
}

static int compare_starts(const void *a, const void *b)
{
	int64_t x = **(const int64_t *const *)a, y = **(const int64_t *const *)b;

	return (x > y) - (x < y);
}

/* SORTED has the slices by where they start along the first axis. So each is compared only with those that start
 * before it ends. */
static int compare_slices(struct builder *b, const int64_t *const *sorted, const struct var *v,
			  struct err *e)
{
	for (uint32_t i = 0; i < v->n_parts; i++) {
		const int64_t *x = sorted[i];

		for (uint32_t k = i + 1; k < v->n_parts; k++) {
			const int64_t *y = sorted[k];

			if (v->rank && y[0] >= x[0] + x[1])
				break;
			if (slices_overlap(v->rank, x, y))
				return err_set(e, -EUCLEAN, "two of its slices overlap");
			if (++b->overlap_checks > MAX_OVERLAP_CHECKS)
				return err_set(e, -EUCLEAN,
					       "slices are too many to look for overlaps");
		}
	}
	return 0;
}

static int check_overlap(struct builder *b, const struct var *v, struct err *e)
{
	const struct part *parts = (const struct part *)b->parts.p + v->aux;
	CLEANUP(freep) const int64_t **sorted = malloc(v->n_parts * sizeof *sorted + 1);

	if (!sorted)
		return err_set(e, -ENOMEM, "no memory for %" PRIu32 " slices", v->n_parts);
	for (uint32_t i = 0; i < v->n_parts; i++)
		sorted[i] = dims_at(b, parts[i].extents);
	if (v->rank)
		qsort(sorted, v->n_parts, sizeof *sorted, compare_starts);
	return compare_slices(b, sorted, v, e);
}

/* The slices fill V's shape if they lie in it, do not overlap, and have as many elements as it has. */
static int join_parts(struct builder *b, struct var *v, struct err *e)
{
	struct part *parts;
	uint64_t count, sum = 0, whole = 0;
	int failed = 0;

	if (!v->n_parts) /* readers rely on the first one */
		return err_set(e, -EUCLEAN, "it has no slices");
	parts = (struct part *)b->parts.p + v->aux;
	shape_count(v->rank, dims_at(b, v->dims), &whole);
	v->size = 0;
	for (uint32_t i = 0; i < v->n_parts; i++) {
		int r = find_part(b, v, &parts[i], &count, failed ? NULL : e);

		failed = failed ? failed : r;
		if (failed)
			continue; /* the other slices are found too, so that none is shown as a variable */
		if (i == 0)
			v->shard = builder_vars(b)[parts[i].var].shard;
		v->size += builder_vars(b)[parts[i].var].size;
		sum += count; /* no overflow: neither SUM nor COUNT is above WHOLE, which fits 63 bits */
		if (sum > whole)
			failed = err_set(e, -EUCLEAN, "its slices hold more than its shape");
	}
	if (failed)
		return failed;
	if (sum != whole)
		return err_set(e, -EUCLEAN,
			       "its slices leave %" PRIu64 " of %" PRIu64 " elements out",
			       whole - sum, whole);
	return check_overlap(b, v, e);
}

int build_join(struct builder *b)
{
	for (uint32_t i = 0; i < builder_n_vars(b); i++) {
		struct var *v = &builder_vars(b)[i];
		struct err why;
		int r = v->kind == VAR_SLICED ? join_parts(b, v, &why) : 0;

		if (r == -ENOMEM || (r < 0 && (r = make_bad(b, v, why.text)) < 0))
			return r;
	}
	return 0;
}

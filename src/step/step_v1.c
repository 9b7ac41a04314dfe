/* src/step/step_v1.c: the tables of a V1 checkpoint become a step.
 *
 * Each tensor becomes a partitioned variable, most with one slice. The tensors of all shards are put into one list
 * first, as a tensor's slices may be in several shards. */
#include "base/cleanup.h"
#include "format/dtype.h"
#include "format/ordered_code.h"
#include "format/slice.h"
#include "format/v1.h"
#include "step/step_build.h"
#include <inttypes.h>

/* A tensor as one file lists it. NAME and NUMBERS are where its name, dimensions and slices begin in struct list.
 * ORDER is its place in the list before that is sorted. */
struct listed_tensor {
	size_t name, name_n, numbers;
	uint32_t n_slices, order;
	uint8_t dtype, rank;
	bool bad;
};

struct list {
	struct buf tensors, names, numbers;
};

static void list_release(struct list *l)
{
	buf_release(&l->tensors);
	buf_release(&l->names);
	buf_release(&l->numbers);
}

/* Adds a variable for each of T's slices, under the key that a bundle would have for it. */
static int add_slices(struct builder *b, const struct v1_tensor *t, uint32_t shard)
{
	size_t pairs = 2 * (size_t)t->rank;
	int r = 0;

	for (uint32_t i = 0; i < t->n_slices && r == 0; i++) {
		CLEANUP(buf_release) struct buf key = {0}, extents = {0};
		int64_t lengths[SHAPE_MAX_RANK];
		uint64_t count;

		r = slice_key_encode(&key, t->name, t->rank, t->slices + i * pairs);
		if (r == 0)
			r = buf_add(&extents, t->slices + i * pairs, pairs * sizeof(int64_t));
		if (r < 0)
			return r;
		if (slice_resolve(t->rank, t->dims, (int64_t *)extents.p, &count, NULL) < 0)
			continue; /* build_join will find the same, and make the variable a bad one */
		for (unsigned k = 0; k < t->rank; k++)
			lengths[k] = ((int64_t *)extents.p)[2 * k + 1];

		struct var v = {
			.shard = shard,
			.dtype = t->dtype,
			.rank = t->rank,
			.kind = VAR_PART,
			.size = count * dtype_info(t->dtype)->item,
		};
		r = build_var(b, v, buf_bytes(&key), lengths);
	}
	return r;
}

static int add_tensor(struct list *l, const struct v1_tensor *t)
{
	size_t n = t->why.code ? 0 : t->rank + 2 * (size_t)t->rank * t->n_slices;
	struct listed_tensor new = {
		.name = l->names.n,
		.name_n = t->name.n,
		.numbers = l->numbers.n / sizeof(int64_t),
		.n_slices = t->n_slices,
		.order = (uint32_t)(l->tensors.n / sizeof new),
		.dtype = t->dtype,
		.rank = t->rank,
		.bad = t->why.code,
	};
	int r = buf_add(&l->names, t->name.p, t->name.n);

	if (r == 0)
		r = buf_reserve(&l->numbers, sizeof(int64_t)); /* never NULL, even for a scalar */
	if (r == 0)
		r = buf_add(&l->numbers, t->dims, n * sizeof(int64_t));
	if (r == 0 && t->why.code) /* why it is bad stands behind its name */
		r = buf_add(&l->names, t->why.text, strlen(t->why.text) + 1);
	return r == 0 ? buf_add(&l->tensors, &new, sizeof new) : r;
}

static int read_file(struct builder *b, struct list *l, int dirfd, const char *file, struct err *e)
{
	CLEANUP(closep) int fd = -1;
	CLEANUP(v1_close) struct v1 v = {0};
	CLEANUP(buf_release) struct buf scratch = {0};
	uint32_t shard = (uint32_t)(b->shards.n / sizeof(struct shard)) - 1;
	struct source src;
	int r;

	r = fd = source_open(dirfd, file, &src, e);
	if (r >= 0)
		r = v1_open(&v, src, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < v.n_tensors && r == 0; i++) {
		struct v1_tensor t;

		r = v1_tensor(&v, i, &scratch, &t);
		if (r == -ENOMEM)
			return err_set(e, r, "%s", t.why.text);
		r = r < 0 ? 0 : add_slices(b, &t, shard);
		if (r == 0)
			r = add_tensor(l, &t);
	}
	return r < 0 ? err_sys(e, r, "%zu tensors", v.n_tensors) : 0;
}

/* --- the tensors of all files become variables ------------------------------------------------------------- */

static struct bytes name_of(const struct list *l, const struct listed_tensor *t)
{
	return bytes_of(l->names.p + t->name, t->name_n);
}

static int compare_tensors(const void *a, const void *b, void *list)
{
	const struct listed_tensor *x = a, *y = b;
	int c = bytes_cmp(name_of(list, x), name_of(list, y));

	return c ? c : (x->order > y->order) - (x->order < y->order);
}

static bool agree(const struct list *l, const struct listed_tensor *a,
		  const struct listed_tensor *b)
{
	const int64_t *n = (const int64_t *)l->numbers.p;

	return a->dtype == b->dtype && a->rank == b->rank &&
	       !memcmp(n + a->numbers, n + b->numbers, a->rank * sizeof *n);
}

/* Adds the variable that the N tensors at T, which have one name, are slices of. */
static int add_variable(struct builder *b, const struct list *l, const struct listed_tensor *t,
			size_t n)
{
	CLEANUP(buf_release) struct buf extents = {0};
	const int64_t *numbers = (const int64_t *)l->numbers.p + t->numbers;
	struct var v = {.dtype = t->dtype, .rank = t->rank};
	uint32_t slices = 0;
	int r = buf_reserve(&extents, sizeof *numbers);

	for (size_t i = 0; i < n && r == 0; i++) {
		const int64_t *own = (const int64_t *)l->numbers.p + t[i].numbers + t->rank;

		if (t[i].bad)
			return build_bad(b, (struct var){0}, name_of(l, t), NULL,
					 (char *)l->names.p + t[i].name + t[i].name_n);
		if (!agree(l, t, &t[i]))
			return build_bad(b, v, name_of(l, t), numbers,
					 "its shards disagree on type or shape");
		r = buf_add(&extents, own, 2 * (size_t)t->rank * t[i].n_slices * sizeof *own);
		slices += t[i].n_slices;
	}
	return r < 0 ? r : build_sliced(b, v, name_of(l, t), numbers, (int64_t *)extents.p, slices);
}

static int add_variables(struct builder *b, struct list *l)
{
	struct listed_tensor *t = (struct listed_tensor *)l->tensors.p;
	size_t n = l->tensors.n / sizeof *t, same;
	int r = 0;

	if (n)
		qsort_r(t, n, sizeof *t, compare_tensors, l);
	for (size_t i = 0; i < n && r == 0; i += same) {
		for (same = 1;
		     i + same < n && bytes_eq(name_of(l, &t[i]), name_of(l, &t[i + same])); same++)
			;
		r = add_variable(b, l, &t[i], same);
	}
	return r;
}

static int compare_vars(const void *a, const void *b, void *names)
{
	const struct var *x = a, *y = b;

	return bytes_cmp(bytes_of((uint8_t *)names + x->key, x->key_n),
			 bytes_of((uint8_t *)names + y->key, y->key_n));
}

int build_v1(struct builder *b, int dirfd, const struct step_place *where, const struct stat *st,
	     struct err *e)
{
	CLEANUP(list_release) struct list list = {0};
	uint32_t n = where->shards ? where->shards : 1;
	int r = 0;

	b->num_shards = where->shards;
	for (uint32_t i = 0; i < n && r == 0; i++) {
		CLEANUP(buf_release) struct buf file = {0};
		const struct shard *added;

		if (step_shard_name(where, i, n, &file) < 0 ||
		    build_shard(b, dirfd, (char *)file.p, i, st) < 0)
			return err_set(e, -ENOMEM, "no memory");
		added = (struct shard *)(b->shards.p + b->shards.n) - 1;
		if (added->status != -ENOENT) /* the tensors of a missing shard are not known */
			r = read_file(b, &list, dirfd, (char *)file.p, e);
		if (r < 0)
			return err_wrap(e, r, "%s", (char *)file.p);
	}
	r = add_variables(b, &list);
	if (r == 0 && b->vars.n)
		qsort_r(b->vars.p, builder_n_vars(b), sizeof(struct var), compare_vars, b->names.p);
	if (r == 0)
		r = build_join(b);
	return r < 0 ? err_sys(e, r, "%" PRIu32 " tensors", builder_n_vars(b)) : 0;
}

/* src/step/step_bundle.c: a V2 index becomes a step. */
#include "base/cleanup.h"
#include "format/bundle.h"
#include "step/step_build.h"
#include <inttypes.h>

static int add_entry(struct builder *b, const struct bundle_entry *entry)
{
	struct var v = {
		.shard = entry->shard, /* its number; number_shards makes it an index */
		.crc = entry->crc,
		.dtype = entry->dtype,
		.rank = entry->rank,
		.kind = VAR_WHOLE,
		.off = entry->off,
		.size = entry->size,
	};

	if (entry->why.code)
		return build_bad(b, v, entry->key, entry->dims, entry->why.text);
	if (entry->n_slices && !entry->size)
		return build_sliced(b, v, entry->key, entry->dims, entry->slices, entry->n_slices);
	return build_var(b, v, entry->key, entry->dims);
}

static int read_entries(struct builder *b, struct bundle *bundle, struct err *e)
{
	struct bundle_entry entry;
	int r;

	while ((r = bundle_next(bundle, &entry, e)) > 0) {
		r = add_entry(b, &entry);
		if (r < 0)
			return err_sys(e, r, "entry %" PRIu32, builder_n_vars(b));
	}
	return r;
}

/* --- shards ------------------------------------------------------------------------------------------------ */

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* NUMBERS becomes those of the shards that entries name, ascending, each once; the caller frees it. */
static int collect_numbers(const struct builder *b, uint32_t **numbers, uint32_t *n)
{
	const struct var *vars = builder_vars(b);
	uint32_t last = 0, found = 0;

	*numbers = malloc((builder_n_vars(b) + (size_t)1) * sizeof **numbers);
	if (!*numbers)
		return -ENOMEM;
	for (uint32_t i = 0; i < builder_n_vars(b); i++)
		if ((vars[i].kind == VAR_WHOLE || vars[i].kind == VAR_PART) &&
		    (!found || vars[i].shard != last))
			(*numbers)[found++] = last = vars[i].shard;
	qsort(*numbers, found, sizeof **numbers, compare_u32);
	*n = 0;
	for (uint32_t i = 0; i < found; i++)
		if (!i || (*numbers)[i] != (*numbers)[*n - 1])
			(*numbers)[(*n)++] = (*numbers)[i];
	return 0;
}

/* Adds the shards, and makes each var->shard an index of them instead of a number. */
static int number_shards(struct builder *b, int dirfd, const struct step_place *where,
			 const struct stat *index)
{
	CLEANUP(buf_release) struct buf file = {0};
	CLEANUP(freep) uint32_t *numbers = NULL;
	uint32_t n;
	int r = collect_numbers(b, &numbers, &n);

	for (uint32_t i = 0; i < n && r == 0; i++) {
		r = step_shard_name(where, numbers[i], (uint32_t)b->num_shards, &file);
		if (r == 0)
			r = build_shard(b, dirfd, (char *)file.p, numbers[i], index);
	}
	for (uint32_t i = 0; i < builder_n_vars(b) && r == 0; i++) {
		struct var *v = &builder_vars(b)[i];
		uint32_t *at = bsearch(&v->shard, numbers, n, sizeof *numbers, compare_u32);

		v->shard = at ? (uint32_t)(at - numbers) : 0;
	}
	return r;
}

int build_bundle(struct builder *b, struct source src, int dirfd, const struct step_place *where,
		 const struct stat *st, struct err *e)
{
	CLEANUP(bundle_close) struct bundle bundle = {0};
	int r = bundle_open(&bundle, src, e);

	if (r == 0)
		r = read_entries(b, &bundle, e);
	if (r < 0)
		return r;
	b->num_shards = bundle.num_shards;
	b->big_endian = bundle.big_endian;
	r = build_join(b);
	if (r == 0)
		r = number_shards(b, dirfd, where, st);
	return r < 0 ? err_sys(e, r, "%" PRIu32 " entries", builder_n_vars(b)) : 0;
}

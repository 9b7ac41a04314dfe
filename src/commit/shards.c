#include "commit/shards.h"
#include "base/cleanup.h"
#include "commit/in_place.h"
#include "commit/rest.h"
#include "draft/draft_state.h"
#include <stdlib.h>

enum {
	MIN_OWN = 256 << 10, /* bytes from which on a file becomes a shard of its own */
	MAX_OWN = 32, /* and so many at the most: each costs a name and a sync */
	MAX_SMALL = 11, /* small shards that commits have made; others are not counted */
	MAX_SHARDED = 63, /* the same with `sharded` */
	/* Up to which a shard is small, a file or a packed one; also if it is a 64th of the step. */
	SMALL_NPY = 16 << 20,
	SMALL_PACKED = 512 << 20,
	SMALL_PART = 64,
	SPARE_NUMBERS =
		64, /* numbers of the base are kept up to so many more than twice its shards */
};

static const char npy_magic[] = "\x93NUMPY";

static void count_live(struct plan *p, uint32_t pin, const struct var *v)
{
	const struct step *s = p->pins[pin].step;

	if (v->kind == VAR_WHOLE)
		p->old[pin].shards[v->shard].live += v->size;
	for (uint32_t i = 0; v->kind == VAR_SLICED && i < v->n_parts; i++) {
		const struct var *part = &s->vars[s->parts[v->aux + i].var];

		p->old[pin].shards[part->shard].live += part->size;
	}
}

enum maker { MADE_BY_OTHERS, MADE_PACKED, MADE_OF_NPY };

/* Who made shard I of that pin: its first bytes tell. What can't be read is others'. */
static enum maker maker_of(struct plan *p, uint32_t pin, uint32_t i)
{
	int dir = plan_dir(p, pin, NULL);
	CLEANUP(closep) int fd = dir < 0 ? -1 : step_open_shard(p->pins[pin].step, dir, i, NULL);
	char start[SHARD_MARK_SIZE];
	struct source src;

	if (fd < 0 || source_of_fd(fd, &src, NULL) < 0 ||
	    source_read_into(&src, 0, start, sizeof start, NULL) < 0)
		return MADE_BY_OTHERS;
	if (!memcmp(start, SHARD_MARK, sizeof start))
		return MADE_PACKED;
	return memcmp(start, npy_magic, strlen(npy_magic)) ? MADE_BY_OTHERS : MADE_OF_NPY;
}

/* --- shards with much that is dead --------------------------------------------------------------------------- */

static uint64_t dead_bytes(struct plan *p, uint32_t pin, uint32_t i)
{
	uint64_t live = p->old[pin].shards[i].live, size = p->pins[pin].step->shards[i].id.size;
	uint64_t dead = size > live ? size - live : 0;

	return dead == SHARD_MARK_SIZE && maker_of(p, pin, i) == MADE_PACKED ? 0 : dead;
}

/* Of what the kept shards hold, too much is dead: what is alive in those of which that is so is copied. */
static void choose_compaction(struct plan *p)
{
	uint64_t total = 0, dead = 0;

	for (uint32_t pin = 0; pin < p->n_pins; pin++)
		for (uint32_t i = 0; i < p->pins[pin].step->n_shards; i++)
			if (p->old[pin].shards[i].live) {
				total += p->pins[pin].step->shards[i].id.size;
				dead += dead_bytes(p, pin, i);
			}
	if ((double)dead <= p->c->compact * (double)total)
		return;
	for (uint32_t pin = 0; pin < p->n_pins; pin++)
		for (uint32_t i = 0; i < p->pins[pin].step->n_shards; i++) {
			struct old_shard *o = &p->old[pin].shards[i];
			double size = (double)p->pins[pin].step->shards[i].id.size;

			o->repack = o->live && (double)dead_bytes(p, pin, i) > p->c->compact * size;
		}
}

/* --- files that become shards -------------------------------------------------------------------------------- */

static bool may_be_own(const struct plan *p, const struct want *w)
{
	const struct step *s;

	return w->store && w->item && !w->in_use && w->canonical && !want_layout(p, w, &s);
}

/* The bytes from which on a file becomes a shard. A draft that goes on has its files after the commit, too: each commit would
 * copy them. */
static uint64_t least_own(const struct plan *p)
{
	uint64_t all = 0;

	if (p->goes_on || p->c->sharded)
		return MIN_OWN;
	for (uint32_t i = 0; i < plan_n(p); i++)
		all += may_be_own(p, &plan_wants(p)[i]) ? plan_wants(p)[i].size : 0;
	return all / MAX_OWN > MIN_OWN ? all / MAX_OWN : MIN_OWN;
}

static void choose_own(struct plan *p)
{
	uint64_t least = least_own(p);

	for (uint32_t i = 0; i < plan_n(p); i++) {
		struct want *w = &plan_wants(p)[i];

		w->own = may_be_own(p, w) && w->size >= least;
		w->alone = p->c->sharded && !w->own &&
			   ((w->store && w->item) || plan_stores_graph(p, w));
		if (w->alone)
			w->mode = want_mode(p, w);
	}
}

/* --- shards of earlier commits ------------------------------------------------------------------------------- */

/* What a commit makes. */
struct fresh {
	uint32_t shards; /* but for the packed one; files that become shards count as one */
	uint64_t own; /* bytes of files that become shards */
	uint64_t packed; /* bytes of the packed one; 0: there need not be one */
};

static struct fresh count_fresh(const struct plan *p)
{
	struct fresh f = {0};

	for (uint32_t i = 0; i < plan_n(p); i++) {
		const struct want *w = &plan_wants(p)[i];

		f.own += w->own ? w->size : 0;
		if (w->own || w->alone)
			f.shards = p->c->sharded ? f.shards + 1 : 1;
		else if (w->store)
			f.packed += w->size + 1;
		else if (plan_stores_graph(p, w))
			f.packed += p->graph.n;
	}
	for (uint32_t pin = 0; pin < p->n_pins; pin++)
		for (uint32_t i = 0; i < p->pins[pin].step->n_shards; i++)
			if (p->old[pin].shards[i].repack)
				f.packed += p->old[pin].shards[i].live;
	return f;
}

struct small {
	uint64_t size;
	struct old_shard *old; /* NULL: files that would become shards */
};

static int compare_sizes(const void *a, const void *b)
{
	const struct small *x = a, *y = b;

	return (x->size > y->size) - (x->size < y->size);
}

static uint64_t all_live(const struct plan *p)
{
	uint64_t live = 0;

	for (uint32_t pin = 0; pin < p->n_pins; pin++)
		for (uint32_t i = 0; i < p->pins[pin].step->n_shards; i++)
			live += p->old[pin].shards[i].live;
	return live;
}

static bool is_small_npy(uint64_t size, uint64_t live)
{
	return size <= SMALL_NPY || size <= live / SMALL_PART;
}

/* Has a commit made shard I of that pin, and is it small? */
static bool is_small(struct plan *p, uint32_t pin, uint32_t i, uint64_t live)
{
	uint64_t size = p->pins[pin].step->shards[i].id.size;

	if (size > SMALL_PACKED && size > live / SMALL_PART)
		return false;
	switch (maker_of(p, pin, i)) {
	case MADE_BY_OTHERS:
		return false;
	case MADE_PACKED:
		return true;
	case MADE_OF_NPY:
		return is_small_npy(size, live);
	}
	return false;
}

/* How many shards of pinned steps stay as they are so far. The small ones are put into OUT, which may be NULL, and counted
 * in *N. */
static size_t list_kept(struct plan *p, struct small *out, size_t *n)
{
	uint64_t live = all_live(p);
	size_t kept = 0;

	for (uint32_t pin = 0; pin < p->n_pins; pin++)
		for (uint32_t i = 0; i < p->pins[pin].step->n_shards; i++) {
			struct old_shard *o = &p->old[pin].shards[i];

			if (!o->live || o->repack)
				continue;
			kept++;
			if (out && is_small(p, pin, i, live))
				out[(*n)++] =
					(struct small){p->pins[pin].step->shards[i].id.size, o};
		}
	return kept;
}

/* No file becomes a shard. */
static void pack_own(struct plan *p)
{
	for (uint32_t i = 0; i < plan_n(p); i++)
		plan_wants(p)[i].own = false;
}

/* When there are too many small shards that commits have made, the smallest are packed together, and with them each that is no
 * larger than all before it. So sizes grow, and a byte is copied a few times in a thousand commits. What this commit makes is one
 * of them. What is large, or a trainer has saved, is left alone. */
static void merge_small(struct plan *p)
{
	struct fresh fresh = count_fresh(p);
	size_t max = p->c->sharded ? MAX_SHARDED : MAX_SMALL, kept = list_kept(p, NULL, NULL);
	size_t n = 0, more;
	struct small *all;

	if (kept + fresh.shards + (fresh.packed > 0) <= max)
		return;
	all = calloc(kept + 2, sizeof *all);
	if (!all)
		return; /* more shards than one would like */
	list_kept(p, all, &n);
	more = n + fresh.shards + (fresh.packed > 0);
	if (fresh.own && !p->c->sharded && is_small_npy(fresh.own, all_live(p)))
		all[n++] = (struct small){fresh.own, NULL};
	qsort(all, n, sizeof *all, compare_sizes);
	for (size_t i = 0; i < n && (more > max || (i && all[i].size <= fresh.packed)); i++) {
		more -= fresh.packed > 0; /* else it is the packed one now */
		fresh.packed += all[i].old ? all[i].old->live : all[i].size;
		if (all[i].old)
			all[i].old->repack = true;
		else
			pack_own(p);
	}
	free(all);
}

/* --- all of them --------------------------------------------------------------------------------------------- */

/* The shards of the base that are kept keep their numbers: so the entries of what did not change stay as they are. All other shards
 * get the lowest numbers that are free. */
struct numbering {
	uint64_t
		*taken; /* a bit for each of the first N_KEPT, which a shard of the base may keep */
	uint32_t n_kept, next;
};

static void take_number(struct plan *p, uint32_t number)
{
	p->some_shard = p->num_shards && p->some_shard < number ? p->some_shard : number;
	p->num_shards = p->num_shards > number ? p->num_shards : number + 1;
}

static uint32_t free_number(struct plan *p, struct numbering *k)
{
	while (k->next < k->n_kept && k->taken[k->next / 64] >> k->next % 64 & 1)
		k->next++;
	take_number(p, k->next);
	return k->next++;
}

/* Shards of the base with numbers that are out of proportion get others. Without memory all do. */
static void keep_numbers(struct plan *p, struct numbering *k)
{
	const struct step *s = p->d->has_base ? p->pins[0].step : NULL;

	if (!s || s->place.format != STEP_V2)
		return;
	k->n_kept = 2 * s->n_shards + SPARE_NUMBERS;
	k->taken = calloc(k->n_kept / 64 + (size_t)1, sizeof *k->taken);
	k->n_kept = k->taken ? k->n_kept : 0;
	for (uint32_t i = 0; i < s->n_shards; i++) {
		struct old_shard *o = &p->old[0].shards[i];
		uint32_t number = s->shards[i].number;

		if (!o->live || o->repack || number >= k->n_kept)
			continue;
		o->number = number;
		k->taken[number / 64] |= UINT64_C(1) << number % 64;
		take_number(p, number);
	}
}

static bool keeps_number(const struct plan *p, const struct numbering *k, uint32_t pin, uint32_t i)
{
	return pin == 0 && p->d->has_base && p->pins[0].step->shards[i].number < k->n_kept;
}

static void number_shards(struct plan *p)
{
	struct numbering k = {0};

	keep_numbers(p, &k);
	for (uint32_t pin = 0; pin < p->n_pins; pin++)
		for (uint32_t i = 0; i < p->pins[pin].step->n_shards; i++) {
			struct old_shard *o = &p->old[pin].shards[i];

			if (o->live && !o->repack && !keeps_number(p, &k, pin, i))
				o->number = free_number(p, &k);
			p->has_packed |= o->repack;
		}
	for (uint32_t i = 0; i < plan_n(p); i++) {
		struct want *w = &plan_wants(p)[i];

		if (w->own || w->alone)
			w->shard = free_number(p, &k);
		p->has_packed |= !w->alone && (plan_stores_graph(p, w) || (w->store && !w->own));
	}
	p->has_packed |= !p->num_shards;
	if (p->has_packed)
		p->packed_shard = free_number(p, &k);
	free(k.taken);
	/* Not what a trainer that saves under the same name would write over (commit/rescue.h); no file need be there. */
	if (p->d->has_base && p->num_shards == 1)
		p->num_shards = 2;
	if (p->replaces)
		p->num_shards = in_place_count(p, p->num_shards);
}

static void find_packed_mode(struct plan *p)
{
	p->packed_mode = 0666;
	for (uint32_t i = 0; i < plan_n(p); i++) {
		const struct want *w = &plan_wants(p)[i];

		if (w->store && !w->own && !w->alone)
			p->packed_mode &= want_mode(p, w);
	}
	for (uint32_t pin = 0; pin < p->n_pins; pin++)
		for (uint32_t i = 0; i < p->pins[pin].step->n_shards; i++)
			if (p->old[pin].shards[i].repack)
				p->packed_mode &= p->pins[pin].step->shards[i].mode;
}

void shards_choose(struct plan *p)
{
	for (uint32_t i = 0; i < plan_n(p); i++) {
		const struct want *w = &plan_wants(p)[i];

		if (!w->store)
			count_live(p, w->pin, &p->pins[w->pin].step->vars[w->var]);
	}
	if (p->others)
		rest_count_live(p);
	choose_compaction(p);
	choose_own(p);
	merge_small(p);
	number_shards(p);
	find_packed_mode(p);
}

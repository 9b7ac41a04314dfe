#include "commit/shards.h"
#include "commit/in_place.h"
#include "commit/rest.h"
#include "draft/draft_state.h"
#include "step/name.h"
#include <stdlib.h>

enum {
	MIN_OWN = 256 << 10, /* bytes from which on a file becomes a shard of its own */
	MAX_SHARDS = 64,
	FEWER_SHARDS = 48, /* how many are left when there were more */
	CHEAP_BYTES = 16 << 20, /* so many may always be copied for it */
};

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

/* Of what the kept shards hold, too much is dead: what is alive in those of which that is so is copied. */
static void choose_compaction(struct plan *p)
{
	uint64_t total = 0, live = 0;

	for (uint32_t pin = 0; pin < p->n_pins; pin++)
		for (uint32_t i = 0; i < p->pins[pin].step->n_shards; i++) {
			const struct old_shard *o = &p->old[pin].shards[i];

			live += o->live;
			total += o->live ? p->pins[pin].step->shards[i].id.size : 0;
		}
	if (live >= total || (double)(total - live) <= p->c->compact * (double)total)
		return;
	for (uint32_t pin = 0; pin < p->n_pins; pin++)
		for (uint32_t i = 0; i < p->pins[pin].step->n_shards; i++) {
			struct old_shard *o = &p->old[pin].shards[i];
			double size = (double)p->pins[pin].step->shards[i].id.size;

			o->repack = o->live && size - (double)o->live > p->c->compact * size;
		}
}

static void choose_own(struct plan *p)
{
	for (uint32_t i = 0; i < plan_n(p); i++) {
		struct want *w = &plan_wants(p)[i];
		const struct step *s;

		w->own = w->store && w->item && !w->in_use && w->size >= MIN_OWN &&
			 !want_layout(p, w, &s) && w->canonical;
		w->alone = p->c->sharded && !w->own &&
			   ((w->store && w->item) || plan_stores_graph(p, w));
		if (w->alone)
			w->mode = want_mode(p, w);
	}
}

/* A shard that may be packed together with others. */
struct candidate {
	uint64_t size;
	bool *packed;
	bool packed_is; /* the value that means so */
};

static int compare_sizes(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	return (x->size > y->size) - (x->size < y->size);
}

static size_t list_candidates(struct plan *p, struct candidate *out, uint64_t *live)
{
	size_t n = 0;

	*live = 0;
	for (uint32_t i = 0; i < plan_n(p) && !p->c->sharded; i++) {
		struct want *w = &plan_wants(p)[i];

		if (w->own)
			out[n++] = (struct candidate){w->size, &w->own, false};
	}
	for (uint32_t pin = 0; pin < p->n_pins; pin++)
		for (uint32_t i = 0; i < p->pins[pin].step->n_shards; i++) {
			struct old_shard *o = &p->old[pin].shards[i];

			*live += o->live;
			if (o->live && !o->repack)
				out[n++] = (struct candidate){o->live, &o->repack, true};
		}
	return n;
}

/* Of too many shards the smallest are packed together, as long as that is cheap beside what the step holds. With `sharded`
 * those of written variables count, but stay. */
static void bound_shards(struct plan *p)
{
	size_t max = plan_n(p), own = 0, n, left;
	uint64_t live, bytes = 0;
	struct candidate *all;

	for (uint32_t pin = 0; pin < p->n_pins; pin++)
		max += p->pins[pin].step->n_shards;
	all = calloc(max + 1, sizeof *all);
	if (!all)
		return; /* more shards than one would like */
	n = list_candidates(p, all, &live);
	for (uint32_t i = 0; i < plan_n(p) && p->c->sharded; i++)
		own += plan_wants(p)[i].own || plan_wants(p)[i].alone;
	left = n + own;
	qsort(all, n, sizeof *all, compare_sizes);
	for (size_t i = 0; i < n && n + own + 1 > MAX_SHARDS && left > FEWER_SHARDS; i++, left--) {
		bytes += all[i].size;
		if (bytes > CHEAP_BYTES && bytes > live / 8)
			break;
		*all[i].packed = all[i].packed_is;
	}
	free(all);
}

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
	k->n_kept = 2 * s->n_shards + MAX_SHARDS;
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
	bound_shards(p);
	number_shards(p);
	find_packed_mode(p);
}

#include "commit/rest.h"
#include "draft/draft_state.h"
#include "draft/overlay.h"
#include "message/object_graph.h"
#include <stdlib.h>

bool rest_is_possible(const struct plan *p)
{
	const struct step *base = p->tree ? p->pins[0].step : NULL;

	return base && base->sound && base->place.format == STEP_V2 && !p->c->write_v1 &&
	       base->object_based == p->object_based && !p->graph_names && /* keys stay */
	       !(p->meta.there &&
		 (p->meta.item || p->meta.pin != 0)); /* a graph that all must fit */
}

/* A variable of the base, and its slices. */
static void note_other(struct plan *p, uint32_t var)
{
	const struct step *s = p->pins[0].step;
	const struct var *v = &s->vars[var];

	overlay_note_claimed(p->others, var);
	for (uint32_t i = 0; v->kind == VAR_SLICED && i < v->n_parts; i++)
		overlay_note_claimed(p->others, s->parts[v->aux + i].var);
	p->n_rest--;
}

static uint32_t next_other(const struct plan *p, uint32_t var)
{
	return overlay_next_claimed(p->others, var, p->pins[0].step->n_vars);
}

/* It may change with the keys of others. */
static int want_graph(struct plan *p)
{
	const struct step *s = p->pins[0].step;
	const struct var *v = step_find(s, bytes_str(OBJECT_GRAPH_KEY));
	struct want w = {.path = p->paths.n,
			 .of_var = v ? (uint32_t)(v - s->vars) : 0,
			 .expect_pin = DRAFT_NONE,
			 .expect_var = DRAFT_NONE};
	int r;

	if (!v || !rest_has(p, 0, w.of_var))
		return 0;
	note_other(p, w.of_var);
	r = buf_add(&p->paths, OBJECT_GRAPH_KEY ".npy", sizeof OBJECT_GRAPH_KEY ".npy");
	return r < 0 ? r : buf_add(&p->wants, &w, sizeof w);
}

int rest_find(struct plan *p, struct err *e)
{
	const struct tree *t = p->tree;
	uint32_t end = tree_file_index(t->n_files);

	p->others = calloc(p->pins[0].step->n_vars / 64 + (size_t)1, sizeof *p->others);
	if (!p->others)
		return err_set(e, -ENOMEM, "no memory");
	p->n_rest = t->n_files + t->n_hidden;
	for (uint32_t i = TREE_FIRST; (i = overlay_next_claimed(p->claimed, i, end)) < end; i++)
		note_other(p, t->files[i - TREE_FIRST].var);
	return want_graph(p) < 0 ? err_set(e, -ENOMEM, "no memory") : 0;
}

void rest_count_live(struct plan *p)
{
	const struct step *s = p->pins[0].step;
	struct old_shard *shards = p->old[0].shards;

	for (uint32_t i = 0; i < s->n_shards; i++) {
		shards[i].live += s->shards[i].used;
		shards[i].entries = s->shards[i].entries;
	}
	for (uint32_t i = next_other(p, 0); i < s->n_vars; i = next_other(p, i + 1)) {
		const struct var *v = &s->vars[i];

		if (v->kind != VAR_WHOLE && v->kind != VAR_PART)
			continue;
		shards[v->shard].live -= v->size;
		shards[v->shard].entries--;
	}
}

static bool stays(const struct plan *p, uint32_t shard)
{
	const struct old_shard *o = &p->old[0].shards[shard];

	return o->live && !o->repack && o->number == p->pins[0].step->shards[shard].number;
}

bool rest_moves(const struct plan *p, uint32_t var)
{
	const struct var *v = &p->pins[0].step->vars[var];

	if (!rest_has(p, 0, var))
		return false;
	return v->kind == VAR_SLICED ? p->num_shards < p->pins[0].step->num_shards
				     : !stays(p, v->shard);
}

int rest_list_moved(const struct plan *p, struct buf *vars)
{
	const struct step *s = p->pins[0].step;
	bool any = s->n_parts && p->num_shards < s->num_shards;
	int r = 0;

	for (uint32_t i = 0; i < s->n_shards; i++)
		any |= p->old[0].shards[i].entries && !stays(p, i);
	for (uint32_t i = 0; any && i < s->n_vars && r == 0; i++)
		if (rest_moves(p, i))
			r = buf_add(vars, &i, sizeof i);
	return r;
}

int rest_leave_others(struct plan *p, struct err *e)
{
	const struct step *s = p->pins[0].step;
	int r = 0;

	for (uint32_t i = next_other(p, 0); i < s->n_vars && r == 0; i = next_other(p, i + 1))
		r = bundle_writer_leave(&p->index, var_key(s, &s->vars[i]), e);
	return r;
}

#include "commit/graph.h"
#include "base/cleanup.h"
#include "message/object_graph.h"
#include "step/sidecar.h"
#include <stdlib.h>

/* Also of changes, which begin with a key. */
static int compare_keys(const void *a, const void *b)
{
	return bytes_cmp(*(const struct bytes *)a, *(const struct bytes *)b);
}

/* What becomes of each variable of pin PIN: under which key it is wanted now, if at all. KEYS: all that are, sorted. */
static size_t list_changes(const struct plan *p, uint32_t pin, const struct bytes *keys,
			   struct key_change *out)
{
	const struct step *s = p->pins[pin].step;
	size_t n_out = 0;

	for (uint32_t v = 0; v < s->n_vars; v++) {
		struct key_change c = {.from = var_key(s, &s->vars[v])};

		if (s->vars[v].kind == VAR_PART)
			continue;
		if (bsearch(&c.from, keys, plan_n(p), sizeof *keys, compare_keys))
			c.to = c.from;
		else if (p->old[pin].first[v])
			c.to = want_key(p, &plan_wants(p)[p->old[pin].first[v] - 1]);
		out[n_out++] = c;
	}
	qsort(out, n_out, sizeof *out, compare_keys);
	return n_out;
}

static int edit(struct plan *p, const struct want *graph, struct err *e)
{
	struct pin *pin = &p->pins[graph->pin];
	CLEANUP(freep) struct bytes *keys = calloc(plan_n(p) + 1, sizeof *keys);
	CLEANUP(freep)
	struct key_change *changes = calloc(pin->step->n_vars + (size_t)1, sizeof *changes);
	CLEANUP(buf_release) struct buf old = {0};
	int r;

	if (!keys || !changes)
		return err_set(e, -ENOMEM, "no memory");
	for (uint32_t i = 0; i < plan_n(p); i++)
		keys[i] = want_key(p, &plan_wants(p)[i]);
	qsort(keys, plan_n(p), sizeof *keys, compare_keys);
	r = sidecar_object_graph(pin->step, plan_dir(p, graph->pin, e), &old, e);
	if (r == 0)
		r = object_graph_edit(buf_bytes(&old), changes,
				      list_changes(p, graph->pin, keys, changes), &p->graph,
				      &p->new_graph, e);
	/* One that can't be understood is carried as it is. */
	return r == -EUCLEAN || r == -ENOENT ? 0 : r;
}

int graph_edit(struct plan *p, struct err *e)
{
	for (uint32_t i = 0; i < plan_n(p) && p->object_based; i++) {
		struct want *w = &plan_wants(p)[i];

		if (!bytes_eq(want_key(p, w), bytes_str(OBJECT_GRAPH_KEY)))
			continue;
		return w->store && w->item ? 0 : edit(p, w, e);
	}
	return 0;
}

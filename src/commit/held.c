#include "commit/held.h"
#include "base/cleanup.h"
#include "commit/pack.h"
#include "commit/written.h"
#include "message/graph_vars.h"

/* The variable that W is, or lies over, and its step; NULL: none. */
static const struct var *var_of(const struct plan *p, const struct want *w, uint32_t *pin)
{
	uint32_t number = w->item ? w->expect_var : w->of_var;

	*pin = w->item ? w->expect_pin : w->of_pin;
	return *pin == DRAFT_NONE ? NULL : &p->pins[*pin].step->vars[number];
}

static bool was_removed(const struct plan *p, const char *path)
{
	const char *at = (const char *)p->removed.p, *end = at + p->removed.n;

	for (; at < end; at += strlen(at) + 1)
		if (!strcmp(at, path))
			return true;
	return false;
}

static bool is_to_be_asked(const struct plan *p, const struct want *w)
{
	uint32_t pin, graph_pin = p->meta.item ? 0 : p->meta.pin;
	const struct var *v = var_of(p, w, &pin);
	bool own_key = v && bytes_eq(want_key(p, w), var_key(p->pins[pin].step, v));

	if (own_key && pin == graph_pin && !p->new_meta)
		return false;
	if (p->d->has_base && step_find(p->pins[0].step, want_key(p, w)))
		return own_key && pin == 0;
	return true;
}

/* What W has by now. */
static struct staged_kind kind_of(const struct plan *p, const struct want *w)
{
	const struct step *s;
	const struct var *v;

	if (w->item)
		return (struct staged_kind){w->dtype, false, w->rank,
					    (const int64_t *)(const void *)(p->dims.p + w->dims)};
	s = p->pins[w->of_pin].step;
	v = &s->vars[w->of_var];
	return (struct staged_kind){v->dtype, false, v->rank, var_dims(s, v)};
}

static int check(struct plan *p, struct want *w, const struct graph_vars *nodes,
		 const struct graph_vars *parts, struct err *e)
{
	const struct graph_vars *in = parts;
	const struct graph_var *var = graph_vars_find(parts, want_key(p, w));
	struct staged_kind has = kind_of(p, w), want;
	struct err why = {0};
	int r;

	if (!var) {
		in = nodes;
		var = graph_vars_find(nodes, want_key(p, w));
	}
	if (!var)
		return 0;
	want = (struct staged_kind){var->dtype, var->any_shape, var->rank, graph_var_dims(in, var)};
	if (staged_is_like(&has, &want) || was_removed(p, want_path(p, w)))
		return 0;
	if (w->item && p->d->reshape && staged_is_as_many(&has, &want))
		return want_set_shape(p, w, want.rank, want.dims) < 0
			       ? err_set(e, -ENOMEM, "no memory")
			       : 0;
	r = staged_unlike(want_path(p, w), &has, &want, &why);
	if (w->item)
		return written_note(p, w->item, r, &why, e);
	if (e)
		*e = why;
	return r;
}

static int check_all(struct plan *p, const struct graph_vars *nodes, const struct graph_vars *parts,
		     struct err *e)
{
	int r = 0;

	for (uint32_t i = 0; i < plan_n(p); i++) {
		struct want *w = &plan_wants(p)[i];
		int own = is_to_be_asked(p, w) ? check(p, w, nodes, parts, r < 0 ? NULL : e) : 0;

		r = r < 0 ? r : own;
	}
	return r;
}

static bool is_any_asked(const struct plan *p)
{
	for (uint32_t i = 0; plan_makes_meta(p) && i < plan_n(p); i++)
		if (is_to_be_asked(p, &plan_wants(p)[i]))
			return true;
	return false;
}

int held_check(struct plan *p, struct err *e)
{
	CLEANUP(graph_vars_release) struct graph_vars nodes = {0}, parts = {0};
	CLEANUP(meta_graph_release) struct meta_graph m = {0};
	CLEANUP(buf_release) struct buf raw = {0};
	struct err why = {0};
	int r;

	if (!is_any_asked(p)) /* the graph of a large model takes a while to parse */
		return 0;
	r = pack_read_meta(p, &raw, &why);
	if (r == 0)
		r = meta_graph_parse(buf_bytes(&raw), &m, &why);
	if (r == -EUCLEAN || r == -E2BIG || r == -EFBIG || r == -ENOENT)
		return 0;
	if (r == 0 && graph_vars_of(&m, &nodes, &parts) < 0)
		r = err_set(&why, -ENOMEM, "no memory");
	if (r < 0 && e)
		*e = why;
	return r < 0 ? r : check_all(p, &nodes, &parts, e);
}

#include "commit/graph.h"
#include "base/cleanup.h"
#include "commit/content.h"
#include "commit/rest.h"
#include "draft/draft_state.h"
#include "message/object_graph.h"
#include "step/sidecar.h"
#include <stdio.h>
#include <stdlib.h>

/* Also of changes, which begin with a key. */
static int compare_keys(const void *a, const void *b)
{
	return bytes_cmp(*(const struct bytes *)a, *(const struct bytes *)b);
}

/* The variable of C moves to the key of W. With names=full it gets the path of its file as its full name. */
static void move_to(const struct plan *p, const struct want *w, struct key_change *c)
{
	const char *path = want_path(p, w);

	c->to = want_key(p, w);
	if (p->d->full_names)
		c->name = bytes_of(path, strlen(path) - strlen(".npy"));
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
		if (rest_has(p, pin, v) ||
		    bsearch(&c.from, keys, plan_n(p), sizeof *keys, compare_keys))
			c.to = c.from;
		else if (p->old[pin].first[v])
			move_to(p, &plan_wants(p)[p->old[pin].first[v] - 1], &c);
		out[n_out++] = c;
	}
	qsort(out, n_out, sizeof *out, compare_keys);
	return n_out;
}

/* If what the N CHANGES remove of GRAPH was other objects' too, P->shared says so. */
static int note_shared(struct plan *p, struct bytes graph, const struct key_change *changes,
		       size_t n, struct err *e)
{
	CLEANUP(object_shared_release) struct object_shared s = {0};
	CLEANUP(buf_release) struct buf path = {0};
	const struct full_names *names = p->graph_names ? p->graph_names : p->d->base_names;
	bool is_news; /* its full name, as it is shown by its key */
	char others[64] = "";
	int r = object_shared_find(graph, changes, n, &s, e);

	p->shared.text[0] = 0;
	if (r < 0 || !s.n)
		return r;
	r = full_names_path(names, NAME_OBJECT, bytes_of(s.key.p, s.key.n - 1), &path);
	if (r < 0)
		return err_set(e, r, "no memory");
	is_news =
		s.full_name.n > 1 && !bytes_eq(buf_bytes(&path), bytes_str((char *)s.full_name.p));
	if (s.n > 1)
		snprintf(others, sizeof others, ", and %zu more", s.n - 1);
	err_set(&p->shared, 0,
		"removed variables that other objects have, too: %.*s.npy, which is also %.80s%s%.120s%s%s",
		(int)(path.n < 120 ? path.n : 120), (char *)path.p,
		is_news ? (char *)s.full_name.p : "", is_news ? " (" : "", (char *)s.path.p,
		is_news ? ")" : "", others);
	return 0;
}

/* The graph as it is wanted, but for what becomes of keys. OUT is a part of BYTES. */
static int read_graph(struct plan *p, const struct want *graph, struct buf *bytes,
		      struct bytes *out, struct err *e)
{
	int r;

	if (graph->store && graph->item) /* it was written */
		return content_read_string(p, graph, bytes, out, e);
	r = sidecar_object_graph(p->pins[graph->pin].step, plan_dir(p, graph->pin, e), bytes, e);
	*out = buf_bytes(bytes);
	return r;
}

/* NUMBER: the pin of the step whose keys it has. */
static int edit(struct plan *p, const struct want *graph, uint32_t number, struct err *e)
{
	struct pin *pin = &p->pins[number];
	CLEANUP(freep) struct bytes *keys = calloc(plan_n(p) + 1, sizeof *keys);
	CLEANUP(freep)
	struct key_change *changes = calloc(pin->step->n_vars + (size_t)1, sizeof *changes);
	CLEANUP(buf_release) struct buf bytes = {0};
	struct bytes old;
	size_t n;
	int r;

	if (!keys || !changes)
		return err_set(e, -ENOMEM, "no memory");
	for (uint32_t i = 0; i < plan_n(p); i++)
		keys[i] = want_key(p, &plan_wants(p)[i]);
	qsort(keys, plan_n(p), sizeof *keys, compare_keys);
	n = list_changes(p, number, keys, changes);
	r = read_graph(p, graph, &bytes, &old, e);
	if (r == 0)
		r = object_graph_edit(old, changes, n, &p->graph, &p->new_graph, e);
	if (r == 0 && p->new_graph)
		r = note_shared(p, old, changes, n, e);
	/* One that can't be understood is carried as it is. A file that can't be stored is refused later. */
	return r == -EUCLEAN || r == -ENOENT || r == -EINVAL ? 0 : r;
}

int graph_edit(struct plan *p, struct err *e)
{
	for (uint32_t i = 0; i < plan_n(p) && p->object_based; i++) {
		struct want *w = &plan_wants(p)[i];
		bool written = w->store && w->item;

		if (!bytes_eq(want_key(p, w), bytes_str(OBJECT_GRAPH_KEY)))
			continue;
		if (written && !p->d->has_base)
			return 0;
		if (!written && w->pin == 0 && p->d->has_base && plan_has_keys_of_base(p))
			return 0; /* it can be large */
		return edit(p, w, written ? 0 : w->pin, e);
	}
	return 0;
}

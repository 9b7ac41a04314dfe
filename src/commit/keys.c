#include "commit/keys.h"
#include "base/cleanup.h"
#include "commit/content.h"
#include "draft/draft_state.h"

static int read_graph(struct plan *p, const struct want *w, struct err *e)
{
	CLEANUP(buf_release) struct buf bytes = {0};
	struct bytes graph;
	int r = content_read_string(p, w, &bytes, &graph, e);

	if (r == 0)
		r = full_names_read(graph, NULL, 0, &p->graph_names, e);
	/* Without a good object graph nothing has a full name. A file that can't be stored is refused later, when it is planned. */
	return r == -EUCLEAN || r == -EINVAL ? 0 : r;
}

int keys_find(struct plan *p, struct err *e)
{
	for (uint32_t i = 0; i < plan_n(p) && p->d->full_names; i++) {
		const struct want *w = &plan_wants(p)[i];
		bool of_base = p->d->has_base && !w->item && w->of_pin == 0;

		if (!strcmp(want_path(p, w), OBJECT_GRAPH_KEY ".npy"))
			return of_base ? 0 : read_graph(p, w, e);
	}
	return 0;
}

int keys_add(struct plan *p, struct want *w, struct err *e)
{
	const struct full_names *names = p->d->base_names ? p->d->base_names : p->graph_names;
	enum name_flavour flavour = p->object_based ? NAME_OBJECT : NAME_PLAIN;
	CLEANUP(buf_release) struct buf other = {0};
	const char *path = want_path(p, w);
	struct bytes stem = bytes_of(path, strlen(path) - strlen(".npy"));
	int r;

	w->key = p->keys.n;
	r = full_names_key(names, flavour, stem, &p->keys, e);
	w->key_n = p->keys.n - w->key;
	if (r < 0 || !p->graph_names || names == p->graph_names)
		return r;
	r = full_names_key(p->graph_names, flavour, stem, &other, e);
	if (r == 0 && !bytes_eq(want_key(p, w), buf_bytes(&other)))
		r = err_set(e, -EINVAL,
			    "%s: is another variable in the object graph that was put here; copy "
			    "the step into a new one",
			    path);
	return r;
}

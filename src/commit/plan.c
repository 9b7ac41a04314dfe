#include "commit/plan.h"
#include "base/cleanup.h"
#include "commit/content.h"
#include "commit/rest.h"
#include "commit/same.h"
#include "commit/written.h"
#include "draft/draft_state.h"
#include "draft/overlay.h"
#include "draft/pins.h"
#include "format/dtype.h"
#include <stdio.h>

void plan_init(struct plan *p, struct draft *d, const struct commit_config *c)
{
	*p = (struct plan){.d = d,
			   .c = c,
			   .goes_on = c->goes_on && d->has_base,
			   .dir = -1,
			   .fd = -1,
			   .packed = append_of(-1, 0),
			   .index_fd = -1};
}

static void release_items(struct plan *p)
{
	struct draft *d = p->d;

	pthread_mutex_lock(&d->lock);
	for (uint32_t i = 0; i < plan_n(p); i++)
		if (plan_wants(p)[i].item)
			draft_item_unref(d, plan_wants(p)[i].item);
	if (p->meta.item)
		draft_item_unref(d, p->meta.item);
	if (p->debug.item)
		draft_item_unref(d, p->debug.item);
	pthread_mutex_unlock(&d->lock);
}

void plan_release(struct plan *p)
{
	release_items(p);
	for (uint32_t i = 0; p->old && i < p->n_pins; i++) {
		free(p->old[i].first);
		free(p->old[i].whole);
		free(p->old[i].shards);
	}
	free(p->old);
	free(p->pins);
	free(p->claimed);
	free(p->others);
	buf_release(&p->paths);
	buf_release(&p->keys);
	buf_release(&p->wants);
	buf_release(&p->dims);
	buf_release(&p->removed);
	buf_release(&p->graph);
	buf_release(&p->counts);
	full_names_free(p->graph_names);
	bundle_writer_release(&p->index);
	closep(&p->dir);
	closep(&p->fd);
	append_release(&p->packed);
	closep(&p->index_fd);
	free(p->name);
	free(p->kept);
}

const char *want_name(const struct plan *p, const struct want *w)
{
	const char *path = want_path(p, w), *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

const char *plan_packed_name(struct plan *p, const struct want *w)
{
	if (!w || !w->alone)
		return "packed";
	snprintf(p->packed_name, sizeof p->packed_name, "packed-%u", w->shard);
	return p->packed_name;
}

mode_t want_mode(const struct plan *p, const struct want *w)
{
	const struct step *s = w->item ? NULL : p->pins[w->of_pin].step;

	return s ? var_owner(s, &s->vars[w->of_var], NULL).mode : w->mode;
}

/* --- keys -------------------------------------------------------------------------------------------------- */

/* A draft with full_names has full names as paths. One with a base takes keys and full names from the base's object graph. A new
 * step, or one without an object graph, takes them from the object graph that was copied into it: so a copy of a step keeps its keys,
 * also if the timer committed a part of it before the graph came. If another object graph is written over the base's, it must give
 * each path the same key. */
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

/* Reads that object graph, if need be. -EAGAIN, -ENOMEM, or of reading it. */
static int find_names(struct plan *p, struct err *e)
{
	for (uint32_t i = 0; i < plan_n(p) && p->d->full_names; i++) {
		const struct want *w = &plan_wants(p)[i];
		bool of_base = p->d->has_base && !w->item && w->of_pin == 0;

		if (!strcmp(want_path(p, w), OBJECT_GRAPH_KEY ".npy"))
			return of_base ? 0 : read_graph(p, w, e);
	}
	return 0;
}

/* W gets its key. -EINVAL: no variable has such a path. */
static int add_key(struct plan *p, struct want *w, struct err *e)
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

/* --- what is wanted ---------------------------------------------------------------------------------------- */

/* Every shard that V needs is there, and what it says makes sense. */
static int check_kept(struct plan *p, const struct want *w, struct err *e)
{
	const struct pin *pin = &p->pins[w->pin];
	struct err why = {0};
	int dir = plan_dir(p, w->pin, &why);

	if (dir >= 0 && step_check(pin->step, &pin->step->vars[w->var], dir, &why) == 0)
		return 0;
	return err_set(e, -EINVAL, "%s: can't be carried along, remove it to go on: %s",
		       want_name(p, w), why.text);
}

/* --- kept or written --------------------------------------------------------------------------------------- */

/* V1 has every variable in slices, most in one. */
static bool has_slices(const struct var *v)
{
	return v->kind == VAR_SLICED && v->n_parts > 1;
}

const struct var *want_layout(const struct plan *p, const struct want *w, const struct step **of)
{
	const struct var *v;

	if (w->pin == DRAFT_NONE)
		return NULL;
	*of = p->pins[w->pin].step;
	v = &(*of)->vars[w->var];
	return has_slices(v) ? v : NULL;
}

/* A reference whose bytes can't be used as they are stored is written anew. */
static void decide_reference(const struct plan *p, struct want *w)
{
	const struct step *s = p->pins[w->pin].step, *o;
	const struct var *v = &s->vars[w->var], *over;

	w->store = s->place.format == STEP_V1 || s->big_endian != p->big_endian;
	if (w->expect_pin == DRAFT_NONE)
		return;
	o = p->pins[w->expect_pin].step;
	over = &o->vars[w->expect_var];
	if (over->kind != VAR_BAD && !layout_is_same(s, v, o, over)) {
		w->store = true;
		w->pin = w->expect_pin;
		w->var = w->expect_var;
	}
}

/* The number of S, whose files are in FROM, among the plan's pins, which it becomes if it is none yet; -1: it can't. */
static int plan_pin(struct plan *p, struct step *s, int from)
{
	struct pin pin, *pins;

	for (uint32_t i = 0; i < p->n_pins; i++)
		if (pin_is_of(&p->pins[i], s))
			return (int)i;
	pins = realloc(p->pins, (p->n_pins + (size_t)1) * sizeof *pins);
	if (!pins)
		return -1;
	p->pins = pins;
	if (draft_pin_beside(p->d, s, from, &pin, NULL) < 0)
		return -1;
	p->pins[p->n_pins] = pin;
	return (int)p->n_pins++;
}

/* Whether what was written is what S has under that name; then it is kept from there. Else W stays as it is: what
 * decide_reference makes of it is what it was. */
static int find_in_step(struct plan *p, struct want *w, const struct npy *npy,
			const struct written *f, struct step *s, int dirfd, struct err *e)
{
	const struct var *v = step_find(s, want_key(p, w));
	int r, pin;

	if (!v || v->kind == VAR_BAD || v->kind == VAR_PART || s->place.format != STEP_V2 ||
	    s->big_endian != p->big_endian || v->dtype != w->dtype)
		return 0;
	r = content_is_same(p, w, npy, f, s, v, dirfd, e);
	pin = r == 1 ? plan_pin(p, s, dirfd) : -1;
	if (pin < 0)
		return r < 0 ? r : 0;
	w->store = false;
	w->pin = (uint32_t)pin;
	w->var = (uint32_t)(v - s->vars);
	decide_reference(p, w);
	return w->store ? 0 : 1;
}

/* Rsync and editors copy bytes: what they have copied is found again in the base, or in another step. */
static int find_stored(struct plan *p, struct want *w, const struct npy *npy,
		       const struct written *f, struct err *e)
{
	int r = 0;

	if (p->d->has_base)
		r = find_in_step(p, w, npy, f, p->pins[0].step, plan_dir(p, 0, e), e);
	for (size_t i = 0; i < p->c->n_others && r == 0; i++) {
		r = find_in_step(p, w, npy, f, p->c->others[i].step, p->c->others[i].dirfd, NULL);
		r = r == 1 ? 1 : 0; /* what can't be read there is no help */
	}
	return r < 0 ? r : 0;
}

/* Of steps that are all big-endian a new one is too. */
static void choose_order(struct plan *p)
{
	bool big = p->n_pins > 0;

	for (uint32_t i = 0; i < (p->d->has_base ? 1 : p->n_pins); i++)
		big = big && p->pins[i].step->big_endian;
	p->big_endian = big;
}

/* Whether the bytes of the file are those that are stored, side by side. */
static bool is_canonical(const struct plan *p, const struct npy *npy)
{
	const struct dtype_info *t = dtype_info(npy->dtype);

	return npy->dtype != DTYPE_STRING && (!npy->fortran || npy->rank < 2) &&
	       (npy->big_endian == p->big_endian || t->word <= 1);
}

/* W is a file of the draft's own. REFUSED: another one was, so nothing will be committed, and this one is only
 * checked. */
static int plan_written(struct plan *p, struct want *w, bool refused, struct err *e)
{
	const struct step *of = w->expect_pin == DRAFT_NONE ? NULL : p->pins[w->expect_pin].step;
	const struct var *over = of ? &of->vars[w->expect_var] : NULL;
	struct written f;
	struct npy npy;
	int r = written_parse(p, w, &f, &npy, e);

	if (r < 0)
		return r;
	w->store = true;
	w->pin = w->expect_pin;
	w->var = w->expect_var;
	w->dtype = npy.dtype;
	w->canonical = is_canonical(p, &npy);
	w->size = npy.size;
	r = over && over->kind != VAR_BAD ? want_set_shape(p, w, over->rank, var_dims(of, over))
					  : want_set_shape(p, w, npy.rank, npy.dims);
	if (r < 0)
		err_set(e, r, "no memory");
	if (r == 0 && !refused)
		r = find_stored(p, w, &npy, &f, e);
	written_close(&f);
	return r;
}

static int plan_variable(struct plan *p, struct want *w, bool refused, struct err *e)
{
	int r = add_key(p, w, e);

	w->pin = w->of_pin;
	w->var = w->of_var;
	if (r == 0 && w->item)
		return plan_written(p, w, refused, e);
	if (r == 0)
		r = check_kept(p, w, e);
	if (r == 0)
		decide_reference(p, w);
	return r;
}

/* All that are refused are noted; the first one is told. */
static int plan_variables(struct plan *p, struct err *e)
{
	struct err why = {0};
	int r = 0;

	for (uint32_t i = 0; i < plan_n(p); i++) {
		int own = plan_variable(p, &plan_wants(p)[i], r < 0, &why);

		if (own < 0 && r == 0) {
			r = own;
			if (e)
				*e = why;
		}
		if (own < 0 && own != -EINVAL)
			break;
	}
	return r;
}

/* --- all of it --------------------------------------------------------------------------------------------- */

static int make_old(struct plan *p)
{
	p->old = calloc(p->n_pins + (size_t)1, sizeof *p->old);
	for (uint32_t i = 0; p->old && i < p->n_pins; i++) {
		const struct step *s = p->pins[i].step;
		struct old_step *o = &p->old[i];

		o->first = calloc(s->n_vars + (size_t)1, sizeof *o->first);
		o->whole = calloc(s->n_vars + (size_t)1, sizeof *o->whole);
		o->shards = calloc(s->n_shards + (size_t)1, sizeof *o->shards);
		if (!o->first || !o->whole || !o->shards)
			return -ENOMEM;
	}
	return p->old ? 0 : -ENOMEM;
}

/* Hangs want number I on the variable that it is, or of whose slices it is made. */
static void chain_want(struct plan *p, uint32_t i)
{
	struct want *w = &plan_wants(p)[i];
	struct old_step *old = &p->old[w->pin];
	const struct step *s = p->pins[w->pin].step;
	const struct var *v = &s->vars[w->var];

	w->next = old->first[w->var];
	old->first[w->var] = i + 1;
	for (uint32_t k = 0; v->kind == VAR_SLICED && k < v->n_parts; k++)
		old->whole[s->parts[v->aux + k].var] = w->var;
}

static void chain_wants(struct plan *p)
{
	for (uint32_t i = 0; i < plan_n(p); i++) {
		const struct want *w = &plan_wants(p)[i];
		const struct step *s;

		if (!w->store || want_layout(p, w, &s))
			chain_want(p, i);
	}
}

/* Shards that were missing when a step was pinned may be there by now. The draft has the step as it is read then,
 * too. */
static int complete_pin(struct plan *p, uint32_t pin, struct err *e)
{
	struct draft *d = p->d;
	struct pin *own = &p->pins[pin];
	struct step *before = own->step;
	int r = pin_complete(own, plan_dir(p, pin, e), d->top, d->mode, e);

	if (own->step == before)
		return r;
	pthread_mutex_lock(&d->lock);
	d->pins[pin].step = own->step;
	d->pins[pin].incomplete = own->incomplete;
	pthread_mutex_unlock(&d->lock);
	return r;
}

/* What the base shows, and nothing was done with; and what it hides. */
static int add_unchanged(struct plan *p, struct err *e)
{
	const struct tree *t = p->tree;
	int r = 0;

	for (uint32_t i = 0; t && i < t->n_files + t->n_hidden && r == 0; i++) {
		const struct tree_file *f = &t->files[i];
		struct want w = {.path = p->paths.n,
				 .of_var = f->var,
				 .expect_pin = DRAFT_NONE,
				 .expect_var = DRAFT_NONE};

		if (i < t->n_files && overlay_claims(p->claimed, tree_file_index(i)))
			continue;
		r = buf_add(&p->paths, f->stem, f->n);
		if (r == 0)
			r = buf_add(&p->paths, ".npy", sizeof ".npy");
		if (r == 0)
			r = buf_add(&p->wants, &w, sizeof w);
	}
	return r < 0 ? err_set(e, r, "no memory") : 0;
}

int plan_make(struct plan *p, struct err *e)
{
	int r = 0;

	for (uint32_t i = 0; i < p->n_pins && r == 0; i++)
		r = complete_pin(p, i, e);
	choose_order(p);
	if (r == 0)
		r = find_names(p, e);
	if (r == 0)
		r = rest_is_possible(p) ? rest_find(p, e) : add_unchanged(p, e);
	if (r == 0)
		r = plan_variables(p, e);
	if (r == 0 && make_old(p) < 0)
		r = err_set(e, -ENOMEM, "no memory");
	if (r < 0)
		return r;
	chain_wants(p);
	return 0;
}

static bool is_as_in_base(const struct plan *p, const struct want *w)
{
	const struct step *s = p->pins[0].step;
	uint32_t pin =
		w->item ? w->pin : w->of_pin; /* what was written may be what another step has */
	uint32_t var = w->item ? w->var : w->of_var;

	return !w->store && pin == 0 && bytes_eq(want_key(p, w), var_key(s, &s->vars[var]));
}

/* Does it have all keys that the base has? EXTRA: how many besides. */
static bool has_all_keys(const struct plan *p, uint32_t *extra)
{
	uint32_t kept = p->n_rest;

	for (uint32_t i = 0; i < plan_n(p); i++)
		kept += step_find(p->pins[0].step, want_key(p, &plan_wants(p)[i])) != NULL;
	*extra = plan_n(p) + p->n_rest - kept;
	return kept == p->tree->n_files + p->tree->n_hidden;
}

bool plan_has_keys_of_base(const struct plan *p)
{
	uint32_t extra;

	return has_all_keys(p, &extra) && !extra;
}

bool plan_is_base(const struct plan *p)
{
	const struct draft *d = p->d;
	bool no_meta = p->c->makes.no_meta_graph;
	uint32_t extra; /* what was committed is not known by the base */

	if (!d->has_base || (p->new_meta && !no_meta) || p->new_graph)
		return false;
	for (uint32_t i = 0; i < plan_n(p); i++) {
		const struct want *w = &plan_wants(p)[i];

		if (!w->committed && !is_as_in_base(p, w))
			return false;
	}
	return has_all_keys(p, &extra) &&
	       (no_meta || (d->base_meta == p->meta.there &&
			    (!p->meta.there || p->meta.item || p->meta.pin == 0)));
}

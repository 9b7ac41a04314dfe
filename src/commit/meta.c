#include "commit/meta.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "commit/pack.h"
#include "commit/written.h"
#include "directory/placed.h"
#include "draft/draft_state.h"
#include "draft/staged.h"
#include "message/graph_vars.h"
#include "message/meta_graph.h"
#include "step/sidecar.h"

/* Its descriptor. */
static int write_file(const struct plan *p, const char *name, struct bytes b, struct err *e)
{
	CLEANUP(closep) int fd = io_create(p->fd, name, 0644, e);
	int r = fd < 0 ? fd : io_write_at(fd, b, 0, e);

	if (r == 0)
		r = pack_give_to_owner(p, fd, 0666, e);
	if (r == 0)
		r = io_sync(fd, name, e);
	return r < 0 ? r : TAKE(fd, -1);
}

/* The meta graph of pin NUMBER. Of one that could not be held another may be there by now. */
static int read_old_meta(struct plan *p, uint32_t number, struct buf *out, struct err *e)
{
	const struct pin *base = &p->pins[number];
	const char *suffix = p->d->meta;
	CLEANUP(buf_release) struct buf name = {0};
	CLEANUP(closep) int fd = -1;
	struct source src;
	int r = sidecar_name(&base->step->place, suffix, &name);

	if (r < 0)
		return err_set(e, r, "no memory");
	if (!base->loose)
		return sidecar_read(plan_dir(p, number, e), &base->step->place, suffix, out, e);
	r = fd = placed_open(plan_dir(p, number, e), (char *)name.p,
			     &base->sidecars[TEXT_META_GRAPH], e);
	if (r >= 0)
		r = source_of_fd(fd, &src, e);
	if (r == 0)
		r = source_read(&src, 0, src.size, out, e);
	return r < 0 ? r : placed_check(fd, (char *)name.p, &base->sidecars[TEXT_META_GRAPH], e);
}

int meta_read(struct plan *p, struct buf *out, struct err *e)
{
	CLEANUP(closep) int fd = -1;
	struct source src;
	int r;

	if (!p->has_meta_file)
		return read_old_meta(p, p->meta.item ? 0 : p->meta.pin, out, e);
	r = fd = source_open(p->fd, "meta", &src, e);
	return r < 0 ? r : source_read(&src, 0, src.size, out, e);
}

static int write_meta(struct plan *p, const struct buf *meta, struct err *e)
{
	int r = p->has_meta_file ? io_remove_all(p->fd, "meta", e) : 0;
	CLEANUP(closep) int fd = r < 0 ? -1 : write_file(p, "meta", buf_bytes(meta), e);

	p->has_meta_file = fd >= 0;
	return r < 0 ? r : fd < 0 ? fd : 0;
}

/* One that can't be understood is carried along as it is. */
static int strip_meta(struct plan *p, struct err *e)
{
	CLEANUP(buf_release) struct buf meta = {0}, stripped = {0};
	struct err why = {0};
	int r = meta_read(p, &meta, &why);

	if (r == 0)
		r = meta_graph_strip_defaults(buf_bytes(&meta), &stripped, &why);
	if (r == -EUCLEAN || r == -E2BIG || r == -EFBIG || r == -ENOENT)
		return 0;
	if (r < 0 && e)
		*e = why;
	if (r < 0 || bytes_eq(buf_bytes(&meta), buf_bytes(&stripped)))
		return r;
	return write_meta(p, &stripped, e);
}

/* From the text that was written. */
static int pack_text(struct plan *p, struct err *e)
{
	CLEANUP(buf_release) struct buf meta = {0}, old = {0};
	struct err why = {0};
	struct written f;
	int r = written_open(p, p->meta.item, &f, e);

	if (r < 0)
		return r;
	r = staged_meta(p->d, &f.src, &meta, &why);
	written_close(&f);
	if (written_note(p, p->meta.item, r, &why, e) < 0)
		return r;
	p->new_meta = !p->d->has_base || read_old_meta(p, 0, &old, NULL) < 0 ||
		      !staged_meta_is(p->d, buf_bytes(&meta), buf_bytes(&old));
	return p->new_meta ? write_meta(p, &meta, e) : 0;
}

int meta_pack(struct plan *p, struct err *e)
{
	int r = p->meta.item ? pack_text(p, e) : 0;

	if (r == 0 && plan_makes_meta(p) && p->d->strip_default_attrs)
		r = strip_meta(p, e);
	return r;
}

/* --- does all fit it? ---------------------------------------------------------------------------------------- */

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

int meta_check(struct plan *p, struct err *e)
{
	CLEANUP(graph_vars_release) struct graph_vars nodes = {0}, parts = {0};
	CLEANUP(meta_graph_release) struct meta_graph m = {0};
	CLEANUP(buf_release) struct buf raw = {0};
	struct err why = {0};
	int r;

	if (!is_any_asked(p)) /* the graph of a large model takes a while to parse */
		return 0;
	r = meta_read(p, &raw, &why);
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

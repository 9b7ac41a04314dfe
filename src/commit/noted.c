#include "commit/noted.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "commit/content.h"
#include "commit/record.h"
#include "commit/rest.h"
#include "commit/same.h"
#include "directory/listing.h"
#include "draft/draft_state.h"
#include "format/v1.h"
#include "message/object_graph.h"
#include "message/state.h"
#include "step/sidecar.h"
#include <fcntl.h>

/* Where it is made, before it takes the place of the old one. */
#define NEW_NOTE "published.new"

/* --- the note ---------------------------------------------------------------------------------------------- */

/* Makes NEW_NOTE of the index. Where there are no hard links that was moved, and it may be removed already. */
static int copy_index(int draft, int top, const char *name, struct err *e)
{
	CLEANUP(buf_release) struct buf index = {0};
	CLEANUP(closep) int fd = -1;
	struct source src;
	int r;

	if (step_index_name(name, &index) < 0)
		return err_set(e, -ENOMEM, "no memory");
	r = fd = source_open(draft, "commit/" RECORD_INDEX, &src, e);
	if (r == -ENOENT)
		r = fd = source_open(top, (char *)index.p, &src, e);
	return r < 0 ? r : io_copy(fd, draft, NEW_NOTE, e);
}

int noted_make(int draft, int top, const char *name, struct err *e)
{
	int r = io_remove_all(draft, NEW_NOTE, e);

	if (r < 0)
		return r;
	/* A V1 file may be large, and nobody writes one in place. */
	r = io_place(draft, "commit/" RECORD_V1, draft, NEW_NOTE, e);
	if (r == -ENOENT)
		r = copy_index(draft, top, name, e);
	if (r == -ENOENT)
		r = io_place(top, name, draft, NEW_NOTE, e);
	if (r == 0)
		r = io_move(draft, NEW_NOTE, draft, DRAFT_NOTE, e);
	return r == 0 ? io_sync(draft, DRAFT_NOTE, e) : r;
}

/* The note, open. */
struct note {
	struct source src;
	struct stat st;
	int fd;
};

static void note_release(struct note *n)
{
	closep(&n->fd);
}

static int note_open(int draft, struct note *n, struct err *e)
{
	if (fstatat(draft, DRAFT_NOTE, &n->st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, -errno, DRAFT_NOTE);
	n->fd = source_open(draft, DRAFT_NOTE, &n->src, e);
	return n->fd < 0 ? n->fd : 1;
}

/* An index that nobody lets us read, or that leads nowhere, is not ours. */
static int has_same_bytes(const struct note *n, int top, const char *name, struct err *e)
{
	CLEANUP(closep) int fd = -1;
	struct source src;
	struct stat st;
	int r = fstatat(top, name, &st, 0) < 0 ? err_sys(e, -errno, "%s", name) : 0;

	if (r == 0 && st.st_size != n->st.st_size)
		return 0;
	if (r == 0 && st.st_dev == n->st.st_dev && st.st_ino == n->st.st_ino)
		return 1;
	if (r == 0)
		r = fd = source_open(top, name, &src, e);
	if (r >= 0)
		r = source_same(&src, &n->src, e);
	if (r == -EACCES || r == -EPERM || r == -ENOENT || r == -ELOOP || r == -ENOTDIR ||
	    r == -ENAMETOOLONG)
		return 0;
	return r;
}

/* The first step of L whose index has the note's bytes: 1; 0: none; or why one, or what may be one, could not be looked at. */
static int find_step(const struct note *n, int top, const struct listing *l,
		     const struct step_place **out, struct err *e)
{
	int failed = 0;

	for (uint32_t i = 0; i < l->n; i++) {
		const struct listed *item = &l->items[i];
		int r = 0;

		if (item->kind == LISTED_STEP && !item->place.shards)
			r = has_same_bytes(n, top, item->place.file, failed < 0 ? NULL : e);
		failed = failed < 0 || r > 0 ? failed : r;
		*out = &item->place;
		if (r == 1)
			return 1;
	}
	if (failed == 0 && l->unread && (failed = v1_probe(n->src)) == 1)
		failed = listing_is_sure(l, e);
	return failed;
}

/* A step that can't be read does not have what the draft has. */
static int open_step(int top, const struct step_place *place, enum verify_mode mode,
		     struct step **out, struct err *e)
{
	int r = step_open(top, place, mode, out, e);

	if (r == 0 && !step_is_known(*out)) {
		step_unref(TAKE(*out, NULL));
		return err_set(e, -EIO, "%s: what it is made of can't be found out", place->name);
	}
	return r == 0 ? 1 : r == -ENOENT || r == -EUCLEAN || r == -EBADMSG || r == -ENOTSUP ? 0 : r;
}

int noted_find(int draft, int top, struct step_place *out, struct err *e)
{
	CLEANUP(listing_release) struct listing l = {0};
	CLEANUP(note_release) struct note n = {.fd = -1};
	const struct step_place *place = NULL;
	int r = note_open(draft, &n, e);

	if (r <= 0)
		return r;
	r = listing_read(top, STATE_NAME, &l, e);
	if (r == 0)
		r = find_step(&n, top, &l, &place, e);
	if (r == 1 && step_place_copy(place, out) < 0)
		return err_set(e, -ENOMEM, "no memory");
	return r;
}

int noted_open(int draft, int top, enum verify_mode mode, struct step **out, struct err *e)
{
	CLEANUP(step_place_release) struct step_place place = {0};
	int r = noted_find(draft, top, &place, e);

	return r == 1 ? open_step(top, &place, mode, out, e) : r;
}

/* --- is it what the plan holds? ---------------------------------------------------------------------------- */

static bool is_stored_as(const struct step *a, const struct var *x, const struct step *b,
			 const struct var *y)
{
	if (x->kind == VAR_BAD || !layout_is_same(a, x, b, y) || x->dtype != y->dtype ||
	    x->rank != y->rank || a->big_endian != b->big_endian ||
	    (x->rank && memcmp(var_dims(a, x), var_dims(b, y), x->rank * sizeof *a->dims) != 0))
		return false;
	for (uint32_t i = 0; x->kind == VAR_SLICED && i < x->n_parts; i++) {
		const struct var *p = &a->vars[a->parts[x->aux + i].var];
		const struct var *q = &b->vars[b->parts[y->aux + i].var];

		if (p->crc != q->crc || p->size != q->size)
			return false;
	}
	return x->kind == VAR_SLICED || (x->crc == y->crc && x->size == y->size);
}

/* The same for one whose bytes are written. */
static int has_content(struct plan *p, struct want *w, const struct var *v, struct err *e)
{
	CLEANUP(content_release) struct content c = CONTENT_EMPTY;
	int r = content_open(p, w, &c, e);

	if (r < 0)
		return r;
	if (c.npy.dtype != v->dtype || v->kind == VAR_BAD)
		return 0;
	c.file.src = c.src;
	return content_is_same(p, w, &c.npy, &c.file, p->last, v, p->d->top, e);
}

static int has_graph(const struct plan *p, struct err *e)
{
	CLEANUP(buf_release) struct buf have = {0};
	int r = sidecar_object_graph(p->last, p->d->top, &have, e);

	return r < 0 ? r : bytes_eq(buf_bytes(&p->graph), buf_bytes(&have));
}

/* Is the shard, or are those of its slices, there? */
static bool is_there(const struct step *s, const struct var *v)
{
	for (uint32_t i = 0; v->kind == VAR_SLICED && i < v->n_parts; i++)
		if (!is_there(s, &s->vars[s->parts[v->aux + i].var]))
			return false;
	return v->kind == VAR_SLICED || !v->size || !s->shards[v->shard].status;
}

static int has_variable(struct plan *p, struct want *w, struct err *e)
{
	const struct var *v = step_find(p->last, want_key(p, w));
	const struct step *s;

	if (!v || !is_there(p->last, v))
		return 0;
	if (plan_stores_graph(p, w))
		return has_graph(p, e);
	if (w->store)
		return has_content(p, w, v, e);
	s = p->pins[w->pin].step;
	return is_stored_as(s, &s->vars[w->var], p->last, v);
}

/* The meta graph that P is to have. */
static int read_meta(struct plan *p, struct buf *out, struct err *e)
{
	CLEANUP(closep) int fd = -1;
	uint32_t pin = p->meta.item ? 0 : p->meta.pin;
	struct source src;
	int r;

	if (!p->has_meta_file)
		return sidecar_read(plan_dir(p, pin, e), &p->pins[pin].step->place, p->d->meta, out,
				    e);
	r = fd = source_open(p->fd, "meta", &src, e);
	return r < 0 ? r : source_read(&src, 0, src.size, out, e);
}

static int has_meta(struct plan *p, struct err *e)
{
	CLEANUP(buf_release) struct buf want = {0}, have = {0};
	struct err why = {0};
	int r;

	if (p->c->makes.no_meta_graph)
		return 1;
	r = sidecar_read(p->d->top, &p->last->place, p->d->meta, &have, &why);
	if (r == -ENOENT || (r == 0 && !plan_makes_meta(p)))
		return !plan_makes_meta(p) && r < 0;
	if (r < 0) {
		if (e)
			*e = why;
		return r;
	}
	r = read_meta(p, &want, e);
	return r < 0 ? r : bytes_eq(buf_bytes(&want), buf_bytes(&have));
}

static uint32_t count_variables(const struct step *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_vars; i++)
		n += s->vars[i].kind != VAR_PART;
	return n;
}

/* Has it what of the base has no want? Both are sorted by key. */
static bool has_rest(const struct plan *p)
{
	const struct step *base = p->n_rest ? p->pins[0].step : NULL, *last = p->last;
	uint32_t at = 0;

	for (uint32_t i = 0; base && i < base->n_vars; i++) {
		const struct var *v = &base->vars[i];
		int c = -1;

		if (!rest_has(p, 0, i) || v->kind == VAR_PART)
			continue;
		while (at < last->n_vars &&
		       (c = bytes_cmp(var_key(last, &last->vars[at]), var_key(base, v))) < 0)
			at++;
		if (c || !is_there(last, &last->vars[at]) ||
		    !is_stored_as(base, v, last, &last->vars[at]))
			return false;
	}
	return true;
}

int noted_is_plan(struct plan *p, struct err *e)
{
	uint32_t n = plan_n(p) + p->n_rest;
	int r = p->last->place.format == STEP_V2 && count_variables(p->last) == n && has_rest(p);

	for (uint32_t i = 0; i < plan_n(p) && r == 1; i++)
		r = has_variable(p, &plan_wants(p)[i], e);
	return r == 1 ? has_meta(p, e) : r;
}

int noted_is_v1(struct plan *p, struct err *e)
{
	CLEANUP(note_release) struct note n = {.fd = -1};
	struct source src;
	int r = p->last && p->last->place.format == STEP_V1 ? note_open(p->d->fd, &n, e) : 0;

	if (r == 1 && (r = source_of_fd(p->index_fd, &src, e)) == 0)
		r = source_same(&src, &n.src, e);
	return r == 1 ? has_meta(p, e) : r;
}

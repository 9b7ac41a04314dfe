#include "draft/staged.h"
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "draft/file.h"
#include "draft/items.h"
#include "draft/pins.h"
#include "format/dtype.h"
#include <inttypes.h>

enum { PIECE = 1 << 20 };

/* --- the checksum as bytes come in ------------------------------------------------------------------------- */

void staged_saw(struct staged *s, const uint8_t *p, size_t n, uint64_t off)
{
	HOLD(&s->sums_lock);
	crc_pieces_saw(&s->sums, off, p, n);
}

void staged_forget(struct staged *s, uint64_t off, uint64_t n)
{
	HOLD(&s->sums_lock);
	crc_pieces_forget(&s->sums, off, n);
}

void staged_cut(struct staged *s, uint64_t size)
{
	HOLD(&s->sums_lock);
	crc_pieces_cut(&s->sums, size);
}

int staged_sums(struct staged *s, struct crc_pieces *out)
{
	HOLD(&s->sums_lock);
	return crc_pieces_copy(&s->sums, out);
}

int staged_read_crc(const struct source *src, uint64_t from, uint64_t end, uint32_t *out,
		    struct err *e)
{
	CLEANUP(freep) uint8_t *piece = malloc(PIECE);
	uint32_t crc = 0;
	int r = piece ? 0 : err_set(e, -ENOMEM, "no memory");

	while (r == 0 && from < end) {
		size_t n = end - from < PIECE ? end - from : PIECE;

		r = source_read_into(src, from, piece, n, e);
		crc = r == 0 ? crc32c_extend(crc, piece, n) : crc;
		from += n;
	}
	*out = crc;
	return r;
}

int staged_crc(const struct crc_pieces *sums, const struct source *src, uint64_t from,
	       uint32_t *out, struct err *e)
{
	uint32_t head, whole;
	int r = staged_read_crc(src, 0, from, &head, e);

	if (r == 0)
		r = crc_pieces_sum(sums, src, &whole, e);
	if (r < 0)
		return r;
	/* The whole = head shifted by what follows, xor what is sought; so the other way round. */
	*out = crc32c_combine(head, whole, src->size - from);
	return 0;
}

/* --- what can be committed --------------------------------------------------------------------------------- */

static void add_shape(struct buf *out, const struct staged_kind *k)
{
	buf_add_byte(out, '[');
	for (unsigned i = 0; i < k->rank; i++) {
		buf_add_str(out, i ? ", " : "");
		if (k->dims[i] < 0)
			buf_add_byte(out, '?');
		else
			buf_printf(out, "%" PRId64, k->dims[i]);
	}
	buf_add_byte(out, ']');
}

/* "DT_FLOAT [2, 3]" */
static void add_kind(struct buf *out, const struct staged_kind *k)
{
	const struct dtype_info *t = dtype_info(k->dtype);

	buf_add_str(out, t ? t->name : "no type");
	if (k->any_shape)
		return;
	buf_add_byte(out, ' ');
	add_shape(out, k);
}

/* The path of I for a message; its name if there is no memory. */
static const char *path_of(const struct draft_item *i, struct buf *out)
{
	if (!i->parent || draft_path(i, out) < 0 || buf_add_byte(out, 0) < 0)
		return i->name;
	return (const char *)out->p;
}

int staged_unlike(const char *path, const struct staged_kind *a, const struct staged_kind *b,
		  struct err *e)
{
	CLEANUP(buf_release) struct buf have = {0}, expected = {0};

	add_kind(&have, a);
	add_kind(&expected, b);
	return err_set(
		e, -EINVAL,
		"%s: is %.*s, expected %.*s as the variable has it; to change that, remove it first",
		path, (int)have.n, (char *)have.p, (int)expected.n, (char *)expected.p);
}

bool staged_is_like(const struct staged_kind *a, const struct staged_kind *b)
{
	if (a->dtype != b->dtype || b->any_shape)
		return a->dtype == b->dtype;
	for (unsigned i = 0; i < a->rank && a->rank == b->rank; i++)
		if (b->dims[i] >= 0 && a->dims[i] != b->dims[i])
			return false;
	return a->rank == b->rank;
}

/* -1: it is not known. */
static int64_t count_of(const struct staged_kind *k)
{
	int64_t n = k->any_shape ? -1 : 1;

	for (unsigned i = 0; n >= 0 && i < k->rank; i++)
		if (k->dims[i] < 0 || __builtin_mul_overflow(n, k->dims[i], &n))
			return -1;
	return n;
}

bool staged_is_as_many(const struct staged_kind *a, const struct staged_kind *b)
{
	int64_t n = count_of(b);

	return a->dtype == b->dtype && n >= 0 && count_of(a) == n;
}

static struct staged_kind kind_of(const struct step *s, const struct var *v)
{
	return (struct staged_kind){v->dtype, false, v->rank, var_dims(s, v)};
}

/* The variable that I lies over, and its step; NULL: none. */
static const struct var *expected(const struct draft *d, const struct draft_item *i,
				  const struct step **of)
{
	uint32_t pin = i->what == DRAFT_VAR ? i->pin : i->expect_pin;

	if (i->what == DRAFT_DIR || i->what == DRAFT_TEXT || pin == DRAFT_NONE)
		return NULL;
	*of = d->pins[pin].step;
	return &(*of)->vars[i->what == DRAFT_VAR ? i->number : i->expect_var];
}

int staged_fits(const struct draft *d, const struct var *v, const struct step *of,
		const struct draft_item *i, struct err *e)
{
	CLEANUP(buf_release) struct buf path = {0};
	const struct step *s;
	const struct var *over = expected(d, i, &s);
	struct staged_kind has = kind_of(of, v), want;

	if (!over || over->kind == VAR_BAD || v->kind == VAR_BAD)
		return 0;
	want = kind_of(s, over);
	return staged_is_like(&has, &want) ? 0 : staged_unlike(path_of(i, &path), &has, &want, e);
}

bool staged_is_reshaped(const struct draft *d, const struct var *v, const struct step *of,
			const struct draft_item *i)
{
	const struct step *s;
	const struct var *over = expected(d, i, &s);
	struct staged_kind has = kind_of(of, v), want;

	if (!d->reshape || !over || over->kind == VAR_BAD || v->kind == VAR_BAD)
		return false;
	want = kind_of(s, over);
	return !staged_is_like(&has, &want) && staged_is_as_many(&has, &want);
}

int staged_parse(const struct source *src, const struct staged_place *at, bool not_yet,
		 struct npy *out, struct err *e)
{
	const struct var *over = at->over;
	int r;

	if (!src->size)
		return err_set(e, -EINVAL, "%s: is empty, expected a .npy file", at->path);
	r = npy_parse(src, over ? over->dtype : 0, out, e);
	if (r < 0)
		return err_wrap(e, r, "%s", at->path);
	if (over && over->kind != VAR_BAD) {
		struct staged_kind has = {out->dtype, false, out->rank, out->dims};
		struct staged_kind want = kind_of(at->of, over);

		if (!staged_is_like(&has, &want) &&
		    !(at->reshape && staged_is_as_many(&has, &want)))
			return staged_unlike(at->path, &has, &want, e);
	}
	if (out->stored == out->size || (not_yet && !out->stored))
		return 0;
	return err_set(e, -EINVAL, "%s: has %" PRIu64 " bytes behind its header, expected %" PRIu64,
		       at->path, out->stored, out->size);
}

static int check_file(struct draft *d, const struct draft_item *i, bool not_yet, struct err *e)
{
	CLEANUP(buf_release) struct buf path = {0};
	struct staged_place at = {.path = path_of(i, &path), .reshape = d->reshape};
	struct source src;
	struct npy npy;
	int r = source_of_fd(i->staged->fd, &src, e);

	at.over = expected(d, i, &at.of);
	return r < 0 ? err_wrap(e, r, "%s", at.path) : staged_parse(&src, &at, not_yet, &npy, e);
}

int staged_loss(const struct draft_item *i, struct err *e)
{
	CLEANUP(buf_release) struct buf path = {0};

	return i->staged && i->staged->lost
		       ? err_sys(e, i->staged->lost,
				 "%s: not all that was written to it could be stored; write it anew",
				 path_of(i, &path))
		       : 0;
}

int staged_refusal(const struct draft_item *i, struct err *e)
{
	CLEANUP(buf_release) struct buf path = {0};

	if (staged_loss(i, e) < 0)
		return e->code = -EINVAL;
	if (i->staged && i->staged->refusal.code) {
		*e = i->staged->refusal;
		return -EINVAL;
	}
	return draft_is_in_the_way(i)
		       ? err_set(e, -EINVAL,
				 "%s: no variable can have this name; remove or rename the file",
				 path_of(i, &path))
		       : 0;
}

void staged_note(struct draft_item *i, int r, const struct err *why)
{
	i->staged->refusal = r == -EINVAL ? *why : (struct err){0};
}

bool staged_is_meta(const struct draft_item *i)
{
	return i->what == DRAFT_STAGED && i->parent && !i->parent->parent &&
	       text_kind_of(i->name) == TEXT_META_GRAPH;
}

int staged_meta(const struct draft *d, const struct source *src, struct buf *out, struct err *e)
{
	CLEANUP(buf_release) struct buf text = {0}, meta = {0};
	int r = source_read(src, 0, src->size, &text, e);

	if (r == 0)
		r = meta_graph_from_text(buf_bytes(&text), &meta, e);
	if (r == 0 && !meta.n)
		r = err_set(e, -EINVAL,
			    "is empty, expected a MetaGraphDef; to have none, remove the file");
	if (r == 0 && d->strip_default_attrs)
		r = meta_graph_strip_defaults(buf_bytes(&meta), out, e);
	else if (r == 0)
		buf_swap(&meta, out);
	return r < 0 ? err_wrap(e, r, "%s", text_name(TEXT_META_GRAPH)) : 0;
}

bool staged_meta_is(const struct draft *d, struct bytes meta, struct bytes old)
{
	CLEANUP(buf_release) struct buf stripped = {0};

	return bytes_eq(meta, old) ||
	       (d->strip_default_attrs && meta_graph_strip_defaults(old, &stripped, NULL) == 0 &&
		bytes_eq(meta, buf_bytes(&stripped)));
}

/* Is META what the base has? */
static bool is_meta_of_base(const struct draft *d, struct bytes meta)
{
	CLEANUP(buf_release) struct buf old = {0};
	CLEANUP(closep) int dir = d->base_meta ? draft_pin_dir(d, &d->pins[0], NULL) : -1;

	return dir >= 0 && sidecar_read(dir, &d->pins[0].step->place, d->meta, &old, NULL) == 0 &&
	       staged_meta_is(d, meta, buf_bytes(&old));
}

static int check_meta(const struct draft *d, const struct draft_item *i, struct err *e)
{
	CLEANUP(buf_release) struct buf meta = {0};
	struct source src;
	int r = source_of_fd(i->staged->fd, &src, e);

	if (r < 0)
		return err_wrap(e, r, "%s", i->name);
	r = staged_meta(d, &src, &meta, e);
	i->staged->says_the_same = r == 0 && is_meta_of_base(d, buf_bytes(&meta));
	return r;
}

int staged_check(struct draft *d, struct draft_item *i, bool not_yet, struct err *e)
{
	struct err why = {0};
	int r = staged_is_meta(i) ? check_meta(d, i, &why) : check_file(d, i, not_yet, &why);

	staged_note(i, r, &why);
	if (r < 0 && e)
		*e = why;
	return r;
}

void staged_look(struct draft *d, struct draft_item *i)
{
	if (i->what != DRAFT_STAGED || !i->on_disk || i->writers ||
	    !(draft_is_variable(i) || staged_is_meta(i)))
		return;
	if (draft_need_file(d, i, NULL) == 0)
		staged_check(d, i, true, NULL);
	if (!i->opens)
		closep(&i->staged->fd);
}

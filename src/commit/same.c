#include "commit/same.h"
#include "base/cleanup.h"
#include "draft/staged.h"
#include "format/dtype.h"
#include "format/elements.h"

struct comparison {
	struct tensor *t; /* numbers, as an array; or */
	const struct source *src; /* the stored bytes */
	uint64_t off, end; /* in either */
	uint8_t *piece;
};

enum {
	BUDGET = 4 << 20, /* memory for elements that are turned */
	COMPARED = 1 << 20, /* bytes of what is stored that are read at once */
	DIFFERS = -ECANCELED,
};

bool layout_is_same(const struct step *a, const struct var *x, const struct step *b,
		    const struct var *y)
{
	if (x->kind != VAR_SLICED || y->kind != VAR_SLICED)
		return x->kind == y->kind;
	if (x->n_parts != y->n_parts || x->rank != y->rank)
		return false;
	for (uint32_t i = 0; i < x->n_parts; i++)
		if (memcmp(a->dims + a->parts[x->aux + i].extents,
			   b->dims + b->parts[y->aux + i].extents,
			   2 * x->rank * sizeof *a->dims) != 0)
			return false;
	return true;
}

static int compare_more(void *to, struct bytes b, struct err *e)
{
	struct comparison *c = to;

	while (b.n) {
		size_t n = b.n < COMPARED ? b.n : COMPARED;
		int r;

		if (n > c->end - c->off)
			return DIFFERS;
		r = c->t ? tensor_read(c->t, c->off, n, c->piece, e)
			 : source_read_into(c->src, c->off, c->piece, n, e);
		if (r < 0)
			return r == -EBADMSG ? DIFFERS
					     : r; /* what is damaged is not what was written */
		if (memcmp(c->piece, b.p, n) != 0)
			return DIFFERS;
		c->off += n;
		b = bytes_of(b.p + n, b.n - n);
	}
	return 0;
}

static int compare_strings(const struct npy *npy, const struct source *src, struct step *s,
			   const struct var *v, int dirfd, struct err *e)
{
	struct source shard = {0};
	CLEANUP(closep) int fd = -1;
	CLEANUP(freep) uint8_t *piece = malloc(COMPARED);
	struct comparison c = {.src = &shard, .off = v->off, .end = v->off + v->size};
	struct npy_stored stored;
	int r;

	if (v->kind != VAR_WHOLE)
		return DIFFERS;
	fd = step_open_shard(s, dirfd, v->shard, e);
	r = fd < 0 ? fd : piece ? source_of_fd(fd, &shard, e) : err_set(e, -ENOMEM, "no memory");
	if (r < 0)
		return r;
	c.piece = piece;
	r = npy_store(src, npy, s->big_endian, BUDGET, (struct sink){compare_more, &c}, &stored, e);
	return r == 0 && c.off != c.end ? DIFFERS : r;
}

static int compare_numbers(const struct npy *npy, const struct source *src, struct step *s,
			   const struct var *v, int dirfd, struct err *e)
{
	struct elements el = {
		.off = npy->data,
		.rank = npy->rank,
		.dims = npy->dims,
		.item = npy->item,
		.word = npy->big_endian == s->big_endian ? 1 : dtype_info(npy->dtype)->word,
		.fortran = npy->fortran};
	CLEANUP(freep) uint8_t *piece = malloc(COMPARED);
	struct comparison c = {.end = npy->size, .piece = piece};
	int r = piece ? tensor_open(s, v, dirfd, &c.t, e) : err_set(e, -ENOMEM, "no memory");

	if (r == 0)
		r = elements_put(src, &el, BUDGET, (struct sink){compare_more, &c}, e);
	tensor_close(c.t);
	return r;
}

static bool has_shape(const struct npy *npy, const struct step *s, const struct var *v)
{
	return npy->rank == v->rank &&
	       (!v->rank || !memcmp(npy->dims, var_dims(s, v), v->rank * sizeof *npy->dims));
}

static int put_nowhere(void *to, struct bytes b, struct err *e)
{
	(void)to;
	(void)b;
	(void)e;
	return 0;
}

int want_crc(const struct plan *p, struct want *w, const struct npy *npy, const struct written *f,
	     struct err *e)
{
	struct npy_stored stored = {.size = npy->size};
	int r;

	if (w->has_crc)
		return 0;
	if (w->canonical)
		r = staged_crc(&f->sums, &f->src, npy->data, &stored.crc, e);
	else
		r = npy_store(&f->src, npy, p->big_endian, BUDGET, (struct sink){put_nowhere, NULL},
			      &stored, e);
	w->has_crc = r == 0;
	w->crc = stored.crc;
	w->stored = stored.size;
	return r;
}

/* The bytes of the first slice of V, if these come first in the whole too; else 0. */
static uint64_t head_of(const struct step *s, const struct var *v, uint32_t *crc)
{
	const struct part *part = &s->parts[v->aux];
	const int64_t *extents = s->dims + part->extents, *dims = var_dims(s, v);
	bool first = v->n_parts && v->rank && extents[0] == 0;

	for (unsigned k = 1; k < v->rank && first; k++)
		first = extents[2 * k] == 0 && extents[2 * k + 1] == dims[k];
	*crc = s->vars[part->var].crc;
	return first ? s->vars[part->var].size : 0;
}

/* Is F, as it is, the shard in which S has V? A commit has made it one then, and nobody has written to it since. */
static bool is_shard_of(struct want *w, const struct npy *npy, const struct written *f,
			const struct step *s, const struct var *v)
{
	const struct file_id *id = &s->shards[v->shard].id;
	struct stat st;
	bool is = f->fd >= 0 && w->canonical && v->off == npy->data && v->size == npy->size &&
		  fstat(f->fd, &st) == 0 && st.st_dev == id->dev && st.st_ino == id->ino;

	if (is && !w->has_crc) {
		w->has_crc = true;
		w->crc = v->crc;
		w->stored = v->size;
	}
	return is;
}

/* Of a sliced variable the first slice is enough to tell, mostly: 0 if W is another. */
static int has_head(struct want *w, const struct npy *npy, const struct source *src,
		    const struct step *s, const struct var *v, struct err *e)
{
	uint32_t expected;
	uint64_t n = head_of(s, v, &expected);
	int r = 0;

	if (!n || n > npy->size || !w->canonical)
		return 1;
	if (n != w->head) {
		r = staged_read_crc(src, npy->data, npy->data + n, &w->head_crc, e);
		w->head = r == 0 ? n : 0;
	}
	return r < 0 ? r : w->head_crc == expected;
}

int content_is_same(const struct plan *p, struct want *w, const struct npy *npy,
		    const struct written *f, struct step *s, const struct var *v, int dirfd,
		    struct err *e)
{
	struct npy shaped = *npy;
	int r = 0;

	want_take_shape(p, w, &shaped);
	if (!has_shape(&shaped, s, v))
		return 0;
	if (v->kind == VAR_WHOLE && is_shard_of(w, npy, f, s, v))
		return 1;
	if (v->kind == VAR_WHOLE) { /* enough to tell that it is not */
		r = want_crc(p, w, npy, f, e);
		if (r < 0 || w->crc != v->crc || w->stored != v->size)
			return r < 0 ? r : 0;
	} else if (v->kind == VAR_SLICED) {
		r = has_head(w, npy, &f->src, s, v, e);
		if (r <= 0)
			return r;
	}
	r = npy->dtype == DTYPE_STRING ? compare_strings(npy, &f->src, s, v, dirfd, e)
				       : compare_numbers(npy, &f->src, s, v, dirfd, e);
	if (r == DIFFERS || r == -EBADMSG || r == -EUCLEAN)
		return 0;
	return r < 0 ? r : 1;
}

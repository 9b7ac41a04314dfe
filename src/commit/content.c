#include "commit/content.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "format/dtype.h"
#include "format/elements.h"
#include "format/slice.h"
#include "step/npy_file.h"

enum {
	BUDGET = 4 << 20, /* memory for elements that are turned */
	PIECE = 1 << 20, /* bytes that are read at once */
	IN_MEMORY = 64 << 20, /* what is converted is kept there up to this size, else in a file */
	GATHER = 8 << 20, /* bytes of a whole that slices are taken out of at once */
};

/* --- in memory, or in a file ------------------------------------------------------------------------------- */

void content_release(struct content *c)
{
	written_close(&c->file);
	buf_release(&c->memory);
	closep(&c->fd);
}

struct file_end {
	int fd;
	uint64_t at;
};

static int put_file(void *to, struct bytes b, struct err *e)
{
	struct file_end *f = to;
	int r = io_write_at(f->fd, b, f->at, e);

	f->at += b.n;
	return r;
}

/* Has FILL put SIZE bytes where they can be read again: in memory, or a file. */
static int spill(const struct plan *p, struct content *c, uint64_t size,
		 int (*fill)(void *arg, struct sink out, struct err *e), void *arg, struct err *e)
{
	struct file_end end = {.fd = -1};
	int r;

	if (size <= IN_MEMORY) {
		r = buf_reserve(&c->memory, size + 1) < 0 ? err_set(e, -ENOMEM, "no memory") : 0;
		if (r == 0)
			r = fill(arg, sink_of_buf(&c->memory), e);
		c->src = source_of_memory(buf_bytes(&c->memory));
		return r;
	}
	r = c->fd = end.fd = io_nameless(p->fd, e);
	if (r >= 0)
		r = fill(arg, (struct sink){put_file, &end}, e);
	return r < 0 ? r : source_of_fd(c->fd, &c->src, e);
}

/* --- of a whole variable ----------------------------------------------------------------------------------- */

static int fill_with_file(void *arg, struct sink out, struct err *e)
{
	CLEANUP(freep) uint8_t *piece = malloc(PIECE);
	struct npy_file *f = arg;
	uint64_t off = 0;
	int64_t n = 1;
	int r = piece ? 0 : err_set(e, -ENOMEM, "no memory");

	while (r == 0 && (n = npy_file_read(f, off, PIECE, piece, e)) > 0) {
		r = sink_put(&out, piece, (size_t)n, e);
		off += (uint64_t)n;
	}
	return n < 0 ? (int)n : r;
}

/* The file of the variable that W is, as NumPy would have it. */
static int open_reference(struct plan *p, const struct want *w, struct content *c, struct err *e)
{
	struct step *s = p->pins[w->of_pin].step;
	const struct var *v = &s->vars[w->of_var];
	struct npy_file *f;
	int dir = plan_dir(p, w->of_pin, e);
	int r = dir < 0 ? dir : npy_file_open(s, v, dir, &f, e);

	if (r < 0)
		return r;
	r = spill(p, c, npy_file_size(s, v, dir), fill_with_file, f, e);
	npy_file_close(f);
	return r < 0 ? r : npy_parse(&c->src, 0, &c->npy, e);
}

int content_open(struct plan *p, const struct want *w, struct content *c, struct err *e)
{
	int r;

	if (!w->item)
		return open_reference(p, w, c, e);
	r = written_parse(p, w, &c->file, &c->npy, e);
	c->src = c->file.src;
	return r;
}

static int fill_with_elements(void *arg, struct sink out, struct err *e)
{
	const struct content *c = arg;
	struct elements el = {.off = c->npy.data,
			      .rank = c->npy.rank,
			      .dims = c->npy.dims,
			      .item = c->npy.item,
			      .word = 1,
			      .fortran = true};

	return elements_put(&c->src, &el, BUDGET, out, e);
}

int content_read_string(struct plan *p, const struct want *w, struct buf *bytes,
			struct bytes *string, struct err *e)
{
	CLEANUP(content_release) struct content c = CONTENT_EMPTY;
	int r = content_open(p, w, &c, e);

	if (r == 0 && (c.npy.dtype != DTYPE_STRING || c.npy.count != 1))
		r = err_set(e, -EUCLEAN, "%s: is no string", want_path(p, w));
	if (r == 0)
		r = source_read(&c.src, c.npy.data, c.npy.item, bytes, e);
	return r < 0 ? r : npy_string(&c.npy, bytes->p, string, e);
}

int content_make_c_order(const struct plan *p, struct content *c, struct err *e)
{
	struct content turned = CONTENT_EMPTY;
	int r;

	if (!c->npy.fortran || c->npy.rank < 2 || !c->npy.item)
		return 0;
	r = spill(p, &turned, c->npy.size, fill_with_elements, c, e);
	if (r < 0) {
		content_release(&turned);
		return r;
	}
	turned.npy = c->npy;
	turned.npy.fortran = false;
	turned.npy.data = 0;
	content_release(c);
	*c = turned;
	return 0;
}

/* --- of a slice -------------------------------------------------------------------------------------------- */

/* A slice of an array that is in C order. */
struct cut {
	const struct content *whole;
	const int64_t *extents;
	uint64_t count; /* its elements */
};

/* They keep their order, so that those of each window follow those of the last one. */
static int fill_with_slice(void *arg, struct sink out, struct err *e)
{
	CLEANUP(buf_release) struct buf window = {0}, piece = {0};
	const struct cut *cut = arg;
	const struct npy *npy = &cut->whole->npy;
	uint64_t step = GATHER / npy->item ? GATHER / npy->item : 1, len, first = 0, end = 0;
	int r = 0;

	if (cut->count) { /* nothing is read that lies before its first element, or behind its last */
		first = slice_run(npy->rank, npy->dims, cut->extents, 0, &len);
		end = slice_run(npy->rank, npy->dims, cut->extents, cut->count - 1, &len) + 1;
	}
	for (; first < end && r == 0; first += step) {
		uint64_t n = end - first < step ? end - first : step;
		uint64_t from = slice_before(npy->rank, npy->dims, cut->extents, first);
		uint64_t to = slice_before(npy->rank, npy->dims, cut->extents, first + n);
		size_t bytes = (to - from) * npy->item;

		if (from == to)
			continue;
		r = source_read(&cut->whole->src, npy->data + first * npy->item, n * npy->item,
				&window, e);
		if (r == 0 && buf_reserve(&piece, bytes) < 0)
			r = err_set(e, -ENOMEM, "no memory for %zu bytes", bytes);
		if (r < 0)
			break;
		slice_gather(npy->rank, npy->dims, cut->extents, npy->item, from, to - from,
			     window.p, piece.p, first);
		r = sink_put(&out, piece.p, bytes, e);
	}
	return r;
}

int content_of_slice(const struct plan *p, const struct content *whole, const int64_t *extents,
		     struct content *slice, struct err *e)
{
	struct npy *npy = &slice->npy;
	struct cut cut = {.whole = whole, .extents = extents};

	slice->npy = whole->npy;
	npy->count = 1;
	for (unsigned k = 0; k < npy->rank; k++) {
		npy->dims[k] = extents[2 * k + 1];
		npy->count *= (uint64_t)npy->dims[k];
	}
	cut.count = npy->count;
	npy->size = npy->stored = npy->count * npy->item;
	npy->data = 0;
	npy->fortran = false;
	if (npy->item)
		return spill(p, slice, npy->size, fill_with_slice, &cut, e);
	slice->src = source_of_memory(bytes_of(NULL, 0));
	return 0;
}

#include "base/cleanup.h"
#include "base/crc32c.h"
#include "base/io.h"
#include "commit/plan.h"
#include "directory/placed.h"
#include "draft/staged.h"
#include "format/dtype.h"
#include "format/elements.h"
#include "format/ordered_code.h"
#include "format/slice.h"
#include "format/string_tensor.h"
#include <fcntl.h>
#include <inttypes.h>

enum {
	BUDGET = 4 << 20, /* memory for elements that are turned */
	PIECE = 1 << 20, /* bytes that are read at once */
	IN_MEMORY = 64 << 20, /* what is converted is kept there up to this size, else in a file */
	GATHER = 8 << 20, /* bytes of a whole that slices are taken out of at once */
};

/* --- what a variable's bytes come from --------------------------------------------------------------------- */

struct content {
	struct source src;
	struct npy npy;
	struct draft_item *item; /* the written file that SRC is over, or */
	struct buf memory; /* what it is over, or */
	int fd; /* a file without a name */
};

void want_close(struct draft_item *i)
{
	if (!i->opens)
		closep(&i->staged->fd);
}

static void content_release(struct content *c)
{
	if (c->item)
		want_close(c->item);
	c->item = NULL;
	buf_release(&c->memory);
	closep(&c->fd);
}

static int put_memory(void *to, struct bytes b, struct err *e)
{
	return buf_add(to, b.p, b.n) < 0 ? err_set(e, -ENOMEM, "no memory") : 0;
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

/* A file beside the packed one that has no name any more. */
static int nameless_file(const struct plan *p, struct err *e)
{
	CLEANUP(closep) int fd = io_create(p->fd, "converted", 0600, e);
	int r = fd < 0 ? fd : io_remove_file(p->fd, "converted", e);

	return r < 0 ? r : TAKE(fd, -1);
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
			r = fill(arg, (struct sink){put_memory, &c->memory}, e);
		c->src = source_of_memory(buf_bytes(&c->memory));
		return r;
	}
	r = c->fd = end.fd = nameless_file(p, e);
	if (r >= 0)
		r = fill(arg, (struct sink){put_file, &end}, e);
	return r < 0 ? r : source_of_fd(c->fd, &c->src, e);
}

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

/* The file of the variable that W's item is, as NumPy would have it. */
static int open_reference(struct plan *p, const struct want *w, struct content *c, struct err *e)
{
	struct pin *pin = &p->d->pins[w->item->pin];
	const struct var *v = draft_var(p->d, w->item);
	struct npy_file *f;
	int dir = plan_dir(p, w->item->pin, e);
	int r = dir < 0 ? dir : npy_file_open(pin->step, v, dir, &f, e);

	if (r < 0)
		return r;
	r = spill(p, c, npy_file_size(pin->step, v, dir), fill_with_file, f, e);
	npy_file_close(f);
	return r < 0 ? r : npy_parse(&c->src, 0, &c->npy, e);
}

static int open_content(struct plan *p, const struct want *w, struct content *c, struct err *e)
{
	int r;

	c->fd = -1;
	if (!w->written)
		return open_reference(p, w, c, e);
	r = draft_item_open(p->d, w->item, e);
	if (r < 0)
		return r;
	c->item = w->item;
	r = source_of_fd(w->item->staged->fd, &c->src, e);
	return r < 0 ? r : staged_parse(p->d, w->item, &c->npy, e);
}

/* Slices are taken out of an array in C order. */
static int make_c_order(const struct plan *p, struct content *c, struct err *e)
{
	struct content turned = {.fd = -1};
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

/* --- the packed shard -------------------------------------------------------------------------------------- */

/* What is written to it, gathered into larger pieces. */
struct packer {
	struct plan *p;
	struct buf gathered;
};

enum { GATHERED = 1 << 20 };

static int flush_packer(struct packer *k, struct err *e)
{
	int r = io_write_at(k->p->packed, buf_bytes(&k->gathered), k->p->packed_at, e);

	if (r == 0)
		k->p->packed_at += k->gathered.n;
	k->gathered.n = 0;
	return r;
}

static int put_packed(void *to, struct bytes b, struct err *e)
{
	struct packer *k = to;
	int r = 0;

	if (k->gathered.n + b.n > GATHERED)
		r = flush_packer(k, e);
	if (r == 0 && b.n >= GATHERED) {
		r = io_write_at(k->p->packed, b, k->p->packed_at, e);
		k->p->packed_at += b.n;
	} else if (r == 0 && buf_add(&k->gathered, b.p, b.n) < 0) {
		r = err_set(e, -ENOMEM, "no memory");
	}
	return r;
}

/* Writes the tensor behind what the packed shard has. */
static int pack(struct plan *p, const struct source *src, const struct npy *npy,
		struct bundle_entry *entry, struct err *e)
{
	struct packer k = {.p = p};
	struct npy_stored stored = {0};
	uint64_t at = p->packed_at;
	int r = npy_store(src, npy, p->big_endian, BUDGET, (struct sink){put_packed, &k}, &stored,
			  e);

	if (r == 0)
		r = flush_packer(&k, e);
	buf_release(&k.gathered);
	entry->shard = p->packed_shard;
	entry->off = at;
	entry->size = stored.size;
	entry->crc = stored.crc;
	return r;
}

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

/* Writes the slice at EXTENTS of the array; ENTRY gets where. */
static int pack_slice(struct plan *p, const struct content *c, const int64_t *extents,
		      struct bundle_entry *entry, struct err *e)
{
	CLEANUP(content_release) struct content slice = {.npy = c->npy, .fd = -1};
	struct npy *npy = &slice.npy;
	struct cut cut = {.whole = c, .extents = extents};
	int r = 0;

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
		r = spill(p, &slice, npy->size, fill_with_slice, &cut, e);
	else
		slice.src = source_of_memory(bytes_of(NULL, 0));
	return r < 0 ? r : pack(p, &slice.src, npy, entry, e);
}

/* --- entries of variables that are stored whole ------------------------------------------------------------ */

static int store_own(const struct plan *p, struct want *w, const struct content *c,
		     struct bundle_entry *entry, struct err *e)
{
	int r = want_crc(p, w, &c->npy, &c->src, e);

	if (r == 0)
		r = io_sync(w->item->staged->fd, w->item->name, e);
	entry->shard = w->shard;
	entry->off = c->npy.data;
	entry->size = c->npy.size;
	entry->crc = w->crc;
	return r;
}

static int store_whole(struct plan *p, struct want *w, struct err *e)
{
	CLEANUP(content_release) struct content c = {.fd = -1};
	struct bundle_entry entry = {.key = want_key(p, w)};
	int r = open_content(p, w, &c, e);

	if (r == 0)
		r = w->own ? store_own(p, w, &c, &entry, e) : pack(p, &c.src, &c.npy, &entry, e);
	if (r < 0)
		return err_wrap(e, r, "%s", w->item->name);
	entry.dtype = c.npy.dtype;
	entry.rank = c.npy.rank;
	entry.dims = c.npy.dims;
	return bundle_writer_add(&p->index, &entry, e);
}

static int store_graph(struct plan *p, struct want *w, struct err *e)
{
	struct npy npy = {.dtype = DTYPE_STRING,
			  .count = 1,
			  .item = p->graph.n,
			  .size = p->graph.n,
			  .stored = p->graph.n};
	CLEANUP(buf_release) struct buf b = {0};
	struct source src;
	struct bundle_entry entry = {.key = want_key(p, w), .dtype = DTYPE_STRING};
	uint8_t length[8];
	int r;

	/* Behind its length, for it may end in NUL. */
	put_le64(length, p->graph.n);
	if (buf_add(&b, length, sizeof length) < 0 || buf_add(&b, p->graph.p, p->graph.n) < 0)
		return err_set(e, -ENOMEM, "no memory");
	npy.has_length = true;
	npy.item = npy.size = npy.stored = b.n;
	src = source_of_memory(buf_bytes(&b));
	r = pack(p, &src, &npy, &entry, e);
	return r < 0 ? r : bundle_writer_add(&p->index, &entry, e);
}

/* --- entries of variables that are kept -------------------------------------------------------------------- */

/* Where the stored bytes of V, of pin PIN, are in the new step; they are copied if their shard is left behind. */
static int place_kept(struct plan *p, uint32_t pin, const struct var *v, struct bundle_entry *entry,
		      struct err *e)
{
	struct old_shard *o = &p->old[pin].shards[v->shard];
	CLEANUP(closep) int fd = -1;
	int r;

	entry->shard = o->number;
	entry->off = v->off;
	if (!v->size) { /* some shard has to be there */
		entry->shard = 0;
		entry->off = 0;
		return 0;
	}
	if (!o->repack)
		return 0;
	fd = step_open_shard(p->d->pins[pin].step, plan_dir(p, pin, e), v->shard, e);
	r = fd < 0 ? fd : io_copy_range(fd, v->off, p->packed, p->packed_at, v->size, e);
	entry->shard = p->packed_shard;
	entry->off = p->packed_at;
	p->packed_at += v->size;
	return r;
}

/* The same entry under W's key: of a whole variable, of one in slices, or of slice number PART of it. */
static int keep_entry(struct plan *p, uint32_t pin, const struct want *w, const struct var *v,
		      const struct bundle_entry *old, struct err *e)
{
	CLEANUP(buf_release) struct buf key = {0};
	struct bundle_entry entry = *old;
	const struct step *s = p->d->pins[pin].step;
	int r = 0;

	entry.key = want_key(p, w);
	if (v->kind == VAR_PART) {
		const struct var *whole = &s->vars[p->old[pin].whole[v - s->vars]];

		r = slice_key_rename(&key, old->key, var_key(s, whole), want_key(p, w));
		entry.key = buf_bytes(&key);
	}
	if (r == 0 && v->kind == VAR_SLICED)
		entry.shard = 0;
	else if (r == 0)
		r = place_kept(p, pin, v, &entry, e);
	return r < 0 ? r : bundle_writer_copy(&p->index, &entry, e);
}

static const int64_t *extents_of(const struct step *s, const struct var *whole, uint32_t part)
{
	for (uint32_t i = 0; i < whole->n_parts; i++)
		if (s->parts[whole->aux + i].var == part)
			return s->dims + s->parts[whole->aux + i].extents;
	return NULL;
}

/* New bytes in the slices that the variable had: its own entry stays, those of the slices lead to the new bytes. */
static int store_slice(struct plan *p, uint32_t pin, const struct want *w, const struct var *v,
		       const struct bundle_entry *old, const struct content *c, struct err *e)
{
	CLEANUP(buf_release) struct buf key = {0};
	const struct step *s = p->d->pins[pin].step;
	const struct var *whole = &s->vars[w->var];
	struct bundle_entry entry = *old;
	int r = slice_key_rename(&key, old->key, var_key(s, whole), want_key(p, w));

	if (r == 0)
		r = pack_slice(p, c, extents_of(s, whole, (uint32_t)(v - s->vars)), &entry, e);
	entry.key = buf_bytes(&key);
	return r < 0 ? err_wrap(e, r, "%s", w->item->name)
		     : bundle_writer_copy(&p->index, &entry, e);
}

/* What slices are taken out of. Those of one variable stand side by side in an index, so that it is opened,
 * and turned, once. */
struct slicer {
	const struct want *w; /* or NULL */
	struct content c;
};

static void slicer_release(struct slicer *s)
{
	content_release(&s->c);
	s->w = NULL;
}

static int slicer_open(struct plan *p, const struct want *w, struct slicer *s, struct err *e)
{
	int r;

	if (s->w == w)
		return 0;
	slicer_release(s);
	r = open_content(p, w, &s->c, e);
	if (r == 0)
		r = make_c_order(p, &s->c, e);
	s->w = r == 0 ? w : NULL;
	return r;
}

/* Entry NUMBER of the index of pin PIN, for all that want it. */
static int emit_entry(struct plan *p, uint32_t pin, uint32_t number, const struct bundle_entry *old,
		      struct slicer *slicer, struct err *e)
{
	const struct var *v = &p->d->pins[pin].step->vars[number];
	uint32_t from = v->kind == VAR_PART ? p->old[pin].whole[number] : number;
	int r = 0;

	for (uint32_t i = p->old[pin].first[from]; i && r == 0; i = plan_wants(p)[i - 1].next) {
		struct want *w = &plan_wants(p)[i - 1];

		if (w->store && v->kind == VAR_PART) {
			r = slicer_open(p, w, slicer, e);
			if (r == 0)
				r = store_slice(p, pin, w, v, old, &slicer->c, e);
		} else if (p->new_graph && bytes_eq(want_key(p, w), bytes_str(OBJECT_GRAPH_KEY))) {
			r = store_graph(p, w, e);
		} else {
			r = keep_entry(p, pin, w, v, old, e);
		}
	}
	return r;
}

static bool is_wanted(const struct plan *p, uint32_t pin)
{
	for (uint32_t v = 0; v < p->d->pins[pin].step->n_vars; v++)
		if (p->old[pin].first[v])
			return true;
	return false;
}

/* The entries of a V2 step stand in its index in the order of its variables. */
static int emit_bundle(struct plan *p, uint32_t pin, struct err *e)
{
	const struct pin *from = &p->d->pins[pin];
	const struct step *s = from->step;
	CLEANUP(bundle_close) struct bundle bundle = {0};
	CLEANUP(slicer_release) struct slicer slicer = {.c.fd = -1};
	CLEANUP(closep) int fd = placed_open(plan_dir(p, pin, e), s->place.file, &s->id, e);
	struct bundle_entry entry;
	struct source src;
	uint32_t number = 0;
	int r = fd < 0 ? fd : source_of_fd(fd, &src, e);

	if (r < 0)
		return r;
	r = bundle_open(&bundle, src, e);
	if (r < 0)
		return err_wrap(e, r, "%s", s->place.file);
	while ((r = bundle_next(&bundle, &entry, e)) > 0 && number < s->n_vars) {
		r = emit_entry(p, pin, number++, &entry, &slicer, e);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : placed_check(fd, s->place.file, &s->id, e);
}

/* V1 has no index: the slices of a variable that is written again are listed from what was parsed. */
static int emit_v1(struct plan *p, struct want *w, struct err *e)
{
	CLEANUP(content_release) struct content c = {.fd = -1};
	CLEANUP(buf_release) struct buf slices = {0};
	const struct step *s;
	const struct var *v = want_layout(p, w, &s);
	struct bundle_entry whole = {.key = want_key(p, w), .dtype = v->dtype, .rank = v->rank};
	size_t pairs = 2 * (size_t)v->rank;
	int r = open_content(p, w, &c, e);

	if (r == 0)
		r = make_c_order(p, &c, e);
	for (uint32_t i = 0; i < v->n_parts && r == 0; i++) {
		const int64_t *extents = s->dims + s->parts[v->aux + i].extents;
		struct bundle_entry entry = {.dtype = v->dtype, .rank = v->rank};
		CLEANUP(buf_release) struct buf key = {0};

		entry.dims = s->dims + s->vars[s->parts[v->aux + i].var].dims;
		r = slice_key_encode(&key, want_key(p, w), v->rank, extents);
		if (r == 0)
			r = buf_add(&slices, extents, pairs * sizeof *extents);
		if (r == 0)
			r = pack_slice(p, &c, extents, &entry, e);
		entry.key = buf_bytes(&key);
		if (r == 0)
			r = bundle_writer_add(&p->index, &entry, e);
	}
	if (r < 0)
		return err_wrap(e, r, "%s", w->item->name);
	whole.dims = s->dims + v->dims;
	whole.slices = (int64_t *)slices.p;
	whole.n_slices = v->n_parts;
	return bundle_writer_add(&p->index, &whole, e);
}

/* --- all of it --------------------------------------------------------------------------------------------- */

static int store_new(struct plan *p, struct err *e)
{
	int r = 0;

	for (uint32_t i = 0; i < plan_n(p) && r == 0; i++) {
		struct want *w = &plan_wants(p)[i];
		const struct step *s;

		if (!w->store)
			continue;
		if (p->new_graph && bytes_eq(want_key(p, w), bytes_str(OBJECT_GRAPH_KEY)))
			r = store_graph(p, w, e);
		else if (!want_layout(p, w, &s))
			r = store_whole(p, w, e);
		else if (s->place.format == STEP_V1)
			r = emit_v1(p, w, e);
	}
	return r;
}

int plan_store(struct plan *p, struct err *e)
{
	int r = 0;

	bundle_writer_init(&p->index, p->num_shards, p->big_endian);
	if (p->has_packed) {
		r = p->packed = io_create(p->fd, "packed", 0644 & p->packed_mode, e);
		if (r < 0)
			return r;
	}
	r = store_new(p, e);
	for (uint32_t pin = 0; pin < p->d->n_pins && r == 0; pin++)
		if (p->d->pins[pin].step->place.format == STEP_V2 && is_wanted(p, pin))
			r = emit_bundle(p, pin, e);
	if (r == 0 && p->packed >= 0)
		r = io_sync(p->packed, "packed", e);
	return r;
}

#include "commit/pack.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "commit/content.h"
#include "commit/rest.h"
#include "commit/same.h"
#include "commit/shards.h"
#include "directory/placed.h"
#include "draft/draft_state.h"
#include "draft/staged.h"
#include "format/dtype.h"
#include "format/ordered_code.h"
#include "message/meta_graph.h"
#include "message/object_graph.h"
#include "step/sidecar.h"
#include <fcntl.h>
#include <sys/stat.h>

/* --- files of the new step --------------------------------------------------------------------------------- */

int pack_give_to_owner(const struct plan *p, int fd, mode_t allows, struct err *e)
{
	struct stat now, st;
	bool known = true;

	if (fstat(fd, &now) < 0)
		return err_sys(e, -errno, "fstat");
	if (p->d->has_base)
		st = p->pins[0].step->index;
	else
		known = fstat(p->d->fd, &st) == 0;
	if (geteuid() == 0 && known && fchown(fd, st.st_uid, st.st_gid) == 0)
		now.st_mode = st.st_mode;
	return fchmod(fd, now.st_mode & 0666 & allows) < 0 ? err_sys(e, -errno, "fchmod") : 0;
}

/* --- the packed shard -------------------------------------------------------------------------------------- */

enum {
	BUDGET = 4 << 20, /* memory for elements that are turned */
	COPIED = 64 << 10, /* bytes from which on the kernel copies them */
};

static int create_packed(struct plan *p, const char *name, mode_t allows, struct err *e)
{
	int fd = io_create(p->fd, name, 0600 | (0644 & allows), e);

	p->packed = append_of(fd, 0);
	return fd < 0 ? fd : append_put(&p->packed, bytes_of(SHARD_MARK, SHARD_MARK_SIZE), e);
}

/* Opens the file that what is packed of W goes to, at its end; NULL: that of all that have none of their own. */
static int open_packed(struct plan *p, const struct want *w, struct err *e)
{
	const char *name = plan_packed_name(p, w);
	bool alone = w && w->alone;
	uint32_t to = alone ? w->shard : p->packed_shard;
	struct stat st;
	int r, fd;

	if (p->packed.fd >= 0 && p->packed_to == to)
		return 0;
	r = append_flush(&p->packed, e);
	if (r < 0)
		return r;
	append_release(&p->packed);
	p->packed_to = to;
	fd = openat(p->fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return create_packed(p, name, alone ? w->mode : p->packed_mode, e);
	r = fd < 0 || fstat(fd, &st) < 0 ? err_sys(e, -errno, "%s", name) : 0;
	p->packed = append_of(fd, r == 0 ? (uint64_t)st.st_size : 0);
	return r;
}

/* Writes the tensor behind what the shard for W has. */
static int pack(struct plan *p, const struct want *w, const struct source *src,
		const struct npy *npy, struct bundle_entry *entry, struct err *e)
{
	struct npy_stored stored = {0};
	int r = open_packed(p, w, e);

	entry->shard = p->packed_to;
	entry->off = append_end(&p->packed);
	if (r == 0)
		r = npy_store(src, npy, p->big_endian, BUDGET, append_sink(&p->packed), &stored, e);
	entry->size = stored.size;
	entry->crc = stored.crc;
	return r;
}

/* The same of W, a file whose bytes are those that are stored. */
static int pack_as_it_is(struct plan *p, struct want *w, const struct content *c,
			 struct bundle_entry *entry, struct err *e)
{
	int r = want_crc(p, w, &c->npy, &c->file, e);

	if (r == 0)
		r = open_packed(p, w, e);
	entry->shard = p->packed_to;
	entry->off = append_end(&p->packed);
	entry->size = c->npy.size;
	entry->crc = w->crc;
	return r < 0 ? r : append_copy(&p->packed, c->file.fd, c->npy.data, c->npy.size, e);
}

static bool is_copied(const struct want *w)
{
	return w->item && w->canonical && w->size >= COPIED;
}

/* Writes the slice at EXTENTS of the array that W is; ENTRY gets where. */
static int pack_slice(struct plan *p, const struct want *w, const struct content *c,
		      const int64_t *extents, struct bundle_entry *entry, struct err *e)
{
	CLEANUP(content_release) struct content slice = CONTENT_EMPTY;
	int r = content_of_slice(p, c, extents, &slice, e);

	return r < 0 ? r : pack(p, w, &slice.src, &slice.npy, entry, e);
}

/* --- entries of variables that are stored whole ------------------------------------------------------------ */

static int store_own(const struct plan *p, struct want *w, const struct content *c,
		     struct bundle_entry *entry, struct err *e)
{
	int r = want_crc(p, w, &c->npy, &c->file, e);

	if (r == 0)
		r = io_sync(c->file.fd, want_name(p, w), e);
	entry->shard = w->shard;
	entry->off = c->npy.data;
	entry->size = c->npy.size;
	entry->crc = w->crc;
	return r;
}

static int store_whole(struct plan *p, struct want *w, struct err *e)
{
	CLEANUP(content_release) struct content c = CONTENT_EMPTY;
	struct bundle_entry entry = {.key = want_key(p, w)};
	int r = content_open(p, w, &c, e);

	if (r == 0)
		r = w->own         ? store_own(p, w, &c, &entry, e)
		    : is_copied(w) ? pack_as_it_is(p, w, &c, &entry, e)
				   : pack(p, w, &c.src, &c.npy, &entry, e);
	if (r < 0)
		return err_wrap(e, r, "%s", want_name(p, w));
	want_take_shape(p, w, &c.npy);
	entry.dtype = c.npy.dtype;
	entry.rank = c.npy.rank;
	entry.dims = c.npy.dims;
	return bundle_writer_add(&p->index, &entry, e);
}

static int store_graph(struct plan *p, struct want *w, struct err *e)
{
	struct npy npy = {.dtype = DTYPE_STRING, .count = 1, .has_length = true};
	CLEANUP(buf_release) struct buf b = {0};
	struct source src;
	struct bundle_entry entry = {.key = want_key(p, w), .dtype = DTYPE_STRING};
	uint8_t length[8];
	int r;

	/* Behind its length, for it may end in NUL. */
	put_le64(length, p->graph.n);
	if (buf_add(&b, length, sizeof length) < 0 || buf_add(&b, p->graph.p, p->graph.n) < 0)
		return err_set(e, -ENOMEM, "no memory");
	npy.item = npy.size = npy.stored = b.n;
	src = source_of_memory(buf_bytes(&b));
	r = pack(p, w, &src, &npy, &entry, e);
	return r < 0 ? r : bundle_writer_add(&p->index, &entry, e);
}

/* --- entries of variables that are kept -------------------------------------------------------------------- */

/* Where the stored bytes of V, of pin PIN, are in the new step; they are copied if their shard is left behind. */
static int locate_kept(struct plan *p, uint32_t pin, const struct var *v,
		       struct bundle_entry *entry, struct err *e)
{
	struct old_shard *o = &p->old[pin].shards[v->shard];
	CLEANUP(closep) int fd = -1;
	int r;

	entry->shard = o->number;
	entry->off = v->off;
	if (!v->size) { /* some shard has to be there */
		entry->shard = p->some_shard;
		entry->off = 0;
		return 0;
	}
	if (!o->repack)
		return 0;
	fd = step_open_shard(p->pins[pin].step, plan_dir(p, pin, e), v->shard, e);
	r = fd < 0 ? fd : open_packed(p, NULL, e);
	entry->shard = p->packed_shard;
	entry->off = append_end(&p->packed);
	return r < 0 ? r : append_copy(&p->packed, fd, v->off, v->size, e);
}

/* The entry OLD of V under KEY. */
static int keep_entry(struct plan *p, uint32_t pin, struct bytes key, const struct var *v,
		      const struct bundle_entry *old, struct err *e)
{
	struct bundle_entry entry = *old;
	int r = 0;

	entry.key = key;
	if (v->kind == VAR_SLICED)
		entry.shard = 0;
	else
		r = locate_kept(p, pin, v, &entry, e);
	return r < 0 ? r : bundle_writer_copy(&p->index, &entry, e);
}

/* The same entry under W's key: of a whole variable, of one in slices, or of a slice of it. */
static int keep_for(struct plan *p, uint32_t pin, const struct want *w, const struct var *v,
		    const struct bundle_entry *old, struct err *e)
{
	CLEANUP(buf_release) struct buf key = {0};
	const struct step *s = p->pins[pin].step;
	const struct var *whole = &s->vars[p->old[pin].whole[v - s->vars]];
	int r;

	if (v->kind != VAR_PART)
		return keep_entry(p, pin, want_key(p, w), v, old, e);
	r = slice_key_rename(&key, old->key, var_key(s, whole), want_key(p, w));
	return r < 0 ? r : keep_entry(p, pin, buf_bytes(&key), v, old, e);
}

/* One of the rest, that lies elsewhere. */
static int move_entry(struct plan *p, const struct var *v, const struct bundle_entry *old,
		      struct err *e)
{
	int r = bundle_writer_leave(&p->index, old->key, e);

	return r < 0 ? r : keep_entry(p, 0, old->key, v, old, e);
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
	const struct step *s = p->pins[pin].step;
	const struct var *whole = &s->vars[w->var];
	struct bundle_entry entry = *old;
	int r = slice_key_rename(&key, old->key, var_key(s, whole), want_key(p, w));

	if (r == 0)
		r = pack_slice(p, w, c, extents_of(s, whole, (uint32_t)(v - s->vars)), &entry, e);
	entry.key = buf_bytes(&key);
	return r < 0 ? err_wrap(e, r, "%s", want_name(p, w))
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
	r = content_open(p, w, &s->c, e);
	if (r == 0)
		r = content_make_c_order(p, &s->c, e);
	if (r == 0)
		want_take_shape(p, w, &s->c.npy);
	s->w = r == 0 ? w : NULL;
	return r;
}

/* Entry NUMBER of the index of pin PIN, for all that want it. */
static int add_old_entry(struct plan *p, uint32_t pin, uint32_t number,
			 const struct bundle_entry *old, struct slicer *slicer, struct err *e)
{
	const struct var *v = &p->pins[pin].step->vars[number];
	uint32_t from = v->kind == VAR_PART ? p->old[pin].whole[number] : number;
	int r = 0;

	for (uint32_t i = p->old[pin].first[from]; i && r == 0; i = plan_wants(p)[i - 1].next) {
		struct want *w = &plan_wants(p)[i - 1];

		if (w->store && v->kind == VAR_PART) {
			r = slicer_open(p, w, slicer, e);
			if (r == 0)
				r = store_slice(p, pin, w, v, old, &slicer->c, e);
		} else if (plan_stores_graph(p, w)) {
			r = store_graph(p, w, e);
		} else {
			r = keep_for(p, pin, w, v, old, e);
		}
	}
	return r;
}

/* The index of a pinned step, open. */
struct old_index {
	struct bundle bundle;
	struct file_id id;
	int fd;
};

static void old_index_release(struct old_index *o)
{
	bundle_close(&o->bundle);
	closep(&o->fd);
}

static int old_index_open(struct plan *p, uint32_t pin, struct old_index *out, struct err *e)
{
	const struct pin *from = &p->pins[pin];
	struct source src;
	int r = plan_dir(p, pin, e);

	if (r >= 0)
		r = out->fd = pin_open_index(from, r, &out->id, e);
	if (r >= 0)
		r = source_of_fd(out->fd, &src, e);
	if (r < 0)
		return r;
	r = bundle_open(&out->bundle, src, e);
	return r < 0 ? err_wrap(e, r, "%s", from->step->place.file) : 0;
}

static int compare_numbers(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* The variables of pin PIN, and slices, whose old entries are needed: for wants, and what moves of the rest. */
static int list_needed(const struct plan *p, uint32_t pin, struct buf *vars, struct err *e)
{
	const struct step *s = p->pins[pin].step;
	int r = pin == 0 && p->others ? rest_list_moved(p, vars) : 0;

	for (uint32_t i = 0; i < plan_n(p) && r == 0; i++) {
		const struct want *w = &plan_wants(p)[i];
		const struct var *v = &s->vars[w->var];
		const struct step *of;

		if (w->pin != pin || (w->store && !want_layout(p, w, &of)))
			continue;
		r = buf_add(vars, &w->var, sizeof w->var);
		for (uint32_t k = 0; v->kind == VAR_SLICED && k < v->n_parts && r == 0; k++)
			r = buf_add(vars, &s->parts[v->aux + k].var, sizeof w->var);
	}
	if (vars->n)
		qsort(vars->p, vars->n / sizeof(uint32_t), sizeof(uint32_t), compare_numbers);
	return r < 0 ? err_set(e, r, "no memory") : 0;
}

/* What is needed of the index of pin PIN. Variables are in its order. */
static int add_old_entries(struct plan *p, uint32_t pin, struct err *e)
{
	const struct step *s = p->pins[pin].step;
	CLEANUP(buf_release) struct buf needed = {0};
	CLEANUP(old_index_release) struct old_index index = {.fd = -1};
	CLEANUP(slicer_release) struct slicer slicer = {.c = CONTENT_EMPTY};
	int r = list_needed(p, pin, &needed, e);
	const uint32_t *vars = (const uint32_t *)needed.p;
	size_t n = needed.n / sizeof *vars;

	if (r < 0 || !n)
		return r;
	r = old_index_open(p, pin, &index, e);
	for (size_t i = 0; i < n && r == 0; i++) {
		const struct var *v = &s->vars[vars[i]];
		struct bundle_entry entry;

		if (i && vars[i] == vars[i - 1])
			continue;
		r = bundle_find(&index.bundle, var_key(s, v), &entry, e);
		if (r <= 0)
			return r < 0 ? err_wrap(e, r, "%s", s->place.file)
				     : err_set(e, -ESTALE, "%s: has changed", s->place.file);
		r = add_old_entry(p, pin, vars[i], &entry, &slicer, e);
		if (r == 0 && pin == 0 && rest_moves(p, vars[i]))
			r = move_entry(p, v, &entry, e);
	}
	return r < 0 ? r : placed_check(index.fd, s->place.file, &index.id, e);
}

/* V1 has no index: the slices of a variable that is written again are listed from what was parsed. */
static int store_v1(struct plan *p, struct want *w, struct err *e)
{
	CLEANUP(slicer_release) struct slicer slicer = {.c = CONTENT_EMPTY};
	CLEANUP(buf_release) struct buf slices = {0};
	const struct step *s;
	const struct var *v = want_layout(p, w, &s);
	struct bundle_entry whole = {.key = want_key(p, w), .dtype = v->dtype, .rank = v->rank};
	size_t pairs = 2 * (size_t)v->rank;
	int r = slicer_open(p, w, &slicer, e);

	for (uint32_t i = 0; i < v->n_parts && r == 0; i++) {
		const int64_t *extents = s->dims + s->parts[v->aux + i].extents;
		struct bundle_entry entry = {.dtype = v->dtype, .rank = v->rank};
		CLEANUP(buf_release) struct buf key = {0};

		entry.dims = s->dims + s->vars[s->parts[v->aux + i].var].dims;
		r = slice_key_encode(&key, want_key(p, w), v->rank, extents);
		if (r == 0)
			r = buf_add(&slices, extents, pairs * sizeof *extents);
		if (r == 0)
			r = pack_slice(p, w, &slicer.c, extents, &entry, e);
		entry.key = buf_bytes(&key);
		if (r == 0)
			r = bundle_writer_add(&p->index, &entry, e);
	}
	if (r < 0)
		return err_wrap(e, r, "%s", want_name(p, w));
	whole.dims = s->dims + v->dims;
	whole.slices = (int64_t *)slices.p;
	whole.n_slices = v->n_parts;
	return bundle_writer_add(&p->index, &whole, e);
}

/* --- all of it --------------------------------------------------------------------------------------------- */

static int store_written(struct plan *p, struct err *e)
{
	int r = 0;

	for (uint32_t i = 0; i < plan_n(p) && r == 0; i++) {
		struct want *w = &plan_wants(p)[i];
		const struct step *s;

		if (!w->store)
			continue;
		if (plan_stores_graph(p, w))
			r = store_graph(p, w, e);
		else if (!want_layout(p, w, &s))
			r = store_whole(p, w, e);
		else if (s->place.format == STEP_V1)
			r = store_v1(p, w, e);
	}
	return r;
}

static int store_all(struct plan *p, struct err *e)
{
	int r = 0;

	bundle_writer_init(&p->index, p->num_shards, p->big_endian);
	if (p->has_packed) /* it may get no bytes */
		r = open_packed(p, NULL, e);
	if (r == 0)
		r = store_written(p, e);
	for (uint32_t pin = 0; pin < p->n_pins && r == 0; pin++)
		if (p->pins[pin].step->place.format == STEP_V2)
			r = add_old_entries(p, pin, e);
	return r;
}

/* --- the index --------------------------------------------------------------------------------------------- */

/* The rest has the entries that it had. */
static int finish_over_base(struct plan *p, struct sink out, struct err *e)
{
	CLEANUP(old_index_release) struct old_index index = {.fd = -1};
	const char *file = p->pins[0].step->place.file;
	int r = rest_leave_others(p, e);

	if (r == 0)
		r = old_index_open(p, 0, &index, e);
	if (r < 0)
		return r;
	r = bundle_writer_finish_over(&p->index, &index.bundle, out, e);
	if (r < 0)
		return err_wrap(e, r, "%s", file);
	return placed_check(index.fd, file, &index.id, e);
}

static int write_index(struct plan *p, struct err *e)
{
	CLEANUP(append_release)
	struct append index = append_of(io_create(p->fd, "index", 0644, e), 0);
	const struct sink out = append_sink(&index);
	int r = index.fd;

	if (r >= 0)
		r = p->others ? finish_over_base(p, out, e)
			      : bundle_writer_finish(&p->index, out, e);
	if (r == 0)
		r = append_flush(&index, e);
	if (r == 0)
		r = pack_give_to_owner(p, index.fd, 0666, e);
	if (r == 0)
		r = io_sync(index.fd, "index", e);
	if (r == 0)
		p->index_fd = TAKE(index.fd, -1);
	return r;
}

/* --- all of it --------------------------------------------------------------------------------------------- */

/* What was packed of W, or NULL, is whole. */
static int end_packed(struct plan *p, const struct want *w, struct err *e)
{
	int r = open_packed(p, w, e);

	if (r == 0)
		r = append_flush(&p->packed, e);
	if (r == 0)
		r = io_sync(p->packed.fd, plan_packed_name(p, w), e);
	return r < 0 ? r : pack_give_to_owner(p, p->packed.fd, w ? w->mode : p->packed_mode, e);
}

int pack_step(struct plan *p, struct err *e)
{
	int r = store_all(p, e);

	if (r == 0 && p->has_packed)
		r = end_packed(p, NULL, e);
	for (uint32_t i = 0; i < plan_n(p) && r == 0; i++)
		if (plan_wants(p)[i].alone)
			r = end_packed(p, &plan_wants(p)[i], e);
	return r < 0 ? r : write_index(p, e);
}

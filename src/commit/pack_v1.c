#include "base/cleanup.h"
#include "base/io.h"
#include "base/utf8.h"
#include "commit/content.h"
#include "commit/pack.h"
#include "commit/record.h"
#include "draft/draft_state.h"
#include "format/dtype.h"
#include "format/ordered_code.h"
#include "format/v1.h"
#include "step/name.h"

/* --- what it holds ----------------------------------------------------------------------------------------- */

/* A slice of a variable. Numbers are where it begins. */
struct slice {
	uint32_t want;
	const int64_t *
		cut; /* its extents, with the lengths of whole dimensions; NULL: it is all of the variable */
	size_t key, key_n; /* in writer->keys */
	size_t extents; /* in writer->numbers, as they are stored */
};

struct writer {
	struct plan *p;
	struct buf slices; /* struct slice */
	struct buf keys, numbers, meta;
	struct content whole; /* of want number OPEN, counted from 1; 0: of none */
	uint32_t open;
	struct sstable_writer table;
	uint64_t at; /* bytes in the file */
};

static void writer_release(struct writer *w)
{
	buf_release(&w->slices);
	buf_release(&w->keys);
	buf_release(&w->numbers);
	buf_release(&w->meta);
	content_release(&w->whole);
	sstable_writer_release(&w->table);
}

/* Its slices are not set. */
static struct v1_tensor tensor_of(const struct plan *p, const struct want *w)
{
	struct v1_tensor t = {.name = want_key(p, w), .dtype = w->dtype, .rank = w->rank};
	const struct step *s;
	const struct var *v;

	if (plan_stores_graph(p, w)) {
		t.dtype = DTYPE_STRING;
		t.rank = 0;
	} else if (w->item) {
		t.dims = (const int64_t *)(const void *)(p->dims.p + w->dims);
	} else {
		s = p->pins[w->of_pin].step;
		v = &s->vars[w->of_var];
		t.dtype = v->dtype;
		t.rank = v->rank;
		t.dims = var_dims(s, v);
	}
	return t;
}

/* --- what it can't hold ------------------------------------------------------------------------------------ */

static int fault(const struct plan *p, const struct want *w, struct err *e)
{
	struct v1_tensor t = tensor_of(p, w);

	if (!v1_has_type(t.dtype))
		return err_set(
			e, -EINVAL,
			"%s: is %s, which a V1 checkpoint can't hold; mount with write_version=2",
			want_path(p, w), dtype_info(t.dtype)->name);
	if (!utf8_valid(t.name))
		return err_set(
			e, -EINVAL,
			"%s: its name is no UTF-8, which a V1 checkpoint can't hold; mount with "
			"write_version=2",
			want_path(p, w));
	return 0;
}

/* All that are refused are noted; the first one is told. */
static int check_all(const struct plan *p, struct err *e)
{
	int r = 0;

	for (uint32_t i = 0; i < plan_n(p); i++) {
		const struct want *w = &plan_wants(p)[i];
		struct err why = {0};

		if (fault(p, w, &why) == 0)
			continue;
		if (w->item)
			written_note(p, w->item, -EINVAL, &why, NULL);
		if (r == 0 && e)
			*e = why;
		r = -EINVAL;
	}
	return r;
}

/* --- slices ------------------------------------------------------------------------------------------------ */

/* Adds the slice CUT of the variable T, which is want number I. As Saver writes them, a slice has numbers also for a whole
 * dimension. */
static int add_slice(struct writer *k, uint32_t i, const struct v1_tensor *t, const int64_t *cut)
{
	struct slice slice = {.want = i, .cut = cut, .key = k->keys.n, .extents = k->numbers.n};
	int r = buf_reserve(&k->numbers, 2 * sizeof *cut); /* it has an address */

	for (unsigned d = 0; d < t->rank && r == 0; d++) {
		const int64_t pair[2] = {cut ? cut[2 * d] : 0, cut ? cut[2 * d + 1] : -1};

		r = buf_add(&k->numbers, pair, sizeof pair);
	}
	if (r == 0)
		r = slice_key_encode(&k->keys, t->name, t->rank,
				     (const int64_t *)(const void *)(k->numbers.p + slice.extents));
	slice.key_n = k->keys.n - slice.key;
	return r < 0 ? r : buf_add(&k->slices, &slice, sizeof slice);
}

static int add_variable(struct writer *k, uint32_t i)
{
	const struct plan *p = k->p;
	const struct want *w = &plan_wants(p)[i];
	struct v1_tensor t = tensor_of(p, w);
	const struct step *s;
	const struct var *v = want_layout(p, w, &s);
	size_t at = k->numbers.n;
	int r = 0;

	t.n_slices = v ? v->n_parts : 1;
	for (uint32_t n = 0; n < t.n_slices && r == 0; n++)
		r = add_slice(k, i, &t, v ? s->dims + s->parts[v->aux + n].extents : NULL);
	t.slices = (const int64_t *)(const void *)(k->numbers.p + at);
	return r < 0 ? r : v1_meta_add(&k->meta, &t);
}

static struct bytes slice_key(const struct writer *k, const struct slice *s)
{
	return bytes_of(k->keys.p + s->key, s->key_n);
}

static int compare_slices(const void *a, const void *b, void *writer)
{
	return bytes_cmp(slice_key(writer, a), slice_key(writer, b));
}

/* --- values ------------------------------------------------------------------------------------------------ */

static int open_graph(struct plan *p, struct content *c, struct err *e)
{
	uint8_t length[8];

	put_le64(length, p->graph.n);
	if (buf_add(&c->memory, length, sizeof length) < 0 ||
	    buf_add(&c->memory, p->graph.p, p->graph.n) < 0)
		return err_set(e, -ENOMEM, "no memory");
	c->npy = (struct npy){.dtype = DTYPE_STRING, .count = 1, .has_length = true};
	c->npy.item = c->npy.size = c->npy.stored = c->memory.n;
	c->src = source_of_memory(buf_bytes(&c->memory));
	return 0;
}

/* Slices of a variable stand side by side, so that it is opened once. */
static int open_whole(struct writer *k, const struct slice *s, struct err *e)
{
	const struct want *w = &plan_wants(k->p)[s->want];
	int r;

	if (k->open == s->want + 1)
		return 0;
	content_release(&k->whole);
	k->whole = (struct content)CONTENT_EMPTY;
	k->open = 0;
	r = plan_stores_graph(k->p, w) ? open_graph(k->p, &k->whole, e)
				       : content_open(k->p, w, &k->whole, e);
	if (r == 0 && s->cut)
		r = content_make_c_order(k->p, &k->whole, e);
	k->open = r == 0 ? s->want + 1 : 0;
	return r;
}

static int put_slice(struct writer *k, const struct slice *s, struct buf *room, struct err *e)
{
	CLEANUP(content_release) struct content part = CONTENT_EMPTY;
	const struct content *c = &k->whole;
	const struct want *w = &plan_wants(k->p)[s->want];
	struct v1_tensor t = tensor_of(k->p, w);
	struct err why = {0};
	struct bytes value;
	int r = open_whole(k, s, &why);

	t.slices = (const int64_t *)(const void *)(k->numbers.p + s->extents);
	if (r == 0 && s->cut) {
		r = content_of_slice(k->p, &k->whole, s->cut, &part, &why);
		c = &part;
	}
	if (r == 0)
		r = v1_encode(&t, &c->src, &c->npy, room, &value, &why);
	if (r == 0)
		return sstable_writer_add(&k->table, slice_key(k, s), value, e);
	err_wrap(&why, r, "%s", want_path(k->p, w));
	if (r == -EINVAL && w->item)
		return written_note(k->p, w->item, r, &why, e);
	*e = why;
	return r;
}

/* --- the file ---------------------------------------------------------------------------------------------- */

static int put_file(void *to, struct bytes b, struct err *e)
{
	struct writer *k = to;
	int r = io_write_at(k->p->index_fd, b, k->at, e);

	k->at += b.n;
	return r;
}

static int compare_wants(const void *a, const void *b, void *plan)
{
	const struct want *wants = plan_wants(plan);

	return bytes_cmp(want_key(plan, &wants[*(const uint32_t *)a]),
			 want_key(plan, &wants[*(const uint32_t *)b]));
}

/* In the order of their names, so that the same variables make the same file (commit/noted.h). */
static int list_slices(struct writer *k, struct err *e)
{
	CLEANUP(freep) uint32_t *order = calloc(plan_n(k->p) + (size_t)1, sizeof *order);
	int r = order ? 0 : -ENOMEM;

	for (uint32_t i = 0; r == 0 && i < plan_n(k->p); i++)
		order[i] = i;
	if (r == 0)
		qsort_r(order, plan_n(k->p), sizeof *order, compare_wants, k->p);
	for (uint32_t i = 0; r == 0 && i < plan_n(k->p); i++)
		r = add_variable(k, order[i]);
	if (r == 0)
		r = v1_meta_end(&k->meta);
	if (k->slices.n)
		qsort_r(k->slices.p, k->slices.n / sizeof(struct slice), sizeof(struct slice),
			compare_slices, k);
	return r < 0 ? err_set(e, r, "no memory") : 0;
}

static int put_table(struct writer *k, struct err *e)
{
	CLEANUP(buf_release) struct buf room = {0};
	const struct slice *slices = (const struct slice *)(const void *)k->slices.p;
	int r = sstable_writer_add(&k->table, bytes_str(""), buf_bytes(&k->meta), e);

	for (size_t i = 0; i < k->slices.n / sizeof *slices && r == 0; i++)
		r = put_slice(k, &slices[i], &room, e);
	return r < 0 ? r : sstable_writer_finish(&k->table, e);
}

/* All bytes are in one file: no private ones are opened to others. */
static mode_t mode_of_all(const struct plan *p)
{
	mode_t mode = 0666;

	for (uint32_t i = 0; i < plan_n(p); i++)
		mode &= want_mode(p, &plan_wants(p)[i]);
	return mode;
}

int pack_v1(struct plan *p, struct err *e)
{
	CLEANUP(writer_release) struct writer k = {.p = p, .whole = CONTENT_EMPTY};
	mode_t mode = mode_of_all(p);
	int r = check_all(p, e);

	sstable_writer_init(&k.table, (struct sink){put_file, &k});
	if (r == 0)
		r = list_slices(&k, e);
	if (r == 0)
		r = p->index_fd = io_create(p->fd, RECORD_V1, 0600 | (0644 & mode), e);
	if (r >= 0)
		r = put_table(&k, e);
	if (r == 0)
		r = pack_give_to_owner(p, p->index_fd, mode, e);
	return r < 0 ? r : io_sync(p->index_fd, RECORD_V1, e);
}

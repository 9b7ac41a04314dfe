#include "base/crc32c.h"
#include "bundle.pb-c.h"
#include "format/bundle.h"
#include "format/dtype.h"
#include "format/slice.h"
#include <inttypes.h>

/* What one entry may take in memory once decoded: a hundred thousand slices of a matrix. */
enum { MAX_ENTRY = 64 << 20 };

/* The version of bundles that this reader understands: TensorFlow's kTensorBundleVersion. */
enum { VERSION = 1 };

static void *scratch_alloc(void *bundle, size_t n)
{
	struct bundle *b = bundle;
	void *p = arena_alloc(&b->scratch, n);

	/* What is beyond the maximum is the entry's own fault. */
	if (!p && n <= MAX_ENTRY && b->scratch.used <= MAX_ENTRY - n)
		b->no_memory = true;
	return p;
}

static void scratch_free(void *bundle, void *p)
{
	(void)bundle;
	(void)p;
}

static void *unpack(struct bundle *b, const ProtobufCMessageDescriptor *d, struct bytes value)
{
	ProtobufCAllocator allocator = {scratch_alloc, scratch_free, b};

	return protobuf_c_message_unpack(d, &allocator, value.n, value.p);
}

static int check_version(const Tensorflow__VersionDef *v, struct err *e)
{
	if (!v)
		return 0;
	if (v->producer < 0)
		return err_set(e, -EUCLEAN, "header: producer version %" PRId32, v->producer);
	if (v->min_consumer > VERSION)
		return err_set(e, -ENOTSUP,
			       "header: needs a reader of version %" PRId32 ", this is %d",
			       v->min_consumer, VERSION);
	for (size_t i = 0; i < v->n_bad_consumers; i++)
		if (v->bad_consumers[i] == VERSION)
			return err_set(e, -ENOTSUP, "header: forbids readers of version %d",
				       VERSION);
	return 0;
}

static int read_header(struct bundle *b, struct err *e)
{
	const Tensorflow__BundleHeaderProto *h;
	int r = sstable_next(&b->iter, e);

	if (r < 0)
		return r;
	if (r == 0 || sstable_key(&b->iter).n)
		return err_set(e, -EUCLEAN, "no header: the first key is not the empty one");
	h = unpack(b, &tensorflow__bundle_header_proto__descriptor, sstable_value(&b->iter));
	if (b->no_memory)
		return err_set(e, -ENOMEM, "no memory for the header");
	if (!h)
		return err_set(e, -EUCLEAN, "header: malformed");
	if (h->num_shards <= 0)
		return err_set(e, -EUCLEAN, "header: %" PRId32 " shards", h->num_shards);
	if (h->endianness != 0 && h->endianness != 1)
		return err_set(e, -EUCLEAN, "header: byte order %d, expected 0 or 1",
			       (int)h->endianness);
	b->num_shards = h->num_shards;
	b->big_endian = h->endianness == 1;
	return check_version(h->version, e);
}

int bundle_open(struct bundle *b, struct source src, struct err *e)
{
	int r;

	*b = (struct bundle){.scratch.max = MAX_ENTRY};
	r = sstable_open(&b->table, src, e);
	if (r == 0)
		r = sstable_iter_init(&b->iter, &b->table, e);
	if (r == 0)
		r = read_header(b, e);
	if (r < 0)
		bundle_close(b);
	return r;
}

void bundle_close(struct bundle *b)
{
	sstable_iter_release(&b->iter);
	sstable_close(&b->table);
	arena_release(&b->scratch);
	*b = (struct bundle){0};
}

static int take_shape(struct bundle *b, const Tensorflow__TensorShapeProto *shape,
		      struct bundle_entry *out)
{
	uint64_t count;
	size_t rank = shape ? shape->n_dim : 0;

	if (rank > BUNDLE_MAX_RANK)
		return err_set(&out->why, -EUCLEAN, "%zu dimensions, more than %d", rank,
			       BUNDLE_MAX_RANK);
	if (rank && shape->unknown_rank)
		return err_set(&out->why, -EUCLEAN, "%zu dimensions of unknown rank", rank);
	out->dims = scratch_alloc(b, (rank + 1) * sizeof *out->dims);
	if (!out->dims)
		return err_set(&out->why, -EUCLEAN, "no room for %zu dimensions", rank);
	for (size_t i = 0; i < rank; i++)
		out->dims[i] = shape->dim[i]->size;
	if (!shape_count((unsigned)rank, out->dims, &count))
		return err_set(&out->why, -EUCLEAN, "a shape of negative size, or too large");
	out->rank = (uint8_t)rank;
	return 0;
}

static int take_slices(struct bundle *b, const Tensorflow__BundleEntryProto *p,
		       struct bundle_entry *out)
{
	size_t size;
	int64_t *to;

	if (!p->n_slices)
		return 0;
	if (__builtin_mul_overflow(p->n_slices, (size_t)out->rank * 2 * sizeof *to, &size) ||
	    p->n_slices > UINT32_MAX || !(to = scratch_alloc(b, size)))
		return err_set(&out->why, -EUCLEAN, "%zu slices are too many", p->n_slices);
	out->slices = to;
	for (size_t i = 0; i < p->n_slices; i++) {
		const Tensorflow__TensorSliceProto *s = p->slices[i];

		if (s->n_extent != out->rank)
			return err_set(&out->why, -EUCLEAN,
				       "slice %zu has %zu dimensions, the shape %u", i, s->n_extent,
				       out->rank);
		for (size_t k = 0; k < s->n_extent; k++) {
			const Tensorflow__TensorSliceProto__Extent *x = s->extent[k];

			*to++ = x->start;
			*to++ = x->has_length_case ? x->length : -1;
		}
	}
	out->n_slices = (uint32_t)p->n_slices;
	return 0;
}

/* Checks place and size against shape and type. Whether the shard is that long is for those to say who see it. */
static int take_place(const struct bundle *b, const Tensorflow__BundleEntryProto *p,
		      struct bundle_entry *out)
{
	const struct dtype_info *type = dtype_info(out->dtype);
	uint64_t count, want;

	if (p->offset < 0 || p->size < 0 || p->size > INT64_MAX - p->offset)
		return err_set(&out->why, -EUCLEAN, "%" PRId64 " bytes at offset %" PRId64, p->size,
			       p->offset);
	if (p->shard_id < 0 || p->shard_id >= b->num_shards)
		return err_set(&out->why, -EUCLEAN, "shard %" PRId32 " of %" PRId32, p->shard_id,
			       b->num_shards);
	out->shard = (uint32_t)p->shard_id;
	out->off = (uint64_t)p->offset;
	out->size = (uint64_t)p->size;
	out->crc = crc32c_unmask(p->crc32c);
	shape_count(out->rank, out->dims, &count);
	if (__builtin_mul_overflow(count, (uint64_t)type->item, &want) || want > INT64_MAX)
		return err_set(&out->why, -EUCLEAN, "a shape of more than 2^63 bytes");
	if (out->n_slices && !out->size)
		return 0;
	if (type->item && out->size != want)
		return err_set(&out->why, -EUCLEAN,
			       "%" PRIu64 " bytes are stored, its shape needs %" PRIu64, out->size,
			       want);
	if (out->dtype == DTYPE_STRING && (out->size < 4 || out->size - 4 < count))
		return err_set(&out->why, -EUCLEAN,
			       "%" PRIu64 " bytes can't hold %" PRIu64 " strings", out->size,
			       count);
	return 0;
}

static void take_entry(struct bundle *b, const Tensorflow__BundleEntryProto *p,
		       struct bundle_entry *out)
{
	if (!dtype_info(p->dtype)) {
		err_set(&out->why, -EUCLEAN, "data type %d is not known", (int)p->dtype);
		return;
	}
	out->dtype = (uint8_t)p->dtype;
	if (take_shape(b, p->shape, out) == 0 && take_slices(b, p, out) == 0)
		take_place(b, p, out);
}

int bundle_next(struct bundle *b, struct bundle_entry *out, struct err *e)
{
	const Tensorflow__BundleEntryProto *p;
	int r = sstable_next(&b->iter, e);

	if (r <= 0)
		return r;
	arena_reset(&b->scratch);
	*out = (struct bundle_entry){.key = sstable_key(&b->iter)};
	p = unpack(b, &tensorflow__bundle_entry_proto__descriptor, sstable_value(&b->iter));
	if (p)
		take_entry(b, p, out);
	else
		err_set(&out->why, -EUCLEAN, "malformed entry");
	if (b->no_memory)
		return err_set(e, -ENOMEM, "no memory for an entry");
	return 1;
}

int bundle_shard_name(struct buf *out, struct bytes prefix, uint32_t shard, uint32_t num_shards)
{
	int r = buf_add(out, prefix.p, prefix.n);

	return r < 0 ? r : buf_printf(out, ".data-%05" PRIu32 "-of-%05" PRIu32, shard, num_shards);
}

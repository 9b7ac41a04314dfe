#include "base/cleanup.h"
#include "base/crc32c.h"
#include "bundle.pb-c.h"
#include "format/bundle.h"
#include "format/bundle_entry.h"
#include "format/dtype.h"
#include "format/slice.h"
#include "message/pb.h"
#include <inttypes.h>

/* The version of what is written: TensorFlow's kTensorBundleVersion. */
enum { PRODUCER = 1 };

struct bundle_item {
	size_t at; /* in `bytes`: the key, behind it the value */
	size_t key_n, value_n;
};

void bundle_writer_init(struct bundle_writer *w, uint32_t num_shards, bool big_endian)
{
	*w = (struct bundle_writer){.num_shards = num_shards, .big_endian = big_endian};
}

void bundle_writer_release(struct bundle_writer *w)
{
	buf_release(&w->bytes);
	buf_release(&w->items);
}

/* --- entries ----------------------------------------------------------------------------------------------- */

static int fault(const struct bundle_writer *w, const struct bundle_entry *entry, struct err *e)
{
	uint64_t count;

	if (!entry->key.n)
		return err_set(e, -EINVAL, "an entry without a key");
	if (!dtype_info(entry->dtype))
		return err_set(e, -EINVAL, "data type %d is not known", entry->dtype);
	if (entry->rank > SHAPE_MAX_RANK || !shape_count(entry->rank, entry->dims, &count))
		return err_set(e, -EINVAL, "a shape of negative size, or too large");
	if (entry->shard >= w->num_shards)
		return err_set(e, -EINVAL, "shard %" PRIu32 " of %" PRIu32, entry->shard,
			       w->num_shards);
	if (entry->off > INT64_MAX || entry->size > INT64_MAX - entry->off)
		return err_set(e, -EINVAL, "%" PRIu64 " bytes at offset %" PRIu64, entry->size,
			       entry->off);
	return 0;
}

/* Begins an entry. Its value is added to `bytes` next. */
static int begin(struct bundle_writer *w, struct bytes key, struct bundle_item *item, struct err *e)
{
	int r = buf_add(&w->bytes, key.p, key.n);

	*item = (struct bundle_item){.at = w->bytes.n - key.n, .key_n = key.n};
	return r < 0 ? err_set(e, r, "no memory for an entry") : 0;
}

static int end(struct bundle_writer *w, struct bundle_item *item, struct err *e)
{
	int r;

	item->value_n = w->bytes.n - item->at - item->key_n;
	r = buf_add(&w->items, item, sizeof *item);
	return r < 0 ? err_set(e, r, "no memory for an entry") : 0;
}

/* A new message in field NUMBER of M, behind the others if it is repeated. NULL if there is no memory. */
static void *add_message(ProtobufCMessage *m, unsigned number, struct pb_room *room)
{
	const ProtobufCFieldDescriptor *f =
		protobuf_c_message_descriptor_get_field(m->descriptor, number);
	void *slot = pb_slot(m, f, room);

	return slot ? pb_submessage(slot, f, room) : NULL;
}

enum { ENTRY_SHAPE = 2, ENTRY_SLICES = 7, SHAPE_DIM = 2, SLICE_EXTENT = 1 };

static bool add_shape(ProtobufCMessage *m, const struct bundle_entry *entry, struct pb_room *room)
{
	ProtobufCMessage *shape = add_message(m, ENTRY_SHAPE, room);

	for (unsigned i = 0; shape && i < entry->rank; i++) {
		Tensorflow__TensorShapeProto__Dim *dim = add_message(shape, SHAPE_DIM, room);

		if (!dim)
			return false;
		dim->size = entry->dims[i];
	}
	return shape != NULL;
}

/* EXTENTS: [rank][2]; a whole dimension is an extent without fields. */
static bool add_slice(ProtobufCMessage *m, unsigned rank, const int64_t *extents,
		      struct pb_room *room)
{
	ProtobufCMessage *slice = add_message(m, ENTRY_SLICES, room);

	for (; slice && rank; rank--, extents += 2) {
		Tensorflow__TensorSliceProto__Extent *x = add_message(slice, SLICE_EXTENT, room);

		if (!x)
			return false;
		if (extents[1] < 0)
			continue;
		x->start = extents[0];
		x->has_length_case = TENSORFLOW__TENSOR_SLICE_PROTO__EXTENT__HAS_LENGTH_LENGTH;
		x->length = extents[1];
	}
	return slice != NULL;
}

static bool fill(ProtobufCMessage *m, const struct bundle_entry *entry, struct pb_room *room)
{
	Tensorflow__BundleEntryProto *p = (Tensorflow__BundleEntryProto *)m;
	bool ok = add_shape(m, entry, room);

	for (size_t i = 0; i < entry->n_slices && ok; i++)
		ok = add_slice(m, entry->rank, entry->slices + 2 * i * entry->rank, room);
	p->dtype = entry->dtype;
	p->shard_id = (int32_t)entry->shard;
	p->offset = (int64_t)entry->off;
	p->size = (int64_t)entry->size;
	if (!entry->n_slices || entry->size)
		p->crc32c = crc32c_mask(entry->crc);
	return ok;
}

int bundle_writer_add(struct bundle_writer *w, const struct bundle_entry *entry, struct err *e)
{
	CLEANUP(pb_freep) ProtobufCMessage *m = NULL;
	struct pb_room room = {.left = SIZE_MAX};
	struct bundle_item item;
	int r = fault(w, entry, e);

	if (r < 0)
		return r;
	m = pb_new(&tensorflow__bundle_entry_proto__descriptor, &room);
	if (!m || !fill(m, entry, &room))
		return err_set(e, -ENOMEM, "no memory for an entry");
	r = begin(w, entry->key, &item, e);
	if (r == 0)
		r = pb_pack(m, &w->bytes, e);
	return r < 0 ? r : end(w, &item, e);
}

int bundle_writer_copy(struct bundle_writer *w, const struct bundle_entry *entry, struct err *e)
{
	struct entry_fields f = {
		.shard = (int32_t)entry->shard,
		.off = (int64_t)entry->off,
		.size = (int64_t)entry->size,
		.crc = crc32c_mask(entry->crc),
	};
	struct bundle_item item;
	int r = fault(w, entry, e);

	if (r == 0)
		r = begin(w, entry->key, &item, e);
	if (r == 0)
		r = entry_moved(entry->value, &f, &w->bytes, e);
	return r < 0 ? r : end(w, &item, e);
}

/* --- the file ---------------------------------------------------------------------------------------------- */

static struct bytes key_of(const struct bundle_writer *w, const struct bundle_item *item)
{
	return bytes_of(w->bytes.p + item->at, item->key_n);
}

static int compare(const void *a, const void *b, void *writer)
{
	return bytes_cmp(key_of(writer, a), key_of(writer, b));
}

static int put_header(const struct bundle_writer *w, struct sstable_writer *t, struct err *e)
{
	CLEANUP(buf_release) struct buf value = {0};
	Tensorflow__BundleHeaderProto header = TENSORFLOW__BUNDLE_HEADER_PROTO__INIT;
	Tensorflow__VersionDef version = TENSORFLOW__VERSION_DEF__INIT;
	int r;

	version.producer = PRODUCER;
	header.num_shards = (int32_t)w->num_shards;
	header.endianness = w->big_endian;
	header.version = &version;
	r = pb_pack(&header.base, &value, e);
	return r < 0 ? r : sstable_writer_add(t, bytes_str(""), buf_bytes(&value), e);
}

static int put_entries(const struct bundle_writer *w, struct sstable_writer *t, struct err *e)
{
	const struct bundle_item *items = (const struct bundle_item *)w->items.p;
	size_t n = w->items.n / sizeof *items;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		struct bytes key = key_of(w, &items[i]);

		if (i && bytes_eq(key, key_of(w, &items[i - 1])))
			return err_set(e, -EEXIST, "key \"%.*s\" comes twice", (int)key.n,
				       (const char *)key.p);
		r = sstable_writer_add(t, key, bytes_of(key.p + key.n, items[i].value_n), e);
	}
	return r;
}

int bundle_writer_finish(struct bundle_writer *w, struct sink out, struct err *e)
{
	CLEANUP(sstable_writer_release) struct sstable_writer t;
	int r;

	sstable_writer_init(&t, out);
	if (w->items.n)
		qsort_r(w->items.p, w->items.n / sizeof(struct bundle_item),
			sizeof(struct bundle_item), compare, w);
	r = put_header(w, &t, e);
	if (r == 0)
		r = put_entries(w, &t, e);
	return r < 0 ? r : sstable_writer_finish(&t, e);
}

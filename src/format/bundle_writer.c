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
	bool leaves; /* it has no value: the entry of the old index goes */
};

void bundle_writer_init(struct bundle_writer *w, uint32_t num_shards, bool big_endian)
{
	*w = (struct bundle_writer){.num_shards = num_shards, .big_endian = big_endian};
}

void bundle_writer_release(struct bundle_writer *w)
{
	buf_release(&w->bytes);
	buf_release(&w->items);
	buf_release(&w->room);
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

int bundle_writer_add(struct bundle_writer *w, const struct bundle_entry *entry, struct err *e)
{
	struct entry_fields f = {
		.dtype = entry->dtype,
		.shard = (int32_t)entry->shard,
		.off = (int64_t)entry->off,
		.size = (int64_t)entry->size,
		.crc = !entry->n_slices || entry->size ? crc32c_mask(entry->crc) : 0,
		.rank = entry->rank,
		.n_slices = entry->n_slices,
	};
	struct bundle_item item;
	int r = fault(w, entry, e);

	if (r == 0)
		r = begin(w, entry->key, &item, e);
	if (r < 0)
		return r;
	r = entry_write(&f, entry->dims, entry->slices, &w->room, &w->bytes);
	return r < 0 ? err_set(e, r, "no memory for an entry") : end(w, &item, e);
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

int bundle_writer_leave(struct bundle_writer *w, struct bytes key, struct err *e)
{
	struct bundle_item item;
	int r = begin(w, key, &item, e);

	item.leaves = true;
	return r < 0 ? r : end(w, &item, e);
}

/* --- the file ---------------------------------------------------------------------------------------------- */

static struct bytes key_of(const struct bundle_writer *w, const struct bundle_item *item)
{
	return bytes_of(w->bytes.p + item->at, item->key_n);
}

/* Of one key, what leaves comes first. */
static int compare(const void *a, const void *b, void *writer)
{
	const struct bundle_item *x = a, *y = b;
	int c = bytes_cmp(key_of(writer, x), key_of(writer, y));

	return c ? c : y->leaves - x->leaves;
}

static int put_header(const struct bundle_writer *w, struct buf *out, struct err *e)
{
	Tensorflow__BundleHeaderProto header = TENSORFLOW__BUNDLE_HEADER_PROTO__INIT;
	Tensorflow__VersionDef version = TENSORFLOW__VERSION_DEF__INIT;

	version.producer = PRODUCER;
	header.num_shards = (int32_t)w->num_shards;
	header.endianness = w->big_endian;
	header.version = &version;
	return pb_pack(&header.base, out, e);
}

/* CHANGES gets room for the header and all items, and becomes them, with N. What leaves and comes anew is one change. */
static int list_changes(const struct bundle_writer *w, struct bytes header,
			struct sstable_change *changes, size_t *n, struct err *e)
{
	const struct bundle_item *items = (const struct bundle_item *)w->items.p;
	size_t n_items = w->items.n / sizeof *items;
	struct sstable_change *c = changes;

	*c = (struct sstable_change){.key = bytes_str(""), .value = header, .replaces = true};
	for (size_t i = 0; i < n_items; i++) {
		struct bytes key = key_of(w, &items[i]);
		bool again = bytes_eq(c->key, key);

		if (again && !c->removes)
			return err_set(e, -EEXIST, "key \"%.*s\" comes twice", (int)key.n,
				       (const char *)key.p);
		c += !again;
		*c = (struct sstable_change){
			.key = key,
			.value = bytes_of(key.p + key.n, items[i].value_n),
			.replaces = again || items[i].leaves,
			.removes = items[i].leaves,
		};
	}
	*n = (size_t)(c - changes) + 1;
	return 0;
}

static int finish(struct bundle_writer *w, const struct sstable *old, struct sink out,
		  struct err *e)
{
	size_t n = w->items.n / sizeof(struct bundle_item);
	CLEANUP(sstable_writer_release) struct sstable_writer t;
	CLEANUP(freep) struct sstable_change *changes = calloc(n + 1, sizeof *changes);
	CLEANUP(buf_release) struct buf header = {0};
	int r = changes ? put_header(w, &header, e) : err_set(e, -ENOMEM, "no memory");

	sstable_writer_init(&t, out);
	if (n)
		qsort_r(w->items.p, n, sizeof(struct bundle_item), compare, w);
	if (r == 0)
		r = list_changes(w, buf_bytes(&header), changes, &n, e);
	if (r == 0)
		r = sstable_writer_merge(&t, old, changes, n, e);
	return r < 0 ? r : sstable_writer_finish(&t, e);
}

int bundle_writer_finish(struct bundle_writer *w, struct sink out, struct err *e)
{
	return finish(w, NULL, out, e);
}

int bundle_writer_finish_over(struct bundle_writer *w, const struct bundle *old, struct sink out,
			      struct err *e)
{
	return finish(w, &old->table, out, e);
}

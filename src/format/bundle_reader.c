#include "base/cleanup.h"
#include "base/crc32c.h"
#include "bundle.pb-c.h"
#include "format/bundle.h"
#include "format/bundle_entry.h"
#include "format/dtype.h"
#include "format/slice.h"
#include "format/tensor_proto.h"
#include "message/pb.h"
#include <inttypes.h>

/* The version of bundles that this reader understands: TensorFlow's kTensorBundleVersion. */
enum { VERSION = 1 };

static int take_header(struct bundle *b, const Tensorflow__BundleHeaderProto *h, struct err *e)
{
	int r;

	if (h->num_shards <= 0)
		return err_set(e, -EUCLEAN, "header: %" PRId32 " shards", h->num_shards);
	if (h->endianness != 0 && h->endianness != 1)
		return err_set(e, -EUCLEAN, "header: byte order %d, expected 0 or 1",
			       (int)h->endianness);
	b->num_shards = h->num_shards;
	b->big_endian = h->endianness == 1;
	if (h->version && h->version->producer < 0)
		return err_set(e, -EUCLEAN, "header: producer version %" PRId32,
			       h->version->producer);
	r = version_check(h->version, VERSION, e);
	return r < 0 ? err_wrap(e, r, "header") : 0;
}

static int read_header(struct bundle *b, struct err *e)
{
	CLEANUP(pb_freep) ProtobufCMessage *m = NULL;
	int r = sstable_next(&b->iter, e);

	if (r < 0)
		return r;
	if (r == 0 || sstable_key(&b->iter).n)
		return err_set(e, -EUCLEAN, "no header: the first key is not the empty one");
	r = pb_unpack(&tensorflow__bundle_header_proto__descriptor, sstable_value(&b->iter), &m, e);
	return r < 0 ? err_wrap(e, r, "header: malformed")
		     : take_header(b, (Tensorflow__BundleHeaderProto *)m, e);
}

int bundle_open(struct bundle *b, struct source src, struct err *e)
{
	int r;

	*b = (struct bundle){0};
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
	buf_release(&b->numbers);
	*b = (struct bundle){0};
}

/* Checks shape and slices, which are in b->numbers. */
static int take_shape(const struct bundle *b, const struct entry_fields *f,
		      struct bundle_entry *out)
{
	uint64_t count;

	if (f->rank > SHAPE_MAX_RANK)
		return err_set(&out->why, -EUCLEAN, "%zu dimensions, more than %d", f->rank,
			       SHAPE_MAX_RANK);
	if (f->rank && f->unknown_rank)
		return err_set(&out->why, -EUCLEAN, "%zu dimensions of unknown rank", f->rank);
	if (f->n_slices > UINT32_MAX)
		return err_set(&out->why, -EUCLEAN, "%zu slices", f->n_slices);
	out->dims = (int64_t *)b->numbers.p;
	if (!shape_count((unsigned)f->rank, out->dims, &count))
		return err_set(&out->why, -EUCLEAN, "a shape of negative size, or too large");
	out->rank = (uint8_t)f->rank;
	out->slices = out->dims + f->rank;
	out->n_slices = (uint32_t)f->n_slices;
	return 0;
}

/* Checks place and size against shape and type. Whether the shard is that long is not known here. */
static int take_place(const struct bundle *b, const struct entry_fields *f,
		      struct bundle_entry *out)
{
	const struct dtype_info *type = dtype_info(out->dtype);
	uint64_t count, want;

	if (f->off < 0 || f->size < 0 || f->size > INT64_MAX - f->off)
		return err_set(&out->why, -EUCLEAN, "%" PRId64 " bytes at offset %" PRId64, f->size,
			       f->off);
	if (f->shard < 0 || f->shard >= b->num_shards)
		return err_set(&out->why, -EUCLEAN, "shard %" PRId32 " of %" PRId32, f->shard,
			       b->num_shards);
	out->shard = (uint32_t)f->shard;
	out->off = (uint64_t)f->off;
	out->size = (uint64_t)f->size;
	out->crc = crc32c_unmask(f->crc);
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

static int take_entry(const struct bundle *b, const struct entry_fields *f,
		      struct bundle_entry *out)
{
	int r;

	if (!dtype_info(f->dtype))
		return err_set(&out->why, -EUCLEAN, "data type %" PRId32 " is not known", f->dtype);
	out->dtype = (uint8_t)f->dtype;
	r = take_shape(b, f, out);
	return r < 0 ? r : take_place(b, f, out);
}

/* Not by {0}: to clear the text of `why`, too, took as long as to read the entry. */
static void clear_entry(struct bundle_entry *out)
{
	out->dtype = out->rank = 0;
	out->shard = out->crc = out->n_slices = 0;
	out->off = out->size = 0;
	out->dims = out->slices = NULL;
	out->why.code = 0;
}

/* The entry that the walk is at. */
static int read_entry(struct bundle *b, struct bundle_entry *out, struct err *e)
{
	struct entry_fields f;
	int r;

	clear_entry(out);
	out->key = sstable_key(&b->iter);
	out->value = sstable_value(&b->iter);
	b->numbers.n = 0;
	r = entry_read(out->value, &f, &b->numbers, &out->why);
	if (r < 0)
		err_wrap(&out->why, r, "malformed entry");
	else
		r = take_entry(b, &f, out);
	return r == -ENOMEM ? err_set(e, -ENOMEM, "no memory for an entry") : 1;
}

int bundle_next(struct bundle *b, struct bundle_entry *out, struct err *e)
{
	int r = sstable_next(&b->iter, e);

	return r <= 0 ? r : read_entry(b, out, e);
}

int bundle_find(struct bundle *b, struct bytes key, struct bundle_entry *out, struct err *e)
{
	int r = sstable_seek(&b->iter, key, e);
	int c = r > 0 && b->iter.data.value.p ? bytes_cmp(sstable_key(&b->iter), key) : -1;

	while (r > 0 && c < 0 && (r = sstable_next(&b->iter, e)) > 0)
		c = bytes_cmp(sstable_key(&b->iter), key);
	if (r <= 0)
		return r;
	return c ? 0 : read_entry(b, out, e);
}

int bundle_shard_name(struct buf *out, struct bytes prefix, uint32_t shard, uint32_t num_shards)
{
	int r = buf_add(out, prefix.p, prefix.n);

	return r < 0 ? r : buf_printf(out, ".data-%05" PRIu32 "-of-%05" PRIu32, shard, num_shards);
}

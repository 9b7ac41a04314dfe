#include "format/v1.h"
#include "base/cleanup.h"
#include "format/dtype.h"
#include "format/slice.h"
#include "format/string_tensor.h"
#include "format/tensor_proto.h"
#include "message/pb.h"
#include "saved_slices.pb-c.h"
#include <inttypes.h>

/* --- meta data --------------------------------------------------------------------------------------------- */

static const Tensorflow__SavedTensorSliceMeta *meta_of(const struct v1 *v)
{
	return ((Tensorflow__SavedTensorSlices *)v->meta)->meta;
}

static int read_meta(struct v1 *v, struct err *e)
{
	CLEANUP(buf_release) struct buf block = {0};
	ProtobufCMessage *m = NULL;
	struct bytes value;
	int r = sstable_get(&v->table, bytes_of("", 0), &block, &value, e);

	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, -EUCLEAN, "no meta data: there is no empty key");
	r = pb_unpack(&tensorflow__saved_tensor_slices__descriptor, value, &m, e);
	if (r < 0)
		return err_wrap(e, r, "meta data");
	v->meta = m;
	if (!meta_of(v))
		return err_set(e, -EUCLEAN, "no meta data under the empty key");
	v->n_tensors = meta_of(v)->n_tensor;
	return version_check(meta_of(v)->versions, V1_VERSION, e);
}

int v1_probe(struct source src)
{
	struct sstable t = {0};
	struct sstable_iter it = {0};
	int r = sstable_open(&t, src, NULL);

	if (r == 0)
		r = sstable_iter_init(&it, &t, NULL);
	if (r == 0)
		r = sstable_next(&it, NULL);
	if (r > 0) /* key "" and field 1, a message: a bundle's header begins otherwise */
		r = !sstable_key(&it).n && sstable_value(&it).n && sstable_value(&it).p[0] == 0x0a;
	sstable_iter_release(&it);
	sstable_close(&t);
	return r == -EUCLEAN || r == -EBADMSG ? 0 : r;
}

int v1_open(struct v1 *v, struct source src, struct err *e)
{
	int r;

	*v = (struct v1){0};
	r = sstable_open(&v->table, src, e);
	if (r == 0)
		r = read_meta(v, e);
	if (r < 0)
		v1_close(v);
	return r;
}

void v1_close(struct v1 *v)
{
	protobuf_c_message_free_unpacked(v->meta, NULL);
	sstable_close(&v->table);
	*v = (struct v1){0};
}

int v1_tensor(const struct v1 *v, size_t i, struct buf *scratch, struct v1_tensor *out)
{
	const Tensorflow__SavedSliceMeta *t = meta_of(v)->tensor[i];
	const struct dtype_info *type = dtype_info(t->type);
	size_t rank = t->shape ? t->shape->n_dim : 0;
	uint64_t count, size;

	*out = (struct v1_tensor){.name = bytes_of(t->name.data, t->name.len)};
	scratch->n = 0;
	if (!type || (!type->item && (int)t->type != DTYPE_STRING))
		return err_set(&out->why, -EUCLEAN, "data type %d is none of a V1 checkpoint",
			       (int)t->type);
	if (rank > SHAPE_MAX_RANK || t->n_slice > UINT32_MAX)
		return err_set(&out->why, -EUCLEAN, "%zu dimensions, %zu slices", rank, t->n_slice);
	if (shape_numbers(t->shape, t->slice, t->n_slice, scratch, &out->why) < 0)
		return out->why.code;
	out->dims = (int64_t *)scratch->p;
	out->slices = out->dims + rank;
	if (!shape_count((unsigned)rank, out->dims, &count) ||
	    __builtin_mul_overflow(count, (uint64_t)(type->item ? type->item : 1), &size) ||
	    size > INT64_MAX)
		return err_set(&out->why, -EUCLEAN, "a shape of negative size, or too large");
	out->dtype = (uint8_t)t->type;
	out->rank = (uint8_t)rank;
	out->n_slices = (uint32_t)t->n_slice;
	return 0;
}

/* --- values ------------------------------------------------------------------------------------------------ */

/* Appends the low ITEM bytes of each of the N numbers at FROM, which have FROM_SIZE bytes each. */
static int add_narrowed(struct buf *out, const void *from, size_t n, size_t from_size, size_t item)
{
	const uint8_t *p = from;
	int r = buf_reserve(out, n * item);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++, p += from_size) {
		uint64_t v = 0;

		memcpy(&v, p, from_size);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
		v >>= 64 - 8 * from_size;
#endif
		for (size_t k = 0; k < item; k++)
			out->p[out->n++] = (uint8_t)(v >> 8 * k);
	}
	return 0;
}

/* Appends strings as in string_tensor.h. */
static int add_strings(struct buf *out, const ProtobufCBinaryData *strings, size_t n)
{
	struct strings_writer w = {.out = sink_of_buf(out)};
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = strings_writer_length(&w, strings[i].len, NULL);
	if (r == 0)
		r = strings_writer_lengths_end(&w, NULL);
	for (size_t i = 0; i < n && r == 0; i++)
		r = strings_writer_bytes(&w, bytes_of(strings[i].data, strings[i].len), NULL);
	return r;
}

/* The field of a TensorProto that holds values of a type. */
struct values {
	const void *p;
	size_t n, size; /* numbers, and bytes of each, at p */
	size_t each; /* numbers that make an element: 2 for complex */
};

#define VALUES(name, number, numpy, field, item, word, real, proto)                                \
	case DTYPE_##name:                                                                         \
		return (struct values){t->proto##_val, t->n_##proto##_val, sizeof *t->proto##_val, \
				       (item) > (word) ? 2 : 1};

/* The values of T, which are of DTYPE. */
static struct values values_of(const Tensorflow__TensorProto *t, int dtype)
{
	switch ((enum dtype)dtype) {
		DTYPES(VALUES)
	case DTYPE_INVALID: /* v1_tensor refuses it */
		break;
	}
	return (struct values){NULL, 0, 0, 1};
}

static int add_values(const Tensorflow__TensorProto *t, int dtype, uint64_t count, struct buf *out,
		      struct err *e)
{
	struct values v = values_of(t, dtype);
	size_t n = v.n / v.each;
	int r;

	if (n != count || v.n % v.each)
		return err_set(e, -EUCLEAN, "%zu values are stored, its shape needs %" PRIu64, n,
			       count);
	if (dtype == DTYPE_STRING)
		r = add_strings(out, v.p, n);
	else
		r = add_narrowed(out, v.p, v.n, v.size, dtype_info(dtype)->item / v.each);
	return r == -E2BIG ? err_set(e, -EFBIG, "more than %zu bytes", out->max)
	       : r < 0     ? err_set(e, r, "no memory for %" PRIu64 " values", count)
			   : 0;
}

int v1_decode(struct bytes value, int dtype, uint64_t count, struct buf *out, struct err *e)
{
	CLEANUP(pb_freep) ProtobufCMessage *m = NULL;
	const Tensorflow__SavedTensorSlices *slices;
	int r = pb_unpack(&tensorflow__saved_tensor_slices__descriptor, value, &m, e);

	if (r < 0)
		return r;
	slices = (Tensorflow__SavedTensorSlices *)m;
	if (!slices->data || !slices->data->data)
		return err_set(e, -EUCLEAN, "a slice without data");
	return add_values(slices->data->data, dtype, count, out, e);
}

int v1_read(const struct sstable *t, struct bytes key, int dtype, uint64_t count, struct buf *out,
	    struct err *e)
{
	CLEANUP(buf_release) struct buf block = {0};
	struct bytes value;
	int r = sstable_get(t, key, &block, &value, e);

	if (r == 0)
		return err_set(e, -EUCLEAN, "a slice that it lists is missing");
	return r < 0 ? r : v1_decode(value, dtype, count, out, e);
}

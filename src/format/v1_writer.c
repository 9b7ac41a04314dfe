#include "base/cleanup.h"
#include "format/dtype.h"
#include "format/elements.h"
#include "format/v1.h"

enum {
	BUDGET = 1 << 20, /* memory for elements that are turned */
	LARGEST = INT32_MAX, /* bytes of a message */
	VARINT = 10, /* bytes of the longest */
	WIRE_VARINT = 0,
	WIRE_BYTES = 2,
};

/* The field of a TensorProto that has the values of a type, and how they stand there. */
struct field {
	uint8_t number; /* 0: V1 has no such type */
	enum { FIXED, SIGNED, UNSIGNED, STRINGS } kind;
};

static const struct field fields[] = {
	[DTYPE_FLOAT] = {5, FIXED},       [DTYPE_DOUBLE] = {6, FIXED},
	[DTYPE_INT8] = {7, SIGNED},       [DTYPE_INT16] = {7, SIGNED},
	[DTYPE_INT32] = {7, SIGNED},      [DTYPE_UINT8] = {7, UNSIGNED},
	[DTYPE_UINT16] = {7, UNSIGNED},   [DTYPE_QINT8] = {7, SIGNED},
	[DTYPE_QUINT8] = {7, UNSIGNED},   [DTYPE_QINT32] = {7, SIGNED},
	[DTYPE_STRING] = {8, STRINGS},    [DTYPE_COMPLEX64] = {9, FIXED},
	[DTYPE_INT64] = {10, SIGNED},     [DTYPE_BOOL] = {11, UNSIGNED},
	[DTYPE_COMPLEX128] = {12, FIXED}, [DTYPE_HALF] = {13, UNSIGNED},
};

bool v1_has_type(int dtype)
{
	return dtype >= 0 && (size_t)dtype < sizeof fields / sizeof *fields && fields[dtype].number;
}

/* --- messages ---------------------------------------------------------------------------------------------- */

static int add_varint(struct buf *out, uint64_t v)
{
	uint8_t bytes[VARINT];

	return buf_add(out, bytes, put_varint(bytes, v));
}

/* A field of N bytes begins. */
static int add_tag(struct buf *out, unsigned number, size_t n)
{
	int r = buf_add_byte(out, (uint8_t)(number << 3 | WIRE_BYTES));

	return r < 0 ? r : add_varint(out, n);
}

static int add_bytes(struct buf *out, unsigned number, struct bytes b)
{
	int r = add_tag(out, number, b.n);

	return r < 0 ? r : buf_add(out, b.p, b.n);
}

/* A field of a number; 0 is left out, unless it is one that MUST be there. */
static int add_number(struct buf *out, unsigned number, uint64_t v, bool must)
{
	int r = v || must ? buf_add_byte(out, (uint8_t)(number << 3 | WIRE_VARINT)) : 0;

	return r < 0 || !(v || must) ? r : add_varint(out, v);
}

/* A TensorSliceProto in field NUMBER: an extent without fields is a whole dimension. */
static int add_slice(struct buf *out, unsigned number, unsigned rank, const int64_t *extents)
{
	CLEANUP(buf_release) struct buf slice = {0};
	int r = 0;

	for (unsigned k = 0; k < rank && r == 0; k++, extents += 2) {
		CLEANUP(buf_release) struct buf extent = {0};

		if (extents[1] >= 0) {
			r = add_number(&extent, 1, (uint64_t)extents[0], false);
			if (r == 0)
				r = add_number(&extent, 2, (uint64_t)extents[1], true);
		}
		if (r == 0)
			r = add_bytes(&slice, 1, buf_bytes(&extent));
	}
	return r < 0 ? r : add_bytes(out, number, buf_bytes(&slice));
}

/* A TensorShapeProto in field NUMBER. */
static int add_shape(struct buf *out, unsigned number, unsigned rank, const int64_t *dims)
{
	CLEANUP(buf_release) struct buf shape = {0};
	int r = 0;

	for (unsigned k = 0; k < rank && r == 0; k++) {
		CLEANUP(buf_release) struct buf dim = {0};

		r = add_number(&dim, 1, (uint64_t)dims[k], false);
		if (r == 0)
			r = add_bytes(&shape, 2, buf_bytes(&dim));
	}
	return r < 0 ? r : add_bytes(out, number, buf_bytes(&shape));
}

/* --- meta data --------------------------------------------------------------------------------------------- */

int v1_meta_add(struct buf *meta, const struct v1_tensor *t)
{
	CLEANUP(buf_release) struct buf tensor = {0};
	size_t pairs = 2 * (size_t)t->rank;
	int r = add_bytes(&tensor, 1, t->name);

	if (r == 0)
		r = add_shape(&tensor, 2, t->rank, t->dims);
	if (r == 0)
		r = add_number(&tensor, 3, t->dtype, false);
	for (uint32_t i = 0; i < t->n_slices && r == 0; i++)
		r = add_slice(&tensor, 4, t->rank, t->slices + i * pairs);
	return r < 0 ? r : add_bytes(meta, 1, buf_bytes(&tensor));
}

int v1_meta_end(struct buf *meta)
{
	CLEANUP(buf_release) struct buf out = {0}, version = {0};
	int r = add_number(&version, 1, V1_VERSION, true);

	if (r == 0)
		r = add_bytes(meta, 2, buf_bytes(&version));
	if (r == 0)
		r = add_bytes(&out, 1, buf_bytes(meta));
	buf_swap(&out, meta);
	return r;
}

/* --- values ------------------------------------------------------------------------------------------------ */

struct encoder {
	struct buf *out;
	const struct npy *npy;
	struct field field;
};

static int is_too_large(struct err *e)
{
	return err_set(e, -EINVAL,
		       "takes more than 2 GiB in a V1 checkpoint, which can't hold that");
}

static int is_full(const struct encoder *k, size_t more, struct err *e)
{
	if (more > LARGEST || k->out->n > LARGEST - more)
		return is_too_large(e);
	return buf_reserve(k->out, more) < 0 ? err_set(e, -ENOMEM, "no memory") : 0;
}

/* The element at P, of SIZE bytes, as a varint has it. */
static uint64_t widened(const uint8_t *p, size_t size, bool is_signed)
{
	uint64_t v = 0;

	for (size_t i = 0; i < size; i++)
		v |= (uint64_t)p[i] << 8 * i;
	if (is_signed && size < 8 && p[size - 1] & 0x80)
		v |= UINT64_MAX << 8 * size;
	return v;
}

static int put_string(struct encoder *k, const uint8_t *p, struct err *e)
{
	struct bytes s;
	int r = npy_string(k->npy, p, &s, e);

	if (r == 0)
		r = is_full(k, s.n + 1 + VARINT, e);
	return r < 0 ? r : add_bytes(k->out, k->field.number, s);
}

/* B: whole elements. */
static int put_elements(void *to, struct bytes b, struct err *e)
{
	struct encoder *k = to;
	size_t item = k->npy->item, n = b.n / item;
	int r = 0;

	if (k->field.kind == STRINGS) {
		for (size_t i = 0; i < n && r == 0; i++)
			r = put_string(k, b.p + i * item, e);
		return r;
	}
	r = is_full(k, k->field.kind == FIXED ? b.n : n * VARINT, e);
	if (r < 0)
		return r;
	if (k->field.kind == FIXED)
		return buf_add(k->out, b.p, b.n);
	for (size_t i = 0; i < n; i++)
		k->out->n += put_varint(k->out->p + k->out->n,
					widened(b.p + i * item, item, k->field.kind == SIGNED));
	return 0;
}

static int put_all(struct encoder *k, const struct source *src, struct err *e)
{
	const struct npy *npy = k->npy;
	struct elements el = {.off = npy->data,
			      .rank = npy->rank,
			      .dims = npy->dims,
			      .item = npy->item,
			      .word = 1,
			      .fortran = npy->fortran};
	int r = 0;

	if (npy->big_endian && k->field.kind != STRINGS) /* npy_string turns the lengths */
		el.word = dtype_info(npy->dtype)->word;
	if (npy->item)
		return elements_put(src, &el, BUDGET, (struct sink){put_elements, k}, e);
	for (uint64_t i = 0; i < npy->count && r == 0; i++) /* strings without bytes */
		r = put_string(k, NULL, e);
	return r;
}

/* What stands in front of the N bytes of values: TensorProto, SavedSlice, SavedTensorSlices. */
static int make_head(const struct v1_tensor *t, const struct field *field, size_t n,
		     struct buf *head)
{
	CLEANUP(buf_release) struct buf inner = {0}, saved = {0};
	int r = n && field->kind != STRINGS ? add_tag(&inner, field->number, n) : 0;

	if (r == 0)
		r = add_bytes(&saved, 1, t->name);
	if (r == 0)
		r = add_slice(&saved, 2, t->rank, t->slices);
	if (r == 0)
		r = add_tag(&saved, 3, inner.n + n);
	if (r == 0)
		r = buf_add(&saved, inner.p, inner.n);
	if (r == 0)
		r = add_tag(head, 2, saved.n + n);
	return r < 0 ? r : buf_add(head, saved.p, saved.n);
}

int v1_encode(const struct v1_tensor *t, const struct source *src, const struct npy *npy,
	      struct buf *room, struct bytes *value, struct err *e)
{
	CLEANUP(buf_release) struct buf head = {0};
	struct encoder k = {.out = room, .npy = npy, .field = fields[t->dtype]};
	size_t most;
	int r = make_head(t, &k.field, LARGEST, &head); /* no head is longer */

	if ((k.field.kind == FIXED ? npy->size : npy->count) > LARGEST) /* before all is read */
		return is_too_large(e);
	room->n = 0;
	most = head.n;
	head.n = 0;
	if (r == 0)
		r = buf_reserve(room, most);
	if (r < 0)
		return err_set(e, r, "no memory");
	room->n = most;
	r = put_all(&k, src, e);
	if (r < 0)
		return r;
	if (room->n > LARGEST)
		return is_too_large(e);
	if (make_head(t, &k.field, room->n - most, &head) < 0)
		return err_set(e, -ENOMEM, "no memory");
	memcpy(room->p + most - head.n, head.p, head.n);
	*value = bytes_of(room->p + most - head.n, room->n - most + head.n);
	return 0;
}

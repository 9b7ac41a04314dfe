#include "format/bundle_entry.h"
#include "message/pb_wire.h"

/* Numbers of fields. */
enum { ENTRY_DTYPE = 1, ENTRY_SHAPE, ENTRY_SHARD, ENTRY_OFF, ENTRY_SIZE, ENTRY_CRC, ENTRY_SLICES };
enum { SHAPE_DIM = 2, SHAPE_UNKNOWN_RANK = 3, DIM_SIZE = 1 };
enum { SLICE_EXTENT = 1, EXTENT_START = 1, EXTENT_LENGTH = 2 };

enum {
	VARINT = PROTOBUF_C_WIRE_TYPE_VARINT,
	FIXED32 = PROTOBUF_C_WIRE_TYPE_32BIT,
	MESSAGE = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
};

/* The next field of message NAME, whose bytes are ALL. 1, 0 at its end, -EUCLEAN. */
static int next(struct cursor *c, struct bytes all, const char *name, struct pb_wire *w,
		struct err *e)
{
	if (!cursor_left(c))
		return 0;
	if (pb_wire_next(c, w))
		return 1;
	return err_set(e, -EUCLEAN, "tensorflow.%s: no field at byte %zu of its %zu", name,
		       all.n - cursor_left(c), all.n);
}

/* A field of another type than it should have is an unknown one. */
static bool is(const struct pb_wire *w, uint32_t number, unsigned type)
{
	return w->number == number && w->type == type;
}

static int add_dim(struct bytes dim, struct buf *numbers, struct err *e)
{
	struct cursor c = cursor_of(dim);
	int64_t size = 0;
	struct pb_wire w;
	int r;

	while ((r = next(&c, dim, "TensorShapeProto.Dim", &w, e)) > 0)
		if (is(&w, DIM_SIZE, VARINT))
			size = (int64_t)w.value;
	if (r == 0)
		r = buf_add(numbers, &size, sizeof size);
	return r;
}

static int add_shape(struct bytes shape, struct entry_fields *out, struct buf *numbers,
		     struct err *e)
{
	struct cursor c = cursor_of(shape);
	struct pb_wire w;
	int r;

	while ((r = next(&c, shape, "TensorShapeProto", &w, e)) > 0) {
		if (is(&w, SHAPE_UNKNOWN_RANK, VARINT))
			out->unknown_rank = w.value != 0;
		if (!is(&w, SHAPE_DIM, MESSAGE))
			continue;
		r = add_dim(w.bytes, numbers, e);
		if (r < 0)
			return r;
		out->rank++;
	}
	return r;
}

static int add_extent(struct bytes extent, struct buf *numbers, struct err *e)
{
	struct cursor c = cursor_of(extent);
	int64_t pair[2] = {0, -1};
	struct pb_wire w;
	int r;

	while ((r = next(&c, extent, "TensorSliceProto.Extent", &w, e)) > 0) {
		if (is(&w, EXTENT_START, VARINT))
			pair[0] = (int64_t)w.value;
		else if (is(&w, EXTENT_LENGTH, VARINT))
			pair[1] = (int64_t)w.value;
	}
	if (r == 0)
		r = buf_add(numbers, pair, sizeof pair);
	return r;
}

/* Slice number N of a shape of RANK dimensions. */
static int add_slice(struct bytes slice, size_t n, size_t rank, struct buf *numbers, struct err *e)
{
	struct cursor c = cursor_of(slice);
	size_t found = 0;
	struct pb_wire w;
	int r;

	while ((r = next(&c, slice, "TensorSliceProto", &w, e)) > 0) {
		if (!is(&w, SLICE_EXTENT, MESSAGE))
			continue;
		r = add_extent(w.bytes, numbers, e);
		if (r < 0)
			return r;
		found++;
	}
	if (r == 0 && found != rank)
		return err_set(e, -EUCLEAN, "slice %zu has %zu dimensions, the shape %zu", n, found,
			       rank);
	return r;
}

/* After the shape, which may stand behind them or in several pieces. */
static int add_slices(struct bytes value, size_t rank, struct buf *numbers, struct err *e)
{
	struct cursor c = cursor_of(value);
	size_t n = 0;
	struct pb_wire w;
	int r;

	while ((r = next(&c, value, "BundleEntryProto", &w, e)) > 0) {
		if (!is(&w, ENTRY_SLICES, MESSAGE))
			continue;
		r = add_slice(w.bytes, n++, rank, numbers, e);
		if (r < 0)
			return r;
	}
	return r;
}

static void take_number(const struct pb_wire *w, struct entry_fields *out)
{
	if (is(w, ENTRY_DTYPE, VARINT))
		out->dtype = (int32_t)w->value;
	else if (is(w, ENTRY_SHARD, VARINT))
		out->shard = (int32_t)w->value;
	else if (is(w, ENTRY_OFF, VARINT))
		out->off = (int64_t)w->value;
	else if (is(w, ENTRY_SIZE, VARINT))
		out->size = (int64_t)w->value;
	else if (is(w, ENTRY_CRC, FIXED32))
		out->crc = (uint32_t)w->value;
}

static int read_fields(struct bytes value, struct entry_fields *out, struct buf *numbers,
		       struct err *e)
{
	struct cursor c = cursor_of(value);
	struct pb_wire w;
	int r;

	while ((r = next(&c, value, "BundleEntryProto", &w, e)) > 0) {
		take_number(&w, out);
		if (is(&w, ENTRY_SLICES, MESSAGE))
			out->n_slices++;
		if (is(&w, ENTRY_SHAPE, MESSAGE))
			r = add_shape(w.bytes, out, numbers, e);
		if (r < 0)
			return r;
	}
	if (r == 0 && out->n_slices)
		r = add_slices(value, out->rank, numbers, e);
	return r;
}

int entry_read(struct bytes value, struct entry_fields *out, struct buf *numbers, struct err *e)
{
	int r = buf_reserve(numbers,
			    sizeof(int64_t)); /* without dimensions it is not NULL either */

	*out = (struct entry_fields){0};
	if (r == 0)
		r = read_fields(value, out, numbers, e);
	return r == -ENOMEM ? err_set(e, r, "no memory for its slices") : r;
}

/* --- written ---------------------------------------------------------------------------------------------------- */

static size_t put_number(uint8_t *p, unsigned field, uint64_t v)
{
	if (!v)
		return 0;
	*p = (uint8_t)(field << 3 | VARINT);
	return 1 + put_varint(p + 1, v);
}

enum { PIECE = 24 }; /* bytes that a message of two numbers, or a tag and one, have at most */

/* Appends the N bytes of a message, at most PIECE, in field FIELD. */
static int add_message(unsigned field, const uint8_t *p, size_t n, struct buf *out)
{
	const uint8_t head[2] = {(uint8_t)(field << 3 | MESSAGE), (uint8_t)n};
	int r = buf_add(out, head, sizeof head);

	return r < 0 ? r : buf_add(out, p, n);
}

static int write_shape(unsigned rank, const int64_t *dims, struct buf *out)
{
	int r = 0;

	for (unsigned i = 0; i < rank && r == 0; i++) {
		uint8_t p[PIECE];

		r = add_message(SHAPE_DIM, p, put_number(p, DIM_SIZE, (uint64_t)dims[i]), out);
	}
	return r;
}

/* A length is there even if it is 0; that of a whole dimension is not. */
static int write_slice(unsigned rank, const int64_t *extents, struct buf *out)
{
	int r = 0;

	for (; rank && r == 0; rank--, extents += 2) {
		uint8_t p[PIECE];
		size_t n = 0;

		if (extents[1] >= 0) {
			n = put_number(p, EXTENT_START, (uint64_t)extents[0]);
			p[n++] = EXTENT_LENGTH << 3 | VARINT;
			n += put_varint(p + n, (uint64_t)extents[1]);
		}
		r = add_message(SLICE_EXTENT, p, n, out);
	}
	return r;
}

/* Appends ROOM, a message of any size, in field FIELD. */
static int add_long_message(unsigned field, const struct buf *room, struct buf *out)
{
	uint8_t p[PIECE] = {(uint8_t)(field << 3 | MESSAGE)};
	int r = buf_add(out, p, 1 + put_varint(p + 1, room->n));

	return r < 0 ? r : buf_add(out, room->p, room->n);
}

static int add_place(const struct entry_fields *f, struct buf *out)
{
	uint8_t p[64];
	size_t n = put_number(p, ENTRY_SHARD, (uint64_t)f->shard);

	n += put_number(p + n, ENTRY_OFF, (uint64_t)f->off);
	n += put_number(p + n, ENTRY_SIZE, (uint64_t)f->size);
	if (f->crc) {
		p[n++] = ENTRY_CRC << 3 | FIXED32;
		put_le32(p + n, f->crc);
		n += 4;
	}
	return buf_add(out, p, n);
}

int entry_write(const struct entry_fields *f, const int64_t *dims, const int64_t *slices,
		struct buf *room, struct buf *out)
{
	uint8_t p[PIECE];
	int r = buf_add(out, p, put_number(p, ENTRY_DTYPE, (uint64_t)f->dtype));

	room->n = 0;
	if (r == 0)
		r = write_shape((unsigned)f->rank, dims, room);
	if (r == 0)
		r = add_long_message(ENTRY_SHAPE, room, out);
	if (r == 0)
		r = add_place(f, out);
	for (size_t i = 0; i < f->n_slices && r == 0; i++, slices += 2 * f->rank) {
		room->n = 0;
		r = write_slice((unsigned)f->rank, slices, room);
		if (r == 0)
			r = add_long_message(ENTRY_SLICES, room, out);
	}
	return r;
}

/* --- a changed one ---------------------------------------------------------------------------------------------- */

static bool is_place(const struct pb_wire *w)
{
	return is(w, ENTRY_SHARD, VARINT) || is(w, ENTRY_OFF, VARINT) ||
	       is(w, ENTRY_SIZE, VARINT) || is(w, ENTRY_CRC, FIXED32);
}

/* Copies the fields that come before those of the place, or the others. */
static int copy_fields(struct bytes value, bool before, struct buf *out, struct err *e)
{
	struct cursor c = cursor_of(value);
	const uint8_t *start = c.p;
	struct pb_wire w;
	int r;

	for (; (r = next(&c, value, "BundleEntryProto", &w, e)) > 0; start = c.p) {
		if (is_place(&w) || (w.number < ENTRY_SHARD) != before)
			continue;
		r = buf_add(out, start, (size_t)(c.p - start));
		if (r < 0)
			return r;
	}
	return r;
}

int entry_moved(struct bytes value, const struct entry_fields *f, struct buf *out, struct err *e)
{
	int r = copy_fields(value, true, out, e);

	if (r == 0)
		r = add_place(f, out);
	if (r == 0)
		r = copy_fields(value, false, out, e);
	return r == -ENOMEM ? err_set(e, r, "no memory for an entry") : r;
}

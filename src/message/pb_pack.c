#include "base/cleanup.h"
#include "message/pb.h"
#include "message/pb_wire.h"

static int add_varint(struct buf *out, uint64_t v)
{
	uint8_t bytes[10];

	return buf_add(out, bytes, put_varint(bytes, v));
}

static int add_tag(struct buf *out, uint32_t number, unsigned wire_type)
{
	return add_varint(out, (uint64_t)number << 3 | wire_type);
}

/* Inserts, at START, the length of what OUT has from there on. */
static int insert_length(struct buf *out, size_t start)
{
	size_t n = out->n - start, prefix;
	int r = add_varint(out, n);

	if (r < 0)
		return r;
	prefix = out->n - start - n;

	uint8_t length[10];

	memcpy(length, out->p + start + n, prefix);
	memmove(out->p + start + prefix, out->p + start, n);
	memcpy(out->p + start, length, prefix);
	return 0;
}

static uint64_t scalar_at(const void *value, ProtobufCType type)
{
	int32_t i32;
	int64_t i64;

	if (pb_size_of(type) == 8) {
		memcpy(&i64, value, 8);
		return type == PROTOBUF_C_TYPE_SINT64 ? (uint64_t)i64 << 1 ^ -(uint64_t)(i64 < 0)
						      : (uint64_t)i64;
	}
	memcpy(&i32, value, 4);
	switch (type) {
	case PROTOBUF_C_TYPE_BOOL:
		return i32 != 0;
	case PROTOBUF_C_TYPE_SINT32:
		return (uint32_t)i32 << 1 ^ -(uint32_t)(i32 < 0);
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_ENUM:
		return (uint64_t)(int64_t)i32; /* so negative ones take ten bytes */
	default:
		return (uint32_t)i32;
	}
}

static int pack_scalar(const void *value, ProtobufCType type, struct buf *out)
{
	uint64_t v = scalar_at(value, type);
	uint8_t fixed[8];

	if (pb_wire_type_of(type) == PROTOBUF_C_WIRE_TYPE_VARINT)
		return add_varint(out, v);
	put_le64(fixed, v);
	return buf_add(out, fixed, pb_size_of(type));
}

struct packing {
	bool is_entry; /* of a map: both halves, always */
	bool sorted; /* maps by key */
};

static int pack_fields(const ProtobufCMessage *m, struct packing how, struct buf *out);

static int pack_value(const ProtobufCFieldDescriptor *f, struct packing how, const void *value,
		      struct buf *out)
{
	const ProtobufCBinaryData *data = value;
	size_t start;
	int r = add_tag(out, f->id, pb_wire_type_of(f->type));

	if (r < 0)
		return r;
	start = out->n;
	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		r = buf_add_str(out, (const char *)pb_string(value).p);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		r = buf_add(out, data->data, data->len);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		if (*(ProtobufCMessage *const *)value)
			r = pack_fields(*(ProtobufCMessage *const *)value, how, out);
		break;
	default:
		return pack_scalar(value, f->type, out);
	}
	return r < 0 ? r : insert_length(out, start);
}

static int pack_packed(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
		       struct buf *out)
{
	size_t n = pb_count(m, f), start;
	int r = n ? add_tag(out, f->id, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) : 0;

	start = out->n;
	for (size_t i = 0; i < n && r == 0; i++)
		r = pack_scalar(pb_value(m, f, i), f->type, out);
	return n && r == 0 ? insert_length(out, start) : r;
}

static int pack_sorted_map(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
			   struct packing how, struct buf *out)
{
	CLEANUP(freep) const ProtobufCMessage **entries = NULL;
	size_t n = 0;
	int r = pb_map_entries(m, f, PB_WIRE, &entries, &n);

	for (size_t i = 0; i < n && r == 0; i++)
		r = pack_value(f, how, &entries[i], out);
	return r;
}

static int pack_field(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
		      struct packing how, struct buf *out)
{
	struct packing inner = {.is_entry = pb_is_map(m->descriptor, f), .sorted = how.sorted};
	size_t n = how.is_entry ? 1 : pb_count(m, f);
	int r = 0;

	if (f->flags & PROTOBUF_C_FIELD_FLAG_PACKED)
		return pack_packed(m, f, out);
	if (inner.is_entry && inner.sorted)
		return pack_sorted_map(m, f, inner, out);
	for (size_t i = 0; i < n && r == 0; i++)
		r = pack_value(f, inner, pb_value(m, f, i), out);
	return r;
}

static int pack_fields(const ProtobufCMessage *m, struct packing how, struct buf *out)
{
	int r = 0;

	for (unsigned i = 0; i < m->descriptor->n_fields && r == 0; i++)
		r = pack_field(m, &m->descriptor->fields[i], how, out);
	for (unsigned i = 0; i < m->n_unknown_fields && r == 0; i++) {
		const ProtobufCMessageUnknownField *f = &m->unknown_fields[i];

		r = add_tag(out, f->tag, f->wire_type);
		if (r == 0)
			r = buf_add(out, f->data, f->len);
	}
	return r;
}

static int pack(const ProtobufCMessage *m, bool sorted, struct buf *out, struct err *e)
{
	size_t before = out->n;
	int r = pack_fields(m, (struct packing){.sorted = sorted}, out);

	if (r < 0) {
		out->n = before;
		return err_sys(e, r, "%s as binary", m->descriptor->name);
	}
	return 0;
}

int pb_pack(const ProtobufCMessage *m, struct buf *out, struct err *e)
{
	return pack(m, false, out, e);
}

int pb_pack_sorted(const ProtobufCMessage *m, struct buf *out, struct err *e)
{
	return pack(m, true, out, e);
}

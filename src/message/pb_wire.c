#include "message/pb_wire.h"
#include "message/pb.h"

static bool wire_next(struct cursor *c, struct pb_wire *out, int depth);

/* OUT: the fields up to the end of group NUMBER. The cursor passes that, too. */
static bool wire_group(struct cursor *c, uint32_t number, struct bytes *out, int depth)
{
	const uint8_t *start = c->p;

	while (depth < PB_DEPTH) {
		struct cursor end = *c;
		struct pb_wire inner;
		uint32_t tag;

		if (!cursor_varint32(&end, &tag))
			return false;
		if (tag == (number << 3 | PB_GROUP_END)) {
			*out = bytes_of(start, (size_t)(c->p - start));
			*c = end;
			return true;
		}
		if (!wire_next(c, &inner, depth + 1))
			return false;
	}
	return false;
}

static bool wire_value(struct cursor *c, struct pb_wire *out, int depth)
{
	struct bytes fixed;
	uint64_t n;

	switch (out->type) {
	case PROTOBUF_C_WIRE_TYPE_VARINT:
		return cursor_varint(c, &out->value);
	case PROTOBUF_C_WIRE_TYPE_64BIT:
		if (!cursor_take(c, 8, &fixed))
			return false;
		out->value = get_le64(fixed.p);
		return true;
	case PROTOBUF_C_WIRE_TYPE_32BIT:
		if (!cursor_take(c, 4, &fixed))
			return false;
		out->value = get_le32(fixed.p);
		return true;
	case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
		return cursor_varint(c, &n) && cursor_take(c, n, &out->bytes);
	case PB_GROUP:
		return wire_group(c, out->number, &out->bytes, depth);
	default:
		return false;
	}
}

static bool wire_next(struct cursor *c, struct pb_wire *out, int depth)
{
	const uint8_t *start = c->p, *value;
	uint32_t tag;

	if (!cursor_varint32(c, &tag))
		return false;
	value = c->p;
	*out = (struct pb_wire){.number = tag >> 3, .type = tag & 7};
	if (!out->number || !wire_value(c, out, depth)) {
		c->p = start;
		return false;
	}
	out->raw = bytes_of(value, (size_t)(c->p - value));
	return true;
}

bool pb_wire_next(struct cursor *c, struct pb_wire *out)
{
	return wire_next(c, out, 0);
}

bool pb_wire_value(struct cursor *c, struct pb_wire *out)
{
	return wire_value(c, out, 0);
}

/* By type: bytes in a message in memory, and the wire type. */
static const struct {
	uint8_t size, wire;
} types[] = {
	[PROTOBUF_C_TYPE_INT32] = {4, PROTOBUF_C_WIRE_TYPE_VARINT},
	[PROTOBUF_C_TYPE_SINT32] = {4, PROTOBUF_C_WIRE_TYPE_VARINT},
	[PROTOBUF_C_TYPE_SFIXED32] = {4, PROTOBUF_C_WIRE_TYPE_32BIT},
	[PROTOBUF_C_TYPE_INT64] = {8, PROTOBUF_C_WIRE_TYPE_VARINT},
	[PROTOBUF_C_TYPE_SINT64] = {8, PROTOBUF_C_WIRE_TYPE_VARINT},
	[PROTOBUF_C_TYPE_SFIXED64] = {8, PROTOBUF_C_WIRE_TYPE_64BIT},
	[PROTOBUF_C_TYPE_UINT32] = {4, PROTOBUF_C_WIRE_TYPE_VARINT},
	[PROTOBUF_C_TYPE_FIXED32] = {4, PROTOBUF_C_WIRE_TYPE_32BIT},
	[PROTOBUF_C_TYPE_UINT64] = {8, PROTOBUF_C_WIRE_TYPE_VARINT},
	[PROTOBUF_C_TYPE_FIXED64] = {8, PROTOBUF_C_WIRE_TYPE_64BIT},
	[PROTOBUF_C_TYPE_FLOAT] = {4, PROTOBUF_C_WIRE_TYPE_32BIT},
	[PROTOBUF_C_TYPE_DOUBLE] = {8, PROTOBUF_C_WIRE_TYPE_64BIT},
	[PROTOBUF_C_TYPE_BOOL] = {4, PROTOBUF_C_WIRE_TYPE_VARINT},
	[PROTOBUF_C_TYPE_ENUM] = {4, PROTOBUF_C_WIRE_TYPE_VARINT},
	[PROTOBUF_C_TYPE_STRING] = {sizeof(char *), PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED},
	[PROTOBUF_C_TYPE_BYTES] = {sizeof(ProtobufCBinaryData),
				   PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED},
	[PROTOBUF_C_TYPE_MESSAGE] = {sizeof(void *), PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED},
};

size_t pb_size_of(ProtobufCType type)
{
	return types[type].size;
}

unsigned pb_wire_type_of(ProtobufCType type)
{
	return types[type].wire;
}

/* src/message/pb_wire.h: the fields of a protobuf message as they stand in its bytes.
 *
 *   field:  varint32 number << 3 | type   value
 *   value:  a varint, 4 bytes, 8 bytes, a length and its bytes, or a group: fields up to the one that ends it
 * Source: protobuf.dev/programming-guides/encoding. */
#pragma once
#include "base/bytes.h"
#include <protobuf-c/protobuf-c.h>

enum { PB_GROUP = 3, PB_GROUP_END = 4 }; /* wire types that libprotobuf-c has no name for */

struct pb_wire {
	uint32_t number;
	unsigned type; /* PROTOBUF_C_WIRE_TYPE_* or PB_GROUP */
	uint64_t value; /* of a varint, of 4 or of 8 bytes */
	struct bytes bytes; /* after a length, or in a group */
	struct bytes raw; /* all that follows the tag */
};

/* Reads a field. False, and the cursor stays, if there is none or it is malformed. */
bool pb_wire_next(struct cursor *c, struct pb_wire *out);

/* Reads the value of a field whose number and type are in OUT. False if it is cut off or malformed. */
bool pb_wire_value(struct cursor *c, struct pb_wire *out);

/* The wire type of a value of TYPE that is not packed. */
unsigned pb_wire_type_of(ProtobufCType type);

/* Bytes of a value of TYPE in a message in memory. */
size_t pb_size_of(ProtobufCType type);

/* src/message/pb.h: protobuf messages: read from bytes that nobody has checked, built, looked at, written.
 *
 * libprotobuf-c's own unpack follows nested messages as deep as the stack goes, copies a message again for
 * each time that it occurs, and allocates some hundred times the input. So this module reads the bytes itself,
 * into libprotobuf-c's structures, in time linear in the input and as protobuf does:
 *   1. Messages nest at most PB_DEPTH deep.
 *   2. At most PB_EXPANSION bytes are allocated for each byte of input, plus PB_SPARE.
 *   3. A field that occurs again replaces a scalar, continues a repeated field, is merged into a message.
 *   4. A field of unknown number, or of another wire type than its own, is kept and packed again, groups too.
 *   5. An enum may hold any number, and a string any bytes but NUL, where libprotobuf-c ends it. A string with a
 *      NUL is refused, not cut.
 * A map is a repeated field of entries, as on the wire. Of entries with equal keys the last counts.
 * Source: protobuf.dev/programming-guides/encoding; the limits of nesting observed in protobuf for Python. */
#pragma once
#include "base/buf.h"
#include "base/error.h"
#include <protobuf-c/protobuf-c.h>

enum { PB_DEPTH = 100, PB_EXPANSION = 64, PB_SPARE = 4096 };

struct pb_wire; /* a field in its bytes: pb_wire.h */

/* Makes a message of B, which *OUT owns (pb_freep). -EUCLEAN: B is no message of this type, and E says where;
 * -E2BIG: it needs more than rule 2 allows, or has more than 2 GiB; -ENOMEM. */
int pb_unpack(const ProtobufCMessageDescriptor *type, struct bytes b, ProtobufCMessage **out,
	      struct err *e);

/* Appends M to OUT as protobuf of today writes it, so that a message which that wrote is packed to the same bytes:
 * numbers packed, both halves of a map's entry always, -0.0 kept. libprotobuf-c's own pack differs. -ENOMEM, or as
 * OUT's max says -E2BIG. */
int pb_pack(const ProtobufCMessage *m, struct buf *out, struct err *e);

/* The same, but a map's entries are in the order of SerializeToString(deterministic=True) of protobuf 7 for Python
 * (upb), of equal keys the last alone. Numbers descend. Strings ascend, but "ab" comes before its beginning "a". */
int pb_pack_sorted(const ProtobufCMessage *m, struct buf *out, struct err *e);

void pb_freep(ProtobufCMessage **m); /* for CLEANUP */

/* The message type of proto/ with that full name, if it is not nested in another; else NULL. */
const ProtobufCMessageDescriptor *pb_type(struct bytes name);

/* --- for those who build a message ------------------------------------------------------------------ */

/* How many bytes may still be allocated. `refusal` tells why there was no room: -E2BIG or -ENOMEM. */
struct pb_room {
	size_t left;
	int refusal;
};

/* The room for a message from INPUT bytes: rule 2. */
struct pb_room pb_room_for(size_t input);

/* A message without fields. NULL if there is no room. */
ProtobufCMessage *pb_new(const ProtobufCMessageDescriptor *type, struct pb_room *room);

/* The place for the next value of field F: behind the others of a repeated field, else that of the old value. F is
 * marked as present, and another member of its oneof is freed. The place holds a zero value, the old scalar, or the
 * old message. NULL if there is no room, which only a repeated field needs. */
void *pb_slot(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, struct pb_room *room);

/* Puts a copy of B into the slot of a string (without NUL) or of bytes. False if there is no room. */
bool pb_set_bytes(void *slot, const ProtobufCFieldDescriptor *f, struct bytes b,
		  struct pb_room *room);

/* The message in the slot, made if there is none. NULL if there is no room. */
ProtobufCMessage *pb_submessage(void *slot, const ProtobufCFieldDescriptor *f,
				struct pb_room *room);

/* Adds a field that M's type does not know: a copy of W's value. False if there is no room. */
bool pb_keep_unknown(ProtobufCMessage *m, const struct pb_wire *w, struct pb_room *room);

/* --- for those who look at one ---------------------------------------------------------------------- */

/* Is F, of messages of type TYPE, a map? */
bool pb_is_map(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *f);

/* How many values F has, by the rules of presence: none for a proto3 scalar that is zero. */
size_t pb_count(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f);

/* The I-th of them. Of a field that is not repeated: its place, even if it has no value. */
const void *pb_value(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, size_t i);

/* The string at VALUE, which may be NULL: the empty one. */
struct bytes pb_string(const void *value);

/* The I-th field that M's type does not know, whose bytes belong to M. False if it is malformed. */
bool pb_unknown(const ProtobufCMessage *m, unsigned i, struct pb_wire *out);

enum pb_order {
	PB_TEXT, /* ascending, "a" before "ab": as a map is printed */
	PB_WIRE, /* as pb_pack_sorted writes them */
};

/* The entries of the map F in ORDER, of equal keys the last alone. *OUT is the caller's, for free(3). -ENOMEM. */
int pb_map_entries(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
		   enum pb_order order, const ProtobufCMessage ***out, size_t *n);

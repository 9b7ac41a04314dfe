/* src/message/pb.h: protobuf messages from bytes that nobody has checked, and messages built field by field.
 *
 * libprotobuf-c's own unpack follows nested messages as deep as the stack goes, copies a message again for
 * each time that it occurs, and allocates some hundred times the input. So this module reads the wire itself,
 * into libprotobuf-c's structures, in time linear in the input and as protobuf does:
 *   1. Messages nest at most PB_DEPTH deep.
 *   2. What is allocated is at most PB_EXPANSION bytes for each byte of input, plus PB_SPARE.
 *   3. A field that occurs again replaces a scalar, continues a repeated field, is merged into a message.
 *   4. A field of unknown number, or whose wire type is not its own, is kept and packed again, groups too.
 *   5. Enums may hold any number, strings any bytes but NUL: libprotobuf-c ends strings there. A string that
 *      has one is refused, not cut.
 * A map is a repeated field of entries, as on the wire; of equal keys the last is the one that counts.
 * Source: protobuf.dev/programming-guides/encoding; the limits of nesting observed in protobuf for Python. */
#pragma once
#include "base/buf.h"
#include "base/error.h"
#include <protobuf-c/protobuf-c.h>

enum { PB_DEPTH = 100, PB_EXPANSION = 64, PB_SPARE = 4096 };

struct pb_wire; /* a field in its bytes: pb_wire.h */

/* -EUCLEAN: not a message of this type, with the place; -E2BIG: invariant 2, or 2 GiB; -ENOMEM. */
int pb_unpack(const ProtobufCMessageDescriptor *type, struct bytes b, ProtobufCMessage **out,
	      struct err *e);

/* Goes behind what OUT has. As protobuf writes: numbers packed, both halves of an entry always, -0.0 kept, so
 * that what a writer of today made is packed to the same bytes (not by libprotobuf-c's own pack). */
int pb_pack(const ProtobufCMessage *m, struct buf *out, struct err *e);

/* The same, but of equal keys of a map only the last, and all in the order of SerializeToString(deterministic=True) of
 * protobuf 7 for Python (upb): strings as bytes, but before those that they begin with; numbers from the greatest. */
int pb_pack_sorted(const ProtobufCMessage *m, struct buf *out, struct err *e);

void pb_freep(ProtobufCMessage **m); /* for CLEANUP */

/* The message type of that full name, among those of proto/ that are not nested; NULL if there is none. */
const ProtobufCMessageDescriptor *pb_type(struct bytes name);

/* --- for those who build a message ------------------------------------------------------------------ */

/* How much may still be allocated, and after a refusal why: -E2BIG or -ENOMEM. */
struct pb_room {
	size_t left;
	int refusal;
};

struct pb_room pb_room_for(size_t input);

/* Bytes of a value of TYPE in a message. */
size_t pb_size_of(ProtobufCType type);

/* NULL if there is no room. */
ProtobufCMessage *pb_new(const ProtobufCMessageDescriptor *type, struct pb_room *room);

/* Where the next value of field F goes: behind the others of a repeated field, else in place of the old one.
 * Another member of its oneof is freed, and F is marked as present. What is there is a zero value, the old
 * scalar, or the old message. NULL if there is no room. */
void *pb_slot(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, struct pb_room *room);

/* A copy of B as the value of a string (no NUL in it) or of bytes. False if there is no room. */
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

/* The I-th of them; of a field that is not repeated, whatever is there. */
const void *pb_value(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, size_t i);

/* The I-th field that M's type does not know, whose bytes belong to M. False if it is malformed. */
bool pb_unknown(const ProtobufCMessage *m, unsigned i, struct pb_wire *out);

enum pb_order {
	PB_TEXT, /* upwards, a prefix first: as a map is printed */
	PB_WIRE, /* as pb_pack_sorted writes them */
};

/* The entries of F, which is a map, in that order, of equal keys the last alone; *OUT is for free. -ENOMEM. */
int pb_map_entries(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
		   enum pb_order order, const ProtobufCMessage ***out, size_t *n);

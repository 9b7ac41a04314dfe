#include "base/cleanup.h"
#include "message/pb.h"
#include "message/pb_wire.h"

struct unpack {
	struct pb_room room;
	struct err *e;
};

static void set_scalar(void *slot, ProtobufCType type, uint64_t v)
{
	if (type == PROTOBUF_C_TYPE_BOOL)
		*(protobuf_c_boolean *)slot = v != 0;
	else if (type == PROTOBUF_C_TYPE_SINT32)
		*(uint32_t *)slot = (uint32_t)v >> 1 ^ -((uint32_t)v & 1);
	else if (type == PROTOBUF_C_TYPE_SINT64)
		*(uint64_t *)slot = v >> 1 ^ -(v & 1);
	else if (pb_size_of(type) == 8)
		*(uint64_t *)slot = v;
	else
		*(uint32_t *)slot = (uint32_t)v;
}

static int no_room(struct unpack *u)
{
	if (u->room.refusal == -ENOMEM)
		return err_sys(u->e, -ENOMEM, "message");
	return err_set(u->e, -E2BIG, "message takes more than %d bytes of memory a byte",
		       PB_EXPANSION);
}

static int bad_field(struct unpack *u, const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
		     const char *what)
{
	return err_set(u->e, -EUCLEAN, "%s.%s: %s", m->descriptor->name, f->name, what);
}

static int unpack_packed(struct unpack *u, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
			 struct bytes b)
{
	struct cursor c = cursor_of(b);
	struct pb_wire w = {.type = pb_wire_type_of(f->type)};
	void *slot;

	while (cursor_left(&c)) {
		if (!pb_wire_value(&c, &w))
			return bad_field(u, m, f, "the last number is cut off");
		slot = pb_slot(m, f, &u->room);
		if (!slot)
			return no_room(u);
		set_scalar(slot, f->type, w.value);
	}
	return 0;
}

static int unpack_into(struct unpack *u, ProtobufCMessage *m, struct bytes b, int depth);

static int unpack_value(struct unpack *u, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
			const struct pb_wire *w, int depth)
{
	void *slot = pb_slot(m, f, &u->room);
	ProtobufCMessage *sub;

	if (!slot)
		return no_room(u);
	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		if (w->bytes.n && memchr(w->bytes.p, 0, w->bytes.n))
			return bad_field(u, m, f, "a string with a NUL in it");
		/* fall through */
	case PROTOBUF_C_TYPE_BYTES:
		return pb_set_bytes(slot, f, w->bytes, &u->room) ? 0 : no_room(u);
	case PROTOBUF_C_TYPE_MESSAGE:
		sub = pb_submessage(slot, f, &u->room);
		return sub ? unpack_into(u, sub, w->bytes, depth + 1) : no_room(u);
	default:
		set_scalar(slot, f->type, w->value);
		return 0;
	}
}

static int unpack_into(struct unpack *u, ProtobufCMessage *m, struct bytes b, int depth)
{
	struct cursor c = cursor_of(b);
	int r = 0;

	if (depth > PB_DEPTH)
		return err_set(u->e, -EUCLEAN, "%s: messages nest more than %d deep",
			       m->descriptor->name, PB_DEPTH);
	while (r == 0 && cursor_left(&c)) {
		size_t offset = b.n - cursor_left(&c);
		const ProtobufCFieldDescriptor *f;
		struct pb_wire w;

		if (!pb_wire_next(&c, &w))
			return err_set(u->e, -EUCLEAN, "%s: no field at byte %zu of its %zu",
				       m->descriptor->name, offset, b.n);
		f = protobuf_c_message_descriptor_get_field(m->descriptor, w.number);
		if (f && w.type == pb_wire_type_of(f->type))
			r = unpack_value(u, m, f, &w, depth);
		else if (f && f->label == PROTOBUF_C_LABEL_REPEATED &&
			 w.type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
			r = unpack_packed(u, m, f, w.bytes);
		else
			r = pb_keep_unknown(m, &w, &u->room) ? 0 : no_room(u);
	}
	return r;
}

int pb_unpack(const ProtobufCMessageDescriptor *type, struct bytes b, ProtobufCMessage **out,
	      struct err *e)
{
	struct unpack u = {.room = pb_room_for(b.n), .e = e};
	CLEANUP(pb_freep) ProtobufCMessage *m = NULL;
	int r;

	if (b.n > INT32_MAX)
		return err_set(e, -E2BIG, "%zu bytes: a message has at most 2 GiB", b.n);
	m = pb_new(type, &u.room);
	if (!m)
		return no_room(&u);
	r = unpack_into(&u, m, b, 0);
	if (r < 0)
		return r;
	*out = TAKE(m, NULL);
	return 0;
}

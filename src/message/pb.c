#include "message/pb.h"
#include "base/cleanup.h"
#include <inttypes.h>
#include <stdlib.h>

/* --- room ------------------------------------------------------------------------------------------- */

enum { ALLOCATION = 16 }; /* what an allocation costs beside its bytes */

struct pb_room pb_room_for(size_t input)
{
	return (struct pb_room){.left = input * PB_EXPANSION + PB_SPARE};
}

static bool take(struct pb_room *room, size_t n)
{
	if (n > room->left) {
		room->refusal = -E2BIG;
		return false;
	}
	room->left -= n;
	return true;
}

static void *allocate(size_t n, struct pb_room *room)
{
	void *p;

	if (!take(room, n + ALLOCATION))
		return NULL;
	p = malloc(n);
	if (!p)
		room->refusal = -ENOMEM;
	return p;
}

/* The array at *ARRAY with place for one element behind the N of SIZE that it has. There is no count of
 * places: it is the power of two that N has reached. */
static void *place_behind(void **array, size_t n, size_t size, struct pb_room *room)
{
	if ((n & (n - 1)) == 0) {
		size_t grown = n ? 2 * n : 1;
		void *p;

		if (!take(room, (grown - n) * size))
			return NULL;
		p = realloc(*array, grown * size);
		if (!p) {
			room->refusal = -ENOMEM;
			return NULL;
		}
		*array = p;
	}
	return memset((char *)*array + n * size, 0, size);
}

/* --- building --------------------------------------------------------------------------------------- */

static size_t size_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	default:
		return 4;
	}
}

static void *at(const ProtobufCMessage *m, unsigned offset)
{
	return (char *)m + offset;
}

static void clear(void *slot, const ProtobufCFieldDescriptor *f)
{
	if (f->type == PROTOBUF_C_TYPE_MESSAGE)
		protobuf_c_message_free_unpacked(*(ProtobufCMessage **)slot, NULL);
	else if (f->type == PROTOBUF_C_TYPE_BYTES)
		free(((ProtobufCBinaryData *)slot)->data);
	else if (f->type == PROTOBUF_C_TYPE_STRING && *(char **)slot != f->default_value)
		free(*(char **)slot);
	memset(slot, 0, size_of(f->type));
}

ProtobufCMessage *pb_new(const ProtobufCMessageDescriptor *type, struct pb_room *room)
{
	ProtobufCMessage *m = allocate(type->sizeof_message, room);

	if (m)
		type->message_init(m);
	return m;
}

void *pb_slot(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, struct pb_room *room)
{
	void *slot = at(m, f->offset);

	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		size_t *n = at(m, f->quantifier_offset);

		slot = place_behind(slot, *n, size_of(f->type), room);
		*n += !!slot;
	} else if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		uint32_t *which = at(m, f->quantifier_offset);

		if (*which != f->id) {
			if (*which)
				clear(slot, protobuf_c_message_descriptor_get_field(m->descriptor,
										    *which));
			memset(slot, 0, size_of(f->type));
			*which = f->id;
		}
	} else if (f->quantifier_offset) {
		*(protobuf_c_boolean *)at(m, f->quantifier_offset) = true;
	}
	return slot;
}

bool pb_set_bytes(void *slot, const ProtobufCFieldDescriptor *f, struct bytes b,
		  struct pb_room *room)
{
	uint8_t *copy = allocate(b.n + 1, room);

	if (!copy)
		return false;
	if (b.n)
		memcpy(copy, b.p, b.n);
	copy[b.n] = 0;
	clear(slot, f);
	if (f->type == PROTOBUF_C_TYPE_STRING)
		*(char **)slot = (char *)copy;
	else
		*(ProtobufCBinaryData *)slot = (ProtobufCBinaryData){b.n, copy};
	return true;
}

ProtobufCMessage *pb_submessage(void *slot, const ProtobufCFieldDescriptor *f, struct pb_room *room)
{
	ProtobufCMessage **m = slot;

	if (!*m)
		*m = pb_new(f->descriptor, room);
	return *m;
}

void pb_freep(ProtobufCMessage **m)
{
	protobuf_c_message_free_unpacked(*m, NULL);
	*m = NULL;
}

/* --- looking ---------------------------------------------------------------------------------------- */

bool pb_is_map(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *f)
{
	const ProtobufCMessageDescriptor *entry = f->descriptor;

	if (f->label != PROTOBUF_C_LABEL_REPEATED || f->type != PROTOBUF_C_TYPE_MESSAGE ||
	    entry->n_fields != 2)
		return false;

	const ProtobufCFieldDescriptor *key = &entry->fields[0], *value = &entry->fields[1];
	struct bytes name = bytes_str(entry->name), outer = bytes_str(type->name);

	return bytes_starts(name, outer) && name.p[outer.n] == '.' &&
	       bytes_ends(name, bytes_str("Entry")) && key->id == 1 && !strcmp(key->name, "key") &&
	       key->type != PROTOBUF_C_TYPE_MESSAGE && value->id == 2 &&
	       !strcmp(value->name, "value") && value->label != PROTOBUF_C_LABEL_REPEATED;
}

static bool is_zero(const void *slot, ProtobufCType type)
{
	static const uint64_t zero;

	if (type == PROTOBUF_C_TYPE_STRING)
		return !*(char *const *)slot || !**(char *const *)slot;
	if (type == PROTOBUF_C_TYPE_BYTES)
		return ((const ProtobufCBinaryData *)slot)->len == 0;
	return !memcmp(slot, &zero, size_of(type));
}

size_t pb_count(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	const void *slot = at(m, f->offset);

	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)at(m, f->quantifier_offset);
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return *(const uint32_t *)at(m, f->quantifier_offset) == f->id;
	if (f->label == PROTOBUF_C_LABEL_NONE)
		return !is_zero(slot, f->type);
	if (f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE)
		return *(void *const *)slot != f->default_value;
	return !f->quantifier_offset || *(const protobuf_c_boolean *)at(m, f->quantifier_offset);
}

const void *pb_value(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, size_t i)
{
	const void *slot = at(m, f->offset);

	if (f->label != PROTOBUF_C_LABEL_REPEATED)
		return slot;
	return *(const char *const *)slot + i * size_of(f->type);
}

/* --- maps ------------------------------------------------------------------------------------------- */

struct entry {
	const ProtobufCMessage *m;
	size_t place; /* among the entries as they came */
};

#define COMPARE(a, b, type)                                                                        \
	((*(const type *)(a) > *(const type *)(b)) - (*(const type *)(a) < *(const type *)(b)))

static struct bytes string_at(const void *value)
{
	const char *s = *(const char *const *)value;

	return bytes_str(s ? s : "");
}

static int compare_keys(const struct entry *a, const struct entry *b)
{
	const ProtobufCFieldDescriptor *key = &a->m->descriptor->fields[0];
	const void *x = pb_value(a->m, key, 0), *y = pb_value(b->m, key, 0);

	switch (key->type) {
	case PROTOBUF_C_TYPE_STRING:
		return bytes_cmp(string_at(x), string_at(y));
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return COMPARE(x, y, int64_t);
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return COMPARE(x, y, uint64_t);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return COMPARE(x, y, uint32_t);
	default:
		return COMPARE(x, y, int32_t);
	}
}

static int compare_places(const struct entry *a, const struct entry *b)
{
	return (a->place > b->place) - (a->place < b->place);
}

static int compare_for_text(const void *a, const void *b)
{
	int r = compare_keys(a, b);

	return r ? r : compare_places(a, b);
}

/* protobuf's upb writes from the end and so sorts backwards, but for which of two strings is longer. */
static int compare_for_wire(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int r = compare_keys(y, x);

	if (r && x->m->descriptor->fields[0].type == PROTOBUF_C_TYPE_STRING) {
		struct bytes s = string_at(pb_value(x->m, &x->m->descriptor->fields[0], 0));
		struct bytes t = string_at(pb_value(y->m, &y->m->descriptor->fields[0], 0));

		return bytes_starts(s, t) || bytes_starts(t, s) ? r : -r;
	}
	return r ? r : compare_places(x, y);
}

int pb_map_entries(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
		   enum pb_order order, const ProtobufCMessage ***out, size_t *n)
{
	size_t all = pb_count(m, f), kept = 0;
	CLEANUP(freep) struct entry *entries = calloc(all + 1, sizeof *entries);
	const ProtobufCMessage **sorted = calloc(all + 1, sizeof(void *));

	if (!entries || !sorted) {
		free(sorted);
		return -ENOMEM;
	}
	for (size_t i = 0; i < all; i++)
		entries[i] = (struct entry){*(ProtobufCMessage *const *)pb_value(m, f, i), i};
	qsort(entries, all, sizeof *entries,
	      order == PB_TEXT ? compare_for_text : compare_for_wire);
	for (size_t i = 0; i < all; i++)
		if (i + 1 == all || compare_keys(&entries[i], &entries[i + 1]))
			sorted[kept++] = entries[i].m;
	*out = sorted;
	*n = kept;
	return 0;
}

/* --- the wire --------------------------------------------------------------------------------------- */

static bool wire_next(struct cursor *c, struct pb_wire *out, int depth);

/* The fields up to the end of group NUMBER, which the cursor is left behind. */
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
	struct cursor from = *c;
	struct pb_wire w = {0};
	const uint8_t *value;
	uint32_t tag;

	if (!cursor_varint32(&from, &tag) || tag >> 3 == 0)
		return false;
	w.number = tag >> 3;
	w.type = tag & 7;
	value = from.p;
	if (!wire_value(&from, &w, depth))
		return false;
	w.raw = bytes_of(value, (size_t)(from.p - value));
	*c = from;
	*out = w;
	return true;
}

bool pb_wire_next(struct cursor *c, struct pb_wire *out)
{
	return wire_next(c, out, 0);
}

bool pb_unknown(const ProtobufCMessage *m, unsigned i, struct pb_wire *out)
{
	const ProtobufCMessageUnknownField *f = &m->unknown_fields[i];
	struct cursor c = cursor_of(bytes_of(f->data, f->len));
	struct pb_wire w = {.number = f->tag, .type = f->wire_type};

	if (!wire_value(&c, &w, 0) || cursor_left(&c))
		return false;
	w.raw = bytes_of(f->data, f->len);
	*out = w;
	return true;
}

/* --- unpacking -------------------------------------------------------------------------------------- */

struct unpack {
	struct pb_room room;
	struct err *e;
};

static unsigned wire_type_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return PROTOBUF_C_WIRE_TYPE_32BIT;
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return PROTOBUF_C_WIRE_TYPE_64BIT;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
	default:
		return PROTOBUF_C_WIRE_TYPE_VARINT;
	}
}

static void set_scalar(void *slot, ProtobufCType type, uint64_t v)
{
	if (type == PROTOBUF_C_TYPE_BOOL)
		*(protobuf_c_boolean *)slot = v != 0;
	else if (type == PROTOBUF_C_TYPE_SINT32)
		*(uint32_t *)slot = (uint32_t)v >> 1 ^ -((uint32_t)v & 1);
	else if (type == PROTOBUF_C_TYPE_SINT64)
		*(uint64_t *)slot = v >> 1 ^ -(v & 1);
	else if (size_of(type) == 8)
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

static int keep_unknown(struct unpack *u, ProtobufCMessage *m, const struct pb_wire *w)
{
	void *fields = m->unknown_fields;
	ProtobufCMessageUnknownField *field =
		place_behind(&fields, m->n_unknown_fields, sizeof *field, &u->room);

	m->unknown_fields = fields;
	if (!field)
		return no_room(u);
	field->data = allocate(w->raw.n, &u->room);
	if (!field->data)
		return no_room(u);
	memcpy(field->data, w->raw.p, w->raw.n);
	field->len = w->raw.n;
	field->tag = w->number;
	field->wire_type = (ProtobufCWireType)w->type;
	m->n_unknown_fields++;
	return 0;
}

static int unpack_packed(struct unpack *u, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
			 struct bytes b)
{
	struct cursor c = cursor_of(b);
	struct pb_wire w = {.type = wire_type_of(f->type)};
	void *slot;

	while (cursor_left(&c)) {
		if (!wire_value(&c, &w, 0))
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
		if (f && w.type == wire_type_of(f->type))
			r = unpack_value(u, m, f, &w, depth);
		else if (f && f->label == PROTOBUF_C_LABEL_REPEATED &&
			 w.type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
			r = unpack_packed(u, m, f, w.bytes);
		else
			r = keep_unknown(u, m, &w);
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

/* --- packing ---------------------------------------------------------------------------------------- */

static int add_varint(struct buf *out, uint64_t v)
{
	uint8_t bytes[10];

	return buf_add(out, bytes, put_varint(bytes, v));
}

static int add_tag(struct buf *out, uint32_t number, unsigned wire_type)
{
	return add_varint(out, (uint64_t)number << 3 | wire_type);
}

/* Puts in front of what OUT has from START how long it is. */
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

	if (size_of(type) == 8) {
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

	if (wire_type_of(type) == PROTOBUF_C_WIRE_TYPE_VARINT)
		return add_varint(out, v);
	put_le64(fixed, v);
	return buf_add(out, fixed, size_of(type));
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
	const char *s;
	size_t start;
	int r = add_tag(out, f->id, wire_type_of(f->type));

	if (r < 0)
		return r;
	start = out->n;
	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		s = *(const char *const *)value;
		r = s ? buf_add_str(out, s) : 0;
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

/* As protobuf writes them: numbers packed where proto3 or the field says so, both halves of an entry always. */
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

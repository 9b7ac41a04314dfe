/* Messages in memory, in libprotobuf-c's structures: building them and looking at them. */
#include "message/pb.h"
#include "base/cleanup.h"
#include "message/pb_wire.h"

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

/* Makes room in the array at *ARRAY for one element behind its N of SIZE, and returns that place, zeroed. How many the
 * array has room for is not stored: it is the least power of two that is not below N. */
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
	memset(slot, 0, pb_size_of(f->type));
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

		slot = place_behind(slot, *n, pb_size_of(f->type), room);
		*n += !!slot;
	} else if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		uint32_t *which = at(m, f->quantifier_offset);

		if (*which != f->id) {
			if (*which)
				clear(slot, protobuf_c_message_descriptor_get_field(m->descriptor,
										    *which));
			memset(slot, 0, pb_size_of(f->type));
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

bool pb_keep_unknown(ProtobufCMessage *m, const struct pb_wire *w, struct pb_room *room)
{
	void *fields = m->unknown_fields;
	ProtobufCMessageUnknownField *field =
		place_behind(&fields, m->n_unknown_fields, sizeof *field, room);

	m->unknown_fields = fields;
	if (!field)
		return false;
	field->data = allocate(w->raw.n, room);
	if (!field->data)
		return false;
	memcpy(field->data, w->raw.p, w->raw.n);
	field->len = w->raw.n;
	field->tag = w->number;
	field->wire_type = (ProtobufCWireType)w->type;
	m->n_unknown_fields++;
	return true;
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
		return !pb_string(slot).n;
	if (type == PROTOBUF_C_TYPE_BYTES)
		return ((const ProtobufCBinaryData *)slot)->len == 0;
	return !memcmp(slot, &zero, pb_size_of(type));
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
	return *(const char *const *)slot + i * pb_size_of(f->type);
}

struct bytes pb_string(const void *value)
{
	const char *s = *(const char *const *)value;

	return bytes_str(s ? s : "");
}

bool pb_unknown(const ProtobufCMessage *m, unsigned i, struct pb_wire *out)
{
	const ProtobufCMessageUnknownField *f = &m->unknown_fields[i];
	struct bytes raw = bytes_of(f->data, f->len);
	struct cursor c = cursor_of(raw);

	*out = (struct pb_wire){.number = f->tag, .type = f->wire_type, .raw = raw};
	return pb_wire_value(&c, out) && !cursor_left(&c);
}

/* --- maps ------------------------------------------------------------------------------------------- */

struct entry {
	const ProtobufCMessage *m;
	size_t place; /* among the entries as they came */
};

#define COMPARE(a, b, type)                                                                        \
	((*(const type *)(a) > *(const type *)(b)) - (*(const type *)(a) < *(const type *)(b)))

static int compare_keys(const struct entry *a, const struct entry *b)
{
	const ProtobufCFieldDescriptor *key = &a->m->descriptor->fields[0];
	const void *x = pb_value(a->m, key, 0), *y = pb_value(b->m, key, 0);

	switch (key->type) {
	case PROTOBUF_C_TYPE_STRING:
		return bytes_cmp(pb_string(x), pb_string(y));
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

static int compare_for_text(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int r = compare_keys(x, y);

	return r ? r : COMPARE(&x->place, &y->place, size_t);
}

/* upb writes a message from its end, and its order is odd for that: numbers descend; strings ascend, but the longer one
 * comes first where the other is its beginning. */
static int compare_for_wire(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int r = compare_keys(y, x);

	if (r && x->m->descriptor->fields[0].type == PROTOBUF_C_TYPE_STRING) {
		struct bytes s = pb_string(pb_value(x->m, &x->m->descriptor->fields[0], 0));
		struct bytes t = pb_string(pb_value(y->m, &y->m->descriptor->fields[0], 0));

		return bytes_starts(s, t) || bytes_starts(t, s) ? r : -r;
	}
	return r ? r : COMPARE(&x->place, &y->place, size_t);
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

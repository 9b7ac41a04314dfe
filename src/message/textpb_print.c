#include "base/cleanup.h"
#include "base/utf8.h"
#include "message/pb.h"
#include "message/pb_wire.h"
#include "message/repr.h"
#include "message/textpb.h"
#include <inttypes.h>
#include <stdio.h>

/* How deep an Any in an Any is opened up. Unpacking one copies all that are in it. */
enum { ANY_DEPTH = 8 };

struct printer {
	struct buf *out;
	int r; /* the first error; nothing is added after it */
	int depth;
	int any_depth;
};

static void add(struct printer *p, struct bytes b)
{
	if (p->r == 0)
		p->r = buf_add(p->out, b.p, b.n);
}

static void add_str(struct printer *p, const char *s)
{
	add(p, bytes_str(s));
}

static void indent(struct printer *p)
{
	static const char spaces[] = "                                ";
	size_t n = 2 * (size_t)p->depth;

	for (size_t some; n; n -= some) {
		some = n < sizeof spaces - 1 ? n : sizeof spaces - 1;
		add(p, bytes_of(spaces, some));
	}
}

static void open_brace(struct printer *p)
{
	add_str(p, " {\n");
	p->depth++;
}

static void close_brace(struct printer *p)
{
	p->depth--;
	indent(p);
	add_str(p, "}\n");
}

/* How C is written, or NULL: as it is. */
static const char *escape_of(uint8_t c, char escape[5])
{
	static const char from[] = "\n\r\t\"'\\", to[] = "nrt\"'\\";
	const char *at;

	if (c >= 0x20 && c < 0x7f && c != '"' && c != '\'' && c != '\\')
		return NULL;
	at = c ? strchr(from, c) : NULL;
	if (at)
		snprintf(escape, 5, "\\%c", to[at - from]);
	else
		snprintf(escape, 5, "\\%03o", c);
	return escape;
}

/* Past ASCII, characters of a string stand as they are, and bytes become octal escapes. */
static void print_quoted(struct printer *p, struct bytes b, bool utf8)
{
	size_t plain = 0; /* from here to I nothing needs an escape */
	size_t n;

	add_str(p, "\"");
	for (size_t i = 0; i < b.n; i += n) {
		char text[5];
		const char *escape;

		n = b.p[i] >= 0x80 && utf8 ? utf8_length(bytes_of(b.p + i, b.n - i)) : 0;
		escape = n ? NULL : escape_of(b.p[i], text);
		n += !n;
		if (!escape)
			continue;
		add(p, bytes_of(b.p + plain, i - plain));
		add_str(p, escape);
		plain = i + 1;
	}
	add(p, bytes_of(b.p + plain, b.n - plain));
	add_str(p, "\"");
}

static struct bytes bytes_at(const void *value)
{
	const ProtobufCBinaryData *data = value;

	return bytes_of(data->data, data->len);
}

static void print_number(struct printer *p, const ProtobufCFieldDescriptor *f, const void *value)
{
	char text[REPR_MAX];

	switch (f->type) {
	case PROTOBUF_C_TYPE_FLOAT:
		repr_float(*(const float *)value, text);
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
		repr_double(*(const double *)value, text);
		break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		snprintf(text, sizeof text, "%" PRId64, *(const int64_t *)value);
		break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		snprintf(text, sizeof text, "%" PRIu64, *(const uint64_t *)value);
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		snprintf(text, sizeof text, "%" PRIu32, *(const uint32_t *)value);
		break;
	default:
		snprintf(text, sizeof text, "%" PRId32, *(const int32_t *)value);
	}
	add_str(p, text);
}

static void print_scalar(struct printer *p, const ProtobufCFieldDescriptor *f, const void *value)
{
	const ProtobufCEnumValue *word = NULL;

	if (f->type == PROTOBUF_C_TYPE_ENUM)
		word = protobuf_c_enum_descriptor_get_value(f->descriptor, *(const int *)value);
	add_str(p, ": ");
	if (word)
		add_str(p, word->name);
	else if (f->type == PROTOBUF_C_TYPE_STRING)
		print_quoted(p, pb_string(value), true);
	else if (f->type == PROTOBUF_C_TYPE_BYTES)
		print_quoted(p, bytes_at(value), false);
	else if (f->type == PROTOBUF_C_TYPE_BOOL)
		add_str(p, *(const protobuf_c_boolean *)value ? "true" : "false");
	else
		print_number(p, f, value);
	add_str(p, "\n");
}

static void print_message(struct printer *p, const ProtobufCMessage *m);

static void print_field(struct printer *p, const ProtobufCFieldDescriptor *f, const void *value)
{
	const ProtobufCMessage *m;

	indent(p);
	add_str(p, f->name);
	if (f->type != PROTOBUF_C_TYPE_MESSAGE) {
		print_scalar(p, f, value);
		return;
	}
	m = *(ProtobufCMessage *const *)value;
	open_brace(p);
	if (m)
		print_message(p, m);
	close_brace(p);
}

/* --- maps ------------------------------------------------------------------------------------------- */

/* An entry has a key and a value, also where the wire has none. Still, a proto3 scalar that is zero is not printed. */
static void print_entry(struct printer *p, const ProtobufCFieldDescriptor *f,
			const ProtobufCMessage *m)
{
	indent(p);
	add_str(p, f->name);
	open_brace(p);
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *part = &m->descriptor->fields[i];
		bool has_presence = part->label != PROTOBUF_C_LABEL_NONE ||
				    part->type == PROTOBUF_C_TYPE_MESSAGE;

		if (has_presence || pb_count(m, part))
			print_field(p, part, pb_value(m, part, 0));
	}
	close_brace(p);
}

static void print_map(struct printer *p, const ProtobufCMessage *m,
		      const ProtobufCFieldDescriptor *f)
{
	CLEANUP(freep) const ProtobufCMessage **entries = NULL;
	size_t n = 0;
	int r = pb_map_entries(m, f, PB_TEXT, &entries, &n);

	if (r < 0 && p->r == 0)
		p->r = r;
	for (size_t i = 0; i < n; i++)
		print_entry(p, f, entries[i]);
}

/* --- what the descriptor does not know -------------------------------------------------------------- */

static bool is_message(struct bytes b)
{
	struct cursor c = cursor_of(b);
	struct pb_wire w;

	while (pb_wire_next(&c, &w))
		;
	return cursor_left(&c) == 0;
}

static void print_wire(struct printer *p, const struct pb_wire *w)
{
	struct cursor c = cursor_of(w->bytes);
	char text[32];
	struct pb_wire inner;
	bool is_group = w->type == PB_GROUP;

	indent(p);
	snprintf(text, sizeof text, "%" PRIu32, w->number);
	add_str(p, text);
	if (is_group || (w->type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED &&
			 p->depth < 2 * PB_DEPTH && is_message(w->bytes))) {
		open_brace(p);
		while (pb_wire_next(&c, &inner))
			print_wire(p, &inner);
		close_brace(p);
		return;
	}
	add_str(p, ": ");
	if (w->type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED) {
		print_quoted(p, w->bytes, false);
	} else {
		snprintf(text, sizeof text, "%" PRIu64, w->value);
		add_str(p, text);
	}
	add_str(p, "\n");
}

/* --- messages --------------------------------------------------------------------------------------- */

/* Prints M opened up, if it is an Any of a known type; else returns false. */
static bool print_any(struct printer *p, const ProtobufCMessage *m)
{
	const ProtobufCFieldDescriptor *fields = m->descriptor->fields;
	CLEANUP(pb_freep) ProtobufCMessage *inside = NULL;
	const ProtobufCMessageDescriptor *type;
	const char *url, *slash;
	int r;

	if (strcmp(m->descriptor->name, "google.protobuf.Any") || p->any_depth == ANY_DEPTH)
		return false;
	url = (const char *)pb_string(pb_value(m, &fields[0], 0)).p;
	slash = strrchr(url, '/');
	type = slash ? pb_type(bytes_str(slash + 1)) : NULL;
	if (!type)
		return false;
	r = pb_unpack(type, bytes_at(pb_value(m, &fields[1], 0)), &inside, NULL);
	if (r == -ENOMEM && p->r == 0)
		p->r = r;
	if (r < 0)
		return r == -ENOMEM;
	indent(p);
	add_str(p, "[");
	add_str(p, url);
	add_str(p, "]");
	open_brace(p);
	p->any_depth++;
	print_message(p, inside);
	p->any_depth--;
	close_brace(p);
	return true;
}

static void print_message(struct printer *p, const ProtobufCMessage *m)
{
	struct pb_wire w;

	if (print_any(p, m))
		return;
	for (unsigned i = 0; i < m->descriptor->n_fields && p->r == 0; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		size_t n = pb_count(m, f);

		if (pb_is_map(m->descriptor, f)) {
			print_map(p, m, f);
			continue;
		}
		for (size_t j = 0; j < n && p->r == 0; j++)
			print_field(p, f, pb_value(m, f, j));
	}
	for (unsigned i = 0; i < m->n_unknown_fields && p->r == 0; i++)
		if (pb_unknown(m, i, &w))
			print_wire(p, &w);
}

int textpb_print(const ProtobufCMessage *m, struct buf *out, struct err *e)
{
	struct printer p = {.out = out};
	size_t before = out->n;

	print_message(&p, m);
	if (p.r < 0) {
		out->n = before;
		return err_sys(e, p.r, "%s as text", m->descriptor->name);
	}
	return 0;
}

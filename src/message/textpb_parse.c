#include "base/cleanup.h"
#include "base/utf8.h"
#include "message/pb.h"
#include "message/pb_wire.h"
#include "message/textpb.h"
#include "message/textpb_scan.h"
#include <stdio.h>

struct parser {
	struct scan *in;
	struct pb_room room;
	struct buf *unknown; /* takes unknown fields of the outermost message, or NULL */
};

static int no_room(struct parser *p)
{
	if (p->room.refusal == -ENOMEM)
		return err_sys(p->in->e, -ENOMEM, "line %zu", p->in->line);
	return err_set(p->in->e, -E2BIG,
		       "line %zu: message takes more than %d bytes of memory a byte", p->in->line,
		       PB_EXPANSION);
}

/* --- values ----------------------------------------------------------------------------------------- */

/* SIZE: bytes of the slot, 4 or 8. */
static int parse_integer(struct parser *p, bool is_signed, size_t size, void *slot)
{
	uint64_t v = 0;
	int r = scan_integer(p->in, is_signed, 8 * (unsigned)size, &v);

	if (size == 8)
		*(uint64_t *)slot = v;
	else
		*(uint32_t *)slot = (uint32_t)v;
	return r;
}

static int parse_enum(struct parser *p, const ProtobufCEnumDescriptor *type, int32_t *out)
{
	const ProtobufCEnumValue *value = NULL;
	char name[SCAN_NAME], what[160];

	if (p->in->kind == TOKEN_NUMBER)
		return parse_integer(p, true, sizeof *out, out);
	if (scan_name(p->in, name))
		value = protobuf_c_enum_descriptor_get_value_by_name(type, name);
	if (!value) {
		snprintf(what, sizeof what, "a %s", type->name);
		return scan_expected(p->in, what);
	}
	*out = value->value;
	return scan_next(p->in);
}

static int parse_string(struct parser *p, const ProtobufCFieldDescriptor *f, void *slot)
{
	struct scan start = *p->in; /* a bad string is refused where it begins */
	struct bytes value;
	int r = scan_string(p->in);

	if (r < 0)
		return r;
	value = buf_bytes(&p->in->text);
	if (f->type == PROTOBUF_C_TYPE_STRING && !utf8_valid(value))
		return scan_refuse(&start, "a string that is not UTF-8");
	if (f->type == PROTOBUF_C_TYPE_STRING && value.n && memchr(value.p, 0, value.n))
		return scan_refuse(&start, "a string with a NUL in it");
	return pb_set_bytes(slot, f, value, &p->room) ? 0 : no_room(p);
}

/* --- fields ----------------------------------------------------------------------------------------- */

static int parse_fields(struct parser *p, ProtobufCMessage *m, char closing, int depth);

/* { FIELDS } or < FIELDS > */
static int parse_body(struct parser *p, ProtobufCMessage *m, int depth)
{
	bool pointed = scan_at(p->in, '<');
	int r;

	if (depth > PB_DEPTH)
		return scan_refuse(p->in, "messages nest too deep");
	r = scan_take(p->in, pointed ? '<' : '{');
	return r < 0 ? r : parse_fields(p, m, pointed ? '>' : '}', depth);
}

static int parse_scalar(struct parser *p, const ProtobufCFieldDescriptor *f, void *slot)
{
	double d = 0;
	int r;

	switch (f->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return parse_integer(p, true, pb_size_of(f->type), slot);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return parse_integer(p, false, pb_size_of(f->type), slot);
	case PROTOBUF_C_TYPE_FLOAT:
		r = scan_double(p->in, &d);
		*(float *)slot = (float)d;
		return r;
	case PROTOBUF_C_TYPE_DOUBLE:
		r = scan_double(p->in, &d);
		*(double *)slot = d;
		return r;
	case PROTOBUF_C_TYPE_BOOL:
		return scan_bool(p->in, slot);
	case PROTOBUF_C_TYPE_ENUM:
		return parse_enum(p, f->descriptor, slot);
	default:
		return parse_string(p, f, slot);
	}
}

static int parse_value(struct parser *p, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
		       int depth)
{
	void *slot = pb_slot(m, f, &p->room);
	ProtobufCMessage *sub;

	if (!slot)
		return no_room(p);
	if (f->type != PROTOBUF_C_TYPE_MESSAGE)
		return parse_scalar(p, f, slot);
	sub = pb_submessage(slot, f, &p->room);
	return sub ? parse_body(p, sub, depth + 1) : no_room(p);
}

/* The rest of [ VALUE , ... ], behind the bracket. */
static int parse_list(struct parser *p, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
		      int depth)
{
	int r = scan_take_if(p->in, ']');

	while (r == 0) {
		r = parse_value(p, m, f, depth);
		if (r == 0)
			r = scan_take_if(p->in, ']');
		if (r == 0 && !scan_at(p->in, ','))
			return scan_expected(p->in, "',' or ']'");
		if (r == 0)
			r = scan_next(p->in);
	}
	return r < 0 ? r : 0;
}

static bool opens(const struct parser *p)
{
	return scan_at(p->in, '{') || scan_at(p->in, '<') || scan_at(p->in, '[');
}

static bool closes(const struct parser *p)
{
	return scan_at(p->in, '}') || scan_at(p->in, '>') || scan_at(p->in, ']');
}

/* Passes any value. *END is behind its last token. */
static int skip_value(struct parser *p, const uint8_t **end)
{
	bool string = p->in->kind == TOKEN_STRING;
	size_t open = 0;
	int r;

	do {
		if (p->in->kind == TOKEN_END || (closes(p) && !open))
			return scan_expected(p->in, "a value");
		open += opens(p);
		open -= closes(p);
		*end = p->in->p;
		r = scan_next(p->in);
	} while (r == 0 && (open || (string && p->in->kind == TOKEN_STRING)));
	return r;
}

/* Appends an unknown field, whose name is the token, to p->unknown. */
static int keep_field(struct parser *p)
{
	const uint8_t *start = p->in->token.p, *end = start;
	int r = scan_next(p->in);

	if (r == 0 && !opens(p))
		r = scan_take(p->in, ':');
	else if (r == 0)
		r = scan_take_if(p->in, ':');
	if (r >= 0)
		r = skip_value(p, &end);
	if (r == 0)
		r = buf_add(p->unknown, start, (size_t)(end - start));
	if (r == 0)
		r = buf_add_byte(p->unknown, '\n');
	return r;
}

static int parse_field(struct parser *p, ProtobufCMessage *m, int depth)
{
	const ProtobufCFieldDescriptor *f = NULL;
	char name[SCAN_NAME], what[200];
	int r;

	if (scan_name(p->in, name))
		f = protobuf_c_message_descriptor_get_field_by_name(m->descriptor, name);
	if (!f && p->unknown && depth == 0 && p->in->kind == TOKEN_WORD)
		return keep_field(p);
	if (!f) {
		snprintf(what, sizeof what, "a field of %s", m->descriptor->name);
		return scan_expected(p->in, what);
	}
	r = scan_next(p->in);
	if (r == 0)
		r = f->type == PROTOBUF_C_TYPE_MESSAGE ? scan_take_if(p->in, ':')
						       : scan_take(p->in, ':');
	if (r >= 0)
		r = f->label == PROTOBUF_C_LABEL_REPEATED ? scan_take_if(p->in, '[') : 0;
	if (r < 0)
		return r;
	return r ? parse_list(p, m, f, depth) : parse_value(p, m, f, depth);
}

/* --- Any -------------------------------------------------------------------------------------------- */

/* [type.googleapis.com/NAME] { FIELDS } */
static int parse_any(struct parser *p, ProtobufCMessage *any, int depth)
{
	const ProtobufCFieldDescriptor *fields = any->descriptor->fields;
	CLEANUP(pb_freep) ProtobufCMessage *inside = NULL;
	CLEANUP(buf_release) struct buf packed = {0};
	const ProtobufCMessageDescriptor *type;
	const char *url, *slash;
	int r = scan_type_url(p->in);

	if (r < 0)
		return r;
	url = (const char *)p->in->text.p;
	slash = strrchr(url, '/');
	type = slash && *url != '/' ? pb_type(bytes_str(slash + 1)) : NULL;
	if (!type)
		return scan_refuse(p->in,
				   "not the address of a known type of message before the ']'");
	if (!pb_set_bytes(pb_slot(any, &fields[0], &p->room), &fields[0], bytes_str(url), &p->room))
		return no_room(p);
	inside = pb_new(type, &p->room);
	if (!inside)
		return no_room(p);
	r = scan_next(p->in);
	if (r == 0)
		r = scan_take_if(p->in, ':');
	if (r >= 0)
		r = parse_body(p, inside, depth + 1);
	if (r == 0)
		r = pb_pack(inside, &packed, p->in->e);
	if (r < 0)
		return r;
	return pb_set_bytes(pb_slot(any, &fields[1], &p->room), &fields[1], buf_bytes(&packed),
			    &p->room)
		       ? 0
		       : no_room(p);
}

/* The fields up to the sign CLOSING; 0: up to the end of the text. */
static int parse_fields(struct parser *p, ProtobufCMessage *m, char closing, int depth)
{
	bool is_any = !strcmp(m->descriptor->name, "google.protobuf.Any");
	int r = 0;

	while (r >= 0) {
		if (p->in->kind == TOKEN_END && !closing)
			return 0;
		if (closing && scan_at(p->in, closing))
			return scan_next(p->in);
		if (closing &&
		    (p->in->kind == TOKEN_END || scan_at(p->in, '}') || scan_at(p->in, '>')))
			return scan_take(p->in, closing);
		r = is_any && scan_at(p->in, '[') ? parse_any(p, m, depth)
						  : parse_field(p, m, depth);
		if (r == 0)
			r = scan_take_if(p->in, ',');
		if (r == 0)
			r = scan_take_if(p->in, ';');
	}
	return r;
}

int textpb_parse(const ProtobufCMessageDescriptor *type, struct bytes text, struct buf *unknown,
		 ProtobufCMessage **out, struct err *e)
{
	CLEANUP(scan_release) struct scan in;
	CLEANUP(pb_freep) ProtobufCMessage *m = NULL;
	struct parser p = {.in = &in, .room = pb_room_for(text.n), .unknown = unknown};
	int r = scan_start(&in, text, e);

	if (r < 0)
		return r;
	m = pb_new(type, &p.room);
	if (!m)
		return no_room(&p);
	r = scan_next(&in);
	if (r == 0)
		r = parse_fields(&p, m, 0, 0);
	if (r < 0)
		return r;
	*out = TAKE(m, NULL);
	return 0;
}

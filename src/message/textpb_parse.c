#include "base/cleanup.h"
#include "base/utf8.h"
#include "message/pb.h"
#include "message/textpb.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum token { TOKEN_END, TOKEN_WORD, TOKEN_NUMBER, TOKEN_STRING, TOKEN_SIGN };

struct parser {
	const uint8_t *p, *end; /* behind the token */
	const uint8_t *line_start;
	size_t line;
	enum token kind;
	struct bytes token; /* a string with its quotes */
	struct pb_room room;
	struct buf scratch; /* the string that is being put together */
	struct buf *unknown; /* where fields go that the outermost message does not know; or NULL */
	struct err *e;
};

/* --- tokens ----------------------------------------------------------------------------------------- */

static int expected(struct parser *p, const char *what)
{
	size_t column = (size_t)(p->token.p - p->line_start) + 1;
	int shown = p->token.n < 60 ? (int)p->token.n : 60;

	if (p->kind == TOKEN_END)
		return err_set(p->e, -EINVAL, "line %zu, column %zu: the text ends, expected %s",
			       p->line, column, what);
	return err_set(p->e, -EINVAL, "line %zu, column %zu: found %.*s, expected %s", p->line,
		       column, shown, (const char *)p->token.p, what);
}

/* A complaint about the token itself. */
static int refuse(struct parser *p, const char *why)
{
	return err_set(p->e, -EINVAL, "line %zu, column %zu: %s", p->line,
		       (size_t)(p->token.p - p->line_start) + 1, why);
}

static int no_room(struct parser *p)
{
	if (p->room.refusal == -ENOMEM)
		return err_sys(p->e, -ENOMEM, "line %zu", p->line);
	return err_set(p->e, -E2BIG, "line %zu: message takes more than %d bytes of memory a byte",
		       p->line, PB_EXPANSION);
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static void skip_space(struct parser *p)
{
	for (; p->p < p->end; p->p++) {
		if (*p->p == '#')
			while (p->p + 1 < p->end && p->p[1] != '\n')
				p->p++;
		else if (*p->p == '\n')
			p->line++, p->line_start = p->p + 1;
		else if (*p->p != ' ' && (*p->p < '\t' || *p->p > '\r'))
			return;
	}
}

static const uint8_t *string_end(const uint8_t *at, const uint8_t *end)
{
	for (uint8_t quote = *at++; at < end && *at != '\n'; at++) {
		if (*at == quote)
			return at + 1;
		if (*at == '\\' && at + 1 < end && at[1] != '\n')
			at++;
	}
	return NULL;
}

static int next(struct parser *p)
{
	const uint8_t *at, *end = p->end;

	skip_space(p);
	at = p->p;
	p->token = bytes_of(at, at < end);
	if (at == end) {
		p->kind = TOKEN_END;
		return 0;
	}
	if (is_letter(*at)) {
		p->kind = TOKEN_WORD;
		while (at < end && (is_letter(*at) || is_digit(*at) || *at == '+' || *at == '-'))
			at++;
	} else if (is_digit(*at) || *at == '+' || *at == '-' ||
		   (*at == '.' && at + 1 < end && is_digit(at[1]))) {
		p->kind = TOKEN_NUMBER;
		while (at < end &&
		       (is_letter(*at) || is_digit(*at) || *at == '+' || *at == '-' || *at == '.'))
			at++;
	} else if (*at == '"' || *at == '\'') {
		p->kind = TOKEN_STRING;
		at = string_end(at, end);
		if (!at)
			return refuse(p, "a string without its closing quote on the same line");
	} else {
		p->kind = TOKEN_SIGN;
		at += utf8_length(bytes_of(at, (size_t)(end - at)));
	}
	p->token.n = (size_t)(at - p->p);
	p->p = at;
	return 0;
}

static bool at_sign(const struct parser *p, char sign)
{
	return p->kind == TOKEN_SIGN && p->token.p[0] == sign;
}

/* 1 if the sign was there, and is passed. */
static int take_if(struct parser *p, char sign)
{
	int r;

	if (!at_sign(p, sign))
		return 0;
	r = next(p);
	return r < 0 ? r : 1;
}

static int take(struct parser *p, char sign)
{
	char what[] = {'\'', sign, '\'', 0};
	int r = take_if(p, sign);

	return r == 0 ? expected(p, what) : r < 0 ? r : 0;
}

/* --- numbers ---------------------------------------------------------------------------------------- */

static int digit_of(uint8_t c)
{
	return is_digit(c)            ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : 99;
}

/* A whole number in the notations of C and of Python. */
static bool read_integer(struct bytes t, bool *negative, uint64_t *magnitude)
{
	uint64_t v = 0;
	unsigned base = 10;

	*negative = t.n && t.p[0] == '-';
	if (t.n && (t.p[0] == '-' || t.p[0] == '+'))
		t = bytes_of(t.p + 1, t.n - 1);
	if (t.n > 1 && t.p[0] == '0') {
		uint8_t mark = t.p[1] | 0x20;
		size_t skip = is_digit(t.p[1]) ? 1 : 2;

		base = skip == 1 || mark == 'o' ? 8 : mark == 'x' ? 16 : mark == 'b' ? 2 : 0;
		t = bytes_of(t.p + skip, t.n - skip);
	}
	for (size_t i = 0; i < t.n; i++) {
		unsigned digit = (unsigned)digit_of(t.p[i]);

		if (digit >= base || __builtin_mul_overflow(v, base, &v) ||
		    __builtin_add_overflow(v, digit, &v))
			return false;
	}
	*magnitude = v;
	return t.n > 0;
}

static int parse_signed(struct parser *p, int64_t max, int64_t *out)
{
	bool negative;
	uint64_t v;

	if (p->kind != TOKEN_NUMBER || !read_integer(p->token, &negative, &v) ||
	    v > (uint64_t)max + negative)
		return expected(p, max == INT32_MAX ? "a whole number of 32 bits"
						    : "a whole number of 64 bits");
	*out = (int64_t)(negative ? -v : v);
	return next(p);
}

static int parse_unsigned(struct parser *p, uint64_t max, uint64_t *out)
{
	bool negative;
	uint64_t v;

	if (p->kind != TOKEN_NUMBER || !read_integer(p->token, &negative, &v) || v > max ||
	    (negative && v))
		return expected(p, max == UINT32_MAX ? "a whole number of 32 bits, not negative"
						     : "a whole number of 64 bits, not negative");
	*out = v;
	return next(p);
}

/* "inf", "infinity", "nan", in any case, with a C suffix or without. */
static bool read_special(const char *t, double *out)
{
	static const struct {
		const char *word;
		double value;
	} words[] = {{"inf", INFINITY},       {"inff", INFINITY}, {"infinity", INFINITY},
		     {"infinityf", INFINITY}, {"nan", NAN},       {"nanf", NAN}};
	bool negative = *t == '-';

	t += *t == '-' || *t == '+';
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (strcasecmp(t, words[i].word))
			continue;
		*out = negative ? -words[i].value : words[i].value;
		return true;
	}
	return false;
}

/* Digits, a point, an exponent; not octal, though a lone 0 may stand in front of the point. */
static bool is_decimal(const char *t)
{
	size_t whole, fraction = 0;

	t += *t == '-' || *t == '+';
	whole = strspn(t, "0123456789");
	if (whole > 1 && *t == '0')
		return false;
	t += whole;
	if (*t == '.') {
		fraction = strspn(++t, "0123456789");
		t += fraction;
	}
	if (whole + fraction == 0)
		return false;
	if (*t == 'e' || *t == 'E') {
		t++;
		t += *t == '-' || *t == '+';
		if (!is_digit((uint8_t)*t))
			return false;
		t += strspn(t, "0123456789");
	}
	return !t[strspn(t, "fF")];
}

static int parse_double(struct parser *p, double *out)
{
	char text[512];

	if ((p->kind != TOKEN_NUMBER && p->kind != TOKEN_WORD) || p->token.n >= sizeof text)
		return expected(p, "a number");
	memcpy(text, p->token.p, p->token.n);
	text[p->token.n] = 0;
	if (is_decimal(text))
		*out = strtod(text, NULL);
	else if (!read_special(text, out))
		return expected(p, "a number");
	return next(p);
}

static bool is_one_of(struct bytes t, const char *const words[4])
{
	for (int i = 0; i < 4; i++)
		if (bytes_eq(t, bytes_str(words[i])))
			return true;
	return false;
}

static int parse_bool(struct parser *p, protobuf_c_boolean *out)
{
	static const char *const yes[] = {"true", "True", "t", "1"};
	static const char *const no[] = {"false", "False", "f", "0"};
	bool value = is_one_of(p->token, yes);

	if (!value && !is_one_of(p->token, no))
		return expected(p, "true or false");
	*out = value;
	return next(p);
}

static int parse_enum(struct parser *p, const ProtobufCEnumDescriptor *type, int32_t *out)
{
	const ProtobufCEnumValue *value = NULL;
	char name[128], what[160];
	int64_t number;
	int r;

	snprintf(what, sizeof what, "a %s", type->name);
	if (p->kind == TOKEN_NUMBER) {
		r = parse_signed(p, INT32_MAX, &number);
		*out = (int32_t)(r < 0 ? 0 : number);
		return r;
	}
	if (p->kind == TOKEN_WORD && p->token.n < sizeof name) {
		memcpy(name, p->token.p, p->token.n);
		name[p->token.n] = 0;
		value = protobuf_c_enum_descriptor_get_value_by_name(type, name);
	}
	if (!value)
		return expected(p, what);
	*out = value->value;
	return next(p);
}

/* --- strings ---------------------------------------------------------------------------------------- */

/* Up to MAX digits of BASE. */
static size_t read_digits(struct cursor *c, unsigned base, size_t max, uint32_t *out)
{
	size_t n = 0;

	for (*out = 0; n < max && cursor_left(c) && (unsigned)digit_of(*c->p) < base; n++)
		*out = *out * base + (uint32_t)digit_of(*c->p++);
	return n;
}

static int add_character(struct parser *p, struct cursor *c, size_t digits)
{
	uint8_t bytes[4];
	uint32_t code;

	if (read_digits(c, 16, digits, &code) < digits || code > 0x10ffff ||
	    (code >= 0xd800 && code < 0xe000))
		return refuse(p, digits == 4
					 ? "\\u without a character's four hexadecimal digits"
					 : "\\U without a character's eight hexadecimal digits");
	return buf_add(&p->scratch, bytes, utf8_encode(code, bytes));
}

/* The cursor is behind the backslash. */
static int add_escaped(struct parser *p, struct cursor *c)
{
	static const char from[] = "abfnrtv\\'\"", to[] = "\a\b\f\n\r\t\v\\'\"";
	const char *plain;
	uint32_t code;

	if (digit_of(*c->p) < 8) {
		read_digits(c, 8, 3, &code);
		if (code > 0xff)
			return refuse(p, "an octal escape past \\377");
		return buf_add_byte(&p->scratch, (uint8_t)code);
	}
	uint8_t letter = *c->p++;

	if (letter == 'x') {
		if (!read_digits(c, 16, 2, &code))
			return refuse(p, "\\x without a hexadecimal digit");
		return buf_add_byte(&p->scratch, (uint8_t)code);
	}
	if (letter == 'u' || letter == 'U')
		return add_character(p, c, letter == 'u' ? 4 : 8);
	plain = letter ? strchr(from, letter) : NULL;
	if (!plain)
		return refuse(p, "an unknown escape in a string");
	return buf_add_byte(&p->scratch, (uint8_t)to[plain - from]);
}

/* One string or several side by side, into p->scratch. */
static int parse_quoted(struct parser *p)
{
	int r = 0;

	if (p->kind != TOKEN_STRING)
		return expected(p, "a string");
	for (p->scratch.n = 0; r == 0 && p->kind == TOKEN_STRING; r = r < 0 ? r : next(p)) {
		struct cursor c = cursor_of(bytes_of(p->token.p + 1, p->token.n - 2));

		while (r == 0 && cursor_left(&c)) {
			const uint8_t *escape = memchr(c.p, '\\', cursor_left(&c));
			size_t plain = escape ? (size_t)(escape - c.p) : cursor_left(&c);

			r = buf_add(&p->scratch, c.p, plain);
			c.p += plain + !!escape;
			if (r == 0 && escape)
				r = add_escaped(p, &c);
		}
		if (r == -ENOMEM)
			err_sys(p->e, r, "line %zu", p->line);
	}
	return r;
}

static int parse_string(struct parser *p, const ProtobufCFieldDescriptor *f, void *slot)
{
	struct parser start = *p; /* where to say that the string is bad */
	struct bytes value;
	int r = parse_quoted(p);

	if (r < 0)
		return r;
	value = buf_bytes(&p->scratch);
	if (f->type == PROTOBUF_C_TYPE_STRING && !utf8_valid(value))
		return refuse(&start, "a string that is not UTF-8");
	if (f->type == PROTOBUF_C_TYPE_STRING && value.n && memchr(value.p, 0, value.n))
		return refuse(&start, "a string with a NUL in it");
	return pb_set_bytes(slot, f, value, &p->room) ? 0 : no_room(p);
}

/* --- fields ----------------------------------------------------------------------------------------- */

static int parse_fields(struct parser *p, ProtobufCMessage *m, char closing, int depth);

/* { FIELDS } or < FIELDS > */
static int parse_body(struct parser *p, ProtobufCMessage *m, int depth)
{
	bool pointed = at_sign(p, '<');
	int r;

	if (depth > PB_DEPTH)
		return refuse(p, "messages nest too deep");
	r = take(p, pointed ? '<' : '{');
	return r < 0 ? r : parse_fields(p, m, pointed ? '>' : '}', depth);
}

static int parse_scalar(struct parser *p, const ProtobufCFieldDescriptor *f, void *slot)
{
	uint64_t u = 0;
	int64_t i = 0;
	double d = 0;
	int r;

	switch (f->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		r = parse_signed(p, INT32_MAX, &i);
		*(int32_t *)slot = (int32_t)i;
		return r;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		r = parse_signed(p, INT64_MAX, &i);
		*(int64_t *)slot = i;
		return r;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		r = parse_unsigned(p, UINT32_MAX, &u);
		*(uint32_t *)slot = (uint32_t)u;
		return r;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		r = parse_unsigned(p, UINT64_MAX, &u);
		*(uint64_t *)slot = u;
		return r;
	case PROTOBUF_C_TYPE_FLOAT:
		r = parse_double(p, &d);
		*(float *)slot = (float)d;
		return r;
	case PROTOBUF_C_TYPE_DOUBLE:
		r = parse_double(p, &d);
		*(double *)slot = d;
		return r;
	case PROTOBUF_C_TYPE_BOOL:
		return parse_bool(p, slot);
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

/* [ VALUE , ... ], with the bracket passed. */
static int parse_list(struct parser *p, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
		      int depth)
{
	int r = take_if(p, ']');

	if (r != 0)
		return r < 0 ? r : 0;
	for (;;) {
		r = parse_value(p, m, f, depth);
		if (r < 0)
			return r;
		r = take_if(p, ']');
		if (r != 0)
			return r < 0 ? r : 0;
		if (!at_sign(p, ','))
			return expected(p, "',' or ']'");
		r = next(p);
		if (r < 0)
			return r;
	}
}

static const ProtobufCFieldDescriptor *find_field(const struct parser *p,
						  const ProtobufCMessageDescriptor *type)
{
	char name[128];

	if (p->kind != TOKEN_WORD || p->token.n >= sizeof name)
		return NULL;
	memcpy(name, p->token.p, p->token.n);
	name[p->token.n] = 0;
	return protobuf_c_message_descriptor_get_field_by_name(type, name);
}

static bool opens(const struct parser *p)
{
	return at_sign(p, '{') || at_sign(p, '<') || at_sign(p, '[');
}

static bool closes(const struct parser *p)
{
	return at_sign(p, '}') || at_sign(p, '>') || at_sign(p, ']');
}

/* Passes a value, whatever it is. *END: behind its last token. */
static int skip_value(struct parser *p, const uint8_t **end)
{
	bool string = p->kind == TOKEN_STRING;
	size_t open = 0;
	int r;

	do {
		if (p->kind == TOKEN_END || (closes(p) && !open))
			return expected(p, "a value");
		open += opens(p);
		open -= closes(p);
		*end = p->p;
		r = next(p);
	} while (r == 0 && (open || (string && p->kind == TOKEN_STRING)));
	return r;
}

/* The token is the name of a field that M's type does not have. */
static int keep_field(struct parser *p)
{
	const uint8_t *start = p->token.p, *end = start;
	int r = next(p);

	if (r == 0 && !opens(p))
		r = take(p, ':');
	else if (r == 0)
		r = take_if(p, ':');
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
	const ProtobufCFieldDescriptor *f = find_field(p, m->descriptor);
	char what[200];
	int r;

	if (!f && p->unknown && depth == 0 && p->kind == TOKEN_WORD)
		return keep_field(p);
	if (!f) {
		snprintf(what, sizeof what, "a field of %s", m->descriptor->name);
		return expected(p, what);
	}
	r = next(p);
	if (r == 0)
		r = f->type == PROTOBUF_C_TYPE_MESSAGE ? take_if(p, ':') : take(p, ':');
	if (r >= 0)
		r = f->label == PROTOBUF_C_LABEL_REPEATED ? take_if(p, '[') : 0;
	if (r < 0)
		return r;
	return r ? parse_list(p, m, f, depth) : parse_value(p, m, f, depth);
}

/* --- Any -------------------------------------------------------------------------------------------- */

/* The address up to the bracket, without the spaces that may be in it, into p->scratch; the token is the
 * one behind the bracket. */
static int parse_type_url(struct parser *p)
{
	static const char signs[] = "-.~_!$&()*+,;=%/";
	int r = 0;

	for (p->scratch.n = 0; r == 0; p->p++) {
		skip_space(p);
		p->token = bytes_of(p->p, p->p < p->end);
		p->kind = p->token.n ? TOKEN_SIGN : TOKEN_END;
		if (!p->token.n)
			return expected(p, "']'");
		if (*p->p == ']')
			break;
		if (!is_letter(*p->p) && !is_digit(*p->p) && !(*p->p && strchr(signs, *p->p)))
			return expected(p, "']' behind a type");
		r = buf_add_byte(&p->scratch, *p->p);
	}
	if (r == 0)
		r = buf_add_byte(&p->scratch, 0);
	if (r < 0)
		return err_sys(p->e, r, "line %zu", p->line);
	p->p++;
	return 0;
}

/* [type.googleapis.com/NAME] { FIELDS }, and the token is the first bracket. */
static int parse_any(struct parser *p, ProtobufCMessage *any, int depth)
{
	const ProtobufCFieldDescriptor *fields = any->descriptor->fields;
	CLEANUP(pb_freep) ProtobufCMessage *inside = NULL;
	CLEANUP(buf_release) struct buf packed = {0};
	const ProtobufCMessageDescriptor *type;
	const char *url, *slash;
	int r = parse_type_url(p);

	if (r < 0)
		return r;
	url = (const char *)p->scratch.p;
	slash = strrchr(url, '/');
	type = slash && *url != '/' ? pb_type(bytes_str(slash + 1)) : NULL;
	if (!type)
		return refuse(p, "not the address of a known type of message before the ']'");
	if (!pb_set_bytes(pb_slot(any, &fields[0], &p->room), &fields[0], bytes_str(url), &p->room))
		return no_room(p);
	inside = pb_new(type, &p->room);
	if (!inside)
		return no_room(p);
	r = next(p);
	if (r == 0)
		r = take_if(p, ':');
	if (r >= 0)
		r = parse_body(p, inside, depth + 1);
	if (r == 0)
		r = pb_pack(inside, &packed, p->e);
	if (r < 0)
		return r;
	if (!pb_set_bytes(pb_slot(any, &fields[1], &p->room), &fields[1], buf_bytes(&packed),
			  &p->room))
		return no_room(p);
	return 0;
}

/* The fields up to the sign CLOSING, or for 0 to the end of the text. */
static int parse_fields(struct parser *p, ProtobufCMessage *m, char closing, int depth)
{
	bool is_any = !strcmp(m->descriptor->name, "google.protobuf.Any");
	int r = 0;

	while (r >= 0) {
		if (p->kind == TOKEN_END && !closing)
			return 0;
		if (closing && at_sign(p, closing))
			return next(p);
		if (closing && (p->kind == TOKEN_END || at_sign(p, '}') || at_sign(p, '>')))
			return take(p, closing);
		r = is_any && at_sign(p, '[') ? parse_any(p, m, depth) : parse_field(p, m, depth);
		if (r == 0)
			r = take_if(p, ',');
		if (r == 0)
			r = take_if(p, ';');
	}
	return r;
}

/* The token is the first byte that is not UTF-8, if there is one. */
static int check_utf8(struct parser *p)
{
	for (size_t n; p->p < p->end; p->p += n) {
		n = utf8_length(bytes_of(p->p, (size_t)(p->end - p->p)));
		p->token = bytes_of(p->p, 1);
		if (n == 0)
			return refuse(p, "a byte that is not UTF-8");
		if (*p->p == '\n')
			p->line++, p->line_start = p->p + 1;
	}
	return 0;
}

int textpb_parse_keeping(const ProtobufCMessageDescriptor *type, struct bytes text,
			 struct buf *unknown, ProtobufCMessage **out, struct err *e)
{
	static const uint8_t nothing[1];
	const uint8_t *start = text.n ? text.p : nothing;
	struct parser p = {.p = start,
			   .end = start + text.n,
			   .line_start = start,
			   .line = 1,
			   .unknown = unknown,
			   .e = e};
	CLEANUP(pb_freep) ProtobufCMessage *m = NULL;
	struct parser check = p;
	int r = check_utf8(&check);

	if (r < 0)
		return r;
	p.room = pb_room_for(text.n);
	m = pb_new(type, &p.room);
	if (!m)
		return no_room(&p);
	r = next(&p);
	if (r == 0)
		r = parse_fields(&p, m, 0, 0);
	buf_release(&p.scratch);
	if (r < 0)
		return r;
	*out = TAKE(m, NULL);
	return 0;
}

int textpb_parse(const ProtobufCMessageDescriptor *type, struct bytes text, ProtobufCMessage **out,
		 struct err *e)
{
	return textpb_parse_keeping(type, text, NULL, out, e);
}

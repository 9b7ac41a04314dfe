/* The header of a .npy file. Its dict is a Python literal. The parser knows what any NumPy has written there: strings in
 * either quotes, decimal integers (Python 2 put an L behind them), True and False, tuples and lists, and space between
 * all these. */
#include "base/cleanup.h"
#include "format/dtype.h"
#include "format/npy.h"
#include <inttypes.h>

enum {
	START = 8, /* magic number and version */
	MAX_HEADER = 1 << 20,
	MAX_EMPTY = 1 << 28, /* strings without bytes: a small file can claim any number of them */
	SHOWN = 160, /* bytes of a descr in a message */
};

/* --- tokens ------------------------------------------------------------------------------------------------ */

struct parser {
	const uint8_t *start; /* of the dict, for messages */
	struct cursor at;
	struct err *e;
};

static void skip_space(struct cursor *c)
{
	while (c->p < c->end && strchr(" \t\r\n\f", *c->p) && *c->p)
		c->p++;
}

static int unexpected(const struct parser *p, const char *expected)
{
	struct cursor at = p->at;

	skip_space(&at);
	if (!cursor_left(&at))
		return err_set(p->e, -EINVAL, "header: ends where %s is expected", expected);
	return err_set(p->e, -EINVAL, "header: '%.*s' at byte %zu where %s is expected",
		       cursor_left(&at) < 8 ? (int)cursor_left(&at) : 8, (const char *)at.p,
		       (size_t)(at.p - p->start), expected);
}

/* Passes the character C, if it is the next one. */
static bool take(struct parser *p, char c)
{
	struct cursor at = p->at;
	uint8_t found;

	skip_space(&at);
	if (!cursor_u8(&at, &found) || found != (uint8_t)c)
		return false;
	p->at = at;
	return true;
}

static int need(struct parser *p, char c)
{
	char expected[] = {'\'', c, '\'', 0};

	return take(p, c) ? 0 : unexpected(p, expected);
}

static bool take_word(struct parser *p, const char *word)
{
	struct cursor at = p->at;
	struct bytes found;

	skip_space(&at);
	if (!cursor_take(&at, strlen(word), &found) || !bytes_eq(found, bytes_str(word)))
		return false;
	p->at = at;
	return true;
}

/* OUT: what stands between the quotes of a string. Escapes are left, since no name that is known here has one. */
static bool take_string(struct parser *p, struct bytes *out)
{
	struct cursor at = p->at;
	const uint8_t *start;
	uint8_t quote, c;

	skip_space(&at);
	if (cursor_left(&at) && (*at.p == 'u' || *at.p == 'U'))
		at.p++;
	if (!cursor_u8(&at, &quote) || (quote != '\'' && quote != '"'))
		return false;
	start = at.p;
	while (cursor_u8(&at, &c) && c != '\n') {
		if (c == quote) {
			*out = bytes_of(start, (size_t)(at.p - 1 - start));
			p->at = at;
			return true;
		}
		if (c == '\\' && !cursor_u8(&at, &c))
			return false;
	}
	return false;
}

static int parse_number(struct parser *p, int64_t *out)
{
	const char *expected = "a whole number that fits 64 bits";
	struct parser at = *p;
	const uint8_t *start;
	int64_t v = 0;

	skip_space(&at.at);
	start = at.at.p;
	for (; cursor_left(&at.at) && *at.at.p >= '0' && *at.at.p <= '9'; at.at.p++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, *at.at.p - '0', &v))
			return unexpected(p, expected);
	if (at.at.p == start || (*start == '0' && at.at.p > start + 1))
		return unexpected(p, expected);
	if (cursor_left(&at.at) && *at.at.p == 'L')
		at.at.p++;
	p->at = at.at;
	*out = v;
	return 0;
}

/* --- types ------------------------------------------------------------------------------------------------- */

/* A descr: TYPE, or [(NAME, TYPE)], or [('length', '<u8'), ('bytes', '|S5')]. */
struct descr {
	struct bytes text; /* as it stands in the header */
	unsigned n_fields; /* 0: a plain type */
	struct {
		struct bytes name, type;
	} fields[2]; /* a plain type is in the first */
};

static int refuse(const struct descr *d, struct err *e, const char *why)
{
	return err_set(e, -EINVAL, "descr %.*s%s: %s", (int)(d->text.n < SHOWN ? d->text.n : SHOWN),
		       (const char *)d->text.p, d->text.n < SHOWN ? "" : "...", why);
}

static const char *const nameless[] = {"<V1", "|V1", "<V2", "|V2", "<f1"};

/* Why a plain type is refused. */
static const char *why_not(struct bytes type)
{
	for (size_t i = 0; i < sizeof nameless / sizeof *nameless; i++)
		if (bytes_eq(type, bytes_str(nameless[i])))
			return "of ml_dtypes' types NumPy saves only the size; save the array "
			       "viewed as a field of that name, a.view([('bfloat16', '<u2')]) or "
			       "a.view([('int4', '|i1')])";
	if (type.n > 1 && type.p[1] == 'O')
		return "pickled Python objects; expected numbers, or strings of bytes";
	if (type.n > 1 && type.p[1] == 'U')
		return "text, but TensorFlow's strings are bytes; "
		       "save numpy.char.encode(a, 'utf-8')";
	return "TensorFlow has no such type; expected one as '<f4', '<i8', '|b1', '|S5'";
}

/* The dtype of a field NAME (NULL: a plain type) with the kind and size TYPE; 0 if there is none. */
static int find_dtype(const struct bytes *name, struct bytes type)
{
	for (int i = 0; i <= UINT8_MAX; i++) {
		const struct dtype_info *t = dtype_info(i);

		if (t && t->numpy && bytes_eq(type, bytes_str(t->numpy)) && !t->field == !name &&
		    (!name || bytes_eq(*name, bytes_str(t->field))))
			return i;
	}
	return DTYPE_INVALID;
}

static bool is_order(uint8_t c)
{
	return c == '<' || c == '>' || c == '|';
}

static bool take_number(const struct descr *d, struct npy *out)
{
	struct bytes type = d->fields[0].type;
	const struct dtype_info *t;

	if (type.n < 2 || !is_order(type.p[0]))
		return false;
	out->dtype = (uint8_t)find_dtype(d->n_fields ? &d->fields[0].name : NULL,
					 bytes_of(type.p + 1, type.n - 1));
	t = dtype_info(out->dtype);
	if (!t || (type.p[0] == '|' && t->item > 1))
		return false;
	out->item = t->item;
	out->big_endian = t->item > 1 && type.p[0] == '>';
	return true;
}

/* "|S5": its width. */
static bool string_width(struct bytes type, uint64_t *out)
{
	uint64_t v = 0;

	if (type.n < 3 || !is_order(type.p[0]) || type.p[1] != 'S' ||
	    (type.p[2] == '0' && type.n > 3))
		return false;
	for (size_t i = 2; i < type.n; i++)
		if (type.p[i] < '0' || type.p[i] > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, type.p[i] - '0', &v))
			return false;
	*out = v;
	return v <= INT32_MAX; /* NumPy's own limit */
}

static bool take_strings(const struct descr *d, struct npy *out)
{
	struct bytes length = d->fields[0].type;

	out->dtype = DTYPE_STRING;
	if (!d->n_fields)
		return string_width(d->fields[0].type, &out->item);
	if (d->n_fields != 2 || !bytes_eq(d->fields[0].name, bytes_str("length")) ||
	    !bytes_eq(d->fields[1].name, bytes_str("bytes")) ||
	    !string_width(d->fields[1].type, &out->item))
		return false;
	out->has_length = true;
	out->item += 8;
	out->big_endian = bytes_eq(length, bytes_str(">u8"));
	return out->big_endian || bytes_eq(length, bytes_str("<u8"));
}

/* One of ml_dtypes' types, of which NumPy saves only the size: the one that npy_parse was given, if it has that size. */
static bool take_nameless(const struct descr *d, struct npy *out)
{
	const struct dtype_info *t = dtype_info(out->nameless);
	bool found = false;

	for (size_t i = 0; i < sizeof nameless / sizeof *nameless && t && t->field; i++)
		found |= bytes_eq(d->fields[0].type, bytes_str(nameless[i])) &&
			 t->item == nameless[i][2] - '0';
	if (!found || d->n_fields)
		return false;
	out->dtype = out->nameless;
	out->item = t->item;
	out->big_endian = false;
	return true;
}

static int take_descr(const struct descr *d, struct npy *out, struct err *e)
{
	out->has_length = false;
	if ((d->n_fields < 2 && take_number(d, out)) || take_nameless(d, out) ||
	    (d->n_fields != 1 && take_strings(d, out)))
		return 0;
	if (!d->n_fields)
		return refuse(d, e, why_not(d->fields[0].type));
	return refuse(d, e,
		      "a dtype with fields; expected one that a variable is shown with, as "
		      "[('bfloat16', '<u2')] or [('length', '<u8'), ('bytes', '|S5')]");
}

/* --- the dict ---------------------------------------------------------------------------------------------- */

/* Passes a bracket and all up to its end. Brackets in strings do not count. */
static bool take_brackets(struct parser *p)
{
	struct bytes text;
	unsigned depth = 0;

	do {
		if (take(p, '[') || take(p, '('))
			depth++;
		else if (depth && (take(p, ']') || take(p, ')')))
			depth--;
		else if (!depth || (!take_string(p, &text) && !cursor_take(&p->at, 1, &text)))
			return false;
	} while (depth);
	return true;
}

/* How many fields LIST has: 1, 2, or 3 if there are more or it is no list of pairs of strings. */
static unsigned parse_fields(struct bytes list, struct descr *d)
{
	struct parser p = {.at = cursor_of(list)};
	bool more = take(&p, '[');
	unsigned n = 0;

	while (more && !take(&p, ']')) {
		if (n == 2 || !take(&p, '(') || !take_string(&p, &d->fields[n].name) ||
		    !take(&p, ',') || !take_string(&p, &d->fields[n].type))
			return 3;
		take(&p, ',');
		more = take(&p, ')');
		if (!take(&p, ','))
			more = more && cursor_left(&p.at);
		n++;
	}
	return more && n ? n : 3;
}

static int parse_descr(struct parser *p, struct npy *out)
{
	struct descr d = {0};
	const uint8_t *start;

	skip_space(&p->at);
	start = p->at.p;
	if (!take_string(p, &d.fields[0].type)) {
		struct parser list = *p;

		if (!take_brackets(&list))
			return unexpected(p, "a dtype");
		p->at = list.at;
		d.n_fields = parse_fields(bytes_of(start, (size_t)(p->at.p - start)), &d);
	}
	d.text = bytes_of(start, (size_t)(p->at.p - start));
	return take_descr(&d, out, p->e);
}

static int parse_order(struct parser *p, struct npy *out)
{
	out->fortran = take_word(p, "True");
	return out->fortran || take_word(p, "False") ? 0 : unexpected(p, "True or False");
}

static int parse_shape(struct parser *p, struct npy *out)
{
	unsigned rank = 0;
	bool comma = true;
	int r = need(p, '(');

	for (; r == 0 && !take(p, ')'); rank++) {
		if (!comma)
			return unexpected(p, "',' or ')'");
		if (rank == SHAPE_MAX_RANK)
			return err_set(p->e, -EINVAL, "more than %d dimensions", SHAPE_MAX_RANK);
		r = parse_number(p, &out->dims[rank]);
		comma = r == 0 && take(p, ',');
	}
	out->rank = (uint8_t)rank;
	if (r == 0 && rank == 1 && !comma)
		return unexpected(p, "',' in a tuple of one, before this");
	return r;
}

static const struct {
	const char *name;
	int (*parse)(struct parser *p, struct npy *out);
} keys[] = {{"descr", parse_descr}, {"fortran_order", parse_order}, {"shape", parse_shape}};

enum { KEYS = sizeof keys / sizeof *keys };

/* A key and its value. SEEN has a bit for each key that was there. If a key comes twice the last value counts. */
static int parse_item(struct parser *p, unsigned *seen, struct npy *out)
{
	struct bytes name;
	int r;

	if (!take_string(p, &name))
		return unexpected(p, "a key");
	r = need(p, ':');
	for (unsigned i = 0; i < KEYS && r == 0; i++)
		if (bytes_eq(name, bytes_str(keys[i].name))) {
			*seen |= 1u << i;
			return keys[i].parse(p, out);
		}
	return r < 0 ? r
		     : err_set(p->e, -EINVAL,
			       "header: key '%.*s'; expected 'descr', 'fortran_order', 'shape'",
			       (int)name.n, (const char *)name.p);
}

static int parse_dict(struct bytes text, struct npy *out, struct err *e)
{
	struct parser p = {.start = text.p, .at = cursor_of(text), .e = e};
	bool comma = true;
	unsigned seen = 0;
	int r = need(&p, '{');

	while (r == 0 && !take(&p, '}')) {
		if (!comma)
			return unexpected(&p, "',' or '}'");
		r = parse_item(&p, &seen, out);
		comma = r == 0 && take(&p, ',');
	}
	for (unsigned i = 0; i < KEYS && r == 0; i++)
		if (!(seen & 1u << i))
			return err_set(e, -EINVAL, "header: there is no '%s'", keys[i].name);
	skip_space(&p.at);
	return r == 0 && cursor_left(&p.at) ? unexpected(&p, "its end") : r;
}

/* --- the file ---------------------------------------------------------------------------------------------- */

static int read_dict(const struct source *src, struct buf *dict, struct npy *out, struct err *e)
{
	uint8_t head[START + 4] = {0};
	uint64_t n = src->size < sizeof head ? src->size : sizeof head, len;
	int r = source_read_into(src, 0, head, n, e);

	if (r < 0)
		return r;
	if (n < START + 2 || memcmp(head, "\x93NUMPY", 6) != 0)
		return err_set(e, -EINVAL,
			       "this is no .npy file: it does not begin with \\x93NUMPY");
	if (head[6] < 1 || head[6] > 3 || head[7])
		return err_set(e, -EINVAL, "version %d.%d of .npy; expected 1.0, 2.0 or 3.0",
			       head[6], head[7]);
	len = head[6] == 1 ? head[8] | (uint64_t)head[9] << 8 : get_le32(head + START);
	out->data = START + (head[6] == 1 ? 2 : 4);
	if (len > src->size || out->data > src->size - len)
		return err_set(e, -EINVAL, "a header of %" PRIu64 " bytes in a file of %" PRIu64,
			       len, src->size);
	if (len > MAX_HEADER)
		return err_set(e, -EINVAL, "a header of %" PRIu64 " bytes; expected at most %d",
			       len, MAX_HEADER);
	r = source_read(src, out->data, len, dict, e);
	out->data += len;
	return r;
}

static int measure(const struct source *src, struct npy *out, struct err *e)
{
	if (!shape_count(out->rank, out->dims, &out->count) ||
	    __builtin_mul_overflow(out->count, out->item, &out->size) || out->size > INT64_MAX)
		return err_set(e, -EINVAL, "a shape of more than 2^63 bytes");
	if (!out->item && out->count > MAX_EMPTY)
		return err_set(e, -EINVAL, "%" PRIu64 " empty strings; expected at most %d",
			       out->count, MAX_EMPTY);
	out->stored = src->size - out->data;
	return 0;
}

int npy_parse(const struct source *src, int nameless_dtype, struct npy *out, struct err *e)
{
	CLEANUP(buf_release) struct buf dict = {0};
	struct npy npy = {.nameless = (uint8_t)nameless_dtype};
	int r = read_dict(src, &dict, &npy, e);

	if (r == 0)
		r = parse_dict(buf_bytes(&dict), &npy, e);
	if (r == 0)
		r = measure(src, &npy, e);
	if (r == 0)
		*out = npy;
	return r;
}

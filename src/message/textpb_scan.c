#include "message/textpb_scan.h"
#include "base/utf8.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* --- tokens ----------------------------------------------------------------------------------------- */

int scan_expected(struct scan *s, const char *what)
{
	size_t column = (size_t)(s->token.p - s->line_start) + 1;
	int shown = s->token.n < 60 ? (int)s->token.n : 60;

	if (s->kind == TOKEN_END)
		return err_set(s->e, -EINVAL, "line %zu, column %zu: the text ends, expected %s",
			       s->line, column, what);
	return err_set(s->e, -EINVAL, "line %zu, column %zu: found %.*s, expected %s", s->line,
		       column, shown, (const char *)s->token.p, what);
}

int scan_refuse(struct scan *s, const char *why)
{
	return err_set(s->e, -EINVAL, "line %zu, column %zu: %s", s->line,
		       (size_t)(s->token.p - s->line_start) + 1, why);
}

/* The token is the first byte that is not UTF-8, if there is one. */
static int check_utf8(struct scan *s)
{
	for (size_t n; s->p < s->end; s->p += n) {
		n = utf8_length(bytes_of(s->p, (size_t)(s->end - s->p)));
		s->token = bytes_of(s->p, 1);
		if (n == 0)
			return scan_refuse(s, "a byte that is not UTF-8");
		if (*s->p == '\n')
			s->line++, s->line_start = s->p + 1;
	}
	return 0;
}

int scan_start(struct scan *s, struct bytes text, struct err *e)
{
	static const uint8_t nothing[1];
	const uint8_t *start = text.n ? text.p : nothing;
	struct scan check;

	*s = (struct scan){
		.p = start, .end = start + text.n, .line_start = start, .line = 1, .e = e};
	check = *s;
	return check_utf8(&check);
}

void scan_release(struct scan *s)
{
	buf_release(&s->text);
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static void skip_space(struct scan *s)
{
	for (; s->p < s->end; s->p++) {
		if (*s->p == '#')
			while (s->p + 1 < s->end && s->p[1] != '\n')
				s->p++;
		else if (*s->p == '\n')
			s->line++, s->line_start = s->p + 1;
		else if (*s->p != ' ' && (*s->p < '\t' || *s->p > '\r'))
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

int scan_next(struct scan *s)
{
	const uint8_t *at, *end = s->end;

	skip_space(s);
	at = s->p;
	s->token = bytes_of(at, at < end);
	if (at == end) {
		s->kind = TOKEN_END;
		return 0;
	}
	if (is_letter(*at)) {
		s->kind = TOKEN_WORD;
		while (at < end && (is_letter(*at) || is_digit(*at) || *at == '+' || *at == '-'))
			at++;
	} else if (is_digit(*at) || *at == '+' || *at == '-' ||
		   (*at == '.' && at + 1 < end && is_digit(at[1]))) {
		s->kind = TOKEN_NUMBER;
		while (at < end &&
		       (is_letter(*at) || is_digit(*at) || *at == '+' || *at == '-' || *at == '.'))
			at++;
	} else if (*at == '"' || *at == '\'') {
		s->kind = TOKEN_STRING;
		at = string_end(at, end);
		if (!at)
			return scan_refuse(s,
					   "a string without its closing quote on the same line");
	} else {
		s->kind = TOKEN_SIGN;
		at += utf8_length(bytes_of(at, (size_t)(end - at)));
	}
	s->token.n = (size_t)(at - s->p);
	s->p = at;
	return 0;
}

bool scan_at(const struct scan *s, char sign)
{
	return s->kind == TOKEN_SIGN && s->token.p[0] == sign;
}

int scan_take_if(struct scan *s, char sign)
{
	int r;

	if (!scan_at(s, sign))
		return 0;
	r = scan_next(s);
	return r < 0 ? r : 1;
}

int scan_take(struct scan *s, char sign)
{
	char what[] = {'\'', sign, '\'', 0};
	int r = scan_take_if(s, sign);

	return r == 0 ? scan_expected(s, what) : r < 0 ? r : 0;
}

bool scan_name(const struct scan *s, char name[SCAN_NAME])
{
	if (s->kind != TOKEN_WORD || s->token.n >= SCAN_NAME)
		return false;
	memcpy(name, s->token.p, s->token.n);
	name[s->token.n] = 0;
	return true;
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

int scan_integer(struct scan *s, bool is_signed, unsigned bits, uint64_t *out)
{
	uint64_t max = UINT64_MAX >> (64 - bits + is_signed), v;
	char what[64];
	bool negative;

	if (s->kind != TOKEN_NUMBER || !read_integer(s->token, &negative, &v) ||
	    v > (!negative   ? max
		 : is_signed ? max + 1
			     : 0)) {
		snprintf(what, sizeof what, "a whole number of %u bits%s", bits,
			 is_signed ? "" : ", not negative");
		return scan_expected(s, what);
	}
	*out = negative ? -v : v;
	return scan_next(s);
}

/* "inf", "infinity", "nan", in any case, with a C suffix or without. */
static bool read_special(const char *t, double *out)
{
	static const char *const words[] = {"inf", "inff", "infinity", "infinityf", "nan", "nanf"};
	bool negative = *t == '-';

	t += *t == '-' || *t == '+';
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcasecmp(t, words[i]) == 0) {
			*out = *words[i] == 'n' ? (double)NAN : (double)INFINITY;
			*out = negative ? -*out : *out;
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

int scan_double(struct scan *s, double *out)
{
	char text[512];

	if ((s->kind != TOKEN_NUMBER && s->kind != TOKEN_WORD) || s->token.n >= sizeof text)
		return scan_expected(s, "a number");
	memcpy(text, s->token.p, s->token.n);
	text[s->token.n] = 0;
	if (is_decimal(text))
		*out = strtod(text, NULL);
	else if (!read_special(text, out))
		return scan_expected(s, "a number");
	return scan_next(s);
}

static bool is_one_of(struct bytes t, const char *const words[4])
{
	for (int i = 0; i < 4; i++)
		if (bytes_eq(t, bytes_str(words[i])))
			return true;
	return false;
}

int scan_bool(struct scan *s, int *out)
{
	static const char *const yes[] = {"true", "True", "t", "1"};
	static const char *const no[] = {"false", "False", "f", "0"};
	bool value = is_one_of(s->token, yes);

	if (!value && !is_one_of(s->token, no))
		return scan_expected(s, "true or false");
	*out = value;
	return scan_next(s);
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

static int add_character(struct scan *s, struct cursor *c, size_t digits)
{
	uint8_t bytes[4];
	uint32_t code;

	if (read_digits(c, 16, digits, &code) < digits || code > 0x10ffff ||
	    (code >= 0xd800 && code < 0xe000))
		return scan_refuse(
			s, digits == 4 ? "\\u without a character's four hexadecimal digits"
				       : "\\U without a character's eight hexadecimal digits");
	return buf_add(&s->text, bytes, utf8_encode(code, bytes));
}

/* The cursor is behind the backslash. */
static int add_escaped(struct scan *s, struct cursor *c)
{
	static const char from[] = "abfnrtv\\'\"", to[] = "\a\b\f\n\r\t\v\\'\"";
	const char *plain;
	uint32_t code;

	if (digit_of(*c->p) < 8) {
		read_digits(c, 8, 3, &code);
		if (code > 0xff)
			return scan_refuse(s, "an octal escape past \\377");
		return buf_add_byte(&s->text, (uint8_t)code);
	}
	uint8_t letter = *c->p++;

	if (letter == 'x') {
		if (!read_digits(c, 16, 2, &code))
			return scan_refuse(s, "\\x without a hexadecimal digit");
		return buf_add_byte(&s->text, (uint8_t)code);
	}
	if (letter == 'u' || letter == 'U')
		return add_character(s, c, letter == 'u' ? 4 : 8);
	plain = letter ? strchr(from, letter) : NULL;
	if (!plain)
		return scan_refuse(s, "an unknown escape in a string");
	return buf_add_byte(&s->text, (uint8_t)to[plain - from]);
}

int scan_string(struct scan *s)
{
	int r = 0;

	if (s->kind != TOKEN_STRING)
		return scan_expected(s, "a string");
	for (s->text.n = 0; r == 0 && s->kind == TOKEN_STRING; r = r < 0 ? r : scan_next(s)) {
		struct cursor c = cursor_of(bytes_of(s->token.p + 1, s->token.n - 2));

		while (r == 0 && cursor_left(&c)) {
			const uint8_t *escape = memchr(c.p, '\\', cursor_left(&c));
			size_t plain = escape ? (size_t)(escape - c.p) : cursor_left(&c);

			r = buf_add(&s->text, c.p, plain);
			c.p += plain + !!escape;
			if (r == 0 && escape)
				r = add_escaped(s, &c);
		}
		if (r == -ENOMEM)
			err_sys(s->e, r, "line %zu", s->line);
	}
	return r;
}

/* --- addresses -------------------------------------------------------------------------------------- */

int scan_type_url(struct scan *s)
{
	static const char signs[] = "-.~_!$&()*+,;=%/";
	int r = 0;

	for (s->text.n = 0; r == 0; s->p++) {
		skip_space(s);
		s->token = bytes_of(s->p, s->p < s->end);
		s->kind = s->token.n ? TOKEN_SIGN : TOKEN_END;
		if (!s->token.n)
			return scan_expected(s, "']'");
		if (*s->p == ']')
			break;
		if (!is_letter(*s->p) && !is_digit(*s->p) && !(*s->p && strchr(signs, *s->p)))
			return scan_expected(s, "']' behind a type");
		r = buf_add_byte(&s->text, *s->p);
	}
	if (r == 0)
		r = buf_add_byte(&s->text, 0);
	if (r < 0)
		return err_sys(s->e, r, "line %zu", s->line);
	s->p++;
	return 0;
}

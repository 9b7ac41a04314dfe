#include "config.h" /* first, for memmem */

#include "base/cleanup.h"
#include "step/name.h"
#include "step/text_kind.h"

enum { COMPONENT_MAX = 255, PIECE_MAX = 200, ENDING_LEN = sizeof VAR_ENDING - 1 };

#define ATTRIBUTES "/.ATTRIBUTES/"
#define VALUE      "/.ATTRIBUTES/VARIABLE_VALUE"
#define CLASH      "%2F" /* rule 2 never makes it: an entry holds no '/' */

/* --- rule 6 ------------------------------------------------------------------------------------------- */

/* The name that rules 1 to 5 are applied to. */
struct shown {
	struct bytes name;
	bool marker;
};

static bool is_shown_in_full(struct bytes name)
{
	return bytes_eq(name, bytes_str(OBJECT_GRAPH_KEY)) ||
	       (name.n && memmem(name.p, name.n, ATTRIBUTES, strlen(ATTRIBUTES)));
}

static struct shown shown_of(enum name_flavour f, struct bytes key)
{
	if (f == NAME_PLAIN)
		return (struct shown){.name = key};
	if (bytes_ends(key, bytes_str(VALUE))) {
		struct bytes rest = bytes_of(key.p, key.n - strlen(VALUE));

		if (!is_shown_in_full(rest))
			return (struct shown){.name = rest};
	}
	return (struct shown){.name = key, .marker = !is_shown_in_full(key)};
}

/* --- components --------------------------------------------------------------------------------------- */

/* C becomes the first component of REST. True if it is a folder, and cut off REST; false if it is the last one. */
static bool next_component(struct bytes *rest, struct bytes *c)
{
	const uint8_t *slash = rest->n ? memchr(rest->p, '/', rest->n) : NULL;

	if (!slash) {
		*c = *rest;
		return false;
	}
	*c = bytes_of(rest->p, (size_t)(slash - rest->p));
	*rest = bytes_of(slash + 1, rest->n - c->n - 1);
	return true;
}

static bool is_special(uint8_t c)
{
	return c < 0x20 || c == 0x7f || c == '%';
}

/* Looks at eight bytes at a time. (w - 0x20..) & ~w has the top bit of some byte set if and only if some byte of w is
 * below 0x20. In the same way a byte of w ^ 0x7f.. or w ^ '%'.. is found that is 0. */
static bool has_special(struct bytes b)
{
	const uint64_t ones = UINT64_MAX / 255;
	size_t i = 0;

	for (; b.n - i >= 8; i += 8) {
		uint64_t w, del, percent;

		memcpy(&w, b.p + i, 8);
		del = w ^ ones * 0x7f;
		percent = w ^ ones * '%';
		if ((((w - ones * 0x20) & ~w) | ((del - ones) & ~del) |
		     ((percent - ones) & ~percent)) &
		    ones << 7)
			return true;
	}
	for (; i < b.n; i++)
		if (is_special(b.p[i]))
			return true;
	return false;
}

/* Rules 3 and 4: how many dots of TEXT are escaped. They are in a row, the first of them at *AT. */
static size_t dots_to_escape(struct bytes text, bool folder, size_t *at)
{
	size_t ending = folder ? file_ending(text) : 0;

	*at = 0;
	if ((text.n == 1 || text.n == 2) && text.p[0] == '.' && text.p[text.n - 1] == '.')
		return text.n;
	if (ending)
		*at = text.n - ending;
	return ending ? 1 : 0;
}

/* The length of a component by rules 2 to 4. */
static size_t escaped_len(struct bytes c, bool folder)
{
	size_t at, len = c.n ? c.n + 2 * dots_to_escape(c, folder, &at) : 1;

	for (size_t i = 0; i < c.n; i++)
		len += is_special(c.p[i]) ? 2 : 0;
	return len;
}

static int add_escaped(struct buf *out, uint8_t c)
{
	static const char digit[] = "0123456789ABCDEF";

	return buf_add(out, (char[]){'%', digit[c >> 4], digit[c & 15]}, 3);
}

/* Applies rules 3 and 4 to what stands in OUT from START on. */
static int escape_dots(struct buf *out, size_t start, bool folder)
{
	static const char escaped[] = "%2E%2E";
	size_t at, dots = dots_to_escape(bytes_of(out->p + start, out->n - start), folder, &at);
	int r = dots ? buf_reserve(out, 2 * dots) : 0;
	uint8_t *p;

	if (r < 0 || !dots)
		return r;
	p = out->p + start + at;
	memmove(p + 3 * dots, p + dots, out->n - start - at - dots);
	memcpy(p, escaped, 3 * dots);
	out->n += 2 * dots;
	return 0;
}

/* Rules 2 to 5 for one component. CUT: it is cut by rule 5. */
static int add_component(struct buf *path, struct bytes c, bool folder, bool cut)
{
	size_t start = path->n;
	int r;

	if (!c.n)
		return buf_add_byte(path, '%');
	for (size_t i = 0; i < c.n; i++) {
		size_t len = is_special(c.p[i]) ? 3 : 1;

		if (cut && path->n - start + len > PIECE_MAX) {
			r = buf_add(path, "%/", 2);
			if (r < 0)
				return r;
			start = path->n;
		}
		r = len == 1 ? buf_add_byte(path, c.p[i]) : add_escaped(path, c.p[i]);
		if (r < 0)
			return r;
	}
	return escape_dots(path, start, folder);
}

static int unhex(uint8_t c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Undoes rule 2, and the escapes of 3 and 4. */
static int add_unescaped(struct buf *out, struct bytes text)
{
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];
		int r;

		if (c == '%') {
			int hi = text.n - i > 2 ? unhex(text.p[i + 1]) : -1;
			int lo = text.n - i > 2 ? unhex(text.p[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return -ENOENT;
			c = (uint8_t)(hi << 4 | lo);
			i += 2;
		}
		r = buf_add_byte(out, c);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_unescaped_component(struct buf *out, struct bytes c)
{
	return bytes_eq(c, bytes_str("%")) ? 0 : add_unescaped(out, c); /* "%": an empty one */
}

/* Takes a lone '%' off the end of C: that of a cut piece, or the marker. False if there is none. */
static bool take_percent(struct bytes *c)
{
	bool there = c->n > 1 && c->p[c->n - 1] == '%';

	c->n -= there;
	return there;
}

/* --- keys --------------------------------------------------------------------------------------------- */

static int add_path(struct shown s, struct buf *path)
{
	struct bytes c;
	bool folder;
	int r;

	do {
		folder = next_component(&s.name, &c);

		size_t len = escaped_len(c, folder) + (folder ? 0 : s.marker + ENDING_LEN);

		r = add_component(path, c, folder, len > COMPONENT_MAX);
		if (r == 0 && folder)
			r = buf_add_byte(path, '/');
	} while (r == 0 && folder);
	return r == 0 && s.marker ? buf_add_byte(path, '%') : r;
}

int name_to_path(enum name_flavour f, struct bytes key, struct buf *path)
{
	size_t start = path->n;
	int r = key.n ? add_path(shown_of(f, key), path) : -EINVAL;

	if (r < 0)
		path->n = start;
	return r;
}

bool name_is_plain(enum name_flavour f, struct bytes key, size_t *stem_len)
{
	struct shown s = shown_of(f, key);
	struct bytes c, rest = s.name;
	bool folder;

	if (s.marker || has_special(s.name))
		return false;
	do {
		size_t at;

		folder = next_component(&rest, &c);
		if (!c.n || c.n + (folder ? 0 : ENDING_LEN) > COMPONENT_MAX ||
		    dots_to_escape(c, folder, &at))
			return false;
	} while (folder);
	*stem_len = s.name.n;
	return true;
}

/* Adds the key that STEM stands for, if any key has that stem. */
static int add_key(enum name_flavour f, struct bytes stem, struct buf *key)
{
	size_t start = key->n;
	struct bytes c, name;
	bool marker;
	int r;

	while (next_component(&stem, &c)) {
		bool goes_on = take_percent(&c);

		r = add_unescaped_component(key, c);
		if (r == 0 && !goes_on)
			r = buf_add_byte(key, '/');
		if (r < 0)
			return r;
	}
	marker = f == NAME_OBJECT && take_percent(&c);
	r = add_unescaped_component(key, c);
	if (r < 0 || f == NAME_PLAIN || marker)
		return r;
	name = bytes_of(key->n > start ? key->p + start : NULL, key->n - start);
	return is_shown_in_full(name) ? 0 : buf_add_str(key, VALUE);
}

int name_from_path(enum name_flavour f, struct bytes stem, struct buf *key)
{
	CLEANUP(buf_release) struct buf again = {0};
	size_t start = key->n;
	int r = add_key(f, stem, key);

	if (r == 0 && key->n == start)
		r = -ENOENT;
	if (r == 0)
		r = name_to_path(f, bytes_of(key->p + start, key->n - start), &again);
	if (r == 0 && !bytes_eq(stem, buf_bytes(&again)))
		r = -ENOENT;
	if (r < 0)
		key->n = start;
	return r;
}

/* --- entries ------------------------------------------------------------------------------------------ */

int name_from_entry(struct bytes entry, bool clash, struct buf *name)
{
	size_t start = name->n;
	int r;

	if (entry.n && (memchr(entry.p, '/', entry.n) || memchr(entry.p, 0, entry.n)))
		return -EINVAL;
	if (escaped_len(entry, true) + (clash ? strlen(CLASH) : 0) > COMPONENT_MAX)
		return -ENAMETOOLONG;
	r = add_component(name, entry, true, false);
	if (r == 0 && clash)
		r = buf_add_str(name, CLASH);
	if (r < 0)
		name->n = start;
	return r;
}

int name_to_entry(struct bytes name, struct buf *entry, bool *clash)
{
	CLEANUP(buf_release) struct buf again = {0};
	bool clashes = bytes_ends(name, bytes_str(CLASH));
	struct bytes c = bytes_of(name.p, name.n - (clashes ? strlen(CLASH) : 0));
	size_t start = entry->n;
	int r = add_unescaped_component(entry, c);

	if (r == 0) {
		size_t n = entry->n - start;

		r = name_from_entry(bytes_of(n ? entry->p + start : NULL, n), clashes, &again);
		if (r == -EINVAL || r == -ENAMETOOLONG ||
		    (r == 0 && !bytes_eq(name, buf_bytes(&again))))
			r = -ENOENT;
	}
	if (r < 0)
		entry->n = start;
	else
		*clash = clashes;
	return r;
}

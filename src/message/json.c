#include "message/json.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/utf8.h"
#include <json-c/printbuf.h>
#include <math.h>
#include <stdlib.h>

/* json-c prints the bytes of a string as they are, so those that are not UTF-8 are printed here. TEXT: what stands between the quotes. */
static int print_as_it_is(struct json_object *o, struct printbuf *to, int level, int flags)
{
	const char *text = json_object_get_userdata(o);

	(void)level;
	(void)flags;
	return printbuf_memappend(to, text, (int)strlen(text));
}

static void free_text(struct json_object *o, void *text)
{
	(void)o;
	free(text);
}

/* S between quotes. */
static int quote(struct bytes s, struct buf *out)
{
	int r = buf_add_byte(out, '"');

	while (s.n && r == 0) {
		size_t n = utf8_length(s);

		if (!n)
			r = buf_printf(out, "\\udc%02x", s.p[0]);
		else if (*s.p == '"' || *s.p == '\\')
			r = buf_printf(out, "\\%c", *s.p);
		else if (*s.p < 0x20)
			r = buf_printf(out, "\\u%04x", *s.p);
		else
			r = buf_add(out, s.p, n);
		s = bytes_of(s.p + (n ? n : 1), s.n - (n ? n : 1));
	}
	return r < 0 || buf_add(out, "\"", 2) < 0 ? -ENOMEM : 0;
}

struct json_object *json_bytes(struct bytes s)
{
	struct json_object *o = json_object_new_string_len((const char *)s.p, (int)s.n);
	CLEANUP(buf_release) struct buf text = {0};

	if (!o || utf8_valid(s))
		return o;
	if (quote(s, &text) < 0) {
		json_object_put(o);
		return NULL;
	}
	json_object_set_serializer(o, print_as_it_is, TAKE(text.p, NULL), free_text);
	return o;
}

struct json_object *json_number(double v)
{
	return isfinite(v) ? json_object_new_double(v) : NULL;
}

struct json_object *json_numbers(const int64_t *p, size_t n)
{
	struct json_object *a = json_object_new_array();

	for (size_t i = 0; i < n; i++)
		json_append(a, json_object_new_int64(p[i]));
	return a;
}

void json_put(struct json_object *object, const char *name, struct json_object *value)
{
	json_object_object_add(object, name, value);
}

void json_append(struct json_object *array, struct json_object *value)
{
	json_object_array_add(array, value);
}

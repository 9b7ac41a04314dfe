#include "base/error.h"
#include "base/utf8.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LONGEST = 8192 }; /* a sentence, before it is shortened */

/* Copies FROM to TO, of ROOM bytes. Of what is too long the middle is left out: a long name stands in front of what is wrong. */
static void shorten(char *to, size_t room, const char *from)
{
	static const char dots[] = " ... ";
	size_t n = strlen(from), part = (room - sizeof dots) / 2, head = part, tail = n - part;

	if (n < room) {
		memcpy(to, from, n + 1);
		return;
	}
	/* Not in the middle of a UTF-8 character. */
	while (head > part - 4 && (from[head] & 0xc0) == 0x80)
		head--;
	while (tail < n - part + 4 && (from[tail] & 0xc0) == 0x80)
		tail++;
	snprintf(to, room, "%.*s%s%s", (int)head, from, dots, from + tail);
}

/* Puts ": " and BEHIND, which may be the old text, behind the sentence. NULL: nothing. */
static void say(struct err *e, int code, const char *behind, const char *fmt, va_list ap)
{
	char text[LONGEST];
	size_t n;

	if (!e)
		return;
	vsnprintf(text, sizeof text - sizeof e->text - 2, fmt,
		  ap); /* there is room for what is behind */
	n = strlen(text);
	if (behind)
		snprintf(text + n, sizeof text - n, ": %s", behind);
	/* Names come from files that nobody has checked; none may write to a terminal or forge a log line. */
	for (struct bytes rest = bytes_str(text); rest.n;) {
		struct bytes c = utf8_take(&rest);

		if (utf8_is_control(c))
			memset(text + (c.p - (uint8_t *)text), '?', c.n);
	}
	e->code = code;
	shorten(e->text, sizeof e->text, text);
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(e, code, NULL, fmt, ap);
	va_end(ap);
	return code;
}

int err_wrap(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(e, code, e ? e->text : NULL, fmt, ap);
	va_end(ap);
	return code;
}

int err_sys(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(e, code, e ? strerror(-code) : NULL, fmt, ap);
	va_end(ap);
	return code;
}

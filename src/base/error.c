#include "base/error.h"
#include "base/utf8.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Puts ": " and BEHIND, which may be the old text, behind the sentence. NULL: nothing. */
static void say(struct err *e, int code, const char *behind, const char *fmt, va_list ap)
{
	char text[sizeof e->text];
	size_t n;

	if (!e)
		return;
	vsnprintf(text, sizeof text, fmt, ap);
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
	strcpy(e->text, text);
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

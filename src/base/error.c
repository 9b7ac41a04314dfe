#include "base/error.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Names come from files that nobody has checked; none may write to a terminal or forge a log line. */
static void make_printable(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return code;
	e->code = code;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	make_printable(e->text);
	return code;
}

int err_wrap(struct err *e, int code, const char *fmt, ...)
{
	char inner[sizeof e->text];
	va_list ap;
	size_t n;

	if (!e)
		return code;
	memcpy(inner, e->text, sizeof inner);
	e->code = code;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	snprintf(e->text + n, sizeof e->text - n, ": %s", inner);
	make_printable(e->text);
	return code;
}

int err_sys(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	if (!e)
		return code;
	e->code = code;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	snprintf(e->text + n, sizeof e->text - n, ": %s", strerror(-code));
	make_printable(e->text);
	return code;
}

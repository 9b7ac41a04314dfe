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

static void start(struct err *e, int code, const char *fmt, va_list ap)
{
	e->code = code;
	vsnprintf(e->text, sizeof e->text, fmt, ap);
}

static void finish(struct err *e, const char *behind)
{
	size_t n = strlen(e->text);

	if (behind)
		snprintf(e->text + n, sizeof e->text - n, ": %s", behind);
	make_printable(e->text);
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return code;
	va_start(ap, fmt);
	start(e, code, fmt, ap);
	va_end(ap);
	finish(e, NULL);
	return code;
}

int err_wrap(struct err *e, int code, const char *fmt, ...)
{
	char inner[sizeof e->text];
	va_list ap;

	if (!e)
		return code;
	memcpy(inner, e->text, sizeof inner);
	va_start(ap, fmt);
	start(e, code, fmt, ap);
	va_end(ap);
	finish(e, inner);
	return code;
}

int err_sys(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return code;
	va_start(ap, fmt);
	start(e, code, fmt, ap);
	va_end(ap);
	finish(e, strerror(-code));
	return code;
}

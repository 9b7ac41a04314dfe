/* src/zip/zip_locale.h: libarchive takes names to be in the character set of the thread's locale, and marks those that are UTF-8 where
 * that is UTF-8. ckptfs has the locale C, so the thread gets another one around such calls. */
#pragma once
#include "base/bytes.h"
#include <locale.h>

/* 0: this system has none; then only ASCII works. The caller frees it. */
static inline locale_t zip_locale_new(void)
{
	return newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

static inline void zip_locale_free(locale_t l)
{
	if (l)
		freelocale(l);
}

/* The thread's locale before. */
static inline locale_t zip_locale_enter(locale_t l)
{
	return uselocale(l);
}

static inline void zip_locale_leave(locale_t before)
{
	uselocale(before);
}

static inline bool zip_is_ascii(const char *name)
{
	while (*name && !(*name & 0x80))
		name++;
	return !*name;
}

/* tests/lib/lit.h: literals as bytes, which may hold NUL. */
#pragma once
#include "base/bytes.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define LIT(s)   bytes_of(s, sizeof(s) - 1)
#define LIT_INIT(s)                                                                                \
	{                                                                                          \
		(const uint8_t *)(s), sizeof(s) - 1                                                \
	} /* the same where an initializer must be constant */

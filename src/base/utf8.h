/* src/base/utf8.h: is it UTF-8? By RFC 3629: no overlong forms, no surrogates, nothing past U+10FFFF. */
#pragma once
#include "base/bytes.h"

/* Bytes of the character at the start of B; 0 if there is none. */
size_t utf8_length(struct bytes b);
bool utf8_valid(struct bytes b);

/* Writes the character C, at most U+10FFFF and no surrogate. Returns how many bytes it takes. */
size_t utf8_encode(uint32_t c, uint8_t out[4]);

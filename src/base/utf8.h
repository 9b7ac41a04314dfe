/* src/base/utf8.h: is it UTF-8? By RFC 3629: no overlong forms, no surrogates, nothing past U+10FFFF. */
#pragma once
#include "base/bytes.h"

/* How many bytes the character takes that B starts with; 0 if none does. */
size_t utf8_length(struct bytes b);
bool utf8_valid(struct bytes b);

/* The bytes of character C, which is at most U+10FFFF and no surrogate; how many they are. */
size_t utf8_encode(uint32_t c, uint8_t out[4]);

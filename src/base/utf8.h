/* src/base/utf8.h: is it UTF-8, and what are its characters? By RFC 3629: no overlong forms, no surrogates, nothing past U+10FFFF. */
#pragma once
#include "base/bytes.h"

/* Bytes of the character at the start of B; 0 if there is none. */
size_t utf8_length(struct bytes b);
bool utf8_valid(struct bytes b);

/* Takes the first character off B, which is not empty; or its first byte, if that begins none. */
struct bytes utf8_take(struct bytes *b);

/* Can C, which utf8_take gave, do something to a terminal? C0, DEL and C1, the latter also as one byte. */
bool utf8_is_control(struct bytes c);

/* Writes the character C, at most U+10FFFF and no surrogate. Returns how many bytes it takes. */
size_t utf8_encode(uint32_t c, uint8_t out[4]);

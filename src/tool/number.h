/* src/tool/number.h: elements of an array as numbers and as text. */
#pragma once
#include "base/buf.h"

/* The value of the element of DTYPE at P; NaN if its elements are no real numbers. Integers of 64 bits lose what a double does not
 * hold. */
double number_value(int dtype, bool big_endian, const uint8_t *p);

/* The same of an integer of DTYPE, exactly. */
int64_t number_signed(int dtype, bool big_endian, const uint8_t *p);
uint64_t number_unsigned(int dtype, bool big_endian, const uint8_t *p);

/* Appends the element at P: a float with the fewest digits that tell it from all others of its type, a complex number as (1+2j), True
 * or False. DTYPE is no string, variant or resource. -ENOMEM. */
int number_text(int dtype, bool big_endian, const uint8_t *p, struct buf *out);

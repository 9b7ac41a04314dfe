/* src/message/repr.h: floating point as Python prints it, which is how text protos have it.
 *
 * The fewest digits that read back as the same number; ".0" behind an integer; an exponent, of two or more
 * digits, below 1e-4 and from 1e16 on. "inf", "-inf" and, whatever its sign and payload, "nan". */
#pragma once

enum { REPR_MAX = 48 };

void repr_double(double v, char out[REPR_MAX]);

/* The same of a float, but rounded to six digits at least, as google.protobuf's ToShortestFloat does: the smallest
 * float is 1.4013e-45, though 1e-45 reads back as it. */
void repr_float(float v, char out[REPR_MAX]);

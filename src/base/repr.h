/* src/base/repr.h: floating point as Python prints it, which is how text protos have it.
 *
 * The fewest digits that read back as the same number; ".0" behind an integer; an exponent of two or more
 * digits below 1e-4 and from 1e16. "inf", "-inf" and, whatever its sign and payload, "nan". */
#pragma once

enum { REPR_MAX = 48 };

void repr_double(double v, char out[REPR_MAX]);

/* Of at least six digits as many as the float needs, as google.protobuf's ToShortestFloat. So 1e-45, whose
 * neighbours are far off, is 1.4013e-45. */
void repr_float(float v, char out[REPR_MAX]);

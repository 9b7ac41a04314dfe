#include "format/dtype.h"

/* What the table has as `real`: initializers of a struct real. */
#define NONE        .kind = REAL_NONE
#define SIGNED(n)   .kind = REAL_SIGNED, .bits = (n)
#define UNSIGNED(n) .kind = REAL_UNSIGNED, .bits = (n)
#define BOOLEAN     .kind = REAL_BOOL, .bits = 8
#define REAL(e, m, b, s)                                                                           \
	.kind = REAL_FLOAT, .bits = 1 + (e) + (m), .exponent = (e), .mantissa = (m), .bias = (b),  \
	.specials = FLOAT_##s

#define INFO(name, number, numpy, field, item, word, real, proto)                                  \
	[number] = {"DT_" #name, numpy, field, item, word, {real}},
static const struct dtype_info infos[] = {DTYPES(INFO)};

const struct dtype_info *dtype_info(int64_t dtype)
{
	if (dtype < 0 || dtype >= (int64_t)(sizeof infos / sizeof *infos) || !infos[dtype].name)
		return NULL;
	return &infos[dtype];
}

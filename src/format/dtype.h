/* src/format/dtype.h: DT_* <-> name, size of an element, how NumPy names it.
 *
 * The numbers are those of TensorFlow's framework/types.proto; docs/format.md tells what a checkpoint stores of each
 * type. The 4- and 2-bit types are stored in a byte each. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* All types of a stored tensor: X(name, number, numpy, field, item, word, real, proto), see struct dtype_info. `real` is
 * as the macros of dtype.c make it. `proto` is the field of a TensorProto that holds values of the type in V1, "float"
 * for float_val; TensorFlow writes only some of them (docs/format.md). A new type is a new line here. */
#define DTYPES(X)                                                                                  \
	X(FLOAT, 1, "f4", NULL, 4, 4, REAL(8, 23, 127, IEEE), float)                               \
	X(DOUBLE, 2, "f8", NULL, 8, 8, REAL(11, 52, 1023, IEEE), double)                           \
	X(INT32, 3, "i4", NULL, 4, 4, SIGNED(32), int)                                             \
	X(UINT8, 4, "u1", NULL, 1, 1, UNSIGNED(8), int)                                            \
	X(INT16, 5, "i2", NULL, 2, 2, SIGNED(16), int)                                             \
	X(INT8, 6, "i1", NULL, 1, 1, SIGNED(8), int)                                               \
	X(STRING, 7, NULL, NULL, 0, 0, NONE, string)                                               \
	X(COMPLEX64, 8, "c8", NULL, 8, 4, NONE, scomplex)                                          \
	X(INT64, 9, "i8", NULL, 8, 8, SIGNED(64), int64)                                           \
	X(BOOL, 10, "b1", NULL, 1, 1, BOOLEAN, bool)                                               \
	X(QINT8, 11, "i1", "qint8", 1, 1, SIGNED(8), int)                                          \
	X(QUINT8, 12, "u1", "quint8", 1, 1, UNSIGNED(8), int)                                      \
	X(QINT32, 13, "i4", "qint32", 4, 4, SIGNED(32), int)                                       \
	X(BFLOAT16, 14, "u2", "bfloat16", 2, 2, REAL(8, 7, 127, IEEE), half)                       \
	X(QINT16, 15, "i2", "qint16", 2, 2, SIGNED(16), int)                                       \
	X(QUINT16, 16, "u2", "quint16", 2, 2, UNSIGNED(16), int)                                   \
	X(UINT16, 17, "u2", NULL, 2, 2, UNSIGNED(16), int)                                         \
	X(COMPLEX128, 18, "c16", NULL, 16, 8, NONE, dcomplex)                                      \
	X(HALF, 19, "f2", NULL, 2, 2, REAL(5, 10, 15, IEEE), half)                                 \
	X(RESOURCE, 20, NULL, NULL, 0, 0, NONE, resource_handle)                                   \
	X(VARIANT, 21, NULL, NULL, 0, 0, NONE, variant)                                            \
	X(UINT32, 22, "u4", NULL, 4, 4, UNSIGNED(32), uint32)                                      \
	X(UINT64, 23, "u8", NULL, 8, 8, UNSIGNED(64), uint64)                                      \
	X(FLOAT8_E5M2, 24, "u1", "float8_e5m2", 1, 1, REAL(5, 2, 15, IEEE), int)                   \
	X(FLOAT8_E4M3FN, 25, "u1", "float8_e4m3fn", 1, 1, REAL(4, 3, 7, FN), int)                  \
	X(FLOAT8_E4M3FNUZ, 26, "u1", "float8_e4m3fnuz", 1, 1, REAL(4, 3, 8, FNUZ), int)            \
	X(FLOAT8_E4M3B11FNUZ, 27, "u1", "float8_e4m3b11fnuz", 1, 1, REAL(4, 3, 11, FNUZ), int)     \
	X(FLOAT8_E5M2FNUZ, 28, "u1", "float8_e5m2fnuz", 1, 1, REAL(5, 2, 16, FNUZ), int)           \
	X(INT4, 29, "i1", "int4", 1, 1, SIGNED(4), int)                                            \
	X(UINT4, 30, "u1", "uint4", 1, 1, UNSIGNED(4), int)                                        \
	X(INT2, 31, "i1", "int2", 1, 1, SIGNED(2), int)                                            \
	X(UINT2, 32, "u1", "uint2", 1, 1, UNSIGNED(2), int)                                        \
	X(FLOAT4_E2M1FN, 33, "u1", "float4_e2m1fn", 1, 1, REAL(2, 1, 1, FINITE), int)

#define DTYPE_NUMBER(name, number, ...) DTYPE_##name = number,
enum dtype { DTYPE_INVALID = 0, DTYPES(DTYPE_NUMBER) };
#undef DTYPE_NUMBER

/* How an element's bits are a real number. */
struct real {
	enum real_kind { REAL_NONE, REAL_SIGNED, REAL_UNSIGNED, REAL_BOOL, REAL_FLOAT } kind;
	int bits; /* how many low bits count; the element may have more */
	int exponent, mantissa; /* of a float: their bits */
	int bias;
	enum {
		FLOAT_IEEE, /* all ones in the exponent: infinity, or NaN */
		FLOAT_FN, /* no infinities; all ones is NaN */
		FLOAT_FNUZ, /* no infinities, no minus zero: that is NaN */
		FLOAT_FINITE, /* neither infinities nor NaN */
	} specials;
};

struct dtype_info {
	const char *name; /* "DT_FLOAT" */
	/* Kind and size without byte order, "f4"; NULL for strings, variants, resources. */
	const char *numpy;
	/* Where NumPy has no name for it: the field of the structured dtype, "bfloat16"; else NULL. */
	const char *field;
	uint8_t item; /* bytes of an element; 0: not fixed */
	uint8_t word; /* bytes that change places between byte orders: half of item for complex */
	struct real real; /* REAL_NONE: its elements are no real numbers */
};

/* NULL for a number that is no type of a stored tensor: 0, references (101 and up), unknown. */
const struct dtype_info *dtype_info(int64_t dtype);

/* src/format/dtype.h: DT_* <-> name, size of an element, how NumPy names it.
 *
 * The numbers are those of TensorFlow's framework/types.proto; docs/format.md tells what a checkpoint stores of each
 * type. The 4- and 2-bit types are stored in a byte each. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* All types of a stored tensor: X(name, number, numpy, field, item, word), see struct dtype_info. A new type is a new
 * line here; -Wswitch then names each switch that has to tell what it does with it. */
#define DTYPES(X)                                                                                  \
	X(FLOAT, 1, "f4", NULL, 4, 4)                                                              \
	X(DOUBLE, 2, "f8", NULL, 8, 8)                                                             \
	X(INT32, 3, "i4", NULL, 4, 4)                                                              \
	X(UINT8, 4, "u1", NULL, 1, 1)                                                              \
	X(INT16, 5, "i2", NULL, 2, 2)                                                              \
	X(INT8, 6, "i1", NULL, 1, 1)                                                               \
	X(STRING, 7, NULL, NULL, 0, 0)                                                             \
	X(COMPLEX64, 8, "c8", NULL, 8, 4)                                                          \
	X(INT64, 9, "i8", NULL, 8, 8)                                                              \
	X(BOOL, 10, "b1", NULL, 1, 1)                                                              \
	X(QINT8, 11, "i1", "qint8", 1, 1)                                                          \
	X(QUINT8, 12, "u1", "quint8", 1, 1)                                                        \
	X(QINT32, 13, "i4", "qint32", 4, 4)                                                        \
	X(BFLOAT16, 14, "u2", "bfloat16", 2, 2)                                                    \
	X(QINT16, 15, "i2", "qint16", 2, 2)                                                        \
	X(QUINT16, 16, "u2", "quint16", 2, 2)                                                      \
	X(UINT16, 17, "u2", NULL, 2, 2)                                                            \
	X(COMPLEX128, 18, "c16", NULL, 16, 8)                                                      \
	X(HALF, 19, "f2", NULL, 2, 2)                                                              \
	X(RESOURCE, 20, NULL, NULL, 0, 0)                                                          \
	X(VARIANT, 21, NULL, NULL, 0, 0)                                                           \
	X(UINT32, 22, "u4", NULL, 4, 4)                                                            \
	X(UINT64, 23, "u8", NULL, 8, 8)                                                            \
	X(FLOAT8_E5M2, 24, "u1", "float8_e5m2", 1, 1)                                              \
	X(FLOAT8_E4M3FN, 25, "u1", "float8_e4m3fn", 1, 1)                                          \
	X(FLOAT8_E4M3FNUZ, 26, "u1", "float8_e4m3fnuz", 1, 1)                                      \
	X(FLOAT8_E4M3B11FNUZ, 27, "u1", "float8_e4m3b11fnuz", 1, 1)                                \
	X(FLOAT8_E5M2FNUZ, 28, "u1", "float8_e5m2fnuz", 1, 1)                                      \
	X(INT4, 29, "i1", "int4", 1, 1)                                                            \
	X(UINT4, 30, "u1", "uint4", 1, 1)                                                          \
	X(INT2, 31, "i1", "int2", 1, 1)                                                            \
	X(UINT2, 32, "u1", "uint2", 1, 1)                                                          \
	X(FLOAT4_E2M1FN, 33, "u1", "float4_e2m1fn", 1, 1)

#define DTYPE_NUMBER(name, number, ...) DTYPE_##name = number,
enum dtype { DTYPE_INVALID = 0, DTYPES(DTYPE_NUMBER) };
#undef DTYPE_NUMBER

struct dtype_info {
	const char *name; /* "DT_FLOAT" */
	/* Kind and size without byte order, "f4"; NULL for strings, variants, resources. */
	const char *numpy;
	/* Where NumPy has no name for it: the field of the structured dtype, "bfloat16"; else NULL. */
	const char *field;
	uint8_t item; /* bytes of an element; 0: not fixed */
	uint8_t word; /* bytes that change places between byte orders: half of item for complex */
};

/* NULL for a number that is no type of a stored tensor: 0, references (101 and up), unknown. */
const struct dtype_info *dtype_info(int64_t dtype);

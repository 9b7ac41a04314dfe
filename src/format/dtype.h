/* src/format/dtype.h: DT_* <-> name, size of an element, how NumPy names it.
 *
 * The numbers are those of TensorFlow's framework/types.proto; what a checkpoint stores of each is in
 * docs/format.md. Types with no fixed size have item 0. The 4- and 2-bit types are stored in a byte each. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum dtype {
	DTYPE_INVALID = 0,
	DTYPE_FLOAT = 1,
	DTYPE_DOUBLE = 2,
	DTYPE_INT32 = 3,
	DTYPE_UINT8 = 4,
	DTYPE_INT16 = 5,
	DTYPE_INT8 = 6,
	DTYPE_STRING = 7,
	DTYPE_COMPLEX64 = 8,
	DTYPE_INT64 = 9,
	DTYPE_BOOL = 10,
	DTYPE_QINT8 = 11,
	DTYPE_QUINT8 = 12,
	DTYPE_QINT32 = 13,
	DTYPE_BFLOAT16 = 14,
	DTYPE_QINT16 = 15,
	DTYPE_QUINT16 = 16,
	DTYPE_UINT16 = 17,
	DTYPE_COMPLEX128 = 18,
	DTYPE_HALF = 19,
	DTYPE_RESOURCE = 20,
	DTYPE_VARIANT = 21,
	DTYPE_UINT32 = 22,
	DTYPE_UINT64 = 23,
	DTYPE_FLOAT8_E5M2 = 24,
	DTYPE_FLOAT8_E4M3FN = 25,
	DTYPE_FLOAT8_E4M3FNUZ = 26,
	DTYPE_FLOAT8_E4M3B11FNUZ = 27,
	DTYPE_FLOAT8_E5M2FNUZ = 28,
	DTYPE_INT4 = 29,
	DTYPE_UINT4 = 30,
	DTYPE_INT2 = 31,
	DTYPE_UINT2 = 32,
	DTYPE_FLOAT4_E2M1FN = 33,
};

struct dtype_info {
	const char *name; /* "DT_FLOAT" */
	const char *
		numpy; /* kind and size without byte order, "f4"; NULL for strings, variants, resources */
	const char *
		field; /* field of the structured dtype where NumPy has no name for it, "bfloat16"; or NULL */
	uint8_t item; /* bytes of an element; 0: not fixed */
	uint8_t word; /* bytes that change places between byte orders: half of item for complex */
};

/* NULL for a number that is no type of a stored tensor: 0, references (101 and up), unknown. */
const struct dtype_info *dtype_info(int64_t dtype);

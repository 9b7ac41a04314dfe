#include "format/dtype.h"

#define PLAIN(id, kind, item, word)  [DTYPE_##id] = {"DT_" #id, kind, NULL, item, word}
#define NAMED(id, kind, field, item) [DTYPE_##id] = {"DT_" #id, kind, field, item, item}
#define OTHER(id)                    [DTYPE_##id] = {"DT_" #id, NULL, NULL, 0, 0}

static const struct dtype_info infos[] = {
	PLAIN(FLOAT, "f4", 4, 4),
	PLAIN(DOUBLE, "f8", 8, 8),
	PLAIN(INT32, "i4", 4, 4),
	PLAIN(UINT8, "u1", 1, 1),
	PLAIN(INT16, "i2", 2, 2),
	PLAIN(INT8, "i1", 1, 1),
	OTHER(STRING),
	PLAIN(COMPLEX64, "c8", 8, 4),
	PLAIN(INT64, "i8", 8, 8),
	PLAIN(BOOL, "b1", 1, 1),
	NAMED(QINT8, "i1", "qint8", 1),
	NAMED(QUINT8, "u1", "quint8", 1),
	NAMED(QINT32, "i4", "qint32", 4),
	NAMED(BFLOAT16, "u2", "bfloat16", 2),
	NAMED(QINT16, "i2", "qint16", 2),
	NAMED(QUINT16, "u2", "quint16", 2),
	PLAIN(UINT16, "u2", 2, 2),
	PLAIN(COMPLEX128, "c16", 16, 8),
	PLAIN(HALF, "f2", 2, 2),
	OTHER(RESOURCE),
	OTHER(VARIANT),
	PLAIN(UINT32, "u4", 4, 4),
	PLAIN(UINT64, "u8", 8, 8),
	NAMED(FLOAT8_E5M2, "u1", "float8_e5m2", 1),
	NAMED(FLOAT8_E4M3FN, "u1", "float8_e4m3fn", 1),
	NAMED(FLOAT8_E4M3FNUZ, "u1", "float8_e4m3fnuz", 1),
	NAMED(FLOAT8_E4M3B11FNUZ, "u1", "float8_e4m3b11fnuz", 1),
	NAMED(FLOAT8_E5M2FNUZ, "u1", "float8_e5m2fnuz", 1),
	NAMED(INT4, "i1", "int4", 1),
	NAMED(UINT4, "u1", "uint4", 1),
	NAMED(INT2, "i1", "int2", 1),
	NAMED(UINT2, "u1", "uint2", 1),
	NAMED(FLOAT4_E2M1FN, "u1", "float4_e2m1fn", 1),
};

const struct dtype_info *dtype_info(int64_t dtype)
{
	if (dtype < 0 || dtype >= (int64_t)(sizeof infos / sizeof *infos) || !infos[dtype].name)
		return NULL;
	return &infos[dtype];
}

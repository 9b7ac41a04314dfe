#include "format/dtype.h"

#define INFO(name, number, numpy, field, item, word)                                               \
	[number] = {"DT_" #name, numpy, field, item, word},
static const struct dtype_info infos[] = {DTYPES(INFO)};

const struct dtype_info *dtype_info(int64_t dtype)
{
	if (dtype < 0 || dtype >= (int64_t)(sizeof infos / sizeof *infos) || !infos[dtype].name)
		return NULL;
	return &infos[dtype];
}

#include "format/npy.h"
#include "base/cleanup.h"
#include "format/dtype.h"
#include <inttypes.h>
#include <stdio.h>

enum { ALIGN = 64, PREFIX_V1 = 10, PREFIX_V2 = 12, GROWTH_DIGITS = 21 };

int npy_descr(struct buf *out, int dtype, bool big_endian)
{
	const struct dtype_info *t = dtype_info(dtype);
	char order;

	if (!t || !t->numpy)
		return -EINVAL;
	order = t->item == 1 ? '|' : big_endian ? '>' : '<';
	if (t->field)
		return buf_printf(out, "[('%s', '%c%s')]", t->field, order, t->numpy);
	return buf_printf(out, "'%c%s'", order, t->numpy);
}

static int add_dict(struct buf *out, struct bytes descr, unsigned rank, const int64_t *dims)
{
	size_t first;
	int r = buf_printf(out, "{'descr': %.*s, 'fortran_order': False, 'shape': (", (int)descr.n,
			   (const char *)descr.p);

	for (unsigned i = 0; i < rank && r == 0; i++)
		r = buf_printf(out, i ? ", %" PRId64 : "%" PRId64, dims[i]);
	if (r == 0)
		r = buf_add_str(out, rank == 1 ? ",), }" : "), }");
	if (r < 0 || rank == 0)
		return r;
	first = (size_t)snprintf(NULL, 0, "%" PRId64, dims[0]);
	return buf_printf(out, "%*s", (int)(GROWTH_DIGITS - first), "");
}

int npy_header(struct buf *out, struct bytes descr, unsigned rank, const int64_t *dims)
{
	CLEANUP(buf_release) struct buf dict = {0};
	uint8_t prefix[PREFIX_V2] = "\x93NUMPY";
	size_t len, prefix_len = PREFIX_V1;
	int r = add_dict(&dict, descr, rank, dims);

	if (r < 0)
		return r;
	len = dict.n + 1 + ALIGN - (PREFIX_V1 + dict.n + 1) % ALIGN;
	prefix[6] = 1;
	if (len > UINT16_MAX) {
		prefix_len = PREFIX_V2;
		len = dict.n + 1 + ALIGN - (PREFIX_V2 + dict.n + 1) % ALIGN;
		prefix[6] = 2;
	}
	put_le32(prefix + 8, (uint32_t)len); /* of which version 1 has two bytes */
	r = buf_add(out, prefix, prefix_len);
	if (r == 0)
		r = buf_add(out, dict.p, dict.n);
	if (r == 0)
		r = buf_printf(out, "%*s\n", (int)(len - dict.n - 1), "");
	return r;
}

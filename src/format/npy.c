#include "format/npy.h"
#include "base/cleanup.h"
#include "format/dtype.h"

enum { ALIGN = 64, PREFIX_V1 = 10, PREFIX_V2 = 12, GROWTH_DIGITS = 21 };

/* The dict, around what differs. */
static const char before_descr[] = "{'descr': ";
static const char before_shape[] = ", 'fortran_order': False, 'shape': (";
static const char between[] = ", ";
static const char behind_one[] = ",), }", behind_shape[] = "), }";
enum { BEFORE = sizeof before_descr + sizeof before_shape - 2 };

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

size_t npy_descr_size(int dtype)
{
	const struct dtype_info *t = dtype_info(dtype);

	if (!t || !t->numpy)
		return 0;
	return strlen("'<'") + strlen(t->numpy) +
	       (t->field ? strlen("[('', )]") + strlen(t->field) : 0);
}

static int add_spaces(struct buf *out, size_t n)
{
	int r = buf_reserve(out, n);

	if (r < 0)
		return r;
	memset(out->p + out->n, ' ', n);
	out->n += n;
	return 0;
}

static int add_dict(struct buf *out, struct bytes descr, unsigned rank, const int64_t *dims)
{
	size_t first = 0;
	int r = buf_add_str(out, before_descr);

	if (r == 0)
		r = buf_add(out, descr.p, descr.n);
	if (r == 0)
		r = buf_add_str(out, before_shape);
	for (unsigned i = 0; i < rank && r == 0; i++) {
		size_t start = out->n;

		r = buf_add_decimal(out, (uint64_t)dims[i]);
		first = i ? first : out->n - start;
		if (r == 0 && i + 1 < rank)
			r = buf_add_str(out, between);
	}
	if (r == 0)
		r = buf_add_str(out, rank == 1 ? behind_one : behind_shape);
	return r < 0 || !rank ? r : add_spaces(out, GROWTH_DIGITS - first);
}

static size_t dict_size(size_t descr, unsigned rank, const int64_t *dims)
{
	size_t n = BEFORE + descr + strlen(rank == 1 ? behind_one : behind_shape);

	for (unsigned i = 1; i < rank; i++)
		n += strlen(between) + decimal_size((uint64_t)dims[i]);
	return rank ? n + GROWTH_DIGITS : n; /* the first one and the room for it to grow */
}

/* The bytes behind the prefix of a header with a DICT of that many. */
static size_t padded(size_t dict, size_t *prefix)
{
	size_t len = dict + 1 + ALIGN - (PREFIX_V1 + dict + 1) % ALIGN;

	*prefix = PREFIX_V1;
	if (len <= UINT16_MAX)
		return len;
	*prefix = PREFIX_V2;
	return dict + 1 + ALIGN - (PREFIX_V2 + dict + 1) % ALIGN;
}

int npy_header(struct buf *out, struct bytes descr, unsigned rank, const int64_t *dims)
{
	CLEANUP(buf_release) struct buf dict = {0};
	uint8_t prefix[PREFIX_V2] = "\x93NUMPY";
	size_t len, prefix_len;
	int r = buf_reserve(&dict, dict_size(descr.n, rank, dims));

	if (r == 0)
		r = add_dict(&dict, descr, rank, dims);
	if (r < 0)
		return r;
	len = padded(dict.n, &prefix_len);
	prefix[6] = prefix_len == PREFIX_V1 ? 1 : 2;
	put_le32(prefix + 8, (uint32_t)len); /* of which version 1 has two bytes */
	r = buf_reserve(out, prefix_len + len);
	if (r == 0)
		r = buf_add(out, prefix, prefix_len);
	if (r == 0)
		r = buf_add(out, dict.p, dict.n);
	if (r == 0)
		r = add_spaces(out, len - dict.n - 1);
	return r == 0 ? buf_add_byte(out, '\n') : r;
}

size_t npy_header_size(size_t descr, unsigned rank, const int64_t *dims)
{
	size_t prefix, len = padded(dict_size(descr, rank, dims), &prefix);

	return prefix + len;
}

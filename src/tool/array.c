#include "tool/array.h"
#include "base/cleanup.h"
#include "format/dtype.h"
#include "tool/number.h"
#include <math.h>

int array_open(const struct place *p, struct array *out, struct err *e)
{
	struct step *s = p->loaded->step;
	const struct var *v = place_var(p);
	int r = tensor_open(s, v, p->dirfd, &out->tensor, e);

	if (r < 0)
		return r;
	r = tensor_shape(s, v, p->dirfd, &out->shape, e);
	if (r < 0) {
		tensor_close(out->tensor);
		return r;
	}
	out->step = s;
	out->var = v;
	out->size = (int64_t)out->shape.size;
	out->count = out->shape.record ? out->shape.size : var_count(s, v);
	out->rank = out->shape.record ? 1 : v->rank;
	out->dims = out->shape.record ? &out->size : var_dims(s, v);
	return 0;
}

void array_close(struct array *a)
{
	tensor_close(a->tensor);
	a->tensor = NULL;
}

static int put_byte(uint8_t c, struct buf *out)
{
	static const char escaped[] = "\t\n\r\\'", letters[] = "tnr\\'";
	const char *at = c ? strchr(escaped, c) : NULL;

	if (at)
		return buf_printf(out, "\\%c", letters[at - escaped]);
	return c < 0x20 || c >= 0x7f ? buf_printf(out, "\\x%02x", c) : buf_add_byte(out, c);
}

/* As Python prints bytes. */
static int string_text(struct bytes s, struct buf *out)
{
	int r = buf_add_str(out, "b'");

	for (size_t i = 0; i < s.n && r == 0; i++)
		r = put_byte(s.p[i], out);
	return r < 0 ? r : buf_add_byte(out, '\'');
}

/* It is padded with NULs, or behind its length. */
struct bytes array_string(const struct array *a, const uint8_t *p)
{
	struct bytes s = bytes_of(p, a->shape.item);

	if (a->shape.lengths)
		return bytes_of(p + 8, (size_t)get_le64(p));
	while (s.n && !s.p[s.n - 1])
		s.n--;
	return s;
}

int array_text(const struct array *a, const uint8_t *p, struct buf *out)
{
	if (a->shape.record)
		return number_text(DTYPE_UINT8, false, p, out);
	if (a->var->dtype == DTYPE_STRING)
		return string_text(array_string(a, p), out);
	return number_text(a->var->dtype, a->step->big_endian, p, out);
}

static struct json_object *double_json(int dtype, bool big_endian, const uint8_t *p)
{
	CLEANUP(buf_release) struct buf text = {0};
	double v = number_value(dtype, big_endian, p);

	if (!isfinite(v) || number_text(dtype, big_endian, p, &text) < 0 ||
	    buf_add_byte(&text, 0) < 0)
		return NULL;
	return json_object_new_double_s(v, (char *)text.p);
}

static struct json_object *complex_json(const struct array *a, const uint8_t *p)
{
	int dtype = a->var->dtype == DTYPE_COMPLEX64 ? DTYPE_FLOAT : DTYPE_DOUBLE;
	struct json_object *pair = json_object_new_array();

	for (size_t at = 0; at < array_item(a); at += dtype_info(dtype)->item)
		json_append(pair, double_json(dtype, a->step->big_endian, p + at));
	return pair;
}

struct json_object *shape_json(const struct step *s, const struct var *v)
{
	return json_numbers(var_dims(s, v), v->rank);
}

struct json_object *array_json(const struct array *a, const uint8_t *p)
{
	int dtype = a->shape.record ? DTYPE_UINT8 : a->var->dtype;
	bool big = a->step->big_endian;

	if (dtype == DTYPE_STRING)
		return json_bytes(array_string(a, p));
	switch (dtype_info(dtype)->real.kind) {
	case REAL_FLOAT:
		return double_json(dtype, big, p);
	case REAL_BOOL:
		return json_object_new_boolean(*p != 0);
	case REAL_SIGNED:
		return json_object_new_int64(number_signed(dtype, big, p));
	case REAL_UNSIGNED:
		return json_object_new_uint64(number_unsigned(dtype, big, p));
	case REAL_NONE:
		break;
	}
	return complex_json(a, p);
}

int array_get(const struct array *a, uint64_t first, size_t n, uint8_t *dst, struct err *e)
{
	return tensor_read(a->tensor, first * array_item(a), n * array_item(a), dst, e);
}

int array_read(const struct array *a, size_t budget, array_taker *take, void *arg, struct err *e)
{
	size_t item = array_item(a), n = budget / item ? budget / item : 1;
	CLEANUP(freep) uint8_t *piece = NULL;
	int r = 0;

	n = n < a->count ? n : (size_t)a->count;
	piece = malloc(n * item + 1);
	if (!piece)
		return err_set(e, -ENOMEM, "no memory for %zu elements", n);
	for (uint64_t first = 0; first < a->count && r == 0; first += n) {
		size_t some = a->count - first < n ? (size_t)(a->count - first) : n;

		r = array_get(a, first, some, piece, e);
		if (r == 0)
			r = take(arg, first, piece, some, e);
	}
	return r;
}

#include "safetensors/safetensors_metadata.h"
#include "base/cleanup.h"
#include "format/dtype.h"
#include "safetensors/safetensors_json.h"
#include "step/tensor.h"
#include <json-c/json.h>
#include <string.h>

/* More may be any string. As json-c holds it, it would take many times the memory. */
enum { MAX_TEXT = 1 << 20 };

/* The string V, of SIZE bytes, with a NUL behind it. */
static int read_text(struct step *s, const struct var *v, int dirfd, size_t size, struct buf *out,
		     struct err *e)
{
	struct tensor *t;
	int r = tensor_open(s, v, dirfd, &t, e);

	if (r < 0)
		return r;
	if (buf_reserve(out, size + 1) < 0)
		r = err_set(e, -ENOMEM, "no memory");
	else
		r = tensor_read(t, 0, size, out->p, e);
	if (r == 0)
		out->p[size] = 0;
	tensor_close(t);
	return r;
}

int safetensors_texts_of(struct step *s, const struct var *v, int dirfd, struct json_object **out,
			 struct err *e)
{
	CLEANUP(buf_release) struct buf text = {0};
	struct json_object *o = NULL;
	struct tensor_shape shape;
	int r;

	*out = NULL;
	if (v->dtype != DTYPE_STRING || v->rank)
		return 0;
	r = tensor_shape(s, v, dirfd, &shape, e);
	if (r < 0 || shape.lengths || shape.size > MAX_TEXT)
		return r;
	r = read_text(s, v, dirfd, (size_t)shape.size, &text, e);
	if (r < 0 || memchr(text.p, 0, (size_t)shape.size))
		return r;
	r = safetensors_json((const char *)text.p, (size_t)shape.size, &o, NULL);
	if (r == 0 && safetensors_are_texts(o))
		*out = json_object_get(o);
	json_object_put(o);
	return r == -ENOMEM ? err_set(e, r, "no memory") : 0;
}

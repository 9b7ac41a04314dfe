#include "make/safetensors.h"
#include "base/cleanup.h"
#include "base/utf8.h"
#include "format/dtype.h"
#include "make/safetensors_dtype.h"
#include "tool/array.h"
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

enum { HOW = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE };

static const struct {
	int dtype;
	const char *name;
} names[] = {
	{DTYPE_DOUBLE, "F64"},
	{DTYPE_FLOAT, "F32"},
	{DTYPE_HALF, "F16"},
	{DTYPE_BFLOAT16, "BF16"},
	{DTYPE_FLOAT8_E4M3FN, "F8_E4M3"},
	{DTYPE_FLOAT8_E5M2, "F8_E5M2"},
	{DTYPE_FLOAT8_E4M3FNUZ, "F8_E4M3FNUZ"},
	{DTYPE_FLOAT8_E5M2FNUZ, "F8_E5M2FNUZ"},
	{DTYPE_INT64, "I64"},
	{DTYPE_INT32, "I32"},
	{DTYPE_INT16, "I16"},
	{DTYPE_INT8, "I8"},
	{DTYPE_UINT64, "U64"},
	{DTYPE_UINT32, "U32"},
	{DTYPE_UINT16, "U16"},
	{DTYPE_UINT8, "U8"},
	{DTYPE_BOOL, "BOOL"},
};

const char *safetensors_dtype_name(int dtype)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].dtype == dtype)
			return names[i].name;
	return NULL;
}

int safetensors_dtype_of(const char *name)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(names[i].name, name))
			return names[i].dtype;
	return strcmp(name, "C64") ? DTYPE_INVALID : DTYPE_COMPLEX64;
}

void safetensors_release(struct safetensors *s)
{
	buf_release(&s->head);
	buf_release(&s->items);
	buf_release(&s->lacks);
}

/* --- which variables ---------------------------------------------------------------------------------------------- */

static const struct var *var_at(const struct place *in, uint32_t file)
{
	return &in->loaded->step->vars[in->loaded->tree.files[file].var];
}

/* What the variable is called in the header. */
static struct bytes name_of(const struct place *in, uint32_t file)
{
	const struct tree_file *f = &in->loaded->tree.files[file];

	return in->loaded->step->object_based ? bytes_of(f->stem, f->n)
					      : var_key(in->loaded->step, var_at(in, file));
}

/* Why it can't be in the file; NULL: it can. */
static const char *why_not(const struct place *in, uint32_t file)
{
	struct bytes name = name_of(in, file);

	if (!safetensors_dtype_name(var_at(in, file)->dtype))
		return "a dtype that safetensors has no name for";
	if (!utf8_valid(name) || memchr(name.p, 0, name.n))
		return "a name that is no text, as JSON needs it";
	return bytes_eq(name, bytes_str(SAFETENSORS_METADATA))
		       ? "the name that safetensors keeps for other texts"
		       : NULL;
}

static int add_file(const struct place *in, uint32_t file, struct safetensors *out, struct err *e)
{
	const struct var *v = var_at(in, file);
	struct step *s = in->loaded->step;
	struct safetensors_lack lack = {file, why_not(in, file)};
	struct safetensors_item item = {.file = file};
	int r = step_check(s, v, in->dirfd, e);

	if (r < 0)
		return err_wrap(e, r, "%.*s", (int)name_of(in, file).n, name_of(in, file).p);
	if (!lack.why)
		item.size = var_count(s, v) * dtype_info(v->dtype)->item;
	r = lack.why ? buf_add(&out->lacks, &lack, sizeof lack)
		     : buf_add(&out->items, &item, sizeof item);
	return r < 0 ? err_set(e, -ENOMEM, "no memory") : 0;
}

/* Those of large elements first, so that each element lies at a multiple of its size. */
static int compare_items(const void *x, const void *y, void *arg)
{
	const struct safetensors_item *a = x, *b = y;
	const struct place *in = arg;
	int a_item = dtype_info(var_at(in, a->file)->dtype)->item,
	    b_item = dtype_info(var_at(in, b->file)->dtype)->item;

	return a_item != b_item ? b_item - a_item : (a->file > b->file) - (a->file < b->file);
}

static struct safetensors_item *items_of(const struct safetensors *s, size_t *n)
{
	*n = s->items.n / sizeof(struct safetensors_item);
	return (struct safetensors_item *)(void *)s->items.p;
}

/* --- the header --------------------------------------------------------------------------------------------------- */

static struct json_object *item_json(const struct place *in, const struct safetensors_item *item)
{
	struct json_object *o = json_object_new_object(), *offsets = json_object_new_array();
	const struct var *v = var_at(in, item->file);

	json_put(o, "dtype", json_bytes(bytes_str(safetensors_dtype_name(v->dtype))));
	json_put(o, "shape", shape_json(in->loaded->step, v));
	json_append(offsets, json_object_new_uint64(item->at));
	json_append(offsets, json_object_new_uint64(item->at + item->size));
	json_put(o, "data_offsets", offsets);
	return o;
}

/* Metadata are texts: the names stand in one as a JSON array. */
static struct json_object *lacks_json(const struct place *in, const struct safetensors *s)
{
	struct json_object *o = json_object_new_object(), *all = json_object_new_array();
	const struct safetensors_lack *lacks = (const void *)s->lacks.p;

	for (size_t i = 0; i < s->lacks.n / sizeof *lacks; i++)
		json_append(all, json_bytes(name_of(in, lacks[i].file)));
	json_put(o, "ckptfs.left_out",
		 json_object_new_string(json_object_to_json_string_ext(all, HOW)));
	json_object_put(all);
	return o;
}

static int add_item(const struct place *in, const struct safetensors_item *item,
		    struct json_object *to, struct err *e)
{
	struct bytes name = name_of(in, item->file);
	CLEANUP(freep) char *key = strndup((const char *)name.p, name.n);
	struct json_object *o = key ? item_json(in, item) : NULL;

	if (!o || json_object_object_add(to, key, o) < 0) {
		json_object_put(o);
		return err_set(e, -ENOMEM, "no memory");
	}
	return 0;
}

/* TEXT, with its length in front, and spaces behind it up to a multiple of 8. */
static int put_head(const char *text, struct safetensors *out, struct err *e)
{
	size_t n = strlen(text), whole = (n + 7) / 8 * 8;
	uint8_t length[8];

	if (whole > SAFETENSORS_MAX_HEADER)
		return err_set(e, -E2BIG, "the header would have %zu bytes, and may have %d", whole,
			       SAFETENSORS_MAX_HEADER);
	put_le64(length, whole);
	if (buf_add(&out->head, length, sizeof length) < 0 ||
	    buf_printf(&out->head, "%s%*s", text, (int)(whole - n), "") < 0)
		return err_set(e, -ENOMEM, "no memory");
	return 0;
}

static int make_head(const struct place *in, struct safetensors *out, struct err *e)
{
	struct json_object *o = json_object_new_object();
	const char *text;
	size_t n;
	struct safetensors_item *items = items_of(out, &n);
	int r = o ? 0 : err_set(e, -ENOMEM, "no memory");

	if (r == 0 && out->lacks.n)
		json_put(o, SAFETENSORS_METADATA, lacks_json(in, out));
	for (size_t i = 0; i < n && r == 0; i++)
		r = add_item(in, &items[i], o, e);
	text = r == 0 ? json_object_to_json_string_ext(o, HOW) : NULL;
	if (r == 0)
		r = text ? put_head(text, out, e) : err_set(e, -ENOMEM, "no memory");
	json_object_put(o);
	return r;
}

int safetensors_layout(const struct place *in, const uint32_t *files, size_t n,
		       struct safetensors *out, struct err *e)
{
	struct safetensors_item *items;
	uint64_t at = 0;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = add_file(in, files[i], out, e);
	items = items_of(out, &n);
	if (n)
		qsort_r(items, n, sizeof *items, compare_items, (void *)in);
	for (size_t i = 0; i < n; i++) {
		items[i].at = at;
		if (__builtin_add_overflow(at, items[i].size, &at) || at > INT64_MAX)
			return err_set(e, -E2BIG, "all variables together are too large");
	}
	if (r == 0)
		r = make_head(in, out, e);
	for (size_t i = 0; i < n; i++)
		items[i].at += out->head.n;
	out->size = at + out->head.n;
	return r;
}

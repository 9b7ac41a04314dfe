#include "safetensors/safetensors.h"
#include "base/cleanup.h"
#include "base/utf8.h"
#include "format/dtype.h"
#include "message/json.h"
#include "safetensors/safetensors_dtype.h"
#include "safetensors/safetensors_json.h"
#include "safetensors/safetensors_metadata.h"
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

/* What is in front of the JSON: its length. */
enum { HEAD_LENGTH = 8 };

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

static const struct var *var_at(const struct safetensors_of *of, uint32_t file)
{
	return &of->step->vars[of->tree->files[file].var];
}

/* What the variable is called in the header. */
static struct bytes name_of(const struct safetensors_of *of, uint32_t file)
{
	const struct tree_file *f = &of->tree->files[file];

	return of->step->object_based ? bytes_of(f->stem, f->n)
				      : var_key(of->step, var_at(of, file));
}

/* Why it can't be in the file; NULL: it can. */
static const char *why_not(const struct safetensors_of *of, uint32_t file)
{
	struct bytes name = name_of(of, file);

	if (!safetensors_dtype_name(var_at(of, file)->dtype))
		return "a dtype that safetensors has no name for";
	if (!utf8_valid(name) || memchr(name.p, 0, name.n))
		return "a name that is no text, as JSON needs it";
	return bytes_eq(name, bytes_str(SAFETENSORS_METADATA))
		       ? "the name that safetensors keeps for other texts"
		       : NULL;
}

/* TEXTS becomes what the file has, if it is the variable of metadata. */
static int take_texts(const struct safetensors_of *of, uint32_t file, struct json_object **texts,
		      struct err *e)
{
	return bytes_eq(name_of(of, file), bytes_str(SAFETENSORS_METADATA))
		       ? safetensors_texts_of(of->step, var_at(of, file), of->dirfd, texts, e)
		       : 0;
}

static int add_file(const struct safetensors_of *of, uint32_t file, struct safetensors *out,
		    struct json_object **texts, struct err *e)
{
	struct json_object *found = NULL;
	const struct var *v = var_at(of, file);
	struct safetensors_item item = {.var = v, .file = file};
	struct safetensors_lack lack = {.file = file};
	int r;

	/* Its dtype and shape are not known. What it is left out for must not depend on damage. */
	if (v->kind == VAR_BAD) {
		r = step_check(of->step, v, -1, e);
		return err_wrap(e, r, "%.*s", (int)name_of(of, file).n, name_of(of, file).p);
	}
	r = take_texts(of, file, &found, e);
	if (r < 0)
		return err_wrap(e, r, "%s", SAFETENSORS_METADATA);
	if (found) {
		*texts = found;
		return 0;
	}
	lack.why = why_not(of, file);
	if (!lack.why)
		item.size = var_count(of->step, v) * dtype_info(v->dtype)->item;
	r = lack.why ? buf_add(&out->lacks, &lack, sizeof lack)
		     : buf_add(&out->items, &item, sizeof item);
	return r < 0 ? err_set(e, -ENOMEM, "no memory") : 0;
}

/* Those of large elements first, so that each element lies at a multiple of its size. */
static int compare_items(const void *x, const void *y)
{
	const struct safetensors_item *a = x, *b = y;
	int a_item = dtype_info(a->var->dtype)->item, b_item = dtype_info(b->var->dtype)->item;

	return a_item != b_item ? b_item - a_item : (a->file > b->file) - (a->file < b->file);
}

/* Sorts the items and gives each its place in the data. SIZE: of all. */
static int place_items(struct safetensors *out, uint64_t *size, struct err *e)
{
	struct safetensors_item *items = (struct safetensors_item *)(void *)out->items.p;
	size_t n = out->items.n / sizeof *items;

	if (n)
		qsort(items, n, sizeof *items, compare_items);
	*size = 0;
	for (size_t i = 0; i < n; i++) {
		items[i].at = *size;
		if (__builtin_add_overflow(*size, items[i].size, size) || *size > INT64_MAX / 2)
			return err_set(e, -E2BIG, "all variables together are too large");
	}
	return 0;
}

/* --- the header --------------------------------------------------------------------------------------------------- */

static struct json_object *item_json(const struct safetensors_of *of,
				     const struct safetensors_item *item)
{
	struct json_object *o = json_object_new_object(), *offsets = json_object_new_array();
	const struct var *v = item->var;

	json_put(o, "dtype", json_bytes(bytes_str(safetensors_dtype_name(v->dtype))));
	json_put(o, "shape", json_numbers(var_dims(of->step, v), v->rank));
	json_append(offsets, json_object_new_uint64(item->at));
	json_append(offsets, json_object_new_uint64(item->at + item->size));
	json_put(o, "data_offsets", offsets);
	return o;
}

/* Metadata are texts: the names stand in one of TEXTS as a JSON array. */
static void put_lacks(const struct safetensors_of *of, const struct safetensors *s,
		      struct json_object *texts)
{
	struct json_object *all = json_object_new_array();
	const struct safetensors_lack *lacks = (const void *)s->lacks.p;

	for (size_t i = 0; i < s->lacks.n / sizeof *lacks; i++)
		json_append(all, json_bytes(name_of(of, lacks[i].file)));
	json_put(texts, SAFETENSORS_LEFT_OUT,
		 json_object_new_string(json_object_to_json_string_ext(all, SAFETENSORS_HOW)));
	json_object_put(all);
}

/* Appends NAME: VALUE to the object that OUT is to be. VALUE is taken. All members together as one object of json-c would take a hundred
 * times the memory. */
static int add_member(struct bytes name, struct json_object *value, struct buf *out)
{
	struct json_object *key = json_bytes(name);
	const char *texts[] = {json_object_to_json_string_ext(key, SAFETENSORS_HOW),
			       json_object_to_json_string_ext(value, SAFETENSORS_HOW)};
	int r = key && value && texts[0] && texts[1]
			? buf_printf(out, "%c%s:%s", out->n > HEAD_LENGTH ? ',' : '{', texts[0],
				     texts[1])
			: -ENOMEM;

	json_object_put(key);
	json_object_put(value);
	return r;
}

/* Ends the object, with spaces behind it up to a multiple of 8. */
static int end_head(struct buf *head, struct err *e)
{
	int r = buf_add_str(head, head->n > HEAD_LENGTH ? "}" : "{}");

	while (r == 0 && head->n % 8)
		r = buf_add_byte(head, ' ');
	if (r < 0)
		return r;
	if (head->n - HEAD_LENGTH > SAFETENSORS_MAX_HEADER)
		return err_set(e, -E2BIG, "the header would have more than %d bytes",
			       SAFETENSORS_MAX_HEADER);
	put_le64(head->p, head->n - HEAD_LENGTH);
	return 0;
}

/* TEXTS, which may be NULL, and our own. */
static int add_texts(const struct safetensors_of *of, struct json_object *texts,
		     struct safetensors *out)
{
	struct json_object *all = texts ? json_object_get(texts) : json_object_new_object();

	if (!all)
		return -ENOMEM;
	json_object_object_del(all, SAFETENSORS_LEFT_OUT);
	if (out->lacks.n)
		put_lacks(of, out, all);
	if (json_object_object_length(all))
		return add_member(bytes_str(SAFETENSORS_METADATA), all, &out->head);
	json_object_put(all);
	return 0;
}

static int make_head(const struct safetensors_of *of, struct json_object *texts,
		     struct safetensors *out, struct err *e)
{
	static const uint8_t length[HEAD_LENGTH];
	size_t n;
	const struct safetensors_item *items = safetensors_items(out, &n);
	struct buf *head = &out->head;
	int r = buf_add(head, length, sizeof length);

	if (r == 0)
		r = add_texts(of, texts, out);
	for (size_t i = 0; i < n && r == 0 && head->n <= HEAD_LENGTH + SAFETENSORS_MAX_HEADER; i++)
		r = add_member(name_of(of, items[i].file), item_json(of, &items[i]), head);
	if (r == 0)
		r = end_head(head, e);
	return r == -ENOMEM ? err_set(e, r, "no memory") : r;
}

int safetensors_layout(const struct safetensors_of *of, struct safetensors *out, struct err *e)
{
	size_t n = of->files ? of->n : of->tree->n_files;
	struct json_object *texts = NULL;
	uint64_t size = 0;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = add_file(of, of->files ? of->files[i] : (uint32_t)i, out, &texts, e);
	if (r == 0)
		r = place_items(out, &size, e);
	if (r == 0)
		r = make_head(of, texts, out, e);
	json_object_put(texts);
	for (size_t i = 0; i < out->items.n / sizeof(struct safetensors_item); i++)
		((struct safetensors_item *)(void *)out->items.p)[i].at += out->head.n;
	out->size = size + out->head.n;
	return r;
}

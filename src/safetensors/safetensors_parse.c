/* src/safetensors/safetensors_parse.c: the header of a .safetensors file is checked. It may come from anywhere. */
#include "base/cleanup.h"
#include "format/dtype.h"
#include "safetensors/safetensors.h"
#include "safetensors/safetensors_dtype.h"
#include "safetensors/safetensors_json.h"
#include "safetensors/safetensors_metadata.h"
#include "step/name.h"
#include <inttypes.h>
#include <json-c/json.h>
#include <limits.h>

static int read_header(const struct source *src, struct json_object **out, uint64_t *data,
		       struct err *e)
{
	CLEANUP(buf_release) struct buf text = {0};
	uint8_t length[8];
	uint64_t n;
	int r;

	if (src->size < sizeof length)
		return err_set(e, -EINVAL,
			       "%" PRIu64 " bytes; expected a length of 8 bytes and a header",
			       src->size);
	r = source_read_into(src, 0, length, sizeof length, e);
	n = get_le64(length);
	if (r == 0 && (n > src->size - sizeof length || n > SAFETENSORS_MAX_HEADER))
		return err_set(e, -EINVAL,
			       "a header of %" PRIu64 " bytes; expected at most %" PRIu64
			       ": this is no .safetensors file, or it was cut",
			       n,
			       n > SAFETENSORS_MAX_HEADER ? (uint64_t)SAFETENSORS_MAX_HEADER
							  : src->size - sizeof length);
	if (r == 0)
		r = source_read(src, sizeof length, n, &text, e);
	if (r == 0 && buf_add_byte(&text, 0) < 0)
		r = err_set(e, -ENOMEM, "no memory");
	if (r == 0 && memchr(text.p, 0, (size_t)n))
		r = err_set(e, -EINVAL, "the header holds a NUL");
	*data = sizeof length + n;
	return r < 0 ? r : safetensors_json((const char *)text.p, (size_t)n, out, e);
}

/* --- a tensor ----------------------------------------------------------------------------------------------------- */

/* O is an integer, 0 or more. */
static bool take_number(struct json_object *o, int64_t *out)
{
	if (!json_object_is_type(o, json_type_int))
		return false;
	*out = json_object_get_int64(o);
	return *out >= 0;
}

static int take_shape(struct json_object *o, struct safetensors_tensor *t, struct err *e)
{
	size_t n = json_object_is_type(o, json_type_array) ? json_object_array_length(o) : SIZE_MAX;

	if (n > SHAPE_MAX_RANK)
		return err_set(e, -EINVAL,
			       "\"shape\" is missing or wrong; expected at most %d numbers",
			       SHAPE_MAX_RANK);
	t->rank = (unsigned)n;
	for (size_t i = 0; i < n; i++)
		if (!take_number(json_object_array_get_idx(o, i), &t->dims[i]))
			return err_set(e, -EINVAL,
				       "a dimension is %s; expected a number, 0 or more",
				       json_object_get_string(json_object_array_get_idx(o, i)));
	return 0;
}

/* The offsets, which count from DATA in a file of SIZE bytes. */
static int take_offsets(struct json_object *o, uint64_t data, uint64_t size,
			struct safetensors_tensor *t, struct err *e)
{
	bool is_pair = json_object_is_type(o, json_type_array) && json_object_array_length(o) == 2;
	int64_t from, to;

	if (!is_pair || !take_number(json_object_array_get_idx(o, 0), &from) ||
	    !take_number(json_object_array_get_idx(o, 1), &to))
		return err_set(e, -EINVAL,
			       "\"data_offsets\" is missing or wrong; expected two numbers");
	if (from > to || (uint64_t)to > size - data)
		return err_set(e, -EINVAL,
			       "bytes %" PRId64 " to %" PRId64 "; the file has %" PRIu64
			       " behind its header",
			       from, to, size - data);
	t->at = data + (uint64_t)from;
	t->size = (uint64_t)(to - from);
	return 0;
}

/* Shape and dtype give the size that the offsets say. */
static int check_size(const struct safetensors_tensor *t, struct err *e)
{
	uint64_t size = dtype_info(t->dtype)->item;
	bool fits = true, none = false;

	for (unsigned i = 0; i < t->rank; i++)
		none |= !t->dims[i];
	for (unsigned i = 0; i < t->rank && fits && !none; i++)
		fits = !__builtin_mul_overflow(size, (uint64_t)t->dims[i], &size) &&
		       size <= INT64_MAX;
	size = none ? 0 : size;
	if (!fits)
		return err_set(e, -EINVAL, "its shape has more elements than a file can hold");
	if (size != t->size)
		return err_set(e, -EINVAL,
			       "its offsets have %" PRIu64
			       " bytes; its shape and dtype need %" PRIu64,
			       t->size, size);
	return 0;
}

static int take_tensor(struct json_object *o, uint64_t data, uint64_t size,
		       struct safetensors_tensor *t, struct err *e)
{
	struct json_object *dtype = NULL, *shape = NULL, *offsets = NULL;
	const char *name;
	int r;

	if (!json_object_is_type(o, json_type_object))
		return err_set(e, -EINVAL, "expected an object with dtype, shape, data_offsets");
	json_object_object_get_ex(o, "dtype", &dtype);
	json_object_object_get_ex(o, "shape", &shape);
	json_object_object_get_ex(o, "data_offsets", &offsets);
	name = json_object_is_type(dtype, json_type_string) ? json_object_get_string(dtype) : "";
	t->dtype = safetensors_dtype_of(name);
	if (t->dtype == DTYPE_INVALID)
		return err_set(e, -EINVAL, "dtype \"%s\"; TensorFlow has no such one", name);
	r = take_shape(shape, t, e);
	if (r == 0)
		r = take_offsets(offsets, data, size, t, e);
	return r < 0 ? r : check_size(t, e);
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

/* A member of the header. */
struct member {
	const char *name;
	struct json_object *value;
	uint64_t at, size;
};

static int compare_members(const void *x, const void *y)
{
	const struct member *a = x, *b = y;

	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	return a->size != b->size ? (a->size < b->size ? -1 : 1) : strcmp(a->name, b->name);
}

/* The path of the variable, with which it would clash with none. */
static int check_name(const char *name, struct err *e)
{
	CLEANUP(buf_release) struct buf path = {0};
	int r = !strcmp(name, OBJECT_GRAPH_KEY) ? -EINVAL
						: name_to_path(NAME_PLAIN, bytes_str(name), &path);

	return r == -EINVAL ? err_set(e, r, "no variable can have the name \"%s\"", name)
	       : r < 0      ? err_set(e, r, "no memory")
			    : 0;
}

static int check_member(struct member *m, uint64_t data, uint64_t size,
			struct safetensors_tensor *t, struct err *e)
{
	int r = check_name(m->name, e);

	if (r == 0)
		r = take_tensor(m->value, data, size, t, e);
	m->at = t->at;
	m->size = t->size;
	return r < 0 ? err_wrap(e, r, "%s", m->name) : 0;
}

/* MEMBERS are sorted: one begins where the one before it ends. */
static int check_order(const struct member *members, size_t n, uint64_t data, uint64_t size,
		       struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		if (members[i].at != data)
			return err_set(e, -EINVAL,
				       "%s: begins at byte %" PRIu64
				       " of the file; expected %" PRIu64
				       ", where the one before it ends",
				       members[i].name, members[i].at, data);
		data += members[i].size;
	}
	return data == size ? 0
			    : err_set(e, -EINVAL,
				      "the file has %" PRIu64
				      " bytes; by its header it ends at %" PRIu64,
				      size, data);
}

static int check_all(struct json_object *header, uint64_t data, uint64_t size, struct buf *members,
		     struct safetensors_tensor *t, struct err *e)
{
	struct member *all;
	int r = 0;

	json_object_object_foreach(header, name, value)
	{
		struct member m = {name, value, 0, 0};

		if (r < 0 || !strcmp(name, SAFETENSORS_METADATA))
			continue;
		r = check_member(&m, data, size, t, e);
		if (r == 0 && buf_add(members, &m, sizeof m) < 0)
			r = err_set(e, -ENOMEM, "no memory");
	}
	all = (struct member *)(void *)members->p;
	if (r == 0 && members->n)
		qsort(all, members->n / sizeof *all, sizeof *all, compare_members);
	return r < 0 ? r : check_order(all, members->n / sizeof *all, data, size, e);
}

/* *OUT: the metadata without our own text; NULL: there are no others. */
static int take_texts(struct json_object *header, struct json_object **out, struct err *e)
{
	struct json_object *texts = NULL;

	*out = NULL;
	json_object_object_get_ex(header, SAFETENSORS_METADATA, &texts);
	if (!texts)
		return 0;
	if (!safetensors_are_texts(texts))
		return err_set(e, -EINVAL, "%s: expected an object of texts", SAFETENSORS_METADATA);
	json_object_object_del(texts, SAFETENSORS_LEFT_OUT);
	*out = json_object_object_length(texts) ? texts : NULL;
	return 0;
}

static int give_texts(struct json_object *o, safetensors_texts *texts, void *arg, struct err *e)
{
	const char *json = json_object_to_json_string_ext(o, SAFETENSORS_HOW);

	return json ? texts(arg, bytes_str(json), e) : err_set(e, -ENOMEM, "no memory");
}

int safetensors_each(const struct source *src, safetensors_found *found, safetensors_texts *texts,
		     void *arg, struct err *e)
{
	CLEANUP(freep) struct safetensors_tensor *t = calloc(1, sizeof *t);
	CLEANUP(buf_release) struct buf members = {0};
	struct json_object *header = NULL, *metadata = NULL;
	const struct member *m;
	uint64_t data = 0;
	int r = t ? read_header(src, &header, &data, e) : err_set(e, -ENOMEM, "no memory");

	if (r == 0)
		r = check_all(header, data, src->size, &members, t, e);
	if (r == 0)
		r = take_texts(header, &metadata, e);
	m = (const void *)members.p;
	for (size_t i = 0; i < members.n / sizeof *m && r == 0; i++) {
		r = take_tensor(m[i].value, data, src->size, t, e);
		t->name = m[i].name;
		if (r == 0)
			r = found(arg, t, e);
	}
	if (r == 0 && metadata)
		r = give_texts(metadata, texts, arg, e);
	json_object_put(header);
	return r;
}

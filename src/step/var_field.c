#include "step/var_field.h"
#include "base/cleanup.h"
#include "format/dtype.h"

static int put_key(const struct step *s, const struct var *v, struct buf *out)
{
	struct bytes key = var_key(s, v);

	return buf_add(out, key.p, key.n);
}

static int put_dtype(const struct step *s, const struct var *v, struct buf *out)
{
	const struct dtype_info *type = dtype_info(v->dtype);

	(void)s;
	return type ? buf_add_str(out, type->name) : -ENODATA;
}

static int put_shape(const struct step *s, const struct var *v, struct buf *out)
{
	const int64_t *dims = var_dims(s, v);
	int r = 0;

	for (unsigned i = 0; i < v->rank && r == 0; i++) {
		r = i ? buf_add_byte(out, ',') : 0;
		if (r == 0)
			r = buf_add_decimal(out, (uint64_t)dims[i]);
	}
	return r;
}

static int put_crc(const struct step *s, const struct var *v, struct buf *out)
{
	static const char digit[] = "0123456789abcdef";
	char text[8];

	if (s->place.format != STEP_V2)
		return -ENODATA;
	for (unsigned i = 0; i < sizeof text; i++)
		text[i] = digit[v->crc >> (28 - 4 * i) & 15];
	return buf_add(out, text, sizeof text);
}

static int put_shard(const struct step *s, const struct var *v, struct buf *out)
{
	CLEANUP(buf_release) struct buf file = {0};

	step_shard_file(s, v->shard, &file);
	return buf_add(out, file.p, file.n);
}

static const struct {
	const char *name;
	int (*put)(const struct step *, const struct var *, struct buf *);
	bool of_slices; /* a partitioned variable has one for each slice */
} fields[N_VAR_FIELDS] = {
	[VAR_KEY] = {"key", put_key, false},       [VAR_DTYPE] = {"dtype", put_dtype, false},
	[VAR_SHAPE] = {"shape", put_shape, false}, [VAR_CRC] = {"crc32c", put_crc, true},
	[VAR_SHARD] = {"shard", put_shard, true},
};

const char *var_field_name(enum var_field field)
{
	return fields[field].name;
}

enum var_field var_field_of(struct bytes name)
{
	enum var_field field = 0;

	while (field < N_VAR_FIELDS && !bytes_eq(name, bytes_str(fields[field].name)))
		field++;
	return field;
}

int var_field_put(const struct step *s, const struct var *v, enum var_field field, struct buf *out)
{
	int r = 0;

	if (fields[field].of_slices && v->kind == VAR_BAD)
		return -ENODATA;
	if (!fields[field].of_slices || v->kind != VAR_SLICED)
		return fields[field].put(s, v, out);
	for (uint32_t i = 0; i < v->n_parts && r == 0; i++) {
		r = i ? buf_add_byte(out, ',') : 0;
		if (r == 0)
			r = fields[field].put(s, &s->vars[s->parts[v->aux + i].var], out);
	}
	return r;
}

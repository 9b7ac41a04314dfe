#include "view/xattr.h"
#include "base/cleanup.h"
#include "format/dtype.h"
#include "step/stats.h"
#include <inttypes.h>

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

	for (unsigned i = 0; i < v->rank && r == 0; i++)
		r = buf_printf(out, i ? ",%" PRId64 : "%" PRId64, dims[i]);
	return r;
}

/* A partitioned variable has one for each slice, in the order in which they are listed. */
static int put_parts(const struct step *s, const struct var *v, struct buf *out,
		     int (*put)(const struct step *, const struct var *, struct buf *))
{
	int r = 0;

	if (v->kind == VAR_BAD)
		return -ENODATA;
	if (v->kind != VAR_SLICED)
		return put(s, v, out);
	for (uint32_t i = 0; i < v->n_parts && r == 0; i++) {
		r = i ? buf_add_byte(out, ',') : 0;
		if (r == 0)
			r = put(s, &s->vars[s->parts[v->aux + i].var], out);
	}
	return r;
}

static int put_one_crc(const struct step *s, const struct var *v, struct buf *out)
{
	return s->place.format == STEP_V2 ? buf_printf(out, "%08" PRIx32, v->crc) : -ENODATA;
}

static int put_crc(const struct step *s, const struct var *v, struct buf *out)
{
	return put_parts(s, v, out, put_one_crc);
}

static int put_one_shard(const struct step *s, const struct var *v, struct buf *out)
{
	CLEANUP(buf_release) struct buf file = {0};

	step_shard_file(s, v->shard, &file);
	return buf_add(out, file.p, file.n);
}

static int put_shard(const struct step *s, const struct var *v, struct buf *out)
{
	return put_parts(s, v, out, put_one_shard);
}

static const struct {
	const char *name;
	int (*put)(const struct step *, const struct var *, struct buf *);
} indexed[] = {
	{"key", put_key},    {"dtype", put_dtype}, {"shape", put_shape},
	{"crc32c", put_crc}, {"shard", put_shard},
};

enum { N_INDEXED = sizeof indexed / sizeof *indexed };

int xattr_of_var(const struct step *s, const struct var *v, struct bytes name, struct buf *out)
{
	for (size_t i = 0; i < N_INDEXED; i++)
		if (bytes_eq(name, bytes_str(indexed[i].name)))
			return indexed[i].put(s, v, out);
	return -ENODATA;
}

/* Listed too, though it takes more to know them. */
static const char *const others[] = {"collections", "full_name"};

bool xattr_is_derived(const char *name)
{
	static const char prefix[] = "user.ckptfs.";

	if (strncmp(name, prefix, strlen(prefix)) != 0)
		return false;
	name += strlen(prefix);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (!strcmp(name, others[i]))
			return true;
	for (size_t i = 0; i < N_INDEXED; i++)
		if (!strcmp(name, indexed[i].name))
			return true;
	return false;
}

/* --- what takes more than the index ------------------------------------------------------------------------ */

static int print_stats(const struct stats *n, struct buf *out)
{
	return buf_printf(
		out,
		"count=%" PRIu64 " mean=%.9g std=%.9g min=%.9g max=%.9g norm=%.9g zeros=%" PRIu64
		" nans=%" PRIu64 " infs=%" PRIu64,
		n->count, n->mean, n->std, n->min, n->max, n->norm, n->zeros, n->nans, n->infs);
}

static int put_stats(struct step *s, const struct var *v, int dirfd, const struct stop *stop,
		     struct buf *out, struct err *e)
{
	struct stats n;
	int r = stats_of(s, v, dirfd, stop, &n, e);

	return r < 0 ? r : print_stats(&n, out);
}

/* What opening it would say, and what reading it has shown. */
static int put_error(struct step *s, const struct var *v, int dirfd, struct buf *out)
{
	struct err why = {0};
	struct tensor *t;

	if (tensor_open(s, v, dirfd, &t, &why) < 0)
		return buf_add_str(out, why.text);
	tensor_close(t);
	return -ENODATA;
}

int xattr_get(struct step *s, const struct var *v, struct texts *texts, int dirfd,
	      struct bytes name, const struct stop *stop, struct buf *out, struct err *e)
{
	if (bytes_eq(name, bytes_str("collections")))
		return text_collections(texts, s, dirfd, var_key(s, v), out, e);
	if (bytes_eq(name, bytes_str("full_name")))
		return text_full_name(texts, s, dirfd, var_key(s, v), out, e);
	if (bytes_eq(name, bytes_str("stats")))
		return put_stats(s, v, dirfd, stop, out, e);
	if (bytes_eq(name, bytes_str("error")))
		return put_error(s, v, dirfd, out);
	return xattr_of_var(s, v, name, out);
}

int xattr_list(struct step *s, const struct var *v, struct texts *texts, int dirfd, struct buf *out)
{
	CLEANUP(buf_release) struct buf value = {0};
	int r = 0;

	for (size_t i = 0; i < N_INDEXED && r == 0; i++)
		if (indexed[i].put(s, v, &value) == 0)
			r = buf_printf(out, "user.ckptfs.%s%c", indexed[i].name, 0);
	for (size_t i = 0; i < sizeof others / sizeof *others && r == 0; i++)
		if (xattr_get(s, v, texts, dirfd, bytes_str(others[i]), NULL, &value, NULL) == 0)
			r = buf_printf(out, "user.ckptfs.%s%c", others[i], 0);
	return r;
}

/* --- of a file that was written ---------------------------------------------------------------------------- */

int xattr_of_file(const struct source *src, struct bytes key, struct bytes name,
		  const struct stop *stop, struct buf *out, struct err *e)
{
	CLEANUP(freep) struct npy *npy = malloc(sizeof *npy);
	struct stats n;
	int r;

	if (!npy)
		return err_set(e, -ENOMEM, "no memory");
	if (bytes_eq(name, bytes_str("key")))
		return buf_add(out, key.p, key.n);
	if (npy_parse(src, 0, npy, NULL) < 0)
		return -ENODATA;
	if (bytes_eq(name, bytes_str("dtype")))
		return buf_add_str(out, dtype_info(npy->dtype)->name);
	if (bytes_eq(name, bytes_str("stats"))) {
		r = stats_of_file(src, npy, stop, &n, e);
		return r < 0 ? r : print_stats(&n, out);
	}
	if (!bytes_eq(name, bytes_str("shape")))
		return -ENODATA;
	r = 0;
	for (unsigned k = 0; k < npy->rank && r == 0; k++)
		r = buf_printf(out, "%s%" PRId64, k ? "," : "", npy->dims[k]);
	return r;
}

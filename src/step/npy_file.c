#include "step/npy_file.h"
#include "base/cleanup.h"
#include "format/dtype.h"
#include "format/npy.h"
#include <inttypes.h>

/* The bytes of most headers. */
enum { USUAL_HEADER = 128 };

struct npy_file {
	struct tensor *tensor;
	struct buf header;
	uint64_t array; /* bytes */
};

static int add_descr(struct buf *out, const struct step *s, const struct var *v,
		     const struct tensor_shape *shape)
{
	if (shape->record)
		return buf_printf(out, "[('%s', '|u1')]",
				  v->dtype == DTYPE_VARIANT ? "variant" : "resource");
	if (v->dtype != DTYPE_STRING)
		return npy_descr(out, v->dtype, s->big_endian);
	return buf_printf(out,
			  shape->lengths ? "[('length', '<u8'), ('bytes', '|S%" PRIu64 "')]"
					 : "'|S%" PRIu64 "'",
			  shape->longest);
}

static int make_header(const struct step *s, const struct var *v, const struct tensor_shape *shape,
		       struct buf *out)
{
	CLEANUP(buf_release) struct buf descr = {0};
	int64_t record = (int64_t)shape->size;
	int r = add_descr(&descr, s, v, shape);

	if (r < 0)
		return r;
	if (shape->record)
		return npy_header(out, buf_bytes(&descr), 1, &record);
	return npy_header(out, buf_bytes(&descr), v->rank, var_dims(s, v));
}

/* The bytes that make_header makes. 0: it can't. */
static size_t header_size(const struct step *s, const struct var *v,
			  const struct tensor_shape *shape)
{
	CLEANUP(buf_release) struct buf header = {0};

	if (!shape->record && v->dtype != DTYPE_STRING)
		return npy_header_size(npy_descr_size(v->dtype), v->rank, var_dims(s, v));
	return make_header(s, v, shape, &header) < 0 ? 0 : header.n;
}

uint64_t npy_file_size(struct step *s, const struct var *v, int dirfd)
{
	struct tensor_shape shape;
	size_t header = 0;

	if (tensor_shape(s, v, dirfd, &shape, NULL) == 0)
		header = header_size(s, v, &shape);
	if (!header)
		return USUAL_HEADER + (v->size < INT64_MAX / 2 ? v->size : 0);
	return header + shape.size;
}

int npy_file_open(struct step *s, const struct var *v, int dirfd, struct npy_file **out,
		  struct err *e)
{
	struct npy_file *f = calloc(1, sizeof *f);
	struct tensor_shape shape;
	int r;

	if (!f)
		return err_set(e, -ENOMEM, "no memory");
	r = tensor_open(s, v, dirfd, &f->tensor, e);
	if (r == 0)
		r = tensor_shape(s, v, dirfd, &shape, e);
	if (r == 0 && (r = make_header(s, v, &shape, &f->header)) < 0)
		err_sys(e, r, "the header");
	if (r < 0) {
		npy_file_close(f);
		return err_wrap(e, r, "%s: %.*s", s->place.name, (int)v->key_n,
				(const char *)var_key(s, v).p);
	}
	f->array = shape.size;
	*out = f;
	return 0;
}

void npy_file_close(struct npy_file *f)
{
	if (!f)
		return;
	tensor_close(f->tensor);
	buf_release(&f->header);
	free(f);
}

int64_t npy_file_read(const struct npy_file *f, uint64_t off, size_t len, uint8_t *dst,
		      struct err *e)
{
	uint64_t size = f->header.n + f->array;
	size_t head = 0;
	int r = 0;

	if (off >= size)
		return 0;
	if (len > size - off)
		len = size - off;
	if (off < f->header.n) {
		head = f->header.n - off < len ? f->header.n - off : len;
		memcpy(dst, f->header.p + off, head);
	}
	if (head < len)
		r = tensor_read(f->tensor, off + head - f->header.n, len - head, dst + head, e);
	return r < 0 ? r : (int64_t)len;
}

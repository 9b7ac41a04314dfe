#include "step/npy_file.h"
#include "base/cleanup.h"
#include "format/dtype.h"
#include "format/npy.h"
#include <inttypes.h>
#include <stdatomic.h>

/* The bytes of most headers. */
enum { USUAL_HEADER = 128 };

struct npy_file {
	struct tensor *tensor;
	struct step *step; /* the tensor's */
	const struct var *var;
	struct tensor_shape shape;
	struct buf *_Atomic header; /* NULL: nothing was read yet. What is only opened needs none */
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

static int with_name(const struct npy_file *f, int r, struct err *e)
{
	struct bytes key = var_key(f->step, f->var);

	return err_wrap(e, r, "%s: %.*s", f->step->place.name, (int)key.n, (const char *)key.p);
}

int npy_file_open(struct step *s, const struct var *v, int dirfd, struct npy_file **out,
		  struct err *e)
{
	struct npy_file *f = calloc(1, sizeof *f);
	int r;

	if (!f)
		return err_set(e, -ENOMEM, "no memory");
	f->step = s;
	f->var = v;
	r = tensor_open(s, v, dirfd, &f->tensor, e);
	if (r == 0)
		r = tensor_shape(s, v, dirfd, &f->shape, e);
	if (r < 0) {
		with_name(f, r, e);
		npy_file_close(f);
		return r;
	}
	*out = f;
	return 0;
}

static void header_free(struct buf *header)
{
	if (header)
		buf_release(header);
	free(header);
}

void npy_file_close(struct npy_file *f)
{
	if (!f)
		return;
	tensor_close(f->tensor);
	header_free(f->header);
	free(f);
}

/* F's header, which the first reader makes. */
static int header_of(struct npy_file *f, const struct buf **out, struct err *e)
{
	struct buf *header = f->header, *before = NULL;
	int r;

	if (!header) {
		header = calloc(1, sizeof *header);
		r = header ? make_header(f->step, f->var, &f->shape, header) : -ENOMEM;
		if (r < 0) {
			header_free(header);
			return with_name(f, err_sys(e, r, "the header"), e);
		}
		if (!atomic_compare_exchange_strong(&f->header, &before, header)) {
			header_free(header);
			header = before;
		}
	}
	*out = header;
	return 0;
}

int64_t npy_file_read(struct npy_file *f, uint64_t off, size_t len, uint8_t *dst, struct err *e)
{
	const struct buf *header = NULL;
	size_t head = 0;
	uint64_t size;
	int r = header_of(f, &header, e);

	if (r < 0)
		return r;
	size = header->n + f->shape.size;
	if (off >= size)
		return 0;
	if (len > size - off)
		len = size - off;
	if (off < header->n) {
		head = header->n - off < len ? header->n - off : len;
		memcpy(dst, header->p + off, head);
	}
	if (head < len)
		r = tensor_read(f->tensor, off + head - header->n, len - head, dst + head, e);
	return r < 0 ? r : (int64_t)len;
}

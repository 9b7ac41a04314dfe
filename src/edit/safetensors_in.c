#include "base/cleanup.h"
#include "base/threads.h"
#include "edit/archive.h"
#include "format/npy.h"
#include "safetensors/safetensors.h"
#include "safetensors/safetensors_metadata.h"
#include "step/name.h"
#include "tool/progress.h"
#include <fcntl.h>

enum { PIECE = 1 << 20 };

struct taking {
	struct source src;
	struct put *to;
	bool any;
	_Atomic uint64_t seen; /* bytes of tensors that were read */
};

/* A tensor on its way. */
struct moving {
	struct taking *taking;
	const struct safetensors_tensor *tensor;
	struct put_file to;
};

static size_t piece_size(const struct moving *m, uint64_t piece)
{
	return pieces_part(m->tensor->size, PIECE, piece);
}

static int get_piece(void *arg, uint64_t piece, void *bytes, struct err *e)
{
	const struct moving *m = arg;
	size_t n = piece_size(m, piece);
	int r = source_read_into(&m->taking->src, m->tensor->at + piece * PIECE, bytes, n, e);

	m->taking->seen += n;
	return r;
}

static int put_piece(void *arg, uint64_t piece, void *bytes, struct err *e)
{
	struct moving *m = arg;

	return put_bytes(&m->to, bytes_of(bytes, piece_size(m, piece)), e);
}

static int put_all(struct moving *m, struct err *e)
{
	uint64_t size = m->tensor->size;
	const struct pieces p = {
		.n = pieces_count(size, PIECE),
		.scratch = size < PIECE ? (size_t)size : PIECE,
		.work = get_piece,
		.take = put_piece,
		.arg = m,
	};

	return pieces_run(&p, e);
}

static int take(void *arg, const struct safetensors_tensor *t, struct err *e)
{
	struct taking *k = arg;
	CLEANUP(buf_release) struct buf stem = {0};
	struct moving m = {.taking = k, .tensor = t};
	int r = name_to_path(NAME_PLAIN, bytes_str(t->name), &stem);

	if (r < 0)
		return err_set(e, r, "no memory");
	k->any = true;
	r = put_begin_array(k->to, buf_bytes(&stem), t->dtype, t->rank, t->dims, &m.to, e);
	if (r == 0)
		r = put_end(&m.to, put_all(&m, e), e);
	return r < 0 ? err_wrap(e, r, "%s", t->name) : 0;
}

/* They are a variable of the step, and of no scope. A .npy file has strings with their length in the dtype. */
static int take_texts(void *arg, struct bytes json, struct err *e)
{
	CLEANUP(buf_release) struct buf descr = {0}, header = {0};
	struct taking *k = arg;
	struct put_file f;
	int r = 0;

	if (!k->to->is_step || !k->any)
		return 0;
	if (buf_printf(&descr, "'|S%zu'", json.n) < 0 ||
	    npy_header(&header, buf_bytes(&descr), 0, NULL) < 0)
		return err_set(e, -ENOMEM, "no memory");
	r = put_begin_var(k->to, bytes_str(SAFETENSORS_METADATA), &f, e);
	if (r < 0)
		return r;
	r = put_bytes(&f, buf_bytes(&header), e);
	if (r == 0)
		r = put_bytes(&f, json, e);
	return put_end(&f, r, e);
}

int safetensors_put(const char *path, struct put *to, struct err *e)
{
	struct taking k = {.to = to};
	CLEANUP(closep) int fd = source_open(AT_FDCWD, path, &k.src, e);
	struct progress *progress;
	int r;

	if (fd < 0)
		return fd;
	progress = progress_on_terminal(&k.seen, k.src.size);
	r = safetensors_each(&k.src, take, take_texts, &k, e);
	progress_stop(progress);
	if (r == 0 && !k.any)
		r = err_set(e, -EINVAL, "it has no tensors");
	return r < 0 ? err_wrap(e, r, "%s", path) : 0;
}

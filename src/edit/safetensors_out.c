#include "base/cleanup.h"
#include "base/threads.h"
#include "edit/archive.h"
#include "edit/out_file.h"
#include "format/dtype.h"
#include "safetensors/safetensors_file.h"
#include "tool/progress.h"
#include <stdio.h>

enum { PIECE = 1 << 20 };

/* Before anything is copied. */
static int check_files(const struct choice *c, const struct safetensors *s, struct err *e)
{
	size_t n;
	const struct safetensors_item *items = safetensors_items(s, &n);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		const struct tree_file *f = choice_file(c, items[i].file);

		r = step_check(c->in.loaded->step, items[i].var, c->in.dirfd, e);
		if (r < 0)
			err_wrap(e, r, "%.*s", (int)f->n, (const char *)f->stem);
	}
	return r;
}

/* The file on its way. */
struct moving {
	struct safetensors_file *from;
	struct out_file *to;
	uint64_t size;
	_Atomic uint64_t seen; /* bytes that were read */
};

static size_t piece_size(const struct moving *m, uint64_t piece)
{
	return pieces_part(m->size, PIECE, piece);
}

static int get_piece(void *arg, uint64_t piece, void *bytes, struct err *e)
{
	struct moving *m = arg;
	size_t n = piece_size(m, piece);
	int64_t got = safetensors_read(m->from, piece * PIECE, n, bytes, e);

	m->seen += n;
	return got < 0 ? (int)got : 0;
}

static int put_piece(void *arg, uint64_t piece, void *bytes, struct err *e)
{
	struct moving *m = arg;

	return out_file_put(m->to, bytes_of(bytes, piece_size(m, piece)), e);
}

static int put_all(const struct choice *c, const struct safetensors *s, struct out_file *out,
		   struct err *e)
{
	struct moving m = {.to = out, .size = s->size};
	const struct pieces p = {
		.n = pieces_count(m.size, PIECE),
		.scratch = m.size < PIECE ? (size_t)m.size : PIECE,
		.work = get_piece,
		.take = put_piece,
		.arg = &m,
	};
	struct progress *progress;
	int r = safetensors_open(s, c->in.loaded->step, c->in.dirfd, &m.from, e);

	if (r < 0)
		return r;
	progress = progress_on_terminal(&m.seen, m.size);
	r = pieces_run(&p, e);
	progress_stop(progress);
	safetensors_close(m.from);
	return r < 0 ? r : out_file_finish(out, e);
}

static void tell_lacks(const struct choice *c, const struct safetensors *s, const char *program)
{
	const struct safetensors_lack *lacks = (const void *)s->lacks.p;

	for (size_t i = 0; i < s->lacks.n / sizeof *lacks; i++) {
		const struct tree_file *f = choice_file(c, lacks[i].file);
		const struct var *v = choice_var(c, lacks[i].file);

		fprintf(stderr, "%s: %.*s (%s) is left out: it has %s\n", program, (int)f->n,
			(const char *)f->stem, dtype_info(v->dtype)->name, lacks[i].why);
	}
}

int safetensors_write(struct choice *c, const char *to, const char *program, struct err *e)
{
	CLEANUP(safetensors_release) struct safetensors s = {0};
	CLEANUP(out_file_release) struct out_file out = OUT_FILE_EMPTY;
	struct safetensors_of of = {c->in.loaded->step, c->in.dirfd, &c->in.loaded->tree, NULL, 0};
	int r;

	of.files = choice_files(c, &of.n);
	r = safetensors_layout(&of, &s, e);
	if (r == 0)
		r = check_files(c, &s, e);
	if (r < 0)
		return r;
	tell_lacks(c, &s, program);
	r = out_file_open(to, &out, e);
	if (r == 0)
		r = put_all(c, &s, &out, e);
	return r < 0 ? err_wrap(e, r, "%s", to) : 0;
}

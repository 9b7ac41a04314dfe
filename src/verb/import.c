/* src/verb/import.c: a .safetensors or .npz file becomes a new step. */
#include "base/cleanup.h"
#include "base/threads.h"
#include "edit/npz.h"
#include "make/new_step.h"
#include "safetensors/safetensors.h"
#include "tool/args.h"
#include "tool/progress.h"
#include "verb/verb.h"
#include <fcntl.h>
#include <stdio.h>

enum { PIECE = 1 << 20 };

struct import {
	const char *to; /* DIRECTORY/STEP */
	struct source src;
	struct new_step
		step; /* begun with the first tensor: by then all of the header was checked */
	int refused; /* why it can't be begun; 0: it can */
	_Atomic uint64_t seen; /* bytes of tensors that were read */
};

/* A tensor on its way into the step. */
struct moving {
	struct import *im;
	const struct safetensors_tensor *tensor;
	struct put_file to;
};

static size_t piece_size(const struct moving *m, uint64_t piece)
{
	uint64_t left = m->tensor->size - piece * PIECE;

	return left < PIECE ? (size_t)left : PIECE;
}

static int get_piece(void *arg, uint64_t piece, void *bytes, struct err *e)
{
	const struct moving *m = arg;
	size_t n = piece_size(m, piece);
	int r = source_read_into(&m->im->src, m->tensor->at + piece * PIECE, bytes, n, e);

	m->im->seen += n;
	return r;
}

static int put_piece(void *arg, uint64_t piece, void *bytes, struct err *e)
{
	struct moving *m = arg;

	return put_bytes(&m->to, bytes_of(bytes, piece_size(m, piece)), e);
}

static int put_tensor(struct moving *m, struct err *e)
{
	uint64_t size = m->tensor->size;
	const struct pieces p = {
		.n = (size + PIECE - 1) / PIECE,
		.scratch = size < PIECE ? (size_t)size : PIECE,
		.work = get_piece,
		.take = put_piece,
		.arg = m,
	};

	return pieces_run(&p, e);
}

static int take_tensor(void *arg, const struct safetensors_tensor *t, struct err *e)
{
	struct import *im = arg;
	CLEANUP(buf_release) struct buf stem = {0};
	struct moving m = {.im = im, .tensor = t};
	int r = name_to_path(NAME_PLAIN, bytes_str(t->name), &stem);

	if (r < 0)
		return err_set(e, r, "no memory");
	if (!im->step.open) {
		im->refused = new_step_begin_at(&im->step, im->to, e);
		if (im->refused < 0)
			return im->refused;
	}
	r = put_begin_array(&im->step.put, buf_bytes(&stem), t->dtype, t->rank, t->dims, &m.to, e);
	if (r == 0)
		r = put_end(&m.to, put_tensor(&m, e), e);
	return r < 0 ? err_wrap(e, r, "%s", t->name) : 0;
}

static int read_safetensors(struct import *im, const char *from, struct err *e)
{
	CLEANUP(closep) int fd = source_open(AT_FDCWD, from, &im->src, e);
	struct progress *progress;
	int r;

	if (fd < 0)
		return fd;
	progress = progress_on_terminal(&im->seen, im->src.size);
	r = safetensors_each(&im->src, take_tensor, im, e);
	progress_stop(progress);
	if (r == 0 && !im->step.open)
		r = err_set(e, -EINVAL, "it has no tensors, and a step needs one");
	return r < 0 && !im->refused ? err_wrap(e, r, "%s", from) : r;
}

static int run(struct import *im, const char *from, struct err *e)
{
	int r;

	if (!npz_is_name(from))
		r = read_safetensors(im, from, e);
	else if ((r = new_step_begin_at(&im->step, im->to, e)) == 0)
		r = npz_read(from, &im->step.put, e);
	if (r < 0)
		return r;
	r = new_step_commit(&im->step, e);
	return r < 0 ? err_wrap(e, r, "%s", im->to) : 0;
}

static const char usage[] =
	"Usage: ckptfs import FILE DIRECTORY/STEP\n"
	"\n"
	"Makes a new step of a .safetensors file, or of a .npz file, as numpy.savez and\n"
	"savez_compressed write it. The variables have the names that the file gives\n"
	"them. The directory is made if it is not there. A step of that name must not be\n"
	"there. If something is wrong with the file nothing is made.\n"
	"\n"
	"  --help, --version\n";

static const struct option long_switches[] = {ARGS_COMMON, {0}};

static const struct args args = {
	.program = "ckptfs import",
	.usage = usage,
	.switches = "",
	.long_switches = long_switches,
	.needed = "a file and the new step are needed",
	.min = 2,
	.max = 2,
	.exit_usage = VERB_USAGE,
};

int verb_import(int argc, char **argv)
{
	struct import im = {0};
	struct err e = {0};
	char **paths;
	int status = args_parse(&args, argc, argv, &im, &paths);

	if (status >= 0)
		return status;
	im.to = paths[1];
	status = run(&im, paths[0], &e) < 0 ? VERB_FAILED : 0;
	if (status)
		fprintf(stderr, "ckptfs import: %s\n", e.text);
	new_step_release(&im.step);
	return status;
}

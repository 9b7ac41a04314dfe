/* src/verb/import.c: a .safetensors file becomes a new step. */
#include "base/cleanup.h"
#include "make/new_step.h"
#include "make/safetensors.h"
#include "tool/args.h"
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
	uint8_t *piece;
};

static int put_bytes(struct import *im, const struct safetensors_tensor *t, struct new_array *to,
		     struct err *e)
{
	int r = 0;

	for (uint64_t done = 0; done < t->size && r == 0; done += PIECE) {
		size_t n = t->size - done < PIECE ? (size_t)(t->size - done) : PIECE;

		r = source_read_into(&im->src, t->at + done, im->piece, n, e);
		if (r == 0)
			r = new_array_put(to, bytes_of(im->piece, n), e);
	}
	return r;
}

static int take_tensor(void *arg, const struct safetensors_tensor *t, struct err *e)
{
	struct import *im = arg;
	CLEANUP(buf_release) struct buf stem = {0};
	struct new_array to;
	int r = name_to_path(NAME_PLAIN, bytes_str(t->name), &stem);

	if (r < 0)
		return err_set(e, r, "no memory");
	if (!im->step.open) {
		im->refused = new_step_begin_at(&im->step, im->to, e);
		if (im->refused < 0)
			return im->refused;
	}
	r = new_array_begin(&im->step, buf_bytes(&stem), t->dtype, t->rank, t->dims, &to, e);
	if (r == 0)
		r = new_array_end(&to, put_bytes(im, t, &to, e), e);
	return r < 0 ? err_wrap(e, r, "%s", t->name) : 0;
}

static int run(struct import *im, const char *from, struct err *e)
{
	CLEANUP(closep) int fd = source_open(AT_FDCWD, from, &im->src, e);
	int r = fd;

	if (fd < 0)
		return fd;
	im->piece = malloc(PIECE);
	if (!im->piece)
		return err_set(e, -ENOMEM, "no memory");
	r = safetensors_each(&im->src, take_tensor, im, e);
	if (r == 0 && !im->step.open)
		r = err_set(e, -EINVAL, "it has no tensors, and a step needs one");
	if (r < 0)
		return im->refused ? r : err_wrap(e, r, "%s", from);
	r = new_step_commit(&im->step, e);
	return r < 0 ? err_wrap(e, r, "%s", im->to) : 0;
}

static const char usage[] =
	"Usage: ckptfs import FILE.safetensors DIRECTORY/STEP\n"
	"\n"
	"Makes a new step of a .safetensors file. The variables have the names that the file gives them. The directory\n"
	"is made if it is not there. A step of that name must not be there. All of the header is checked before\n"
	"anything is made.\n"
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
	free(im.piece);
	return status;
}

/* src/verb/export.c: variables of a step become a .safetensors or .npz file. */
#include "base/cleanup.h"
#include "base/threads.h"
#include "edit/npz.h"
#include "edit/out_file.h"
#include "format/dtype.h"
#include "safetensors/safetensors_file.h"
#include "tool/args.h"
#include "tool/progress.h"
#include "verb/verb.h"
#include <limits.h>
#include <stdio.h>

enum { PIECE = 1 << 20 };

struct export
{
	const char *to;
	const char *format; /* NULL: as TO is called */
	struct choice choice;
	struct out_file out;
	_Atomic uint64_t seen; /* bytes of variables that were read */
};

/* --- the file ----------------------------------------------------------------------------------------------------- */

/* Before anything is copied. */
static int check_files(const struct export *x, const struct safetensors *s, struct err *e)
{
	size_t n;
	const struct safetensors_item *items = safetensors_items(s, &n);
	const struct place *in = &x->choice.in;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		const struct tree_file *f = choice_file(&x->choice, items[i].file);

		r = step_check(in->loaded->step, items[i].var, in->dirfd, e);
		if (r < 0)
			err_wrap(e, r, "%.*s", (int)f->n, (const char *)f->stem);
	}
	return r;
}

/* The file on its way. */
struct moving {
	struct export *x;
	struct safetensors_file *from;
	uint64_t size;
};

static size_t piece_size(const struct moving *m, uint64_t piece)
{
	uint64_t left = m->size - piece * PIECE;

	return left < PIECE ? (size_t)left : PIECE;
}

static int get_piece(void *arg, uint64_t piece, void *bytes, struct err *e)
{
	const struct moving *m = arg;
	size_t n = piece_size(m, piece);
	int64_t got = safetensors_read(m->from, piece * PIECE, n, bytes, e);

	m->x->seen += n;
	return got < 0 ? (int)got : 0;
}

static int put_piece(void *arg, uint64_t piece, void *bytes, struct err *e)
{
	struct moving *m = arg;

	return out_file_put(&m->x->out, bytes_of(bytes, piece_size(m, piece)), e);
}

static int move_all(struct moving *m, struct err *e)
{
	const struct pieces p = {
		.n = (m->size + PIECE - 1) / PIECE,
		.scratch = m->size < PIECE ? (size_t)m->size : PIECE,
		.work = get_piece,
		.take = put_piece,
		.arg = m,
	};
	struct progress *progress = progress_on_terminal(&m->x->seen, m->size);
	int r = pieces_run(&p, e);

	progress_stop(progress);
	return r;
}

static int put_all(struct export *x, const struct safetensors *s, struct err *e)
{
	const struct place *in = &x->choice.in;
	struct safetensors_file *from;
	int r = safetensors_open(s, in->loaded->step, in->dirfd, &from, e);
	struct moving m = {x, from, s->size};

	if (r < 0)
		return r;
	r = out_file_open(x->to, &x->out, e);
	if (r == 0)
		r = move_all(&m, e);
	if (r == 0)
		r = out_file_finish(&x->out, e);
	safetensors_close(from);
	return r < 0 ? err_wrap(e, r, "%s", x->to) : 0;
}

static void tell_lacks(const struct export *x, const struct safetensors *s)
{
	const struct safetensors_lack *lacks = (const void *)s->lacks.p;

	for (size_t i = 0; i < s->lacks.n / sizeof *lacks; i++) {
		const struct tree_file *f = choice_file(&x->choice, lacks[i].file);
		const struct var *v = choice_var(&x->choice, lacks[i].file);

		fprintf(stderr, "ckptfs export: %.*s (%s) is left out: it has %s\n", (int)f->n,
			(const char *)f->stem, dtype_info(v->dtype)->name, lacks[i].why);
	}
}

/* --- the verb ----------------------------------------------------------------------------------------------------- */

static const char usage[] =
	"Usage: ckptfs export [--format FORMAT] PATH... [-o] FILE\n"
	"\n"
	"Writes variables of a step to a .safetensors or .npz file: of a step all, of a\n"
	"scope those in it, or single ones. The names are those of the variables. A FILE\n"
	"of that name is replaced when the new one is whole; '-' is the standard output.\n"
	"A .npz file is read by numpy.load, and has every variable. A .safetensors file\n"
	"has no strings, and no dtypes that safetensors has no name for: it is said\n"
	"which are left out, and its metadata names them, as ckptfs.left_out.\n"
	"\n"
	"  --format npz          for numpy.load; the default if FILE ends with .npz\n"
	"  --format safetensors  else the default\n"
	"  -o FILE               the file\n"
	"  --help, --version\n";

static const struct option long_switches[] = {
	{"format", required_argument, NULL, 'F'}, ARGS_COMMON, {0}};

static int take_switch(void *to, int code, const char *value);

static const struct args args = {
	.program = "ckptfs export",
	.usage = usage,
	.switches = "o:",
	.long_switches = long_switches,
	.needed = "a step and a file are needed",
	.min = 1,
	.max = INT_MAX,
	.exit_usage = VERB_USAGE,
	.take = take_switch,
};

static int take_switch(void *to, int code, const char *value)
{
	struct export *x = to;

	if (code == 'o') {
		x->to = value;
		return -1;
	}
	x->format = value;
	return !strcmp(value, "npz") || !strcmp(value, "safetensors")
		       ? -1
		       : args_refuse(&args, "--format is safetensors or npz");
}

static int write_safetensors(struct export *x, struct err *e)
{
	CLEANUP(safetensors_release) struct safetensors s = {0};
	const struct loaded *in = x->choice.in.loaded;
	struct safetensors_of of = {in->step, &in->tree, NULL, 0};
	int r;

	of.files = choice_files(&x->choice, &of.n);
	r = safetensors_layout(&of, &s, e);
	if (r == 0)
		r = check_files(x, &s, e);
	if (r < 0)
		return r;
	tell_lacks(x, &s);
	return put_all(x, &s, e);
}

static int run(struct export *x, char **paths, struct err *e)
{
	bool npz = x->format ? !strcmp(x->format, "npz") : npz_is_name(x->to);
	int r = 0;

	for (; *paths && r == 0; paths++)
		r = choice_add(&x->choice, *paths, e);
	if (r < 0)
		return r;
	return npz ? npz_write(&x->choice, x->to, args.program, e) : write_safetensors(x, e);
}

int verb_export(int argc, char **argv)
{
	struct export x = {.choice = CHOICE_EMPTY, .out = OUT_FILE_EMPTY};
	struct err e = {0};
	char **paths;
	int n, status = args_parse(&args, argc, argv, &x, &paths);

	if (status >= 0)
		return status;
	for (n = 0; paths[n];)
		n++;
	if (!x.to && n < 2)
		return args_refuse(&args, "a file is needed behind the step");
	if (!x.to)
		x.to = TAKE(paths[n - 1], NULL);
	status = run(&x, paths, &e) < 0 ? VERB_FAILED : 0;
	if (status)
		fprintf(stderr, "ckptfs export: %s\n", e.text);
	out_file_release(&x.out);
	choice_release(&x.choice);
	return status;
}

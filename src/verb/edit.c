/* src/verb/edit.c: several changes of one step in one commit. */
#include "base/cleanup.h"
#include "edit/command.h"
#include "edit/path.h"
#include "edit/words.h"
#include "tool/args.h"
#include "verb/verb.h"
#include <limits.h>
#include <stdio.h>

struct edit {
	bool dry_run;
	const char *as; /* the name of the new step; NULL: the next number */
	char *base; /* absolute, of the step: paths are relative to it */
	uint64_t step;
	struct changing changing;
};

static int no_memory(struct err *e)
{
	return err_set(e, -ENOMEM, "no memory");
}

/* --- the step ------------------------------------------------------------------------------------------------ */

/* The step at the absolute path BASE, which is taken, is edited. */
static int begin_step(struct edit *ed, char *base, const struct target *t, struct err *e)
{
	ed->base = base;
	ed->step = ed->changing.only = t->step;
	return changing_touch(&ed->changing, t->step, t->step_name, e);
}

/* T is copied to DIR/NAME, and that is edited. */
static int begin_copy(struct edit *ed, const char *dir, const char *name, const struct target *t,
		      struct err *e)
{
	CLEANUP(target_release) struct target made = {0};
	CLEANUP(freep) char *from = NULL, *to = NULL;
	struct command cp = {.name = "cp", .recursive = true};
	int r;

	if (asprintf(&from, "%s/%s", dir, t->step_name) < 0 ||
	    asprintf(&to, "%s/%s", dir, name) < 0)
		return no_memory(e);
	r = target_find(&ed->changing, to, TARGET_SCOPE_FIRST, &made, e);
	if (r == 0 && made.kind != TARGET_NONE)
		r = err_set(e, -EEXIST, "%s: is there already", to);
	target_release(&made);
	if (r == 0) {
		cp.paths = (char *[]){from, to};
		cp.n = 2;
		r = command_run(&ed->changing, &cp, e);
	}
	if (r == 0)
		r = target_find(&ed->changing, to, TARGET_SCOPE_FIRST, &made, e);
	return r < 0 ? r : begin_step(ed, TAKE(to, NULL), &made, e);
}

static int begin(struct edit *ed, char *path, struct err *e)
{
	CLEANUP(split_path_release) struct split_path split = {0};
	CLEANUP(target_release) struct target t = {0};
	char *base = NULL;
	int r = changing_open(&ed->changing, "ckptfs edit", &path, 1, e);

	if (r == 0)
		r = path_split(path, &split, e);
	if (r == 0)
		r = target_find(&ed->changing, path, TARGET_SCOPE_FIRST, &t, e);
	if (r == 0 && t.kind == TARGET_LINK)
		r = target_follow(&ed->changing, &t, e);
	if (r < 0)
		return r;
	if (t.kind != TARGET_STEP)
		return err_set(e, -ENOTDIR, "%s: is no step", path);
	if (ed->as)
		return begin_copy(ed, split.dir, ed->as, &t, e);
	if (asprintf(&base, "%s/%s", split.dir, t.step_name) < 0)
		return no_memory(e);
	return begin_step(ed, base, &t, e);
}

/* --- commands ------------------------------------------------------------------------------------------------ */

/* Each of the N paths as seen from the step. They are taken, and given back so. */
static int resolve(const struct edit *ed, char **paths, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(paths[i]);
		bool slash = len && paths[i][len - 1] == '/';
		CLEANUP(freep) char *whole = path_from(ed->base, paths[i]);
		char *path = NULL;

		if (!whole || asprintf(&path, "%s%s", whole, slash ? "/" : "") < 0)
			return no_memory(e);
		free(paths[i]);
		paths[i] = path;
	}
	return 0;
}

static int run_words(struct edit *ed, struct words *w, struct err *e)
{
	struct command k;
	int r = command_parse(&k, w->all, w->n, e);

	if (r < 0)
		return r;
	r = resolve(ed, k.paths, k.n, e);
	if (r == 0)
		r = command_run(&ed->changing, &k, e);
	command_release(&k);
	return r;
}

static int run_line(struct edit *ed, const char *line, struct err *e)
{
	CLEANUP(words_release) struct words w = {0};
	int r = words_split(line, &w, e);

	if (r == 0 && w.n)
		r = run_words(ed, &w, e);
	return r < 0 ? err_wrap(e, r, "'%s'", line) : 0;
}

/* All of stdin, before the directory is opened: meanwhile others may write there, and a signal may end this. */
static int read_script(struct buf *out, struct err *e)
{
	char piece[4096];
	size_t n;

	while ((n = fread(piece, 1, sizeof piece, stdin)) > 0)
		if (buf_add(out, piece, n) < 0)
			return err_set(e, -ENOMEM, "no memory for the script on stdin");
	return ferror(stdin) ? err_set(e, -EIO, "the script on stdin can't be read") : 0;
}

static int run_script(struct edit *ed, const struct buf *script, struct err *e)
{
	struct bytes rest = buf_bytes(script), line;
	int r = 0;

	for (unsigned number = 1; r == 0 && bytes_next_line(&rest, &line); number++) {
		CLEANUP(freep) char *text = strndup((const char *)line.p, line.n);

		r = text ? run_line(ed, text, e) : err_set(e, -ENOMEM, "no memory");
		if (r < 0)
			err_wrap(e, r, "line %u", number);
	}
	return r;
}

/* --- the end --------------------------------------------------------------------------------------------------- */

/* Says what a commit would do. -EINVAL: it would fail. */
static int print_changes(struct edit *ed, struct err *e)
{
	CLEANUP(buf_release) struct buf text = {0};
	struct bytes line, rest;
	const char next[] = "next commit: ", error[] = "error: ";
	int r = changing_status(&ed->changing, ed->step, &text, e);

	rest = buf_bytes(&text);
	while (r >= 0 && bytes_next_line(&rest, &line)) {
		const uint8_t *comma = memchr(line.p, ',', line.n);

		/* Behind that stands when a mount does it. */
		if (bytes_starts(line, bytes_str(next)) && comma &&
		    !bytes_starts(line, bytes_str("next commit: no step")))
			line.n = (size_t)(comma - line.p);
		changing_print_line(line);
		if (bytes_starts(line, bytes_str(error)))
			r = err_set(e, -EINVAL, "it could not be committed");
	}
	return r;
}

static int run(struct edit *ed, char **operands, struct err *e)
{
	CLEANUP(buf_release) struct buf script = {0};
	int r = operands[1] ? 0 : read_script(&script, e);

	if (r == 0)
		r = begin(ed, operands[0], e);
	for (char **line = operands + 1; r == 0 && *line; line++)
		r = run_line(ed, *line, e);
	if (r == 0)
		r = run_script(ed, &script, e);
	if (r == 0 && ed->dry_run)
		r = print_changes(ed, e);
	else if (r == 0)
		r = changing_commit(&ed->changing, e);
	return r;
}

static const char usage[] =
	"Usage: ckptfs edit [-n] [-o NAME] STEP [COMMAND...]\n"
	"\n"
	"Makes several changes in a step, and commits them as one new step, whose name is\n"
	"printed. If one fails, nothing is changed. Each COMMAND is one argument, or one\n"
	"line of a script on stdin:\n"
	"\n"
	"  ckptfs edit net/model-200 'rm **/Adam*' 'mv encoder enc' 'cp ../model-100/w w'\n"
	"\n"
	"They are rm, mv, cp and mkdir, as the verbs. Paths are relative to the step. In\n"
	"a script # begins a comment; quotes and backslashes are as in a shell.\n"
	"\n"
	"  -n, --dry-run  says what would change, and changes nothing\n"
	"  -o NAME        the new step has this name, in the same directory\n"
	"  --help, --version\n";

static const struct option long_switches[] = {
	{"dry-run", no_argument, NULL, 'n'},
	ARGS_COMMON,
	{0},
};

static int take_switch(void *to, int code, const char *value);

static const struct args args = {
	.program = "ckptfs edit",
	.usage = usage,
	.switches = "no:",
	.long_switches = long_switches,
	.needed = "a step is needed",
	.min = 1,
	.max = INT_MAX,
	.exit_usage = VERB_USAGE,
	.take = take_switch,
};

static int take_switch(void *to, int code, const char *value)
{
	struct edit *ed = to;

	if (code == 'n')
		ed->dry_run = true;
	else if (!*value || strchr(value, '/'))
		return args_refuse(&args, "-o takes a name without '/'");
	else
		ed->as = value;
	return -1;
}

int verb_edit(int argc, char **argv)
{
	struct edit ed = {0};
	struct err e = {0};
	char **operands;
	int r, status = args_parse(&args, argc, argv, &ed, &operands);

	if (status >= 0)
		return status;
	r = run(&ed, operands, &e);
	changing_close(&ed.changing);
	free(ed.base);
	if (r == 0 && fflush(stdout) != 0)
		r = err_set(&e, -EIO, "can't print");
	if (r < 0)
		fprintf(stderr, "%s: %s\n", args.program, e.text);
	return r < 0 ? VERB_FAILED : 0;
}

/* src/verb/drafts.c: what a mount or a crash has left uncommitted: status, commit, discard. */
#include "base/cleanup.h"
#include "edit/target.h"
#include "tool/args.h"
#include "verb/verb.h"
#include <limits.h>
#include <stdio.h>

/* What is done to each step: with ID and NAME. */
typedef int doing(struct changing *c, uint64_t id, const char *name, struct err *e);

struct drafts {
	struct changing *changing;
	doing *does;
	bool any; /* a step had a draft */
};

static int commit_one(struct changing *c, uint64_t id, const char *name, struct err *e)
{
	return changing_commit_step(c, id, name, e);
}

static int discard_one(struct changing *c, uint64_t id, const char *name, struct err *e)
{
	uint64_t count;
	int r = changing_count(c, id, &count, e);

	if (r == 0)
		r = view_setxattr(&c->view, id, "user.ckptfs.draft", bytes_str("discard"),
				  &c->changes, e);
	if (r == 0 && count)
		printf("%s: discarded, changes: %llu\n", name, (unsigned long long)count);
	return changing_failed(name, r, e);
}

static int do_to(void *arg, struct target *t, struct err *e)
{
	struct drafts *d = arg;
	uint64_t count = 0;
	int r = 0;

	if (t->kind == TARGET_FOLDER)
		return target_each(d->changing, t, do_to, d, e);
	if (t->kind != TARGET_STEP)
		return 0;
	r = changing_count(d->changing, t->id, &count, e);
	if (r < 0)
		return changing_failed(t->path, r, e);
	d->any |= count > 0;
	/* A draft without changes has a folder that is empty, or a file that is as before: it is discarded, too. */
	if (!d->does || (!count && d->does != discard_one))
		return 0;
	return d->does(d->changing, t->id, t->name, e);
}

static int print_status(struct changing *c, const struct target *t, struct err *e)
{
	CLEANUP(buf_release) struct buf text = {0};
	struct bytes rest, line;
	int r = changing_failed(t->path, changing_status(c, t->id, &text, e), e);

	rest = buf_bytes(&text);
	while (r == 0 && bytes_next_line(&rest, &line))
		changing_print_line(line);
	return r;
}

static int run_path(struct drafts *d, char *path, const char *program, struct err *e)
{
	CLEANUP(target_release) struct target t = {0};
	int r = changing_open(d->changing, program, &path, 1, e);

	if (r == 0)
		r = target_find(d->changing, path, TARGET_SCOPE_FIRST, &t, e);
	if (r == 0 && t.kind == TARGET_LINK)
		r = target_follow(d->changing, &t, e);
	if (r < 0)
		return r;
	if (t.kind != TARGET_STEP && t.kind != TARGET_FOLDER)
		return err_set(e, t.kind == TARGET_NONE ? -ENOENT : -ENOTDIR,
			       "%s: is no step and no directory of steps", path);
	r = do_to(d, &t, e); /* which also takes up what is in folders below */
	if (r == 0 && !d->does)
		return print_status(d->changing, &t, e);
	if (r == 0 && !d->any)
		printf("%s: has no changes\n", path);
	return r;
}

static int run(const struct args *a, doing *does, int argc, char **argv)
{
	char **paths;
	bool failed = false;
	int status = args_parse(a, argc, argv, NULL, &paths);

	if (status >= 0)
		return status;
	for (; *paths; paths++) {
		struct changing c = {0};
		struct drafts d = {&c, does, false};
		struct err e = {0};

		if (run_path(&d, *paths, a->program, &e) < 0) {
			fprintf(stderr, "%s: %s\n", a->program, e.text);
			failed = true;
		}
		changing_close(&c);
	}
	if (fflush(stdout) != 0) {
		fprintf(stderr, "%s: can't print\n", a->program);
		failed = true;
	}
	return failed ? VERB_FAILED : 0;
}

static const struct option long_switches[] = {ARGS_COMMON, {0}};

#define ARGS(verb, about)                                                                          \
	{                                                                                          \
		.program = "ckptfs " verb,                                                         \
		.usage = "Usage: ckptfs " verb " PATH...\n\n" about                                \
			 "A PATH is a step, or a directory: then all steps in it are meant.\n\n"   \
			 "  --help, --version\n",                                                  \
		.switches = "", .long_switches = long_switches,                                    \
		.needed = "a step or a directory is needed", .min = 1, .max = INT_MAX,             \
		.exit_usage = VERB_USAGE,                                                          \
	}

static const struct args commit_args = ARGS(
	"commit", "Commits what was changed in a mount and was not committed, as after a crash.\n");
static const struct args discard_args =
	ARGS("discard",
	     "Discards what was changed in a mount and was not committed, as after a crash.\n");
static const struct args status_args = ARGS(
	"status", "Says what was changed in a mount and is not committed, as .ckptfs/status.\n");

int verb_commit(int argc, char **argv)
{
	return run(&commit_args, commit_one, argc, argv);
}

int verb_discard(int argc, char **argv)
{
	return run(&discard_args, discard_one, argc, argv);
}

int verb_status(int argc, char **argv)
{
	return run(&status_args, NULL, argc, argv);
}

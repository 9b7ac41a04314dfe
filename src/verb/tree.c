/* src/verb/tree.c: the scopes of a step, with how much is in each. */
#include "base/cleanup.h"
#include "tool/args.h"
#include "tool/list.h"
#include "tool/table.h"
#include "verb/verb.h"
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

struct tree_verb {
	bool human;
	unsigned depth; /* scopes below are folded */
	struct places places;
	struct table table;
	struct buf lines; /* what stands before a name: a piece for each level */
	bool failed;
};

enum { DEPTH = 3 };

static void complain(struct tree_verb *t, const char *why)
{
	fprintf(stderr, "ckptfs tree: %s\n", why);
	t->failed = true;
}

static int row(struct tree_verb *t, uint64_t variables, uint64_t bytes, const char *branch,
	       const char *name)
{
	int r = table_size(&t->table, bytes, t->human);

	if (r == 0)
		r = table_cell(&t->table, "%" PRIu64, variables);
	return r < 0 ? r
		     : table_cell(&t->table, "%.*s%s%s", (int)t->lines.n, (char *)t->lines.p,
				  branch, name);
}

/* Who reads it on a terminal is told what the columns are. */
static int heading(struct tree_verb *t)
{
	static const char *const names[] = {"bytes", "variables", "scope"};

	return terminal_width(STDOUT_FILENO) ? table_heading(&t->table, names) : 0;
}

static bool is_last_scope(const struct list *l, size_t i)
{
	while (++i < l->n)
		if (l->items[i].kind == ITEM_SCOPE)
			return false;
	return true;
}

static int add_scopes(struct tree_verb *t, const struct place *p, unsigned depth, struct err *e);

/* The scope I of P, and what is in it. */
static int add_scope(struct tree_verb *t, const struct place *p, const struct item *i, bool last,
		     unsigned depth, struct err *e)
{
	struct place in = *p;
	size_t before = t->lines.n;
	int r = row(t, i->variables, i->bytes, last ? "└── " : "├── ", i->name);

	if (r == 0)
		r = buf_add_str(&t->lines, last ? "    " : "│   ");
	if (r < 0)
		return err_set(e, r, "no memory");
	in.kind = PLACE_SCOPE;
	in.at = i->at;
	r = add_scopes(t, &in, depth + 1, e);
	t->lines.n = before;
	return r;
}

static int add_scopes(struct tree_verb *t, const struct place *p, unsigned depth, struct err *e)
{
	CLEANUP(list_release) struct list l = {0};
	int r = depth > t->depth ? 0 : list_step(p, false, &l, e);

	for (size_t i = 0; i < l.n && r == 0; i++)
		if (l.items[i].kind == ITEM_SCOPE)
			r = add_scope(t, p, &l.items[i], is_last_scope(&l, i), depth, e);
	return r;
}

/* P, a step or scope, under NAME. */
static int add_step(struct tree_verb *t, const struct place *p, const char *name, struct err *e)
{
	CLEANUP(list_release) struct list all = {0};
	uint64_t bytes = 0;
	int r = list_step(p, true, &all, e);

	for (size_t i = 0; i < all.n; i++)
		bytes += all.items[i].bytes;
	if (r == 0 && row(t, all.n, bytes, "", name) < 0)
		r = err_set(e, -ENOMEM, "no memory");
	return r < 0 ? r : add_scopes(t, p, 1, e);
}

/* Each step of the folder P. */
static int add_folder(struct tree_verb *t, const struct place *p, struct err *e)
{
	CLEANUP(list_release) struct list l = {0};
	int r = list_folder(p, false, &l, e);

	for (size_t i = 0; i < l.n && r == 0; i++) {
		CLEANUP(place_release) struct place in = PLACE_EMPTY;
		struct err why = {0};

		if (l.items[i].kind != ITEM_STEP)
			continue;
		if (place_in(p, l.items[i].name, &in, &why) < 0)
			complain(t, why.text);
		else if (in.kind == PLACE_STEP)
			r = add_step(t, &in, l.items[i].name, e);
	}
	return r;
}

static void add_path(struct tree_verb *t, const char *path)
{
	CLEANUP(place_release) struct place p = PLACE_EMPTY;
	struct err e = {0};
	int r = place_find(&t->places, path, WISH_SCOPE, &p, &e);

	if (r == 0 && p.kind == PLACE_FOLDER)
		r = add_folder(t, &p, &e);
	else if (r == 0 && (p.kind == PLACE_STEP || p.kind == PLACE_SCOPE))
		r = add_step(t, &p, path, &e);
	else if (r == 0)
		r = err_set(&e, -ENOTDIR, "%s: is no directory, step or scope", path);
	if (r < 0)
		complain(t, e.text);
}

static const char usage[] =
	"Usage: ckptfs tree [-h] [-L DEPTH] PATH...\n"
	"\n"
	"Prints the scopes of a step, or of all steps of a directory: their stored bytes,\n"
	"how many variables, and the scope.\n"
	"\n"
	"  -L DEPTH  so many levels of scopes (3); what is below is counted all the same\n"
	"  -h        sizes as 1.5K, 234M\n"
	"  --help, --version\n";

static const struct option long_switches[] = {ARGS_COMMON, {0}};

static int take_switch(void *to, int code, const char *value);

static const struct args args = {
	.program = "ckptfs tree",
	.usage = usage,
	.switches = "hL:",
	.long_switches = long_switches,
	.needed = "a directory, a step or a scope is needed",
	.min = 1,
	.max = INT_MAX,
	.exit_usage = VERB_USAGE,
	.take = take_switch,
};

static int take_switch(void *to, int code, const char *value)
{
	struct tree_verb *t = to;
	unsigned long depth;
	char *end;

	if (code == 'h') {
		t->human = true;
		return -1;
	}
	depth = strtoul(value, &end, 10);
	if (!*value || *end || depth > 1000)
		return args_refuse(&args, "-L takes a number up to 1000");
	t->depth = (unsigned)depth;
	return -1;
}

int verb_tree(int argc, char **argv)
{
	struct tree_verb t = {.depth = DEPTH, .table.columns = "rrl"};
	char **paths;
	int status = args_parse(&args, argc, argv, &t, &paths);

	if (status >= 0)
		return status;
	if (heading(&t) < 0)
		complain(&t, "no memory");
	for (; *paths; paths++)
		add_path(&t, *paths);
	table_print(&t.table, stdout);
	if (fflush(stdout))
		complain(&t, "can't print");
	table_release(&t.table);
	buf_release(&t.lines);
	places_release(&t.places);
	return t.failed ? VERB_FAILED : 0;
}

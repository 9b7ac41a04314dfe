/* src/verb/ls.c: lists the steps of a directory, and the scopes and variables of a step. */
#include "base/cleanup.h"
#include "directory/latest.h"
#include "format/dtype.h"
#include "step/var_field.h"
#include "tool/args.h"
#include "tool/array.h"
#include "tool/json.h"
#include "tool/list.h"
#include "tool/match.h"
#include "tool/table.h"
#include "verb/verb.h"
#include <inttypes.h>
#include <limits.h>

struct ls {
	bool details, all, human, json, reverse, slashes;
	enum list_order order;
	struct places places;
	struct table named;
	struct json_object *paths; /* with JSON: what is printed at the end */
	bool headings, any; /* each step is listed under its path; something was */
	bool failed;
};

static const char usage[] =
	"Usage: ckptfs ls [-hlpRrSt] [--json] PATH...\n"
	"\n"
	"Lists the steps of a directory, or the scopes and variables of a step or scope.\n"
	"\n"
	"  -l      with details: of a variable dtype, shape and stored bytes; of a scope\n"
	"          how many variables and bytes are in it; of a step also the bytes that\n"
	"          no other step has, and when it was saved\n"
	"  -R      all variables below, and no scopes\n"
	"  -S      the largest first\n"
	"  -t      the newest first\n"
	"  -r      in the opposite order\n"
	"  -h      with -l: sizes as 1.5K, 234M\n"
	"  -p      a / behind what has something in it\n"
	"  --json  print one JSON object, with all details\n"
	"  --help, --version\n";

enum { OPT_JSON = ARGS_FIRST };

static const struct option long_switches[] = {
	{"json", no_argument, NULL, OPT_JSON},
	ARGS_COMMON,
	{0},
};

static int take_switch(void *to, int code, const char *value)
{
	struct ls *l = to;

	(void)value;
	switch (code) {
	case 'l':
		l->details = true;
		return -1;
	case 'R':
		l->all = true;
		return -1;
	case 'r':
		l->reverse = true;
		return -1;
	case 'S':
		l->order = ORDER_SIZE;
		return -1;
	case 't':
		l->order = ORDER_TIME;
		return -1;
	case 'h':
		l->human = true;
		return -1;
	case 'p':
		l->slashes = true;
		return -1;
	default: /* --json */
		l->json = true;
		return -1;
	}
}

static const struct args args = {
	.program = "ckptfs ls",
	.usage = usage,
	.switches = "hlpRrSt",
	.long_switches = long_switches,
	.needed = "a directory, a step or a scope is needed",
	.min = 1,
	.max = INT_MAX,
	.exit_usage = VERB_USAGE,
	.take = take_switch,
};

static void complain(struct ls *l, const char *where, const char *why)
{
	fprintf(stderr, "ckptfs ls: %s%s%s\n", where, *where ? ": " : "", why);
	l->failed = true;
}

/* --- details as text ------------------------------------------------------------------------------------------ */

/* dtype, shape, bytes, name. */
static int var_row(const struct ls *l, struct table *t, const struct list *of, const struct item *i)
{
	const struct step *s = of->loaded->step;
	const struct var *v = item_var(of, i);
	CLEANUP(buf_release) struct buf shape = {0};
	int r = v->kind == VAR_BAD ? 0 : var_field_put(s, v, VAR_SHAPE, &shape);

	if (r == 0)
		r = table_text(t, v->kind == VAR_BAD ? "damaged" : dtype_info(v->dtype)->name);
	if (r == 0)
		r = table_cell(t, "[%.*s]", (int)shape.n, (char *)shape.p);
	if (r == 0)
		r = table_size(t, i->bytes, l->human);
	return r < 0 ? r : table_text(t, i->name);
}

static int scope_row(const struct ls *l, struct table *t, const struct item *i)
{
	int r = table_text(t, i->kind == ITEM_SCOPE ? "scope" : "text");

	if (r == 0)
		r = i->kind == ITEM_SCOPE ? table_cell(t, "%" PRIu32, i->variables)
					  : table_text(t, "-");
	if (r == 0)
		r = i->kind == ITEM_SCOPE ? table_size(t, i->bytes, l->human) : table_text(t, "-");
	return r < 0 ? r : table_cell(t, "%s%s", i->name, i->kind == ITEM_SCOPE ? "/" : "");
}

/* variables, bytes, own bytes, time, name. */
static int step_row(const struct ls *l, struct table *t, const struct item *i, const char *leads_to)
{
	bool known = i->kind == ITEM_STEP && i->why.code == 0;
	char when[TIME_TEXT];
	int r = known ? table_cell(t, "%" PRIu32, i->variables) : table_text(t, "-");

	if (r == 0)
		r = known ? table_size(t, i->bytes, l->human) : table_text(t, "-");
	if (r == 0)
		r = known ? table_size(t, i->own, l->human) : table_text(t, "-");
	if (r == 0)
		r = known ? table_text(t, time_text(&i->time, when)) : table_text(t, "-");
	return r < 0 ? r
		     : table_cell(t, "%s%s%s%s", i->name, i->kind == ITEM_FOLDER ? "/" : "",
				  leads_to ? " -> " : "", leads_to ? leads_to : "");
}

/* --- links ---------------------------------------------------------------------------------------------------- */

/* Where the link I in the folder P leads, with a NUL; empty if that can't be said. */
static void read_link(const struct place *p, const struct item *i, struct buf *out)
{
	struct view_entry entry;

	if (view_lookup(p->view, p->id, i->name, &entry, NULL) < 0)
		return;
	if (view_readlink(p->view, entry.id, out, NULL) < 0 || buf_add_byte(out, 0) < 0)
		buf_release(out);
	view_forget(p->view, entry.id, 1);
}

/* --- as text -------------------------------------------------------------------------------------------------- */

static bool has_something_in_it(const struct item *i)
{
	return i->kind == ITEM_STEP || i->kind == ITEM_FOLDER || i->kind == ITEM_LINK ||
	       i->kind == ITEM_SCOPE;
}

static int cells(struct ls *l, struct table *t, const struct place *p, const struct list *of,
		 const struct item *i)
{
	CLEANUP(buf_release) struct buf target = {0};

	if (!l->details)
		return table_cell(t, "%s%s", i->name,
				  l->slashes && has_something_in_it(i) ? "/" : "");
	if (i->kind == ITEM_VAR)
		return var_row(l, t, of, i);
	if (of->loaded)
		return scope_row(l, t, i);
	if (i->kind == ITEM_LINK)
		read_link(p, i, &target);
	return step_row(l, t, i, (char *)target.p);
}

/* The last cell is the name. */
static int row(struct ls *l, struct table *t, const struct place *p, const struct list *of,
	       const struct item *i)
{
	int r = cells(l, t, p, of, i);
	bool bad = i->why.code < 0 || (i->kind == ITEM_VAR && item_var(of, i)->kind == VAR_BAD);

	if (r == 0)
		table_colour(t, bad                      ? COLOUR_BAD
				: i->kind == ITEM_LINK   ? COLOUR_LINK
				: has_something_in_it(i) ? COLOUR_FOLDER
							 : COLOUR_NONE);
	return r;
}

/* Who reads it on a terminal is told what the columns are. */
static int heading(const struct ls *l, struct table *t, bool in_step)
{
	static const char *const of_steps[] = {"variables", "bytes", "own", "saved", "name"};
	static const char *const of_vars[] = {"dtype", "shape", "bytes", "name"};

	if (!l->details || !terminal_width(STDOUT_FILENO))
		return 0;
	return table_heading(t, in_step ? of_vars : of_steps);
}

static void print_table(const struct ls *l, const struct table *t)
{
	if (l->details)
		table_print(t, stdout);
	else
		table_print_across(t, stdout);
}

/* Variables that were named one by one stand in one table. */
static void flush_named(struct ls *l)
{
	print_table(l, &l->named);
	l->any |= l->named.cells.n > 0;
	table_release(&l->named);
}

static int print_text(struct ls *l, const struct place *p, const struct list *of, struct err *e)
{
	CLEANUP(table_release) struct table t = {.columns = of->loaded ? "lrrl" : "rrrll"};
	bool named = p->kind == PLACE_VAR;
	struct table *to = named ? &l->named : &t;
	int r = of->n && !to->cells.n ? heading(l, to, of->loaded) : 0;

	for (size_t i = 0; i < of->n && r == 0; i++) {
		if (of->items[i].why.code < 0)
			complain(l, of->items[i].name, of->items[i].why.text);
		r = row(l, to, p, of, &of->items[i]);
	}
	if (!named)
		print_table(l, &t);
	return r < 0 ? err_set(e, r, "no memory") : 0;
}

/* --- as JSON -------------------------------------------------------------------------------------------------- */

static void var_json(struct json_object *o, const struct list *of, const struct item *i)
{
	const struct step *s = of->loaded->step;
	const struct var *v = item_var(of, i);

	json_put(o, "key", json_bytes(var_key(s, v)));
	if (v->kind == VAR_BAD)
		return;
	json_put(o, "dtype", json_bytes(bytes_str(dtype_info(v->dtype)->name)));
	json_put(o, "shape", shape_json(s, v));
	json_put(o, "bytes", json_object_new_uint64(i->bytes));
}

static struct json_object *item_json(const struct place *p, const struct list *of,
				     const struct item *i)
{
	static const char *const kinds[] = {
		[ITEM_STEP] = "step",   [ITEM_FOLDER] = "folder", [ITEM_LINK] = "link",
		[ITEM_STATE] = "state", [ITEM_SCOPE] = "scope",   [ITEM_VAR] = "variable",
		[ITEM_TEXT] = "text",
	};
	CLEANUP(buf_release) struct buf target = {0};
	struct json_object *o = json_object_new_object();

	json_put(o, "name", json_bytes(bytes_str(i->name)));
	json_put(o, "kind", json_bytes(bytes_str(kinds[i->kind])));
	if (i->kind == ITEM_VAR)
		var_json(o, of, i);
	else if (i->kind == ITEM_STEP || i->kind == ITEM_SCOPE)
		item_put_sizes(i, o);
	else if (i->kind == ITEM_LINK)
		read_link(p, i, &target);
	if (target.n)
		json_put(o, "target", json_bytes(bytes_str((char *)target.p)));
	return o;
}

static int add_json(struct ls *l, const char *path, const struct place *p, const struct list *of)
{
	struct json_object *o = json_object_new_object(), *items = json_object_new_array();

	for (size_t i = 0; i < of->n; i++) {
		l->failed |= of->items[i].why.code < 0;
		json_append(items, item_json(p, of, &of->items[i]));
	}
	json_put(o, "path", json_bytes(bytes_str(path)));
	json_put(o, "items", items);
	json_append(l->paths, o);
	return 0;
}

/* --- all ------------------------------------------------------------------------------------------------------ */

static int make_list(const struct ls *l, const struct place *p, struct list *out, struct err *e)
{
	bool details = l->details || l->json || l->order != ORDER_NAME;

	if (p->kind == PLACE_FOLDER)
		return list_folder(p, details, out, e);
	if (p->kind == PLACE_STEP || p->kind == PLACE_SCOPE)
		return list_step(p, l->all, out, e);
	return list_one(p, out, e);
}

/* A path or match. */
static int list_place(void *arg, const char *path, const struct place *p, struct err *e)
{
	struct ls *l = arg;
	CLEANUP(list_release) struct list list = {0};
	int r = make_list(l, p, &list, e);

	if (r == 0 && (p->kind == PLACE_VAR || p->kind == PLACE_TEXT)) {
		free(list.items[0].name);
		list.items[0].name = strdup(path);
		r = list.items[0].name ? 0 : err_set(e, -ENOMEM, "no memory");
	}
	if (r < 0)
		return r;
	list_sort(&list, l->order, l->reverse);
	if (l->json)
		return add_json(l, path, p, &list);
	if (p->kind != PLACE_VAR)
		flush_named(l);
	if (l->headings && p->kind != PLACE_VAR && p->kind != PLACE_TEXT) {
		fputs(l->any ? "\n" : "", stdout);
		terminal_put(bytes_str(path), "", stdout);
		fputs(":\n", stdout);
	}
	l->any |= p->kind != PLACE_VAR;
	return print_text(l, p, &list, e);
}

int verb_ls(int argc, char **argv)
{
	struct ls l = {.named.columns = "lrrl"};
	struct err e = {0};
	char **paths;
	int status = args_parse(&args, argc, argv, &l, &paths);

	if (status >= 0)
		return status;
	if (l.json)
		l.paths = json_object_new_array();
	for (; *paths; paths++) {
		l.headings |= paths[1] || strpbrk(*paths, "*?[");
		if (match_each(&l.places, *paths, WISH_SCOPE, list_place, &l, &e) < 0)
			complain(&l, "", e.text);
	}
	if (l.json && json_print_as("paths", l.paths) < 0)
		complain(&l, "", "can't print: no memory, or the output is gone");
	flush_named(&l);
	places_release(&l.places);
	return l.failed ? VERB_FAILED : 0;
}

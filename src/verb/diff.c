/* src/verb/diff.c: what differs between two steps, scopes or variables. */
#include "base/cleanup.h"
#include "format/dtype.h"
#include "tool/args.h"
#include "tool/array.h"
#include "tool/compare.h"
#include "tool/jobs.h"
#include "tool/json.h"
#include "tool/progress.h"
#include "tool/reasons.h"
#include "tool/table.h"
#include "verb/verb.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DIFFERS = 1, TROUBLE = 2 };

enum kind { REMOVED, ADDED, RETYPED, CHANGED };

/* A variable that is not the same in both. */
struct difference {
	enum kind kind;
	uint32_t a, b; /* files of the trees; ADDED has no A, REMOVED no B */
	struct change change; /* CHANGED */
};

struct diff {
	bool names_only, json;
	double tolerance;
	struct places places;
	struct place a, b;
	struct buf pairs; /* struct pair */
	struct buf found; /* struct difference */
	uint64_t same;
	_Atomic uint64_t seen; /* bytes of A that were compared */
	bool failed;
};

/* --- finding -------------------------------------------------------------------------------------------------- */

static void complain(struct diff *d, const char *why)
{
	fprintf(stderr, "ckptfs diff: %s\n", why);
	d->failed = true;
}

static struct place var_of(const struct place *in, uint32_t file)
{
	struct place p = *in;

	p.kind = PLACE_VAR;
	p.at = file;
	return p;
}

static int found(struct diff *d, const struct difference *what, struct err *e)
{
	return buf_add(&d->found, what, sizeof *what) < 0 ? err_set(e, -ENOMEM, "no memory") : 0;
}

/* A variable that both have. */
struct pair {
	uint32_t a, b; /* files of the trees */
	int r; /* of compare_arrays */
	char *why; /* it can't be read; or NULL */
	struct change change;
};

/* The pair is found, or noted as one whose bytes are to be compared. */
static int add_pair(struct diff *d, uint32_t a, uint32_t b, struct err *e)
{
	const struct difference retyped = {.kind = RETYPED, .a = a, .b = b};
	struct place x = var_of(&d->a, a), y = var_of(&d->b, b);
	const struct pair pair = {.a = a, .b = b};

	if (place_var(&x)->kind != VAR_BAD && place_var(&y)->kind != VAR_BAD &&
	    !compare_is_like(&x, &y))
		return found(d, &retyped, e);
	if (compare_shares(&x, &y)) {
		d->same++;
		return 0;
	}
	return buf_add(&d->pairs, &pair, sizeof pair) < 0 ? err_set(e, -ENOMEM, "no memory") : 0;
}

static struct pair *pairs_of(const struct diff *d)
{
	return (struct pair *)(void *)d->pairs.p;
}

static uint64_t size_of(void *arg, uint64_t i)
{
	const struct diff *d = arg;
	struct place x = var_of(&d->a, pairs_of(d)[i].a);

	return place_var(&x)->size;
}

static int compare_pair(void *arg, uint64_t i, struct err *e)
{
	struct diff *d = arg;
	struct pair *p = &pairs_of(d)[i];
	const struct comparing how = {
		.tolerance = d->tolerance, .only_whether = d->names_only, .seen = &d->seen};
	struct place x = var_of(&d->a, p->a), y = var_of(&d->b, p->b);
	struct err why = {0};

	p->r = compare_arrays(&x, &y, &how, &p->change, &why);
	if (p->r >= 0)
		return 0;
	p->why = strdup(why.text);
	return p->why ? 0 : err_set(e, -ENOMEM, "no memory");
}

/* A pair that can't be read is told, and the rest counts. */
static int count_pair(struct diff *d, const struct pair *p, struct reasons *reasons, struct err *e)
{
	const struct difference what = {.kind = CHANGED, .a = p->a, .b = p->b, .change = p->change};
	const struct tree_file *f = &d->a.loaded->tree.files[p->a];

	if (p->r < 0)
		return reasons_add(reasons, bytes_of(f->stem, f->n), p->why, e);
	if (p->r && !(d->tolerance > 0 && !p->change.differ))
		return found(d, &what, e);
	d->same++;
	return 0;
}

static int count_pairs(struct diff *d, struct err *e)
{
	CLEANUP(reasons_release) struct reasons reasons = {0};
	size_t n = d->pairs.n / sizeof(struct pair);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = count_pair(d, &pairs_of(d)[i], &reasons, e);
	d->failed |= reasons_tell(&reasons, "ckptfs diff");
	return r;
}

static int compare_pairs(struct diff *d, struct err *e)
{
	const struct jobs jobs = {d->pairs.n / sizeof(struct pair), size_of, compare_pair, d};
	struct progress *progress;
	uint64_t total = 0;
	int r;

	for (uint64_t i = 0; i < jobs.n; i++)
		total += size_of(d, i);
	progress = d->json ? NULL : progress_on_terminal(&d->seen, total);
	r = jobs_run(&jobs, e);
	progress_stop(progress);
	if (r == 0)
		r = count_pairs(d, e);
	for (uint64_t i = 0; i < jobs.n; i++)
		free(pairs_of(d)[i].why);
	return r;
}

/* The files of a tree that are below its folder. */
struct range {
	const struct tree *tree;
	uint32_t at, end, prefix;
};

static struct range range_of(const struct place *p)
{
	const struct tree *t = &p->loaded->tree;
	const struct tree_dir *d = &t->dirs[p->kind == PLACE_SCOPE ? p->at : 0];

	return (struct range){t, d->lo, d->hi, d->prefix};
}

static struct bytes stem_at(const struct range *r)
{
	const struct tree_file *f = &r->tree->files[r->at];

	return bytes_of(f->stem + r->prefix, f->n - r->prefix);
}

/* -1: what A is at comes before what B is at; 0: they have the same name; 1: behind. */
static int order(const struct range *a, const struct range *b)
{
	if (a->at == a->end || b->at == b->end)
		return a->at == a->end ? 1 : -1;
	return bytes_cmp(stem_at(a), stem_at(b));
}

/* Both are steps or scopes. Files of a tree are sorted by their paths. */
static int add_all(struct diff *d, struct err *e)
{
	struct range a = range_of(&d->a), b = range_of(&d->b);
	int r = 0;

	while (r == 0 && (a.at < a.end || b.at < b.end)) {
		int way = order(&a, &b);
		struct difference what = {way < 0 ? REMOVED : ADDED, a.at, b.at, {0}};

		r = way == 0 ? add_pair(d, a.at, b.at, e) : found(d, &what, e);
		a.at += way <= 0;
		b.at += way >= 0;
	}
	return r;
}

/* --- the order in which it is told ----------------------------------------------------------------------------- */

static double moved(const struct difference *d)
{
	return d->kind == CHANGED && d->change.numbers ? d->change.relative : -1;
}

/* By kind; of what changed the farthest first; else by name, as it was found. */
static int compare_differences(const void *x, const void *y)
{
	const struct difference *a = x, *b = y;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (moved(a) != moved(b))
		return moved(a) > moved(b) ? -1 : 1;
	if (a->kind == ADDED)
		return (a->b > b->b) - (a->b < b->b);
	return (a->a > b->a) - (a->a < b->a);
}

/* --- as text -------------------------------------------------------------------------------------------------- */

static const char *const words[] = {
	[REMOVED] = "removed", [ADDED] = "added", [RETYPED] = "retyped", [CHANGED] = "changed"};

/* Appends the name below the step or scope; of two variables the whole one. With a NUL. */
static int put_name(const struct diff *d, const struct difference *what, struct buf *out)
{
	const struct place *in = what->kind == ADDED ? &d->b : &d->a;
	const struct tree *t = &in->loaded->tree;
	const struct tree_file *f = &t->files[what->kind == ADDED ? what->b : what->a];
	uint32_t prefix = in->kind == PLACE_SCOPE ? t->dirs[in->at].prefix : 0;

	out->n = 0;
	return buf_add(out, f->stem + prefix, f->n - prefix) < 0 ? -ENOMEM : buf_add_byte(out, 0);
}

static int put_type(const struct place *in, uint32_t file, struct buf *out)
{
	struct place p = var_of(in, file);
	const struct var *v = place_var(&p);
	int r = buf_add_str(out, dtype_info(v->dtype)->name);

	for (unsigned k = 0; k < v->rank && r == 0; k++)
		r = buf_printf(out, "%s%" PRId64, k ? "," : " [", var_dims(p.loaded->step, v)[k]);
	return r < 0 ? r : buf_add_str(out, v->rank ? "]" : " []");
}

static const enum colour colours[] = {[REMOVED] = COLOUR_REMOVED,
				      [ADDED] = COLOUR_ADDED,
				      [RETYPED] = COLOUR_CHANGED,
				      [CHANGED] = COLOUR_CHANGED};

static int kind_cell(struct table *t, const struct difference *what)
{
	int r = table_text(t, words[what->kind]);

	table_colour(t, colours[what->kind]);
	return r;
}

static int name_cell(const struct diff *d, struct table *t, const struct difference *what)
{
	CLEANUP(buf_release) struct buf name = {0};
	int r = put_name(d, what, &name);

	return r < 0 ? r : table_text(t, (char *)name.p);
}

/* What is not CHANGED, or only named: the types are behind its name. */
static int type_row(const struct diff *d, struct table *t, const struct difference *what)
{
	CLEANUP(buf_release) struct buf types = {0};
	int r = kind_cell(t, what);

	if (r == 0)
		r = name_cell(d, t, what);
	if (r < 0 || d->names_only)
		return r;
	if (what->kind != ADDED)
		r = put_type(&d->a, what->a, &types);
	if (r == 0 && what->kind == RETYPED)
		r = buf_add_str(&types, " -> ");
	if (r == 0 && what->kind != REMOVED)
		r = put_type(&d->b, what->b, &types);
	if (r == 0)
		r = buf_add_byte(&types, 0);
	return r < 0 ? r : table_text(t, (char *)types.p);
}

static int change_row(const struct diff *d, struct table *t, const struct difference *what)
{
	const struct change *c = &what->change;
	const double values[] = {c->max, c->mean, c->relative};
	int r = kind_cell(t, what);

	if (r == 0)
		r = table_cell(t, "%" PRIu64, c->differ);
	if (r == 0)
		r = table_cell(t, "%" PRIu64, c->elements);
	for (size_t i = 0; i < sizeof values / sizeof *values && r == 0; i++)
		r = c->numbers ? table_cell(t, "%.4g", values[i]) : table_text(t, "-");
	if (r == 0)
		r = c->numbers ? table_cell(t, "%.6g", c->cosine) : table_text(t, "-");
	return r < 0 ? r : name_cell(d, t, what);
}

static int print_text(const struct diff *d, const struct difference *all, size_t n)
{
	static const char *const headings[] = {"",     "differ",   "of",     "max",
					       "mean", "relative", "cosine", "name"};
	CLEANUP(table_release) struct table types = {.columns = d->names_only ? "ll" : "lll"};
	CLEANUP(table_release) struct table changes = {.columns = "lrrrrrrl", .spare = "--1-2-3-"};
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		bool numbers = all[i].kind == CHANGED && !d->names_only;

		if (numbers && !changes.cells.n)
			r = table_heading(&changes, headings);
		if (r == 0)
			r = numbers ? change_row(d, &changes, &all[i])
				    : type_row(d, &types, &all[i]);
	}
	table_print(&types, stdout);
	table_print(&changes, stdout);
	return r;
}

/* --- JSON ----------------------------------------------------------------------------------------------------- */

static struct json_object *type_json(const struct place *in, uint32_t file)
{
	struct place p = var_of(in, file);
	struct json_object *o = json_object_new_object();

	json_put(o, "dtype", json_bytes(bytes_str(dtype_info(place_var(&p)->dtype)->name)));
	json_put(o, "shape", shape_json(p.loaded->step, place_var(&p)));
	return o;
}

static struct json_object *difference_json(const struct diff *d, const struct difference *what,
					   struct bytes name)
{
	const struct change *c = &what->change;
	struct json_object *o = json_object_new_object();

	json_put(o, "kind", json_bytes(bytes_str(words[what->kind])));
	json_put(o, "name", json_bytes(name));
	if (what->kind != ADDED)
		json_put(o, "a", type_json(&d->a, what->a));
	if (what->kind != REMOVED)
		json_put(o, "b", type_json(&d->b, what->b));
	if (what->kind != CHANGED || d->names_only)
		return o;
	json_put(o, "elements", json_object_new_uint64(c->elements));
	json_put(o, "differ", json_object_new_uint64(c->differ));
	if (!c->numbers)
		return o;
	json_put(o, "max", json_number(c->max));
	json_put(o, "mean", json_number(c->mean));
	json_put(o, "relative", json_number(c->relative));
	json_put(o, "cosine", json_number(c->cosine));
	return o;
}

static int print_json(const struct diff *d, const struct difference *all, size_t n)
{
	CLEANUP(buf_release) struct buf name = {0};
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();

	for (size_t i = 0; i < n; i++)
		if (put_name(d, &all[i], &name) == 0)
			json_append(list,
				    difference_json(d, &all[i], bytes_of(name.p, name.n - 1)));
	json_put(o, "same", json_object_new_uint64(d->same));
	json_put(o, "differences", list);
	return json_print_as("diff", o);
}

/* --- the verb ------------------------------------------------------------------------------------------------- */

static const char usage[] =
	"Usage: ckptfs diff [--names-only] [--tolerance T] [--json] A B\n"
	"\n"
	"Compares two steps, scopes or variables. What was removed, added, or has another\n"
	"dtype or shape comes first; then what changed, the farthest first: how many\n"
	"elements differ, of how many; the largest and the mean absolute difference; the\n"
	"norm of the difference divided by that of A; and the cosine between both.\n"
	"Stored bytes that both share are not read.\n"
	"\n"
	"  --names-only   only the names; a variable is read until it differs\n"
	"  --tolerance T  numbers that are no more than T apart do not differ\n"
	"  --json         print one JSON object\n"
	"  --help, --version\n"
	"\n"
	"The exit status is 0 if they are the same, 1 if they differ, 2 in trouble.\n";

enum { OPT_NAMES = ARGS_FIRST, OPT_TOLERANCE, OPT_JSON };

static const struct option long_switches[] = {
	{"names-only", no_argument, NULL, OPT_NAMES},
	{"tolerance", required_argument, NULL, OPT_TOLERANCE},
	{"json", no_argument, NULL, OPT_JSON},
	ARGS_COMMON,
	{0},
};

static int take_switch(void *to, int code, const char *value);

static const struct args args = {
	.program = "ckptfs diff",
	.usage = usage,
	.switches = "",
	.long_switches = long_switches,
	.needed = "two steps, scopes or variables are needed",
	.min = 2,
	.max = 2,
	.exit_usage = TROUBLE,
	.take = take_switch,
};

static int take_switch(void *to, int code, const char *value)
{
	struct diff *d = to;
	char *end;

	switch (code) {
	case OPT_NAMES:
		d->names_only = true;
		return -1;
	case OPT_TOLERANCE:
		d->tolerance = strtod(value, &end);
		return *value && !*end && d->tolerance >= 0
			       ? -1
			       : args_refuse(&args, "--tolerance takes a number, 0 or more");
	default: /* --json */
		d->json = true;
		return -1;
	}
}

static bool has_variables(const struct place *p)
{
	return p->kind == PLACE_STEP || p->kind == PLACE_SCOPE;
}

static int add_places(struct diff *d, struct err *e)
{
	if (d->a.kind == PLACE_VAR && d->b.kind == PLACE_VAR)
		return add_pair(d, d->a.at, d->b.at, e);
	if (has_variables(&d->a) && has_variables(&d->b))
		return add_all(d, e);
	return err_set(e, -EINVAL, "two variables can be compared, or two steps or scopes");
}

static int run(struct diff *d, char **paths, struct err *e)
{
	struct difference *all;
	size_t n;
	int r = place_find(&d->places, paths[0], WISH_VAR, &d->a, e);

	if (r == 0)
		r = place_find(&d->places, paths[1], WISH_VAR, &d->b, e);
	if (r == 0)
		r = add_places(d, e);
	if (r == 0)
		r = compare_pairs(d, e);
	if (r < 0)
		return r;
	all = (struct difference *)(void *)d->found.p;
	n = d->found.n / sizeof *all;
	if (n)
		qsort(all, n, sizeof *all, compare_differences);
	r = d->json ? print_json(d, all, n) : print_text(d, all, n);
	return r < 0 || fflush(stdout) ? err_set(e, -EIO, "can't print what differs") : 0;
}

int verb_diff(int argc, char **argv)
{
	struct diff d = {.a = PLACE_EMPTY, .b = PLACE_EMPTY};
	struct err e = {0};
	char **paths;
	int status = args_parse(&args, argc, argv, &d, &paths);

	if (status >= 0)
		return status;
	if (run(&d, paths, &e) < 0)
		complain(&d, e.text);
	status = d.failed ? TROUBLE : d.found.n ? DIFFERS : 0;
	place_release(&d.a);
	place_release(&d.b);
	buf_release(&d.found);
	buf_release(&d.pairs);
	places_release(&d.places);
	return status;
}

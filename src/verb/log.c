/* src/verb/log.c: the steps of a directory, and what each changed against the one before it. Only indexes are read. */
#include "base/cleanup.h"
#include "directory/family.h"
#include "tool/args.h"
#include "tool/json.h"
#include "tool/list.h"
#include "tool/table.h"
#include "verb/verb.h"
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

struct log {
	bool json, names;
	struct places places;
	struct json_object *steps; /* with JSON: what is printed at the end */
	struct table table; /* without */
	bool failed;
};

/* What a step has against the one before it. */
struct counts {
	uint32_t added, removed, changed, same;
};

static void complain(struct log *l, const char *why)
{
	fprintf(stderr, "ckptfs log: %s\n", why);
	l->failed = true;
}

/* --- two indexes ---------------------------------------------------------------------------------------------- */

static bool same_bytes(const struct step *a, const struct var *x, const struct step *b,
		       const struct var *y)
{
	if (x->kind != y->kind || x->size != y->size || x->n_parts != y->n_parts)
		return false;
	if (x->kind != VAR_SLICED)
		return x->crc == y->crc;
	for (uint32_t i = 0; i < x->n_parts; i++)
		if (a->vars[a->parts[x->aux + i].var].crc != b->vars[b->parts[y->aux + i].var].crc)
			return false;
	return true;
}

/* By dtype, shape and checksum. V1 has no checksums of variables: there only dtype and shape count. */
static bool same_entry(const struct step *a, const struct var *x, const struct step *b,
		       const struct var *y)
{
	bool checksums = a->place.format == STEP_V2 && b->place.format == STEP_V2 &&
			 a->big_endian == b->big_endian;

	return x->dtype == y->dtype && x->rank == y->rank &&
	       !memcmp(var_dims(a, x), var_dims(b, y), x->rank * sizeof(int64_t)) &&
	       (!checksums || same_bytes(a, x, b, y));
}

static struct bytes stem(const struct tree *t, uint32_t i)
{
	return bytes_of(t->files[i].stem, t->files[i].n);
}

enum sort { ADDED, REMOVED, CHANGED };

typedef void told(void *arg, enum sort sort, struct bytes name);

/* TELL gets each difference of B against A, in the order of names. */
static struct counts compare(const struct loaded *a, const struct loaded *b, told *tell, void *arg)
{
	const struct tree *s = &a->tree, *t = &b->tree;
	struct counts c = {0};
	uint32_t i = 0, k = 0;

	while (i < s->n_files || k < t->n_files) {
		int way = i == s->n_files   ? 1
			  : k == t->n_files ? -1
					    : bytes_cmp(stem(s, i), stem(t, k));

		if (way < 0) {
			c.removed++;
			tell(arg, REMOVED, stem(s, i));
		} else if (way > 0) {
			c.added++;
			tell(arg, ADDED, stem(t, k));
		} else if (same_entry(a->step, &a->step->vars[s->files[i].var], b->step,
				      &b->step->vars[t->files[k].var])) {
			c.same++;
		} else {
			c.changed++;
			tell(arg, CHANGED, stem(t, k));
		}
		i += way <= 0;
		k += way >= 0;
	}
	return c;
}

/* --- telling -------------------------------------------------------------------------------------------------- */

static const char *const sorts[] = {
	[ADDED] = "added", [REMOVED] = "removed", [CHANGED] = "changed"};

static void no_tell(void *arg, enum sort sort, struct bytes name)
{
	(void)arg;
	(void)sort;
	(void)name;
}

static const enum colour colours[] = {
	[ADDED] = COLOUR_ADDED, [REMOVED] = COLOUR_REMOVED, [CHANGED] = COLOUR_CHANGED};

static void name_line(void *arg, enum sort sort, struct bytes name)
{
	struct log *l = arg;
	CLEANUP(buf_release) struct buf text = {0};

	if (buf_printf(&text, "    %-7s  ", sorts[sort]) < 0 ||
	    buf_add(&text, name.p, name.n) < 0 || buf_add_byte(&text, 0) < 0 ||
	    table_line(&l->table, colours[sort], (char *)text.p) < 0)
		complain(l, "no memory");
}

static void add_name(void *arg, enum sort sort, struct bytes name)
{
	json_append(json_object_object_get(arg, sorts[sort]), json_bytes(name));
}

static int count_cell(struct table *t, const char *before, uint32_t n, enum sort sort)
{
	int r = before ? table_cell(t, "%" PRIu32, n) : table_text(t, "-");

	if (n)
		table_colour(t, colours[sort]);
	return r;
}

static int step_row(struct table *t, const struct item *i, const char *before,
		    const struct counts *c)
{
	char when[TIME_TEXT];
	int r = table_text(t, i->name);

	table_colour(t, COLOUR_FOLDER);
	if (r == 0)
		r = table_text(t, time_text(&i->time, when));
	if (r == 0)
		r = table_cell(t, "%" PRIu32, i->variables);
	if (r == 0)
		r = table_size(t, i->own, true);
	if (r == 0)
		r = count_cell(t, before, c->changed, CHANGED);
	if (r == 0)
		r = count_cell(t, before, c->added, ADDED);
	if (r == 0)
		r = count_cell(t, before, c->removed, REMOVED);
	return r < 0 ? r : table_text(t, before ? before : "-");
}

static struct json_object *step_json(const struct item *i, const char *before)
{
	struct json_object *o = json_object_new_object();

	json_put(o, "name", json_bytes(bytes_str(i->name)));
	item_put_sizes(i, o);
	if (!before)
		return o;
	json_put(o, "against", json_bytes(bytes_str(before)));
	for (enum sort s = ADDED; s <= CHANGED; s++)
		json_put(o, sorts[s], json_object_new_array());
	return o;
}

/* The step I, and the one before it, if there is one. */
static void tell(struct log *l, const struct item *i, const struct loaded *now, const char *before,
		 const struct loaded *earlier)
{
	struct json_object *o = l->json ? step_json(i, before) : NULL;
	struct counts c = earlier ? compare(earlier, now, l->json ? add_name : no_tell, o)
				  : (struct counts){0};

	if (l->json) {
		json_append(l->steps, o);
		return;
	}
	if (step_row(&l->table, i, before, &c) < 0)
		complain(l, "no memory");
	if (l->names && earlier)
		compare(earlier, now, name_line, l);
}

/* --- a directory ---------------------------------------------------------------------------------------------- */

/* The readable steps of a list, in the order of their numbers. */
struct numbered {
	const struct item **items;
	size_t n;
};

static int compare_names(const void *a, const void *b)
{
	const struct item *const *x = a, *const *y = b;

	return strverscmp((*x)->name, (*y)->name);
}

static int number_steps(const struct list *all, struct numbered *out)
{
	out->items = calloc(all->n + 1, sizeof *out->items);
	if (!out->items)
		return -ENOMEM;
	for (size_t i = 0; i < all->n; i++)
		if (all->items[i].kind == ITEM_STEP && all->items[i].why.code == 0)
			out->items[out->n++] = &all->items[i];
	qsort(out->items, out->n, sizeof *out->items, compare_names);
	return 0;
}

/* The step of the same family with the highest number below that of I. NULL: none. When they were saved tells less: a copy of a
 * directory has other times. */
static const struct item *before(const struct numbered *steps, const struct item *i)
{
	const struct item **at =
		bsearch(&i, steps->items, steps->n, sizeof *steps->items, compare_names);

	while (at && at-- > steps->items)
		if (same_family((*at)->name, i->name))
			return *at;
	return NULL;
}

static int tell_step(struct log *l, const struct place *p, const struct numbered *steps,
		     const struct item *i, struct err *e)
{
	CLEANUP(place_release) struct place now = PLACE_EMPTY, earlier = PLACE_EMPTY;
	const struct item *b;
	int r;

	if (i->why.code < 0) {
		complain(l, i->why.text);
		return 0;
	}
	b = before(steps, i);
	r = place_in(p, i->name, &now, e);
	if (r == 0 && b)
		r = place_in(p, b->name, &earlier, e);
	if (r == 0)
		tell(l, i, now.loaded, b ? b->name : NULL, earlier.loaded);
	return r;
}

static int tell_folder(struct log *l, const char *path, struct err *e)
{
	CLEANUP(place_release) struct place p = PLACE_EMPTY;
	CLEANUP(list_release) struct list all = {0};
	struct numbered steps = {0};
	int r = place_find(&l->places, path, WISH_SCOPE, &p, e);

	if (r == 0 && p.kind != PLACE_FOLDER)
		return err_set(e, -ENOTDIR, "%s: is no directory of steps", path);
	if (r == 0)
		r = list_folder(&p, true, &all, e);
	if (r < 0)
		return r;
	list_sort(&all, ORDER_TIME, false);
	r = number_steps(&all, &steps) < 0 ? err_set(e, -ENOMEM, "no memory") : 0;
	for (size_t i = 0; i < all.n && r == 0; i++)
		if (all.items[i].kind == ITEM_STEP)
			r = tell_step(l, &p, &steps, &all.items[i], e);
	free(steps.items);
	return r;
}

/* --- the verb ------------------------------------------------------------------------------------------------- */

static const char usage[] =
	"Usage: ckptfs log [--names] [--json] DIRECTORY...\n"
	"\n"
	"Prints the steps of a directory, the newest first: when each was saved, its\n"
	"variables, the bytes that no other step has, and how many variables it changed,\n"
	"added and removed against the step of its family with the number before it. Only\n"
	"indexes are read: variables with the same checksum are the same.\n"
	"\n"
	"  --names  which they are, too\n"
	"  --json   print one JSON object\n"
	"  --help, --version\n";

enum { OPT_NAMES = ARGS_FIRST, OPT_JSON };

static const struct option long_switches[] = {
	{"names", no_argument, NULL, OPT_NAMES},
	{"json", no_argument, NULL, OPT_JSON},
	ARGS_COMMON,
	{0},
};

static int take_switch(void *to, int code, const char *value)
{
	struct log *l = to;

	(void)value;
	l->names |= code == OPT_NAMES;
	l->json |= code == OPT_JSON;
	return -1;
}

static const struct args args = {
	.program = "ckptfs log",
	.usage = usage,
	.switches = "",
	.long_switches = long_switches,
	.needed = "a directory is needed",
	.min = 1,
	.max = INT_MAX,
	.exit_usage = VERB_USAGE,
	.take = take_switch,
};

int verb_log(int argc, char **argv)
{
	static const char *const headings[] = {"step",    "saved", "variables", "own",
					       "changed", "added", "removed",   "against"};
	struct log l = {.table = {.columns = "llrrrrrl", .spare = "--2----1"}};
	struct err e = {0};
	char **paths;
	int status = args_parse(&args, argc, argv, &l, &paths);

	if (status >= 0)
		return status;
	if (l.json)
		l.steps = json_object_new_array();
	else if (table_heading(&l.table, headings) < 0)
		complain(&l, "no memory");
	for (; *paths; paths++)
		if (tell_folder(&l, *paths, &e) < 0)
			complain(&l, e.text);
	table_print(&l.table, stdout);
	if (l.json ? json_print_as("steps", l.steps) < 0 : fflush(stdout) != 0)
		complain(&l, "can't print: no memory, or the output is gone");
	table_release(&l.table);
	places_release(&l.places);
	return l.failed ? VERB_FAILED : 0;
}

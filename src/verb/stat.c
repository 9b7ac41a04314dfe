/* src/verb/stat.c: all that is known of variables, and what their numbers are. */
#include "base/cleanup.h"
#include "format/dtype.h"
#include "step/var_field.h"
#include "tool/args.h"
#include "tool/array.h"
#include "tool/histogram.h"
#include "tool/jobs.h"
#include "tool/json.h"
#include "tool/list.h"
#include "tool/match.h"
#include "tool/progress.h"
#include "tool/reasons.h"
#include "tool/table.h"
#include "verb/verb.h"
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

struct stat_verb {
	bool json;
	struct places places;
	struct json_object *variables; /* with JSON: what is printed at the end */
	bool failed;
	_Atomic uint64_t seen; /* bytes of the variables that are at hand */
};

/* NULL: none is shown. */
static struct progress *start_progress(struct stat_verb *s, uint64_t total)
{
	s->seen = 0;
	return s->json ? NULL : progress_on_terminal(&s->seen, total);
}

static void complain(struct stat_verb *s, const char *why)
{
	fprintf(stderr, "ckptfs stat: %s\n", why);
	s->failed = true;
}

/* --- what is known without reading ---------------------------------------------------------------------------- */

/* A name and a value of P, a PLACE_VAR. The value is empty where there is none. */
typedef int field_put(const struct place *p, struct buf *out);

static int put_path(const struct place *p, struct buf *out)
{
	const struct tree_file *f = &p->loaded->tree.files[p->at];

	return buf_add(out, f->stem, f->n);
}

static int put_field(const struct place *p, enum var_field field, struct buf *out)
{
	const struct var *v = place_var(p);
	int r = v->kind == VAR_BAD && field != VAR_KEY
			? -ENODATA
			: var_field_put(p->loaded->step, v, field, out);

	return r == -ENODATA ? 0 : r;
}

static int put_key(const struct place *p, struct buf *out)
{
	return put_field(p, VAR_KEY, out);
}

static int put_dtype(const struct place *p, struct buf *out)
{
	return put_field(p, VAR_DTYPE, out);
}

static int put_shape(const struct place *p, struct buf *out)
{
	int r = buf_add_byte(out, '[');

	if (r == 0)
		r = put_field(p, VAR_SHAPE, out);
	return r < 0 ? r : buf_add_byte(out, ']');
}

static int put_bytes(const struct place *p, struct buf *out)
{
	return buf_add_decimal(out, place_var(p)->size);
}

/* The files that hold it. */
static int put_shard(const struct place *p, struct buf *out)
{
	const struct step *s = p->loaded->step;
	const struct var *v = place_var(p);
	int r = 0;

	if (v->kind == VAR_BAD || !s->n_shards)
		return 0;
	if (v->kind != VAR_SLICED) {
		step_shard_file(s, v->shard, out);
		return 0;
	}
	for (uint32_t i = 0; i < v->n_parts && r == 0; i++) {
		if (i)
			r = buf_add_str(out, ", ");
		step_shard_file(s, s->vars[s->parts[v->aux + i].var].shard, out);
	}
	return r;
}

static int put_offset(const struct place *p, struct buf *out)
{
	const struct var *v = place_var(p);

	return v->kind == VAR_WHOLE && p->loaded->step->place.format == STEP_V2
		       ? buf_add_decimal(out, v->off)
		       : 0;
}

static int put_crc(const struct place *p, struct buf *out)
{
	return put_field(p, VAR_CRC, out);
}

static int put_collections(const struct place *p, struct buf *out)
{
	struct step *s = p->loaded->step;
	int r = text_collections(&p->loaded->texts, s, p->dirfd, var_key(s, place_var(p)), out,
				 NULL);

	return r == -ENOMEM ? r : 0;
}

static int put_full_name(const struct place *p, struct buf *out)
{
	struct step *s = p->loaded->step;
	int r = text_full_name(&p->loaded->texts, s, p->dirfd, var_key(s, place_var(p)), out, NULL);

	return r == -ENOMEM ? r : 0;
}

static const struct field {
	const char *name;
	field_put *put;
	bool number; /* in JSON */
} fields[] = {
	{"name", put_path, false},           {"key", put_key, false},
	{"full_name", put_full_name, false}, {"dtype", put_dtype, false},
	{"shape", put_shape, false},         {"bytes", put_bytes, true},
	{"shard", put_shard, false},         {"offset", put_offset, true},
	{"crc32c", put_crc, false},          {"collections", put_collections, false},
};

enum { N_FIELDS = sizeof fields / sizeof *fields };

/* --- one variable --------------------------------------------------------------------------------------------- */

/* What its numbers are, if they are real numbers. */
struct numbers {
	bool known;
	struct stats stats;
};

/* 0 also if P has no numbers; with BINS the histogram, too. */
static int find_numbers(struct stat_verb *s, const struct place *p, struct numbers *out,
			uint64_t *bins, struct err *e)
{
	const struct stop watch = {.seen = &s->seen};
	int r = stats_of(p->loaded->step, place_var(p), p->dirfd, &watch, &out->stats, e);

	out->known = r == 0;
	if (r == 0 && bins)
		r = histogram_count(p, out->stats.min, out->stats.max, &s->seen, bins, e);
	if (r < 0 && r != -ENODATA)
		return err_wrap(e, r, "%s", p->loaded->step->place.name);
	return 0;
}

static int number_rows(struct table *t, const struct numbers *n, const uint64_t *bins)
{
	const struct {
		const char *name;
		double value;
	} values[] = {{"mean", n->stats.mean},
		      {"std", n->stats.std},
		      {"min", n->stats.min},
		      {"max", n->stats.max},
		      {"norm", n->stats.norm}};
	const struct {
		const char *name;
		uint64_t value;
		bool bad;
	} counts[] = {{"count", n->stats.count, false},
		      {"zeros", n->stats.zeros, false},
		      {"nans", n->stats.nans, true},
		      {"infs", n->stats.infs, true}};
	CLEANUP(buf_release) struct buf bars = {0};
	int r = histogram_text(bins, &bars);

	for (size_t i = 0; i < sizeof counts / sizeof *counts && r == 0; i++) {
		r = table_cell(t, "%s:", counts[i].name);
		if (r == 0)
			r = table_cell(t, "%" PRIu64, counts[i].value);
		if (counts[i].bad && counts[i].value)
			table_colour(t, COLOUR_BAD);
	}
	for (size_t i = 0; i < sizeof values / sizeof *values && r == 0; i++) {
		r = table_cell(t, "%s:", values[i].name);
		if (r == 0)
			r = table_cell(t, "%.9g", values[i].value);
	}
	if (r == 0)
		r = table_cell(t, "histogram:");
	return r < 0 ? r : table_cell(t, "|%.*s|", (int)bars.n, (char *)bars.p);
}

static int print_var(const struct place *p, const struct numbers *n, const uint64_t *bins,
		     struct err *e)
{
	CLEANUP(table_release) struct table t = {.columns = "ll"};
	CLEANUP(buf_release) struct buf value = {0};
	int r = 0;

	for (size_t i = 0; i < N_FIELDS && r == 0; i++) {
		value.n = 0;
		r = fields[i].put(p, &value);
		if (r < 0 || !value.n)
			continue;
		r = table_cell(&t, "%s:", fields[i].name);
		if (r == 0)
			r = table_cell(&t, "%.*s", (int)value.n, (char *)value.p);
	}
	if (r == 0 && n->known)
		r = number_rows(&t, n, bins);
	if (r < 0)
		return err_set(e, r, "no memory");
	table_print(&t, stdout);
	return 0;
}

/* --- JSON ----------------------------------------------------------------------------------------------------- */

static struct json_object *split_json(const struct buf *list)
{
	struct json_object *a = json_object_new_array();
	const uint8_t *p = list->p, *end = list->p + list->n;

	while (p < end) {
		const uint8_t *comma = memchr(p, ',', (size_t)(end - p));
		const uint8_t *stop = comma ? comma : end;

		json_append(a, json_bytes(bytes_of(p, (size_t)(stop - p))));
		p = stop + 1;
	}
	return a;
}

static struct json_object *field_json(const struct place *p, const struct field *f,
				      const struct buf *value)
{
	if (f->put == put_shape)
		return shape_json(p->loaded->step, place_var(p));
	if (f->put == put_collections)
		return split_json(value);
	if (f->number)
		return json_object_new_uint64(strtoull((char *)value->p, NULL, 10));
	return json_bytes(buf_bytes(value));
}

static struct json_object *numbers_json(const struct numbers *n)
{
	struct json_object *o = json_object_new_object();

	json_put(o, "count", json_object_new_uint64(n->stats.count));
	json_put(o, "mean", json_number(n->stats.mean));
	json_put(o, "std", json_number(n->stats.std));
	json_put(o, "min", json_number(n->stats.min));
	json_put(o, "max", json_number(n->stats.max));
	json_put(o, "norm", json_number(n->stats.norm));
	json_put(o, "zeros", json_object_new_uint64(n->stats.zeros));
	json_put(o, "nans", json_object_new_uint64(n->stats.nans));
	json_put(o, "infs", json_object_new_uint64(n->stats.infs));
	return o;
}

/* WHY: the sentence that says why its numbers can't be known; or NULL. */
static int add_json(struct stat_verb *s, const struct place *p, const struct numbers *n,
		    const char *why)
{
	CLEANUP(buf_release) struct buf value = {0};
	struct json_object *o = json_object_new_object();
	int r = 0;

	for (size_t i = 0; i < N_FIELDS && r == 0; i++) {
		value.n = 0;
		r = fields[i].put(p, &value);
		if (r == 0 && value.n && buf_reserve(&value, 1) == 0) {
			value.p[value.n] = 0;
			json_put(o, fields[i].name, field_json(p, &fields[i], &value));
		}
	}
	if (why)
		json_put(o, "error", json_bytes(bytes_str(why)));
	else if (n->known)
		json_put(o, "numbers", numbers_json(n));
	json_append(s->variables, o);
	return r;
}

/* --- all of a step or scope ----------------------------------------------------------------------------------- */

static int table_row(struct table *t, const struct item *i, const struct place *p,
		     const struct numbers *n)
{
	const struct stats *s = &n->stats;
	CLEANUP(buf_release) struct buf dtype = {0}, shape = {0};
	const double values[] = {s->mean, s->std, s->min, s->max, s->norm};
	int r = put_dtype(p, &dtype);

	if (r == 0)
		r = put_shape(p, &shape);
	if (r == 0)
		r = table_cell(t, "%.*s", (int)dtype.n, (char *)dtype.p);
	if (r == 0)
		r = table_cell(t, "%.*s", (int)shape.n, (char *)shape.p);
	for (size_t k = 0; k < sizeof values / sizeof *values && r == 0; k++)
		r = n->known ? table_cell(t, "%.4g", values[k]) : table_text(t, "-");
	if (r == 0)
		r = n->known ? table_cell(t, "%" PRIu64, s->zeros) : table_text(t, "-");
	if (r == 0)
		r = n->known ? table_cell(t, "%" PRIu64, s->nans + s->infs) : table_text(t, "-");
	if (n->known && s->nans + s->infs)
		table_colour(t, COLOUR_BAD);
	if (r == 0)
		r = table_text(t, i->name);
	if (place_var(p)->kind == VAR_BAD)
		table_colour(t, COLOUR_BAD);
	return r;
}

static const char *const headings[] = {"dtype", "shape", "mean",  "std",     "min",
				       "max",   "norm",  "zeros", "nan/inf", "name"};

static void complain_of(struct stat_verb *s, const struct place *p, const char *why)
{
	const struct tree_file *f = &p->loaded->tree.files[p->at];
	CLEANUP(reasons_release) struct reasons reasons = {0};

	s->failed = true;
	if (reasons_add(&reasons, bytes_of(f->stem, f->n), why, NULL) == 0)
		reasons_tell(&reasons, "ckptfs stat");
}

/* The PLACE_VAR P alone. */
static int one(struct stat_verb *s, const struct place *p, struct err *e)
{
	uint64_t bins[HISTOGRAM_BINS] = {0}, total = place_var(p)->size * (s->json ? 1 : 2);
	struct progress *progress = start_progress(s, total);
	struct numbers n = {0};
	struct err why = {0};
	int r = find_numbers(s, p, &n, s->json ? NULL : bins, &why);

	progress_stop(progress);
	if (r < 0)
		complain_of(s, p, why.text);
	if (!s->json)
		return print_var(p, &n, bins, e);
	return add_json(s, p, &n, r < 0 ? why.text : NULL) < 0 ? err_set(e, -ENOMEM, "no memory")
							       : 0;
}

/* All variables of LIST, which is of the place IN. */
struct all {
	struct stat_verb *verb;
	const struct place *in;
	struct list list;
	struct row {
		struct numbers numbers;
		char *why; /* it can't be read; or NULL */
	} * rows;
};

static struct place place_of(const struct all *a, uint64_t i)
{
	struct place var = *a->in;

	var.kind = PLACE_VAR;
	var.at = a->list.items[i].at;
	return var;
}

static uint64_t size_of(void *arg, uint64_t i)
{
	const struct all *a = arg;

	return a->list.items[i].bytes;
}

static int find_row(void *arg, uint64_t i, struct err *e)
{
	struct all *a = arg;
	struct place var = place_of(a, i);
	struct row *row = &a->rows[i];
	struct err why = {0};

	if (find_numbers(a->verb, &var, &row->numbers, NULL, &why) == 0)
		return 0;
	row->why = strdup(why.text);
	return row->why ? 0 : err_set(e, -ENOMEM, "no memory");
}

static int find_rows(struct all *a, struct err *e)
{
	const struct jobs jobs = {a->list.n, size_of, find_row, a};
	struct progress *progress;
	uint64_t total = 0;
	int r;

	for (size_t i = 0; i < a->list.n; i++)
		total += a->list.items[i].bytes;
	progress = start_progress(a->verb, total);
	r = jobs_run(&jobs, e);
	progress_stop(progress);
	return r;
}

static int tell_reasons(struct all *a, struct err *e)
{
	CLEANUP(reasons_release) struct reasons reasons = {0};
	int r = 0;

	for (size_t i = 0; i < a->list.n && r == 0; i++)
		if (a->rows[i].why)
			r = reasons_add(&reasons, bytes_str(a->list.items[i].name), a->rows[i].why,
					e);
	a->verb->failed |= reasons_tell(&reasons, "ckptfs stat");
	return r;
}

static int tell_rows(struct all *a, struct err *e)
{
	CLEANUP(table_release) struct table t = {.columns = "lrrrrrrrrl", .spare = "3--4--12--"};
	int r = tell_reasons(a, e);

	if (r < 0)
		return r;
	r = table_heading(&t, headings);
	for (size_t i = 0; i < a->list.n && r == 0; i++) {
		struct place var = place_of(a, i);
		const struct row *row = &a->rows[i];

		r = a->verb->json ? add_json(a->verb, &var, &row->numbers, row->why)
				  : table_row(&t, &a->list.items[i], &var, &row->numbers);
	}
	if (r < 0)
		return err_set(e, r, "no memory");
	if (!a->verb->json)
		table_print(&t, stdout);
	return 0;
}

static int all_of(struct stat_verb *s, const struct place *p, struct err *e)
{
	struct all a = {.verb = s, .in = p};
	int r = list_step(p, true, &a.list, e);

	a.rows = calloc(a.list.n + 1, sizeof *a.rows);
	if (r == 0)
		r = a.rows ? find_rows(&a, e) : err_set(e, -ENOMEM, "no memory");
	if (r == 0)
		r = tell_rows(&a, e);
	for (size_t i = 0; a.rows && i < a.list.n; i++)
		free(a.rows[i].why);
	free(a.rows);
	list_release(&a.list);
	return r;
}

/* --- the verb ------------------------------------------------------------------------------------------------- */

static const char usage[] =
	"Usage: ckptfs stat [--json] PATH...\n"
	"\n"
	"Prints all that is known of variables: where they are, and what their numbers\n"
	"are. Of a step or scope it is a table of all variables in it.\n"
	"\n"
	"  --json  print one JSON object\n"
	"  --help, --version\n";

static const struct option long_switches[] = {
	{"json", no_argument, NULL, ARGS_FIRST},
	ARGS_COMMON,
	{0},
};

static int take_switch(void *to, int code, const char *value)
{
	(void)code;
	(void)value;
	((struct stat_verb *)to)->json = true;
	return -1;
}

static const struct args args = {
	.program = "ckptfs stat",
	.usage = usage,
	.switches = "",
	.long_switches = long_switches,
	.needed = "a variable, a scope or a step is needed",
	.min = 1,
	.max = INT_MAX,
	.exit_usage = VERB_USAGE,
	.take = take_switch,
};

static int stat_place(void *arg, const char *path, const struct place *p, struct err *e)
{
	struct stat_verb *s = arg;
	int r;

	if (p->kind == PLACE_VAR)
		r = one(s, p, e);
	else if (p->kind == PLACE_STEP || p->kind == PLACE_SCOPE)
		r = all_of(s, p, e);
	else
		r = err_set(e, -EINVAL, "is no variable, scope or step");
	return r < 0 ? err_wrap(e, r, "%s", path) : 0;
}

int verb_stat(int argc, char **argv)
{
	struct stat_verb s = {0};
	struct err e = {0};
	char **paths;
	int status = args_parse(&args, argc, argv, &s, &paths);

	if (status >= 0)
		return status;
	if (s.json)
		s.variables = json_object_new_array();
	for (; *paths; paths++)
		if (match_each(&s.places, *paths, WISH_VAR, stat_place, &s, &e) < 0)
			complain(&s, e.text);
	if (s.json && json_print_as("variables", s.variables) < 0)
		complain(&s, "can't print: no memory, or the output is gone");
	places_release(&s.places);
	return s.failed ? VERB_FAILED : 0;
}

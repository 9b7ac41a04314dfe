/* src/verb/cast.c: the floats of a step become another dtype, in a new step. */
#include "format/dtype.h"
#include "make/blend.h"
#include "tool/args.h"
#include "tool/match.h"
#include "tool/progress.h"
#include "verb/verb.h"
#include <limits.h>
#include <stdio.h>

struct cast {
	const char *name; /* of the new step */
	int dtype; /* DTYPE_INVALID: none was given */
	char **globs; /* that many: n_globs; none: all variables */
	size_t n_globs;
	bool *matched; /* some variable matches each of them */
	struct places places;
	struct place step;
	struct new_step made;
	bool any; /* some variable has another dtype now */
	_Atomic uint64_t seen; /* bytes that were read */
};

static bool is_chosen(const struct cast *c, struct bytes stem)
{
	bool chosen = !c->n_globs;

	for (size_t i = 0; i < c->n_globs; i++)
		if (match_name(c->globs[i], stem))
			c->matched[i] = chosen = true;
	return chosen;
}

/* Does it become another dtype? */
static bool changes(const struct cast *c, uint32_t file)
{
	struct place var = blend_var(&c->step, file);
	int dtype = place_var(&var)->dtype;
	const struct dtype_info *info = dtype_info(dtype);

	return is_chosen(c, blend_stem(&c->step, file)) && dtype != c->dtype && info &&
	       info->real.kind == REAL_FLOAT;
}

static int make_var(struct cast *c, uint32_t file, struct err *e)
{
	struct place var = blend_var(&c->step, file);
	struct bytes stem = blend_stem(&c->step, file);
	int r;

	if (changes(c, file)) {
		c->any = true;
		r = blend(&c->made, &var, 1, c->dtype, &c->seen, e);
	} else {
		r = new_step_copy(&c->made, &var, e);
	}
	return r < 0 ? err_wrap(e, r, "%.*s", (int)stem.n, (const char *)stem.p) : 0;
}

static uint64_t bytes_to_read(const struct cast *c)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < c->step.loaded->tree.n_files; i++) {
		struct place var = blend_var(&c->step, i);

		sum += changes(c, i) ? place_var(&var)->size : 0;
	}
	return sum;
}

static int make_vars(struct cast *c, struct err *e)
{
	struct progress *progress = progress_on_terminal(&c->seen, bytes_to_read(c));
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < c->step.loaded->tree.n_files; i++)
		r = make_var(c, i, e);
	progress_stop(progress);
	return r;
}

/* A meta graph has the dtypes of the variables: it fits those of the new step only if they have not changed. */
static int add_texts(struct cast *c, struct err *e)
{
	if (!c->any)
		return blend_copy_texts(&c->made, &c->step, e);
	if (c->step.loaded->texts.there[TEXT_META_GRAPH])
		fputs("ckptfs cast: the meta graph is left out: its variables have the old dtypes\n",
		      stderr);
	return 0;
}

static int run(struct cast *c, char **path, struct err *e)
{
	int r = c->matched ? blend_find(&c->places, path, 1, &c->step, e)
			   : err_set(e, -ENOMEM, "no memory");

	if (r == 0)
		r = blend_begin(&c->made, &c->step, c->name, e);
	if (r == 0)
		r = make_vars(c, e);
	for (size_t i = 0; i < c->n_globs && r == 0; i++)
		if (!c->matched[i])
			r = err_set(e, -ENOENT, "%s: no variable of %s matches", c->globs[i],
				    *path);
	if (r == 0)
		r = add_texts(c, e);
	return r < 0 ? r : new_step_commit(&c->made, e);
}

static const char usage[] =
	"Usage: ckptfs cast --to DTYPE [GLOB...] STEP -o NAME\n"
	"\n"
	"Makes a new step, in the directory of STEP, in which variables of floats have\n"
	"another dtype. Values are rounded to the nearest, of two to the even one. With\n"
	"globs only variables that match one of them are cast. Integers, bools, strings\n"
	"and complex numbers stay as they are. A meta graph does not fit afterwards, and\n"
	"is left out.\n"
	"\n"
	"  --to float64, float32, float16, bfloat16, float8_e5m2, float8_e4m3fn\n"
	"  --to float8_e4m3fnuz, float8_e4m3b11fnuz, float8_e5m2fnuz\n"
	"  -o NAME  the name of the new step\n"
	"  --help, --version\n";

enum { OPT_TO = ARGS_FIRST };

static const struct option long_switches[] = {
	{"to", required_argument, NULL, OPT_TO},
	ARGS_COMMON,
	{0},
};

static int take_switch(void *to, int code, const char *value);

static const struct args args = {
	.program = "ckptfs cast",
	.usage = usage,
	.switches = "o:",
	.long_switches = long_switches,
	.needed = "a step is needed",
	.min = 1,
	.max = INT_MAX,
	.exit_usage = VERB_USAGE,
	.take = take_switch,
};

/* The float type that is called NAME; DTYPE_INVALID: none is. */
static int dtype_called(const char *name)
{
	static const struct {
		const char *name;
		int dtype;
	} types[] = {
		{"float64", DTYPE_DOUBLE},
		{"float32", DTYPE_FLOAT},
		{"float16", DTYPE_HALF},
		{"bfloat16", DTYPE_BFLOAT16},
		{"float8_e5m2", DTYPE_FLOAT8_E5M2},
		{"float8_e4m3fn", DTYPE_FLOAT8_E4M3FN},
		{"float8_e4m3fnuz", DTYPE_FLOAT8_E4M3FNUZ},
		{"float8_e4m3b11fnuz", DTYPE_FLOAT8_E4M3B11FNUZ},
		{"float8_e5m2fnuz", DTYPE_FLOAT8_E5M2FNUZ},
	};

	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (!strcmp(name, types[i].name))
			return types[i].dtype;
	return DTYPE_INVALID;
}

static int take_switch(void *to, int code, const char *value)
{
	struct cast *c = to;

	if (code == 'o') {
		c->name = value;
		return -1;
	}
	c->dtype = dtype_called(value);
	return c->dtype == DTYPE_INVALID
		       ? args_refuse(&args, "--to takes a float type, as bfloat16: see --help")
		       : -1;
}

int verb_cast(int argc, char **argv)
{
	struct cast c = {.step = PLACE_EMPTY};
	struct err e = {0};
	int status = args_parse(&args, argc, argv, &c, &c.globs);

	if (status >= 0)
		return status;
	if (!c.name || c.dtype == DTYPE_INVALID)
		return args_refuse(&args, "--to DTYPE and -o NAME are needed");
	while (c.globs[c.n_globs + 1]) /* behind them comes the step */
		c.n_globs++;
	c.matched = calloc(c.n_globs + 1, sizeof *c.matched);
	status = run(&c, c.globs + c.n_globs, &e) < 0 ? VERB_FAILED : 0;
	if (status)
		fprintf(stderr, "ckptfs cast: %s\n", e.text);
	new_step_release(&c.made);
	place_release(&c.step);
	free(c.matched);
	places_release(&c.places);
	return status;
}

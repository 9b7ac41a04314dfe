/* src/verb/cat.c: prints variables and texts. */
#include "base/cleanup.h"
#include "format/dtype.h"
#include "step/npy_file.h"
#include "tool/args.h"
#include "tool/array.h"
#include "tool/json.h"
#include "tool/match.h"
#include "tool/terminal.h"
#include "verb/verb.h"
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>

enum { PIECE = 1 << 20, MAX_JSON = 10000000 };

struct cat;

/* A way to print a variable. */
struct format {
	const char *name;
	int (*print)(struct cat *c, const struct place *p, struct err *e);
};

struct cat {
	const struct format *format;
	struct places places;
	const struct array *array; /* what is printed now */
	unsigned rank; /* of that */
	bool empty; /* it has no elements */
	struct json_object *values; /* as JSON: what there is of it */
	struct buf text; /* what is to be written next */
};

static int write_out(const void *p, size_t n, struct err *e)
{
	return fwrite(p, 1, n, stdout) == n ? 0 : err_sys(e, -errno, "standard output");
}

/* The text of a file, which has not been checked. */
static int text_out(struct bytes text, struct err *e)
{
	terminal_put(text, "\n\t", stdout);
	return ferror(stdout) ? err_sys(e, -errno, "standard output") : 0;
}

static int flush(struct cat *c, struct err *e)
{
	int r = write_out(c->text.p, c->text.n, e);

	c->text.n = 0;
	return r;
}

/* --- as NumPy prints it --------------------------------------------------------------------------------------- */

/* How many of the innermost dimensions begin with element I, or end before it. */
static unsigned edges_at(const struct array *a, uint64_t i)
{
	uint64_t inner = 1;
	unsigned n = 0;

	while (n < a->rank) {
		inner *= (uint64_t)a->dims[a->rank - 1 - n];
		if (i % inner)
			break;
		n++;
	}
	return n;
}

static int put_many(struct buf *out, char c, unsigned n)
{
	int r = 0;

	while (n-- && r == 0)
		r = buf_add_byte(out, (uint8_t)c);
	return r;
}

/* What stands before element I: a space, or brackets on a new line. */
static int put_gap(const struct array *a, uint64_t i, struct buf *out)
{
	unsigned n = edges_at(a, i);
	int r = 0;

	if (i && !n)
		return buf_add_byte(out, ' ');
	if (i) {
		r = put_many(out, ']', n);
		if (r == 0)
			r = put_many(out, '\n', n);
		if (r == 0)
			r = put_many(out, ' ', a->rank - n);
	}
	return r < 0 ? r : put_many(out, '[', n);
}

static int take_text(void *arg, uint64_t first, const uint8_t *p, size_t n, struct err *e)
{
	struct cat *c = arg;
	const struct array *a = c->array;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		r = put_gap(a, first + i, &c->text);
		if (r == 0)
			r = array_text(a, p + i * array_item(a), &c->text);
	}
	return r < 0 ? err_set(e, r, "no memory") : flush(c, e);
}

static int read_array(struct cat *c, const struct place *p, array_taker *take, size_t budget,
		      struct err *e)
{
	struct array a;
	int r = array_open(p, &a, e);

	if (r < 0)
		return r;
	c->array = &a;
	c->rank = a.rank;
	c->empty = !a.count;
	r = array_read(&a, budget, take, c, e);
	array_close(&a);
	return r;
}

static int print_text(struct cat *c, const struct place *p, struct err *e)
{
	int r = read_array(c, p, take_text, PIECE / 16, e);

	if (r == 0 && c->empty)
		return write_out("[]\n", 3, e);
	if (r == 0)
		r = put_many(&c->text, ']', c->rank);
	if (r == 0)
		r = buf_add_byte(&c->text, '\n');
	return r < 0 ? r : flush(c, e);
}

/* --- CSV: the last dimension is a line ------------------------------------------------------------------------ */

static int take_csv(void *arg, uint64_t first, const uint8_t *p, size_t n, struct err *e)
{
	struct cat *c = arg;
	const struct array *a = c->array;
	uint64_t line = a->rank > 1 ? (uint64_t)a->dims[a->rank - 1] : 1;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		r = array_text(a, p + i * array_item(a), &c->text);
		if (r == 0)
			r = buf_add_byte(&c->text, (first + i + 1) % line ? ',' : '\n');
	}
	return r < 0 ? err_set(e, r, "no memory") : flush(c, e);
}

static int print_csv(struct cat *c, const struct place *p, struct err *e)
{
	if (place_var(p)->dtype == DTYPE_STRING)
		return err_set(e, -EINVAL, "strings can't be printed as CSV: use text or json");
	return read_array(c, p, take_csv, PIECE / 16, e);
}

/* --- bytes ---------------------------------------------------------------------------------------------------- */

static int take_bytes(void *arg, uint64_t first, const uint8_t *p, size_t n, struct err *e)
{
	const struct array *a = ((struct cat *)arg)->array;

	(void)first;
	return write_out(p, n * array_item(a), e);
}

static int print_raw(struct cat *c, const struct place *p, struct err *e)
{
	return read_array(c, p, take_bytes, PIECE, e);
}

static int print_npy(struct cat *c, const struct place *p, struct err *e)
{
	CLEANUP(freep) uint8_t *piece = malloc(PIECE);
	struct npy_file *f;
	uint64_t at = 0;
	int64_t n;
	int r = piece ? npy_file_open(p->loaded->step, place_var(p), p->dirfd, &f, e)
		      : err_set(e, -ENOMEM, "no memory");

	(void)c;
	if (r < 0)
		return r;
	while ((n = npy_file_read(f, at, PIECE, piece, e)) > 0 && r == 0) {
		r = write_out(piece, (size_t)n, e);
		at += (uint64_t)n;
	}
	npy_file_close(f);
	return n < 0 ? (int)n : r;
}

/* --- JSON ----------------------------------------------------------------------------------------------------- */

/* The list in which element I of A stands. VALUES: that of the first dimension. Lists that begin with I are made. */
static struct json_object *list_of(const struct array *a, struct json_object *values, uint64_t i)
{
	unsigned begin = a->rank - edges_at(a, i); /* the first dimension that begins with I */

	for (unsigned k = 1; k < a->rank; k++) {
		if (k >= begin)
			json_append(values, json_object_new_array());
		values = json_object_array_get_idx(values, json_object_array_length(values) - 1);
	}
	return values;
}

static int take_json(void *arg, uint64_t first, const uint8_t *p, size_t n, struct err *e)
{
	struct cat *c = arg;
	const struct array *a = c->array;

	(void)e;
	for (size_t i = 0; i < n; i++) {
		struct json_object *one = array_json(a, p + i * array_item(a));

		if (a->rank)
			json_append(list_of(a, c->values, first + i), one);
		else
			c->values = one;
	}
	return 0;
}

static int print_json(struct cat *c, const struct place *p, struct err *e)
{
	uint64_t n = var_count(p->loaded->step, place_var(p));
	int r;

	if (n > MAX_JSON)
		return err_set(e, -EFBIG,
			       "has %" PRIu64
			       " elements; as JSON at most %d are printed: use csv or npy",
			       n, MAX_JSON);
	c->values = place_var(p)->rank ? json_object_new_array() : NULL;
	r = read_array(c, p, take_json, PIECE, e);
	if (r == 0)
		return json_print_as("values", c->values) < 0 ? err_set(e, -EIO, "can't print it")
							      : 0;
	json_object_put(c->values);
	return r;
}

/* --- all ------------------------------------------------------------------------------------------------------ */

static const struct format formats[] = {
	{"text", print_text}, {"npy", print_npy},   {"raw", print_raw},
	{"csv", print_csv},   {"json", print_json},
};

static const char usage[] =
	"Usage: ckptfs cat [--format FORMAT] PATH...\n"
	"\n"
	"Prints variables, and texts as variables.tsv or meta_graph.pbtxt.\n"
	"\n"
	"  --format text  as NumPy prints an array, but all of it (the default)\n"
	"  --format npy   a .npy file\n"
	"  --format raw   the bytes of the array\n"
	"  --format csv   a line for each row of the last dimension; of one dimension a\n"
	"                 number on each line\n"
	"  --format json  one JSON object, with nested lists\n"
	"  --help, --version\n";

static const struct option long_switches[] = {
	{"format", required_argument, NULL, ARGS_FIRST},
	ARGS_COMMON,
	{0},
};

static int take_switch(void *to, int code, const char *value);

static const struct args args = {
	.program = "ckptfs cat",
	.usage = usage,
	.switches = "",
	.long_switches = long_switches,
	.needed = "a variable or a text is needed",
	.min = 1,
	.max = INT_MAX,
	.exit_usage = VERB_USAGE,
	.take = take_switch,
};

static int take_switch(void *to, int code, const char *value)
{
	struct cat *c = to;

	(void)code;
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
		if (!strcmp(value, formats[i].name)) {
			c->format = &formats[i];
			return -1;
		}
	return args_refuse(&args, "--format is one of text, npy, raw, csv, json");
}

static int print_made_text(const struct place *p, struct err *e)
{
	CLEANUP(buf_release) struct buf text = {0};
	int r = text_make(&p->loaded->texts, p->loaded->step, p->dirfd, p->at, &text, e);

	return r < 0 ? r : text_out(buf_bytes(&text), e);
}

static int print_state(const struct place *p, struct err *e)
{
	CLEANUP(freep) uint8_t *piece = malloc(PIECE);
	struct view_file *f;
	uint64_t at = 0;
	int64_t n = 0;
	bool stable;
	int r = piece ? view_open(p->view, p->id, &f, &stable, e)
		      : err_set(e, -ENOMEM, "no memory");

	if (r < 0)
		return r;
	while (r == 0 && (n = view_read(f, at, PIECE, piece, e)) > 0) {
		r = text_out(bytes_of(piece, (size_t)n), e);
		at += (uint64_t)n;
	}
	view_close(f);
	return n < 0 ? (int)n : r;
}

static int print_place(void *arg, const char *path, const struct place *p, struct err *e)
{
	struct cat *c = arg;
	int r;

	if (p->kind == PLACE_VAR)
		r = c->format->print(c, p, e);
	else if (p->kind == PLACE_TEXT)
		r = print_made_text(p, e);
	else if (p->kind == PLACE_STATE)
		r = print_state(p, e);
	else
		r = err_set(e, -EISDIR, "is a %s, not a variable",
			    p->kind == PLACE_FOLDER ? "directory"
			    : p->kind == PLACE_STEP ? "step"
						    : "scope");
	return r < 0 ? err_wrap(e, r, "%s", path) : 0;
}

int verb_cat(int argc, char **argv)
{
	struct cat c = {.format = formats};
	struct err e = {0};
	char **paths;
	int status = args_parse(&args, argc, argv, &c, &paths);

	if (status >= 0)
		return status;
	status = 0;
	for (; *paths; paths++)
		if (match_each(&c.places, *paths, WISH_VAR, print_place, &c, &e) < 0) {
			fprintf(stderr, "ckptfs cat: %s\n", e.text);
			status = VERB_FAILED;
		}
	if (fflush(stdout))
		status = VERB_FAILED;
	buf_release(&c.text);
	places_release(&c.places);
	return status;
}

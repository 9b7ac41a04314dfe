#include "cli/fsck_report.h"
#include "base/cleanup.h"
#include "base/utf8.h"
#include <inttypes.h>
#include <stdlib.h>

char *path_in(const char *folder, const char *name)
{
	char *path = NULL;
	const char *slash = *folder && folder[strlen(folder) - 1] != '/' ? "/" : "";

	return asprintf(&path, "%s%s%s", folder, slash, name) < 0 ? NULL : path;
}

/* --- findings ---------------------------------------------------------------------------------------------- */

/* Without memory the finding is lost. check_step then fails as well, since it needs more memory than this. */
void findings_add(void *arg, enum finding kind, struct bytes key, const char *text)
{
	struct findings *f = arg;
	struct finding_item item = {kind, f->bytes.n, key.n, f->bytes.n + key.n};

	if (buf_reserve(&f->bytes, key.n + strlen(text) + 1) < 0 ||
	    buf_add(&f->array, &item, sizeof item) < 0)
		return;
	buf_add(&f->bytes, key.p, key.n);
	buf_add(&f->bytes, text, strlen(text) + 1);
	f->items = (struct finding_item *)f->array.p;
	f->n = f->array.n / sizeof item;
}

void findings_reset(struct findings *f)
{
	f->n = f->array.n = f->bytes.n = 0;
}

void findings_release(struct findings *f)
{
	buf_release(&f->array);
	buf_release(&f->bytes);
	*f = (struct findings){0};
}

/* --- JSON -------------------------------------------------------------------------------------------------- */

/* S as a JSON string. A byte that is not UTF-8 becomes a lone surrogate, as with Python's surrogateescape. */
static void json_string(struct buf *out, struct bytes s)
{
	buf_add_byte(out, '"');
	while (s.n) {
		size_t n = utf8_length(s);

		if (!n)
			buf_printf(out, "\\udc%02x", s.p[0]);
		else if (*s.p == '"' || *s.p == '\\')
			buf_printf(out, "\\%c", *s.p);
		else if (*s.p < 0x20 || *s.p == 0x7f)
			buf_printf(out, "\\u%04x", *s.p);
		else
			buf_add(out, s.p, n);
		s = bytes_of(s.p + (n ? n : 1), s.n - (n ? n : 1));
	}
	buf_add_byte(out, '"');
}

static void json_field(struct buf *out, const char *name, struct bytes value)
{
	buf_printf(out, "\"%s\": ", name);
	json_string(out, value);
}

static void json_next(struct buf *l)
{
	buf_add_str(l, l->n ? ",\n  " : "\n  ");
}

static void json_told(struct buf *l, const char *path, struct bytes key, const char *text)
{
	json_next(l);
	buf_add_str(l, "{");
	if (path) {
		json_field(l, "path", bytes_str(path));
		buf_add_str(l, ", ");
	}
	if (key.p) {
		json_field(l, "key", key);
		buf_add_str(l, ", ");
	}
	json_field(l, "text", bytes_str(text));
	buf_add_str(l, "}");
}

static void print_list(const char *name, const struct buf *l)
{
	printf(",\n \"%s\": [", name);
	if (l->n)
		fwrite(l->p, 1, l->n, stdout);
	putchar(']');
}

/* --- lines ------------------------------------------------------------------------------------------------- */

/* Control characters become '?', as err_set does it: what comes from files must not control the terminal. */
static void print_safely(struct bytes s)
{
	for (size_t i = 0; i < s.n; i++)
		putchar(s.p[i] < 0x20 || s.p[i] == 0x7f ? '?' : s.p[i]);
}

static void print_line(struct report *r, const char *before, const char *path, struct bytes key,
		       const char *text)
{
	if (r->json)
		return;
	progress_erase(r->progress);
	fputs(before, stdout);
	print_safely(bytes_str(path));
	fputs(": ", stdout);
	if (key.n) {
		print_safely(key);
		fputs(": ", stdout);
	}
	print_safely(bytes_str(text));
	putchar('\n');
	fflush(stdout);
}

static const struct bytes no_key = {NULL, 0};

void report_problem(struct report *r, const char *path, const char *text)
{
	r->problems++;
	json_told(&r->json_problems, path, no_key, text);
	print_line(r, "", path, no_key, text);
}

void report_note(struct report *r, const char *path, const char *text)
{
	r->notes++;
	json_told(&r->json_notes, path, no_key, text);
	print_line(r, "note: ", path, no_key, text);
}

void report_repaired(struct report *r, const char *path, const char *text)
{
	json_told(&r->json_repaired, path, no_key, text);
	print_line(r, "", path, no_key, text);
}

void report_error(struct report *r, const char *text)
{
	r->errors++;
	json_told(&r->json_errors, NULL, no_key, text);
	progress_erase(r->progress);
	fprintf(stderr, "fsck.ckptfs: %s\n", text);
}

void report_failure(struct report *r, const char *path, struct err *e)
{
	err_wrap(e, e->code, "%s", path);
	report_error(r, e->text);
}

static void json_step(struct report *r, const char *path, const struct step_place *place,
		      const struct checked *checked, const struct buf *problems)
{
	struct buf *out = &r->json_steps;

	json_next(&r->json_steps);
	buf_add_str(out, "{");
	json_field(out, "name", bytes_str(place->name));
	buf_add_str(out, ", ");
	json_field(out, "path", bytes_str(path));
	buf_printf(out,
		   ", \"format\": \"%s\", \"variables\": %" PRIu32 ", \"bytes\": %" PRIu64
		   ", \"problems\": [",
		   place->format == STEP_V2 ? "v2" : "v1", checked->variables, checked->bytes);
	buf_add(out, problems->p, problems->n);
	buf_add_str(out, "]}");
}

void report_step(struct report *r, const char *path, const struct step_place *place,
		 const struct checked *checked, const struct findings *f)
{
	struct buf problems = {0};

	r->steps++;
	r->variables += checked->variables;
	r->bytes += checked->bytes;
	for (size_t i = 0; i < f->n; i++) {
		const struct finding_item *item = &f->items[i];
		struct bytes key = bytes_of(f->bytes.p + item->key, item->key_n);
		const char *text = (char *)f->bytes.p + item->text;

		if (item->kind == FOUND_NOTE) {
			report_note(r, path, text);
			continue;
		}
		r->problems++;
		json_told(&problems, NULL, item->key_n ? key : no_key, text);
		print_line(r, "", path, key, text);
	}
	json_step(r, path, place, checked, &problems);
	buf_release(&problems);
}

bool report_ask(struct report *r, const char *path, const char *question)
{
	char answer[16];

	progress_erase(r->progress);
	fprintf(stderr, "%s: %s [y/N] ", path, question);
	return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static void print_object(const struct report *r, const char *directory)
{
	CLEANUP(buf_release) struct buf name = {0};

	json_field(&name, "directory", bytes_str(directory));
	printf("{%.*s", (int)name.n, (char *)name.p);
	print_list("steps", &r->json_steps);
	print_list("problems", &r->json_problems);
	print_list("notes", &r->json_notes);
	print_list("repaired", &r->json_repaired);
	print_list("errors", &r->json_errors);
	printf(",\n \"summary\": {\"steps\": %" PRIu64 ", \"variables\": %" PRIu64
	       ", \"bytes\": %" PRIu64 ", \"problems\": %" PRIu64 ", \"notes\": %" PRIu64
	       ", \"corrected\": %" PRIu64 "}}\n",
	       r->steps, r->variables, r->bytes, r->problems, r->notes, r->corrected);
}

bool report_end(struct report *r, const char *directory, bool interrupted)
{
	progress_erase(r->progress);
	if (r->json)
		print_object(r, directory);
	else
		printf("%s: %s%" PRIu64 " step%s, %" PRIu64 " variable%s, %" PRIu64
		       " bytes verified, %" PRIu64 " problem%s, %" PRIu64 " note%s, %" PRIu64
		       " corrected\n",
		       directory, interrupted ? "interrupted: " : "", r->steps,
		       r->steps == 1 ? "" : "s", r->variables, r->variables == 1 ? "" : "s",
		       r->bytes, r->problems, r->problems == 1 ? "" : "s", r->notes,
		       r->notes == 1 ? "" : "s", r->corrected);
	return fflush(stdout) == 0 && !ferror(stdout);
}

void report_release(struct report *r)
{
	buf_release(&r->json_steps);
	buf_release(&r->json_problems);
	buf_release(&r->json_notes);
	buf_release(&r->json_repaired);
	buf_release(&r->json_errors);
}

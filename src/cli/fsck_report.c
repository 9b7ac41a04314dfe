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

void report_as_json(struct report *r)
{
	if (r->json)
		return;
	r->json = true;
	r->json_steps = json_object_new_array();
	r->json_problems = json_object_new_array();
	r->json_notes = json_object_new_array();
	r->json_repaired = json_object_new_array();
	r->json_errors = json_object_new_array();
}

/* LIST is NULL if no JSON is printed. */
static void json_told(struct json_object *list, const char *path, struct bytes key,
		      const char *text)
{
	struct json_object *o;

	if (!list)
		return;
	o = json_object_new_object();
	if (path)
		json_put(o, "path", json_bytes(bytes_str(path)));
	if (key.p)
		json_put(o, "key", json_bytes(key));
	json_put(o, "text", json_bytes(bytes_str(text)));
	json_append(list, o);
}

/* --- lines ------------------------------------------------------------------------------------------------- */

/* Control characters become '?', as err_set does it: what comes from files must not control the terminal. */
static void print_safely(struct bytes s)
{
	while (s.n) {
		struct bytes c = utf8_take(&s);

		if (utf8_is_control(c))
			putchar('?');
		else
			fwrite(c.p, 1, c.n, stdout);
	}
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
	json_told(r->json_problems, path, no_key, text);
	print_line(r, "", path, no_key, text);
}

void report_note(struct report *r, const char *path, const char *text)
{
	r->notes++;
	json_told(r->json_notes, path, no_key, text);
	print_line(r, "note: ", path, no_key, text);
}

void report_repaired(struct report *r, const char *path, const char *text)
{
	json_told(r->json_repaired, path, no_key, text);
	print_line(r, "", path, no_key, text);
}

void report_error(struct report *r, const char *text)
{
	r->errors++;
	json_told(r->json_errors, NULL, no_key, text);
	progress_erase(r->progress);
	fprintf(stderr, "fsck.ckptfs: %s\n", text);
}

void report_failure(struct report *r, const char *path, struct err *e)
{
	err_wrap(e, e->code, "%s", path);
	report_error(r, e->text);
}

static void json_step(struct report *r, const char *path, const struct step_place *place,
		      const struct checked *checked, struct json_object *problems)
{
	struct json_object *o = json_object_new_object();

	json_put(o, "name", json_bytes(bytes_str(place->name)));
	json_put(o, "path", json_bytes(bytes_str(path)));
	json_put(o, "format", json_bytes(bytes_str(place->format == STEP_V2 ? "v2" : "v1")));
	json_put(o, "variables", json_object_new_uint64(checked->variables));
	json_put(o, "bytes", json_object_new_uint64(checked->bytes));
	json_put(o, "problems", problems);
	json_append(r->json_steps, o);
}

void report_step(struct report *r, const char *path, const struct step_place *place,
		 const struct checked *checked, const struct findings *f)
{
	struct json_object *problems = r->json ? json_object_new_array() : NULL;

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
		json_told(problems, NULL, item->key_n ? key : no_key, text);
		print_line(r, "", path, key, text);
	}
	if (r->json)
		json_step(r, path, place, checked, problems);
}

bool report_ask(struct report *r, const char *path, const char *question)
{
	char answer[16];

	progress_erase(r->progress);
	fprintf(stderr, "%s: %s [y/N] ", path, question);
	return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

/* The lists are handed on. False: it can't be printed. */
static bool print_object(struct report *r, const char *directory)
{
	struct json_object *o = json_object_new_object(), *summary = json_object_new_object();

	json_put(summary, "steps", json_object_new_uint64(r->steps));
	json_put(summary, "variables", json_object_new_uint64(r->variables));
	json_put(summary, "bytes", json_object_new_uint64(r->bytes));
	json_put(summary, "problems", json_object_new_uint64(r->problems));
	json_put(summary, "notes", json_object_new_uint64(r->notes));
	json_put(summary, "corrected", json_object_new_uint64(r->corrected));
	json_put(o, "directory", json_bytes(bytes_str(directory)));
	json_put(o, "steps", TAKE(r->json_steps, NULL));
	json_put(o, "problems", TAKE(r->json_problems, NULL));
	json_put(o, "notes", TAKE(r->json_notes, NULL));
	json_put(o, "repaired", TAKE(r->json_repaired, NULL));
	json_put(o, "errors", TAKE(r->json_errors, NULL));
	json_put(o, "summary", summary);
	return json_print(o) == 0;
}

bool report_end(struct report *r, const char *directory, bool interrupted)
{
	progress_erase(r->progress);
	if (r->json)
		return print_object(r, directory);
	printf("%s: %s%" PRIu64 " step%s, %" PRIu64 " variable%s, %" PRIu64
	       " bytes verified, %" PRIu64 " problem%s, %" PRIu64 " note%s, %" PRIu64
	       " corrected\n",
	       directory, interrupted ? "interrupted: " : "", r->steps, r->steps == 1 ? "" : "s",
	       r->variables, r->variables == 1 ? "" : "s", r->bytes, r->problems,
	       r->problems == 1 ? "" : "s", r->notes, r->notes == 1 ? "" : "s", r->corrected);
	return fflush(stdout) == 0 && !ferror(stdout);
}

void report_release(struct report *r)
{
	json_object_put(r->json_steps);
	json_object_put(r->json_problems);
	json_object_put(r->json_notes);
	json_object_put(r->json_repaired);
	json_object_put(r->json_errors);
}

/* src/cli/fsck_report.h: what fsck.ckptfs prints: lines of text, or one JSON object; and how far it is.
 *
 * One thread reports. Progress has a thread of its own, which gets along with that one. */
#pragma once
#include "base/buf.h"
#include "check/check.h"
#include "tool/json.h"
#include "tool/progress.h"
#include <stdio.h>

struct report {
	bool json;
	uint64_t steps, variables, bytes, problems, notes, corrected, errors;
	/* As JSON: arrays, which are printed at the end. Else NULL. */
	struct json_object *json_steps, *json_problems, *json_notes, *json_repaired, *json_errors;
	struct progress *progress; /* NULL: none is shown */
};

/* What was found in a step. It is reported when all of the step was read: if that was replaced meanwhile it means nothing. */
struct findings {
	struct finding_item {
		enum finding kind;
		size_t key, key_n, text; /* in `bytes`; text ends with a NUL */
	} * items;
	size_t n;
	struct buf array, bytes;
};

/* The path of NAME in FOLDER, as messages show it. The caller frees it. NULL: no memory. */
char *path_in(const char *folder, const char *name);

/* The `found` of struct check; ARG is a struct findings. */
void findings_add(void *arg, enum finding kind, struct bytes key, const char *text);
void findings_reset(struct findings *f);
void findings_release(struct findings *f);

/* From now on one JSON object is printed at the end, and no lines. */
void report_as_json(struct report *r);

void report_step(struct report *r, const char *path, const struct step_place *place,
		 const struct checked *checked, const struct findings *f);
void report_problem(struct report *r, const char *path, const char *text);
void report_note(struct report *r, const char *path, const char *text);
void report_repaired(struct report *r, const char *path, const char *text);
void report_error(struct report *r, const char *text); /* on stderr */
void report_failure(struct report *r, const char *path, struct err *e); /* "PATH: E" as an error */

/* Asks "PATH: QUESTION [y/N] " on the terminal. */
bool report_ask(struct report *r, const char *path, const char *question);

/* Prints the last line, or the JSON object. False: stdout could not be written to. */
bool report_end(struct report *r, const char *directory, bool interrupted);
void report_release(struct report *r);

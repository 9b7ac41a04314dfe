/* src/edit/words.h: a line of a script as words, as a shell would read it. */
#pragma once
#include "base/buf.h"
#include "base/error.h"

/* {0} has none. */
struct words {
	char **all; /* allocated one by one; a pointer may be replaced by another such one */
	size_t n;
	struct buf array;
};

void words_release(struct words *w);

/* Blanks end a word. Between single quotes all stands for itself; a backslash takes what a character means; between double quotes it
 * does so to '"' and itself. '#' at the beginning of a word begins a comment. -EINVAL: a quote is not closed. */
int words_split(const char *line, struct words *out, struct err *e);

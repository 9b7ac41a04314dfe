/* src/directory/state_edit.h: a directory's state file as it was read, what it is to say, and how that takes its
 * place. */
#pragma once
#include "message/state.h"
#include <sys/types.h>

/* The file as it was read. */
struct state_text {
	bool exists;
	mode_t mode; /* of a new one: 0644 */
	struct buf text;
};

/* Reads the state file NAME in DIRFD. 0 also if there is none. -EINVAL: it is no file, or too large for one; or
 * what reading returns. E does not name the file. OUT is released by state_text_release in any case. */
int state_text_read(int dirfd, const char *name, struct state_text *out, struct err *e);
void state_text_release(struct state_text *t);

/* Puts NEW in place of the file, or removes it if NEW has no bytes. It is read once more right before: if it is
 * another by now, 1 is returned, and nothing is done. The new file is first made in MADE_IN, where a crash leaves
 * it. Else 0, or what the calls return; E names the file. */
int state_text_replace(const struct state_text *old, int made_in, int dirfd, const char *name,
		       struct bytes new, struct err *e);

/* What the file said and is to say. */
struct state_edit {
	struct state old; /* `latest` is NULL: nothing can be made of the text */
	struct state new; /* `latest` is NULL: there is to be no file */
	struct buf paths, times; /* char *, which are its own, and double: what `new` lists */
};

/* Parses TEXT into S->old. S->new says the same but for its steps: it has none. As state_parse. S is released in
 * any case. */
int state_edit_begin(struct state_edit *s, struct bytes text, struct err *e);
void state_edit_release(struct state_edit *s);

/* The time of the path I of S->old; NULL: it has none. */
const double *state_edit_time(const struct state_edit *s, size_t i);

/* Lists PATH last in S->new, at TIME or without. PATH becomes S's, also if that fails; NULL, for which there was no
 * memory, does. -ENOMEM. */
int state_edit_add(struct state_edit *s, char *path, const double *time);

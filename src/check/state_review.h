/* src/check/state_review.h: does TensorFlow find the steps that a state file names? And the text that would mend it.
 *
 * TensorFlow takes a path as it is, from the state file's folder if it is relative, and looks for PATH.index or PATH. Of a path
 * that it does not find, the step is often here all the same: the directory was moved. */
#pragma once
#include "directory/listing.h"
#include "directory/state_edit.h"

struct state_review {
	struct state_text was;
	bool parsed; /* else what it said is lost when it is mended */
	struct buf faults, notes; /* sentences, each with its NUL */
	struct buf
		mended; /* the text to put in its place; empty if there is none: no step is left */
};

/* The state file NAME in DIRFD, whose listing L is. 0 also if there is none. -ENOMEM, -EACCES and the like, or of reading. */
int state_review(int dirfd, const char *name, const struct listing *l, struct state_review *out,
		 struct err *e);
void state_review_release(struct state_review *r);

/* Puts the mended text, which must not be empty, in its place. -ESTALE: another was written meanwhile; or of writing. */
int state_mend(int dirfd, const char *name, const struct state_review *r, struct err *e);

/* src/check/state_review.h: whether TensorFlow finds the steps that a state file names, and the text that would
 * mend it.
 *
 * TensorFlow takes a path as it is, or from the state file's folder if it is relative, and looks for PATH.index or
 * PATH. If it finds nothing, the step is often in this folder all the same: then the directory was moved. */
#pragma once
#include "directory/listing.h"
#include "directory/state_edit.h"

struct state_review {
	struct state_text was;
	bool parsed; /* false: what it said is lost when it is mended */
	struct buf faults, notes; /* sentences, each with its NUL */
	/* The text to take its place; empty: nothing is to be mended, or no step is left. */
	struct buf mended;
};

/* Reviews the state file NAME in DIRFD, which L lists. 0 also if there is none. -ENOMEM, or what reading returns. */
int state_review(int dirfd, const char *name, const struct listing *l, struct state_review *out,
		 struct err *e);
void state_review_release(struct state_review *r);

/* Puts the mended text, which must not be empty, in its place. -ESTALE: another was written meanwhile; or of
 * writing. */
int state_mend(int dirfd, const char *name, const struct state_review *r, struct err *e);

/* src/commit/noted.h: what a draft that goes on was published as last. For src/commit alone.
 *
 * DR/published is the note: a copy of the index of that step. A step is that one as long as its index has the same bytes,
 * whatever it is called by now. A hard link would not do: tf.train.Checkpoint writes the index in place. DRAFT is a descriptor of DR, TOP one of the
 * checkpoint directory. */
#pragma once
#include "commit/plan.h"

/* Notes that the draft is published as the step NAME, in place of what was noted before. */
int noted_make(int draft, int top, const char *name, struct err *e);

/* The step that is noted, into OUT: 1; 0: none is, or it is gone; or of looking for it. */
int noted_open(int draft, int top, enum verify_mode mode, struct step **out, struct err *e);

/* The same, but it is not opened: its place is copied into OUT. */
int noted_find(int draft, int top, struct step_place *out, struct err *e);

/* Whether P, which is made and whose graphs are, is what the step P->last holds: 1, 0, or of reading. */
int noted_is_plan(struct plan *p, struct err *e);

/* The same of a V1 file, which P has been packed into. */
int noted_is_v1(struct plan *p, struct err *e);

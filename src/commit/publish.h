/* src/commit/publish.h: the new step gets its files and its name in the checkpoint directory: 2 to 5 of
 * commit/commit.h. */
#pragma once
#include "commit/plan.h"

/* Links the files of P, the index last, under the next free name of the family, or under the base's (commit/in_place.h),
 * which NAME gets; P->published says whether it is there. If it fails the links are taken back. Of a plan without variables the
 * meta graph and debug info are linked, and no step is published; record_take_back takes them back. */
int publish(struct plan *p, struct buf *name, struct err *e);

/* Into NAME, with a NUL, the name under which a draft of the step OWN is published in the directory TOP: OWN itself, if it MAY_HAVE_OWN,
 * as a new step may, and that is free; else the next of the family. */
int publish_next_name(int top, const char *own, bool may_have_own, const struct commit_config *c,
		      struct buf *name, struct err *e);

/* The index of the published step P, open under its name there, for the one in DR is to be removed; -1: without memory.
 * If another has that name by now it is the one in DR all the same, which is P's no more. */
int publish_open_index(struct plan *p);

/* Calls the step NAME, which is published, the latest in the state file, if that is BASE so far, or what the draft was
 * published as before (commit/noted.h). A draft without a base is a person's own step, of which a trainer must know nothing.
 * Without C->write_state nothing is done. DRAFT: the draft's folder, in which the new file is made. */
int publish_in_state(int draft, int top, const struct commit_config *c, const char *base,
		     const char *name, struct err *e);

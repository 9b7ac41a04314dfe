/* src/directory/rotation.h: which of the steps that the state file lists is to be removed next, as Saver does it with
 * max_to_keep. */
#pragma once
#include "step/step.h"

struct rotation {
	const char *state_name;
	const char *latest; /* the state file has to call this step the latest */
	unsigned max_to_keep; /* so many may be listed; 0: any number */
	/* Which steps are only taken off the list. If the state file has times: one that is more than KEEP_SECONDS younger than the
	 * last one that was kept so. If it has none: one whose file is younger than NEXT_KEPT, in seconds since the epoch. */
	double keep_seconds;
	double next_kept;
	bool (*in_use)(void *arg, const char *step); /* such a step stays */
	void *arg;
};

enum { ROTATION_REMOVE = 1, ROTATION_KEEP };

/* If the state file in DIRFD lists too many steps, OUT is the place of the oldest that is not in use and not the latest; it
 * may be missing. ROTATION_REMOVE; ROTATION_KEEP: it is only to be taken off the list; 0: not too many are listed. -EBUSY: all
 * are in use; -ENOMEM, or of reading. */
int rotation_next(int dirfd, const struct rotation *r, struct step_place *out, struct err *e);

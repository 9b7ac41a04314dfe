/* src/directory/rotation.h: which of the steps that the state file lists is to be removed next, as Saver does it with
 * max_to_keep. */
#pragma once
#include "step/step.h"

struct rotation {
	const char *state_name;
	const char *latest; /* the state file has to call this step the latest */
	unsigned max_to_keep; /* so many may be listed; 0: any number */
	bool (*in_use)(void *arg, const char *step); /* such a step stays */
	void *arg;
};

/* 1: the state file in DIRFD lists more steps, and OUT is the place of the oldest that is not in use and not the latest. It may be
 * missing. 0: it does not. -EBUSY: it does, but all are in use. -ENOMEM, or of reading. */
int rotation_next(int dirfd, const struct rotation *r, struct step_place *out, struct err *e);

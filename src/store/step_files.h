/* src/store/step_files.h: a step's files as a whole: renamed, removed.
 *
 * Both first let the state file know, so that TensorFlow is never led to what is not there; the index is what makes a step one, so
 * it comes last and goes first. */
#pragma once
#include "store/step.h"

struct step_files {
	int top; /* the checkpoint directory */
	const char *state_name;
	const char *meta; /* suffix of the meta graph */
};

/* Gives the step at FROM the prefix TO. -EEXIST: something of that name is there; or of the calls. */
int step_rename(const struct step_files *f, const struct step_place *from, const char *to,
		struct err *e);

/* Removes it; shards that other steps have links to live on there. What is missing already is no error. */
int step_remove(const struct step_files *f, const struct step_place *place, struct err *e);

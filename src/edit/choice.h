/* src/edit/choice.h: variables of one step, chosen by paths. */
#pragma once
#include "tool/place.h"

struct choice {
	struct places places;
	struct place in; /* the step */
	struct buf files; /* uint32_t: the numbers of the variables' files in its tree */
};

/* An empty one, for CLEANUP(choice_release). */
#define CHOICE_EMPTY                                                                               \
	(struct choice)                                                                            \
	{                                                                                          \
		.in.dirfd = -1                                                                     \
	}

void choice_release(struct choice *c);

/* Adds what PATH names, or its globs match: of a step all variables, of a scope those in it, or one. -EINVAL: it is no such thing, or of
 * another step than those before; or of match_each. */
int choice_add(struct choice *c, const char *path, struct err *e);

/* The files, N of them, in the order of their paths. What was added twice counts once. They are the choice's. */
const uint32_t *choice_files(struct choice *c, size_t *n);

static inline const struct tree_file *choice_file(const struct choice *c, uint32_t file)
{
	return &c->in.loaded->tree.files[file];
}

static inline const struct var *choice_var(const struct choice *c, uint32_t file)
{
	return &c->in.loaded->step->vars[choice_file(c, file)->var];
}

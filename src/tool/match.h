/* src/tool/match.h: paths with globs (base/glob.h), as net/model-200/layer_*\/kernel or net/model-*\/w. */
#pragma once
#include "tool/place.h"

/* GLOB, which may have ':' in it, as a list of globs (base/glob.h). The caller frees it; NULL: no memory. */
char *match_list(const char *glob);

/* What a path, or each of its matches, is: PATH is how it would be named by itself. */
typedef int match_found(void *arg, const char *path, const struct place *p, struct err *e);

/* Calls FOUND for what PATH names. If there is nothing of that name, and PATH has a glob behind the directory, for each step and
 * variable that matches; a scope matches by the variables in it. WISH as for place_find. -ENOENT: nothing matches; or what FOUND
 * returns. */
int match_each(struct places *ps, const char *path, enum place_wish wish, match_found *found,
	       void *arg, struct err *e);

/* Does the variable with the path STEM, without .npy, match GLOB, which may have it? False also without memory. */
bool match_name(const char *glob, struct bytes stem);

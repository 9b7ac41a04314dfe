/* src/edit/target.h: what a path names in a directory that is being changed: as it is now, with the changes so far. */
#pragma once
#include "edit/change.h"

enum target_kind {
	TARGET_NONE, /* nothing has the name, but its folder is there */
	TARGET_FOLDER, /* a directory of steps */
	TARGET_LINK,
	TARGET_STATE,
	TARGET_STEP,
	TARGET_SCOPE,
	TARGET_FILE, /* a variable or a text */
};

/* The references that the view gave for the numbers are kept until the end. */
struct target {
	enum target_kind kind;
	uint64_t id; /* of NONE: 0 */
	uint64_t dir; /* the folder that it is in */
	uint64_t step; /* the step that it is, or that it is in; 0: none */
	char *name; /* in DIR, as the view has it */
	char *as; /* the same as the path has it: perhaps without .npy */
	char *step_name;
	char *where; /* its names from the root on, each behind a '/' */
	char *path; /* for what is said */
	bool slash; /* the path ends with '/' */
};

void target_release(struct target *t);

/* How a path is understood. */
enum target_wish {
	TARGET_VAR = 0, /* its last name, if a variable and a scope have it, is the variable */
	TARGET_SCOPE_FIRST = 1, /* then it is the scope */
	TARGET_MAKE = 2, /* scopes above that are not there are made */
	TARGET_MAKE_LAST = 4, /* and the last one, if a '/' follows */
};

/* -ENOENT: nothing has the name of a folder above; -ENOTDIR. E names PATH. */
int target_find(struct changing *c, const char *path, unsigned wish, struct target *out,
		struct err *e);

/* T, a link, becomes what it leads to. */
int target_follow(struct changing *c, struct target *t, struct err *e);

/* {0} has none. */
struct targets {
	struct target *all;
	size_t n;
	size_t earlier; /* so many are of the paths before the last one */
	struct buf array;
};

void targets_release(struct targets *ts);

/* Appends what PATH names; or if nothing has the name and it has globs, the steps and variables that match. None is appended
 * twice. -ENOENT: there is nothing. */
int targets_find(struct changing *c, const char *path, struct targets *ts, struct err *e);

/* Is T the same as IN, or in it? */
bool target_is_in(const struct target *t, const struct target *in);

/* Calls VISIT for what is in T, a folder, step or scope. VISIT may keep or change the target. */
typedef int target_visit(void *arg, struct target *child, struct err *e);
int target_each(struct changing *c, const struct target *t, target_visit *visit, void *arg,
		struct err *e);

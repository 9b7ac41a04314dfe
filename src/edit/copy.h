/* src/edit/copy.h: variables are copied: within a checkpoint directory, from another one, from and to files on disk. */
#pragma once
#include "edit/target.h"

/* T, a file, scope or step, becomes NAME in the folder DIR. DST is how that was said: DIR is of it. Between steps of the directory no
 * bytes are moved. */
int copy_in_view(struct changing *c, const struct target *t, const struct target *dst, uint64_t dir,
		 const char *name, struct err *e);

/* Is PATH an archive on disk (edit/archive.h)? That, or a .npy file? */
bool copy_is_archive(const char *path);
bool copy_is_file(const char *path);

/* The same; or is it in another directory? */
bool copy_is_outside(const struct changing *c, const char *path);

/* Paths of variables outside, each with its NUL. */
struct outside {
	struct buf paths;
	size_t n;
	size_t archives; /* of them: each stands for several variables */
};

/* Adds PATH, of which copy_is_outside is true, to O; or, if it has globs, what it matches. */
int copy_find_outside(const char *path, struct outside *o, struct err *e);

/* As copy_in_view, of such a file; of a variable in another directory. */
int copy_from_disk(struct changing *c, const char *path, const struct target *dst, uint64_t dir,
		   const char *name, struct err *e);
int copy_from_other(struct changing *c, const char *path, const struct target *dst, uint64_t dir,
		    const char *name, struct err *e);

/* DST, of which nothing has the name, becomes a new step, or a scope in one. */
int copy_make_folder(struct changing *c, struct target *dst, struct err *e);

/* The members of the archive PATH become variables in DST, a step or scope. */
int copy_from_archive(struct changing *c, const char *path, const struct target *dst,
		      struct err *e);

/* Is DST, to which something is to be copied, on disk and not in a checkpoint? RECURSIVE: steps may be meant. */
bool copy_is_to_disk(const char *dst, bool recursive);

/* Copies the variables PATHS (N of them, with globs) to the .npy file DST, or into the directory DST; or these, and those of scopes and
 * steps, to the archive DST, as its name says. PROGRAM: for what is said. */
int copy_to_disk(char *const *paths, size_t n, const char *dst, const char *program, struct err *e);

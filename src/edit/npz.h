/* src/edit/npz.h: variables as a .npz archive, as numpy.savez writes it and numpy.load reads it, and such an archive as variables.
 *
 * A member is the .npy file of a mount, under its path: encoder/w.npy, which np.load(...)["encoder/w"] gives. Members are stored as they are;
 * compressed ones are read, too. */
#pragma once
#include "edit/choice.h"
#include "edit/put.h"

/* Is PATH the name of one: does it end with .npz? */
bool npz_is_name(const char *path);

/* The variables C become the archive TO, which is there when it is whole; "-" is the standard output. On stderr PROGRAM names those whose
 * names are not UTF-8, which are left out. Nothing is held of an array but a piece. */
int npz_write(struct choice *c, const char *to, const char *program, struct err *e);

/* Each member of the archive PATH becomes a variable in TO. -EINVAL: something is wrong with the archive; E names it and the member, and the
 * caller discards all. -ENOSPC: the members are larger than what the filesystem has free. */
int npz_read(const char *path, struct put *to, struct err *e);

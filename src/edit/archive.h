/* src/edit/archive.h: variables as one file, and such a file as variables.
 *
 * .npz, as numpy.savez writes it and numpy.load reads it: a member is the .npy file of a mount, under its path: encoder/w.npy, which
 * np.load(...)["encoder/w"] gives. Members are stored as they are; compressed ones are read, too.
 * .safetensors: see safetensors/safetensors.h. */
#pragma once
#include "edit/choice.h"
#include "edit/put.h"

enum archive_kind {
	ARCHIVE_NONE,
	ARCHIVE_NPZ,
	ARCHIVE_SAFETENSORS,
};

/* What PATH ends with: .npz, .safetensors, or neither. */
enum archive_kind archive_named(const char *path);

/* The variables C become the archive TO, of KIND (NONE is .safetensors), which is there when it is whole; "-" is the standard output. On stderr PROGRAM names
 * those that can't be in it. Nothing is held of an array but a piece. */
int archive_write(enum archive_kind kind, struct choice *c, const char *to, const char *program,
		  struct err *e);

/* Each member of the archive PATH, of KIND (as above), becomes a variable in TO. -EINVAL: something is wrong with the archive; E names it and the
 * member, and the caller discards all. -ENOSPC: the members of a .npz are larger than what the filesystem has free. */
int archive_read(enum archive_kind kind, const char *path, struct put *to, struct err *e);

/* --- of each kind ------------------------------------------------------------------------------------------------- */

int npz_write(struct choice *c, const char *to, const char *program, struct err *e);
int npz_read(const char *path, struct put *to, struct err *e);
int safetensors_write(struct choice *c, const char *to, const char *program, struct err *e);
int safetensors_put(const char *path, struct put *to, struct err *e);

/* src/base/io.h: the calls that change a directory.
 *
 * A directory is a descriptor and a name in it. E names the file. */
#pragma once
#include "base/bytes.h"
#include "base/error.h"
#include <sys/types.h>

/* Puts B in place of the file NAME, or makes it: whoever opens NAME, also after a crash, finds the old bytes or the
 * new ones, whole. NAME.tmp and 32 hex digits is written, synced and renamed, as TensorFlow does, and the directory
 * synced. MODE is the new file's, its owner that of the old one where that is permitted. Of the calls that failed. */
int io_replace_file(int dirfd, const char *name, struct bytes b, mode_t mode, struct err *e);

int io_remove_file(int dirfd, const char *name, struct err *e);
int io_remove_folder(int dirfd, const char *name, struct err *e); /* an empty one */

/* src/directory/file_stamp.h: tells a file from a later one that has its name.
 *
 * A trace is a symbolic link that leads nowhere; it is called as the file is, and its target is "INODE SIZE
 * TIME". It stays true of a file that is renamed, linked or unlinked elsewhere, and of none that is written
 * after it. */
#pragma once
#include "base/error.h"
#include <stdbool.h>

/* The trace NAME, in the folder TRACES, of the file FILE of DIRFD. -ENOENT if that is not there, or of the calls. */
int trace_make(int dirfd, const char *file, int traces, const char *name, struct err *e);

/* Is the file FILE of DIRFD the one that the trace NAME is of? 1, 0 (also if it is not there, or there is no
 * such trace), or why that can't be known. */
int trace_fits(int traces, const char *name, int dirfd, const char *file, struct err *e);

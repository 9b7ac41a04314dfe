/* src/directory/file_stamp.h: tells a file from a later one that has its name.
 *
 * A stamp is a symbolic link that leads nowhere. It has the file's name, and its target is "INODE SIZE TIME". INODE is
 * "-" where files do not keep theirs (directory/ability.h); then TIME, if it is in whole seconds, is followed by a checksum
 * of the first and last 64 KiB, as it is where files do not keep their times, and TIME is "-". It fits the file for as
 * long as nobody writes to it, also when the file is renamed, or gains or loses a hard link. Of a symbolic link
 * it is the link's. */
#pragma once
#include "base/error.h"
#include <stdbool.h>

/* Makes the stamp NAME in the folder STAMPS, of the file FILE in DIRFD. -ENOENT: there is no such file; or what the
 * calls return. */
int file_stamp_make(int dirfd, const char *file, int stamps, const char *name, struct err *e);

/* Is FILE in DIRFD the file that the stamp NAME was made of? 1; 0: it is not, or one of the two is missing; an
 * error if that can't be found out. */
int file_stamp_fits(int stamps, const char *name, int dirfd, const char *file, struct err *e);

/* The same of what FILE leads to, where it is a symbolic link. */
int file_stamp_make_target(int dirfd, const char *file, int stamps, const char *name,
			   struct err *e);
int file_stamp_fits_target(int stamps, const char *name, int dirfd, const char *file,
			   struct err *e);

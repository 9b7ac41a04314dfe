/* src/base/lacks.h: what filesystems are known to lack, by device.
 *
 * Nothing is lacking until directory/ability.h has found it out. Only what is the same for as long as the process has a
 * file of that filesystem open is kept here, so it needs no owner. All calls may be made by several threads at once. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>

enum {
	LACKS_LINKS = 1, /* hard links; or a link has another st_ino than the file */
	LACKS_INODES = 1 << 1, /* a file keeps its st_ino when it is renamed or linked */
	LACKS_SYMLINKS = 1 << 2, /* those that lead to another folder */
	LACKS_NOREPLACE = 1 << 3, /* renameat2(2) that refuses to replace */
	LACKS_NAMELESS = 1 << 4, /* a file can be used that was removed while it was open */
	LACKS_REMOVAL = 1 << 5, /* such a file is gone: it has another name until it is closed */
	LACKS_MODES = 1 << 6, /* a file has the mode that it was made with */
	LACKS_CLONES = 1 << 7, /* reflinks */
	LACKS_LOCKS = 1 << 8, /* flock(2) */
	LACKS_EVENTS = 1 << 9, /* inotify(7) tells of all changes */
	/* What is in a new folder can be read when that was renamed, and a new file that another was renamed over does not
	 * come back. */
	LACKS_FOLDERS = 1 << 10,
	LACKS_TIMES = 1 << 11, /* a new file keeps its time while somebody reads it */
	LACKS_NAME_LINKS = 1 << 12, /* symbolic links to a name of their own folder */
};

/* FLAGS, of the above, is all that DEV lacks. False: there is no room to remember it. */
bool lacks_note(dev_t dev, unsigned flags);

/* Is that known? */
bool lacks_known(dev_t dev);

/* 0 also if it is not known. */
unsigned lacks_of(dev_t dev);

/* The same for the filesystem that FD is in. */
unsigned lacks_at(int fd);

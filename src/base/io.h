/* src/base/io.h: the calls that change a directory.
 *
 * A directory is a descriptor and a name in it. E names the file. Unless it says otherwise, a call returns 0 or what
 * the system call that failed says. */
#pragma once
#include "base/bytes.h"
#include "base/error.h"
#include <sys/types.h>

/* Puts B in place of the file NAME, or makes it: whoever opens NAME, also after a crash, finds the old bytes or the
 * new ones, whole. NAME.tmp and 32 hex digits is written, synced and renamed, as TensorFlow does, and the directory
 * synced. MODE is the new file's, its owner that of the old one where that is permitted. Of the calls that failed. */
int io_replace_file(int dirfd, const char *name, struct bytes b, mode_t mode, struct err *e);

/* The same; what is written and not yet renamed is in MADE_IN, a directory on the same filesystem. */
int io_replace_file_from(int made_in, int dirfd, const char *name, struct bytes b, mode_t mode,
			 struct err *e);

/* The same, but it never takes the place of another: -EEXIST. */
int io_put_new(int dirfd, const char *name, struct bytes b, mode_t mode, struct err *e);

/* Makes the file NAME, which must not be there: its descriptor, for reading and writing. */
int io_create(int dirfd, const char *name, mode_t mode, struct err *e);

/* Makes a file that has no name, in the filesystem of DIRFD: its descriptor, for reading and writing. It is
 * gone when that is closed. */
int io_nameless(int dirfd, struct err *e);

/* An empty file NAME, which may be there already. */
int io_mark(int dirfd, const char *name, struct err *e);

int io_make_folder(int dirfd, const char *name, mode_t mode, struct err *e);
int io_make_link(const char *target, int dirfd, const char *name, struct err *e); /* symbolic */

/* All of B at OFF. */
int io_write_at(int fd, struct bytes b, uint64_t off, struct err *e);
int io_truncate(int fd, uint64_t size, struct err *e);
int io_sync(int fd, const char *name, struct err *e);

/* Has TO share all bytes of FROM, without copying any. False: the filesystem can't. */
bool io_clone(int from, int to);

/* LEN bytes, by reflink or within the kernel where that can be had. -EIO if FROM has fewer. */
int io_copy_range(int from, uint64_t from_off, int to, uint64_t to_off, uint64_t len,
		  struct err *e);

/* One more name for a file. It never takes the place of another: -EEXIST. */
int io_link(int from_dir, const char *from, int to_dir, const char *to, struct err *e);

/* The same, for the file that is open as FD, whatever has its name by now. -ENOENT if it has none any more. */
int io_link_fd(int fd, int to_dir, const char *to, struct err *e);

/* A copy of the open file FROM, as the new file TO, with the same owner and mode; synced. -EEXIST. */
int io_copy(int from, int to_dir, const char *to, struct err *e);

/* Whether R is an error of io_link that a copy does not have: a hard link is not to be had. */
bool io_needs_copy(int r);

/* As io_link, but where a hard link is not to be had (another owner, a filesystem without), a copy: a reflink,
 * else one of the bytes, whose descriptor is synced. */
int io_place(int from_dir, const char *from, int to_dir, const char *to, struct err *e);

/* Takes the place of what is there. */
int io_move(int from_dir, const char *from, int to_dir, const char *to, struct err *e);

/* The same, but not: -EEXIST. Where renameat2(2) can't refuse to replace, as on NFS, a file is linked and
 * unlinked; if that can't be had either, or it is a folder, there is a moment in which the name could be
 * taken: an empty file keeps it (io_is_mark). */
int io_move_new(int from_dir, const char *from, int to_dir, const char *to, struct err *e);

/* Is NAME what io_move_new keeps a name with, and a crash may leave? */
int io_is_mark(int dirfd, const char *name, struct err *e); /* 1, 0, or of asking */

/* Both are there, and change places. */
int io_exchange(int a_dir, const char *a, int b_dir, const char *b, struct err *e);

int io_remove_file(int dirfd, const char *name, struct err *e);
int io_remove_folder(int dirfd, const char *name, struct err *e); /* an empty one */

/* Removes NAME with all that is below it, links themselves and not what they lead to. It may be gone already. */
int io_remove_all(int dirfd, const char *name, struct err *e);

/* src/base/io.h: the calls that change a directory.
 *
 * A file is given by a directory's descriptor and a name in it; E names the file. Unless stated otherwise a call
 * returns 0, or the negative errno of the system call that failed. */
#pragma once
#include "base/bytes.h"
#include "base/error.h"
#include <sys/types.h>

/* Makes a file NAME of B, in place of the one that may be there. Whoever opens NAME, also after a crash, finds the old
 * bytes or the new ones, whole. As TensorFlow does, it writes and syncs NAME.tmp with 32 hex digits, renames that, and
 * syncs the directory. The file gets MODE, and the owner of the old one where that is permitted. The temporary file is in
 * MADE_IN, a directory on the same filesystem. */
int io_replace_file(int made_in, int dirfd, const char *name, struct bytes b, mode_t mode,
		    struct err *e);

/* As io_replace_file, but it never replaces a file: -EEXIST. */
int io_put_new(int dirfd, const char *name, struct bytes b, mode_t mode, struct err *e);

/* Makes the file NAME, which must not be there. Returns its descriptor, for reading and writing. */
int io_create(int dirfd, const char *name, mode_t mode, struct err *e);

/* Makes a file that has no name, in the filesystem of DIRFD if that can have one (base/lacks.h). Returns its descriptor, for reading and writing. The file
 * is gone when that is closed. */
int io_nameless(int dirfd, struct err *e);

/* One in another filesystem. */
int io_nameless_elsewhere(struct err *e);

/* Makes an empty file NAME. It may be there already. */
int io_mark(int dirfd, const char *name, struct err *e);

int io_make_folder(int dirfd, const char *name, mode_t mode, struct err *e);

/* Makes a symbolic link. Where the filesystem has none (base/lacks.h) it is a file that io_read_link takes for one; that
 * is not whole if the process is killed meanwhile. */
int io_make_link(const char *target, int dirfd, const char *name, struct err *e);

/* The same, but never a file: a symbolic link to TARGET, a name in DIRFD. -EOPNOTSUPP: there are none there. */
int io_make_name_link(const char *target, int dirfd, const char *name, struct err *e);

/* As readlinkat(2), but for a negative errno. -EINVAL: NAME is no such link. */
ssize_t io_read_link(int dirfd, const char *name, char *target, size_t size);

/* Writes all of B at OFF. */
int io_write_at(int fd, struct bytes b, uint64_t off, struct err *e);

/* N bytes were written at OFF, of many that come one behind the other: each 8 MiB that are there now begin to go to the disk, which so
 * writes while the next ones come, and has less to do at io_sync. */
void io_write_out(int fd, uint64_t off, uint64_t n);

int io_truncate(int fd, uint64_t size, struct err *e);
int io_sync(int fd, const char *name, struct err *e);

/* Makes TO a reflink of FROM: they share all bytes, and none is copied. False: the filesystem can't. */
bool io_clone(int from, int to);

/* Copies LEN bytes, within the kernel where the filesystem can. -EIO: FROM has fewer. */
int io_copy_range(int from, uint64_t from_off, int to, uint64_t to_off, uint64_t len,
		  struct err *e);

/* Makes a hard link. It never replaces a file: -EEXIST. */
int io_link(int from_dir, const char *from, int to_dir, const char *to, struct err *e);

/* The same to the file that FROM leads to, if that is a symbolic link. */
int io_link_target(int from_dir, const char *from, int to_dir, const char *to, struct err *e);

/* The same to the file that FD has open, whatever its old name leads to by now. -ENOENT: it has no name left. */
int io_link_fd(int fd, int to_dir, const char *to, struct err *e);

/* Copies the open file FROM, with owner and mode, to the new file TO, by reflink if it can; TO is synced. -EEXIST. */
int io_copy(int from, int to_dir, const char *to, struct err *e);

/* Does the error R of io_link mean that there are no hard links here, but a copy may do? */
bool io_needs_copy(int r);

/* As io_link, but where a hard link can't be made (another owner, a filesystem without), TO is a copy, as of io_copy. */
int io_place(int from_dir, const char *from, int to_dir, const char *to, struct err *e);

/* Renames FROM to TO, and replaces what is there. */
int io_move(int from_dir, const char *from, int to_dir, const char *to, struct err *e);

/* Renames FROM to TO, and replaces nothing: -EEXIST. Where renameat2(2) can't refuse to replace, as on NFS, a file is
 * linked and unlinked. Where there are no hard links, an empty file takes the name first (io_is_mark). For a folder, and where
 * what is new can't be renamed (LACKS_FOLDERS), TO is looked at first: what somebody makes at that moment, of folders an
 * empty one, is replaced. */
int io_move_new(int from_dir, const char *from, int to_dir, const char *to, struct err *e);

/* Is NAME an empty file with which io_move_new took a name? A crash may leave one. 1, 0, or a negative errno. */
int io_is_mark(int dirfd, const char *name, struct err *e);

/* Exchanges A and B, which must both be there. */
int io_exchange(int a_dir, const char *a, int b_dir, const char *b, struct err *e);

int io_remove_file(int dirfd, const char *name, struct err *e);
int io_remove_folder(int dirfd, const char *name, struct err *e); /* an empty one */

/* Removes NAME and all that is below it; it follows no symbolic link. NAME may be gone already. */
int io_remove_all(int dirfd, const char *name, struct err *e);

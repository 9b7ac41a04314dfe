/* src/directory/ability.h: what the filesystem of a checkpoint directory can do.
 *
 * It is asked of it once, by trying, before the first change; from then on everybody finds it in base/lacks.h:
 *
 *     lacking                who asks                                  what is done instead
 *     hard links             io_link, for all that links               copies; pins that do not hold (draft/pin.h); moves
 *     st_ino that stays      file_id_of, file_stamp_make               size and time tell files apart; stamps also have a checksum
 *     symbolic links         io_make_link                              small files
 *     those to a neighbour   io_make_name_link                         EOPNOTSUPP: `latest` alone can be changed
 *     RENAME_NOREPLACE       io_move_new                               link(2), or an empty file keeps the name
 *     what is removed while
 *       open can be used     io_nameless, draft_keep_bytes             such files are in /var/tmp
 *       open is gone         io_remove_folder, draft_sweep             the folder is removed a moment later, or by the next mount
 *                            rescue_note                               the copy that stays open is in /var/tmp
 *     folders with new
 *       files renamed        draft_begin, draft_rename, step_files     a mark says that a folder is not whole; EXDEV
 *     modes                  io_is_mark                                an empty file is one
 *     reflinks               io_clone tries it each time               copies
 *     flock                  lock_directory                            the lock file alone
 *     inotify                folder_watch                              the kernel asks after each second; a folder that has changed
 *                                                                      is read again as a whole */
#pragma once
#include "base/buf.h"
#include "base/error.h"
#include <stdbool.h>

/* Finds out what the filesystem of the checkpoint directory TOP lacks, in a folder that is made in .ckptfs, which must be
 * there, and is removed again. If that is known already nothing is done. 1: something is lacking that matters, and SAY has
 * a line, with its NUL, that says what, and what follows. 0; or why it can't be found out. After that, and on a full disk,
 * it can be asked again. */
int ability_learn(int top, struct buf *say, struct err *e);

/* Does inotify(7) tell of all changes of the folder DIRFD? Not where another machine or program can change files without
 * this kernel. Nothing is tried for this. */
bool ability_hears_changes(int dirfd);

/* Does it tell of each change before the call that makes it returns, so that nothing has to be asked besides? Of the filesystems that are
 * known for it, which no other machine can change. */
bool ability_hears_all(int dirfd);

/* Does the time of the folder DIRFD tell whether it has changed? Not so on FUSE: there are filesystems that leave it as it
 * is (rclone), or cut it to seconds (sshfs). */
bool ability_dates_folders(int dirfd);

/* src/directory/drafts_list.h: which drafts a checkpoint directory has, as the names in .ckptfs/drafts tell.
 *
 * A draft is a folder there, with the name of its step's folder (step/name.h). What is in it: draft/draft.h. */
#pragma once
#include "base/buf.h"
#include "base/error.h"

/* A draft that has ended gets this name and a number, and is then removed. No step's folder has such a name. Where folders
 * can't be renamed (directory/ability.h) it keeps its own until it is removed, and this is a link that leads to it. */
#define DRAFT_OLD "%old."

/* A draft that is being made has this name until it is whole. Where folders can't be renamed (directory/ability.h) it has
 * its own, and this is such a link. */
#define DRAFT_NEW "%new"

/* Before and after the draft of FOLDER is made, in DRAFTS; -EEXIST: there is one. What a crash or an error leaves is
 * removed with the third. */
int drafts_begin_new(int drafts, const char *folder, struct err *e);
int drafts_end_new(int drafts, const char *folder, struct err *e);
int drafts_remove_new(int drafts, struct err *e);

/* The name of the draft's folder, from the step's prefix, and the other way round. It is appended to OUT, with its
 * NUL. As name_from_entry and name_to_entry. */
int drafts_folder_name(const char *prefix, struct buf *out);
int drafts_prefix(const char *folder, struct buf *out);

/* A descriptor of .ckptfs/drafts in the checkpoint directory TOP. -ENOENT: there are no drafts; or what the calls
 * return. */
int drafts_open(int top);

/* The names of the drafts' folders, each with its NUL, without those that have ended or are not whole. 0 also if
 * there are none; or what reading returns. */
int drafts_list(int top, struct buf *names, struct err *e);

/* How many these are; 0 also if that can't be known. */
uint32_t drafts_count(int top);

/* Removes the draft of the step PREFIX, if there is one. Nobody may be at work on it. */
int drafts_remove(int top, const char *prefix, struct err *e);

/* Removes what a crash left of drafts that had ended or were not whole. */
int drafts_remove_old(int top, struct err *e);

enum { DRAFTS_OLD_SIZE = 32 };

/* Renames the draft's folder FOLDER to an old one's name, OLD: by that the draft has ended. As io_move_new. */
int drafts_retire(int top, const char *folder, char old[DRAFTS_OLD_SIZE], struct err *e);

/* Removes that. What stays of it the next mount removes. Where the folder keeps its name, no draft of the same step may be
 * begun meanwhile. */
int drafts_sweep(int top, const char *old, struct err *e);

/* Removes .ckptfs/drafts if it is empty. Nobody may be making a draft meanwhile. */
void drafts_tidy(int top);

/* src/draft/disk.h: a draft's items as they stand in its folder `tree` (draft/draft.h). For src/draft alone; the draft's lock
 * is held. */
#pragma once
#include "draft/draft_state.h"

/* In a folder of `tree`: the marks of names that the base has there and the draft does not. No item is called so. */
#define GONE ".gone"

/* Where a file or link is made before it is moved into the tree. */
#define NEW "new"

/* Opens the folder NAME of DIRFD, which is made first with MAKE. */
int draft_folder(int dirfd, const char *name, bool make, struct err *e);

/* The folder of DIR in `tree`; with MAKE it is made if need be. -ENOENT, or of the calls that failed. */
int disk_folder(const struct draft *d, const struct draft_item *dir, bool make, struct err *e);

/* Notes that what the base has in I's place does not show through any more. */
int disk_mark_gone(const struct draft *d, const struct draft_item *i, struct err *e);

/* Writes I, a VAR or TEXT, as a link into a pinned step; what was there goes. */
int disk_place_link(const struct draft *d, const struct draft_item *i, struct err *e);

/* An empty file beside the tree that belongs to the owner that S says: its descriptor. */
int disk_new_file(const struct draft *d, const struct staged *s, struct err *e);

/* Moves that file to I's place; what was there goes. */
int disk_place_file(const struct draft *d, const struct draft_item *i, struct err *e);

/* Opens I's file. */
int disk_open(const struct draft *d, const struct draft_item *i, struct err *e);

int disk_remove(const struct draft *d, const struct draft_item *i, struct err *e);

/* Removes the folder DIR, if there is one, with the marks in it. */
int disk_remove_folder(const struct draft *d, const struct draft_item *dir, struct err *e);

/* Removes the marks in the folder DIR; of its own place nothing of the base shows through. */
int disk_remove_marks(const struct draft *d, const struct draft_item *dir, struct err *e);

/* Gives I another place; what is there goes. */
int disk_move(const struct draft *d, const struct draft_item *i, const struct draft_item *to_dir,
	      const char *to, struct err *e);
int disk_exchange(const struct draft *d, const struct draft_item *a, const struct draft_item *b,
		  struct err *e);

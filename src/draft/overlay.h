/* src/draft/overlay.h: the items of a draft over the tree of its base. What the base shows has an item only where
 * something was done with it: it was written, moved or opened, or is a folder on the way to such; all else is asked of
 * the base's tree (step/tree.h). For src/draft and src/commit alone; the draft's lock is held, but where it is taken.
 *
 *     index of the base   !claimed              shows in its folder, wherever that is now; has no item
 *                         claimed, an item      is where the item is
 *                         claimed, no item      is gone
 *
 * So a folder of the base that was moved is one item, whose `base_dir` tells what shows in it. */
#pragma once
#include "draft/draft_state.h"

/* The items of a draft over T, which stays the caller's and has to stay as long as D has a tree; NULL: no base.
 * -ENOMEM, or of looking for the texts. */
int overlay_init(struct draft *d, const struct tree *t);
void overlay_release(struct draft *d);

/* C, of the base's folder that shows in DIR: its item, or if it has none it is made up in G. NULL: it is not there. */
struct draft_item *overlay_child(const struct draft *d, struct draft_item *dir,
				 const struct tree_child *c, struct draft_glance *g);

/* Takes the lock as draft_lock_to_change (draft/seal.h), for a change in the folders A and B, or of the file A.
 * DRAFT_LOOK_AGAIN: one of them was in another place than the base has it, and since the commit that was waited for it is
 * there no more. The kernel has looked its number up before, so it has to look again, by the path. */
int draft_lock_to_change_in(struct draft *d, uint32_t a, uint32_t b);

/* The item of INDEX, or NAME in DIR; one that the base shows is made. -ESTALE or -ENOENT: there is none; -ENOMEM. */
int overlay_need(struct draft *d, uint32_t index, struct draft_item **out);
int overlay_need_named(struct draft *d, struct draft_item *dir, const char *name,
		       struct draft_item **out);

/* The item of INDEX goes, if there is one and nothing was done with it; so do the folders on the way to it. */
void overlay_let_go(struct draft *d, uint32_t index);

/* The base's index I, a file, shows no more: an item takes it. False: it did not show. */
bool overlay_claim(struct draft *d, uint32_t index);

/* Whatever is called NAME in DIR is gone, with what is in it; nothing there has an item but texts. */
void overlay_hide(struct draft *d, struct draft_item *dir, const char *name);

/* Has the base something with that index that is gone, or in an open file alone? */
bool overlay_is_gone(const struct draft *d, uint32_t index);

/* A copy of `claimed`, for the caller to free, and what it says of INDEX. NULL: no memory. */
uint64_t *overlay_copy_claimed(const struct draft *d);
bool overlay_claims(const uint64_t *claimed, uint32_t index);
void overlay_note_claimed(uint64_t *claimed, uint32_t index);

/* The first that CLAIMED has from INDEX on; END: none is before that. */
uint32_t overlay_next_claimed(const uint64_t *claimed, uint32_t index, uint32_t end);

/* Descends into T along PATH. False: it leads to no file. */
bool overlay_find_file(const struct tree *t, struct bytes path, struct tree_child *out);

/* The variable of the base in whose place I, a variable, is, whatever else has become of that: appended to VARS, if there is
 * one. -ENOMEM. */
int overlay_add_replaced(const struct draft *d, const struct draft_item *i, struct buf *vars);

/* How many variables of the base are still there, or have another in their place; so have those in VARS, an array of their
 * numbers. More is added to VARS. -ENOMEM. */
int64_t overlay_count_kept(const struct draft *d, struct buf *vars);

/* Appends a line "removed: PATH" for each variable of the base that is neither. VARS: as overlay_count_kept left it. -ENOMEM. */
int overlay_add_removed(const struct draft *d, const struct buf *vars, struct buf *out);

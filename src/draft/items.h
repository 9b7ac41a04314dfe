/* src/draft/items.h: the items of a draft as a tree in memory. For src/draft and src/commit alone; the
 * draft's lock is held. */
#pragma once
#include "draft/draft_state.h"

/* Only a root. -ENOMEM. */
int items_init(struct draft *d);

/* The item of that index, also one that is gone; of that name in DIR. NULL: none. */
struct draft_item *items_at(const struct draft *d, uint32_t index);
struct draft_item *items_find(const struct draft *d, const struct draft_item *dir,
			      const char *name);

/* A new item in PARENT; with index 0 it gets the next dynamic one. The tree has a reference. NULL: no memory. */
struct draft_item *items_add(struct draft *d, struct draft_item *parent, const char *name, size_t n,
			     enum draft_what what, uint32_t index);

/* Takes it out of the tree, whose reference goes with it. */
void items_remove(struct draft *d, struct draft_item *i);

/* Gives it another parent and name, which none has yet. NAME becomes its. */
void items_move(struct draft *d, struct draft_item *i, struct draft_item *parent, char *name);

/* Puts I, which was left, back below PARENT; no other item has its index. */
void items_reattach(struct draft *d, struct draft_item *i, struct draft_item *parent);

/* Lets all items go. What is open keeps its item, which has `left` then. */
void items_leave(struct draft *d);

/* The next item in pre-order below ROOT, after I (at first ROOT itself, which is not given); NULL at the end. */
struct draft_item *items_next(const struct draft_item *root, struct draft_item *i);

/* I as a file of the draft's own, not on disk yet; one that was a VAR lies over that variable. -ENOMEM. */
int items_stage(struct draft_item *i, const struct draft_owner *owner);
void items_unstage(struct draft_item *i);

/* The entries of DIR have changed: so has its time. */
void items_entered(struct draft_item *dir);

/* A change was made: commits wait, and what failed may be tried again. */
void items_changed(struct draft *d);

/* ms of CLOCK_MONOTONIC */
int64_t draft_now_ms(void);

/* Appends the path of variable NUMBER of S, by its key. */
int draft_var_path(const struct step *s, uint32_t number, struct buf *out);

/* The same of the pinned step PIN, as that is shown. */
int draft_shown_path(const struct draft *d, uint32_t pin, uint32_t number, struct buf *out);

/* Is the name of I, a VAR, that of the variable in its own step? */
bool draft_has_own_name(const struct draft *d, const struct draft_item *i);

/* Is the folder I a tool's temporary one, or in one? */
bool draft_is_hidden(const struct draft_item *i);

/* Is I a scratch file (base/scratch.h) that is no known leftover? Then nothing is committed as long as it is there. */
bool draft_is_in_the_way(const struct draft_item *i);

/* src/draft/file.h: the files that items have in the draft, or once had. For src/draft alone; the draft's lock is held. */
#pragma once
#include "draft/draft_state.h"

/* Where the bytes of an open file are. */
enum draft_where {
	WHERE_DRAFT, /* in the draft, under I's name */
	WHERE_NAMELESS, /* in a file that has no name any more, or will have none */
	WHERE_OVER, /* in the saved step, or the next draft over it: I's number leads there */
	WHERE_LOST, /* nowhere: the draft could not go on with it */
};
enum draft_where draft_where(const struct draft *d, const struct draft_item *i);

/* 0 where bytes of I may be changed, and it is of the draft or nameless. */
int draft_check_place(const struct draft *d, const struct draft_item *i, struct err *e);

/* Has I's file open; one that is not on disk yet is made. */
int draft_need_file(struct draft *d, struct draft_item *i, struct err *e);

/* Before bytes or attributes of I's file, which is open, change: if it may be a shard, I gets a file of its own with the same
 * bytes, or with EMPTY with none, in its place. Whoever has it open goes on with that. */
int draft_make_private(struct draft *d, struct draft_item *i, bool empty, struct err *e);

/* Bytes of I have changed, or are about to. */
void draft_touched(struct draft *d, struct draft_item *i);

/* I has been opened. */
/* Where a file can't be used any more when it has been removed while it was open (directory/ability.h): I's file, if it is
 * open, becomes one without a name. To be called before it is removed. */
int draft_keep_bytes(const struct draft *d, const struct draft_item *i, struct err *e);

/* The same for all items, for a draft that ends. What can't be kept is lost to those who have it open. */
void draft_keep_all_bytes(const struct draft *d);

void draft_count_open(struct draft *d, struct draft_item *i, bool writing);

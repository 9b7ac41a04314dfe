/* src/draft/draft_own.h: what the parts of a draft share. For draft*.c alone; the draft's lock is held. */
#pragma once
#include "draft/draft_state.h"

/* Opens the folder NAME of DIRFD, which is made first with MAKE. */
int draft_folder(int dirfd, const char *name, bool make, struct err *e);

/* -EBUSY or -ESTALE if nothing may be changed: it has ended, or is a step already. */
int draft_check_open(const struct draft *d, struct err *e);

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

/* Has I as an open file of the draft's own, with what bytes it has. BASE as for draft_write. */
int draft_need_bytes(struct draft *d, struct draft_item *i, const struct draft_base *base,
		     struct err *e);

/* I has been opened. */
void draft_count_open(struct draft *d, struct draft_item *i, bool writing);

/* Is BASE, which may be NULL, the file of what I, a VAR, is? */
static inline bool draft_base_fits(const struct draft_base *base, const struct draft_item *i)
{
	return base && base->pin == i->pin && base->number == i->number;
}

/* Cuts I, or makes it longer. */
int draft_cut(struct draft *d, struct draft_item *i, const struct draft_base *base, uint64_t size,
	      struct err *e);

/* Bytes of I have changed, or are about to. */
void draft_touched(struct draft *d, struct draft_item *i);

/* ms of CLOCK_MONOTONIC */
int64_t draft_now_ms(void);

/* What was being referred to in pieces becomes bytes: something else is wanted of it. */
int draft_settle(struct draft *d, struct draft_item *i, struct err *e);

/* Is the name of I, a VAR, that of the variable in its own step? */
bool draft_has_own_name(const struct draft *d, const struct draft_item *i);

/* Is the folder I a tool's temporary one, or in one? */
bool draft_is_hidden(const struct draft_item *i);

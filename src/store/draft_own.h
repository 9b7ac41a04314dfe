/* src/store/draft_own.h: what the parts of a draft share. For draft*.c alone; the draft's lock is held. */
#pragma once
#include "store/draft.h"

/* Opens the folder NAME of DIRFD, which is made first with MAKE. */
int draft_folder(int dirfd, const char *name, bool make, struct err *e);

/* -EBUSY or -ESTALE if nothing may be changed: it has ended, or is a step already. */
int draft_check_open(const struct draft *d, struct err *e);

/* What was being referred to in pieces becomes bytes: something else is wanted of it. */
int draft_settle(struct draft *d, struct draft_item *i, struct err *e);

/* Is the name of I, a VAR, that of the variable in its own step? */
bool draft_has_own_name(const struct draft *d, const struct draft_item *i);

/* Is the folder I a tool's temporary one, or in one? */
bool draft_is_hidden(const struct draft_item *i);

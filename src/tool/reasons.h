/* src/tool/reasons.h: why variables can't be read. Each reason is told once, as of a shard that is missing. */
#pragma once
#include "base/buf.h"
#include "base/error.h"
#include <stdbool.h>

/* {0} has none. */
struct reasons {
	struct buf all; /* struct reason */
};

void reasons_release(struct reasons *rs);

/* VARIABLE, a name, can't be read: WHY. Neither is copied. -ENOMEM. */
int reasons_add(struct reasons *rs, struct bytes variable, const char *why, struct err *e);

/* Prints a line for each reason on stderr, with how many variables have it, the first and the last of them. False: there is none. */
bool reasons_tell(struct reasons *rs, const char *program);

/* src/commit/shards.h: which shards of pinned steps the new one keeps, which written files become shards, and what is
 * packed; and how all of them are numbered. */
#pragma once
#include "commit/plan.h"

/* A packed shard begins with this, so that a later commit knows it from one that a trainer made. It is no entry's. */
#define SHARD_MARK                                                                                 \
	"\x93"                                                                                     \
	"CKPTFS\n"
enum { SHARD_MARK_SIZE = 8 };

/* Decides that for P, whose wants are known. */
void shards_choose(struct plan *p);

/* src/commit/shards.h: which shards of pinned steps the new one keeps, which written files become shards, and what is
 * packed; and how all of them are numbered. */
#pragma once
#include "commit/plan.h"

/* Decides that for P, whose wants are known. */
void shards_choose(struct plan *p);

/* src/commit/pack.h: what is written in DR/commit: the packed shard, the index. */
#pragma once
#include "commit/plan.h"

/* DR/commit/table: the new step as a V1 file, synced. -EINVAL: it has what V1 can't hold. */
int pack_v1(struct plan *p, struct err *e);

/* A new file FD belongs to whom the base's belong, or that of a new step, to whoever made it. It allows no more than ALLOWS. */
int pack_give_to_owner(const struct plan *p, int fd, mode_t allows, struct err *e);

/* DR/commit/packed, packed-N and index, whose shards have been chosen. What is to be linked is synced. */
int pack_step(struct plan *p, struct err *e);

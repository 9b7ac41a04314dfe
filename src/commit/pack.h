/* src/commit/pack.h: what is written in DR/commit: the packed shard, the meta graph, the index. */
#pragma once
#include "commit/plan.h"

/* DR/commit/meta, if it is to be another than that of a pinned step: from the text that was written in place of the meta graph's,
 * if it does not say the same (P->new_meta), and with strip_default_attrs. */
int pack_meta(struct plan *p, struct err *e);

/* Appends the meta graph that the new step is to have. -ENOENT, or of reading. */
int pack_read_meta(struct plan *p, struct buf *out, struct err *e);

/* DR/commit/table: the new step as a V1 file, synced. -EINVAL: it has what V1 can't hold. */
int pack_v1(struct plan *p, struct err *e);

/* A new file FD belongs to whom the base's belong, or that of a new step, to whoever made it. It allows no more than ALLOWS. */
int pack_give_to_owner(const struct plan *p, int fd, mode_t allows, struct err *e);

/* DR/commit/packed, packed-N and index, whose shards have been chosen. What is to be linked is synced. */
int pack_step(struct plan *p, struct err *e);

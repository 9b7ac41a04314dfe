/* src/dedup/dedup.h: in a directory of many steps, bytes that several steps have are stored once.
 *
 * What is shared is a file: a step gets another index, over shards that are hard links to those of other steps
 * (directory/step_switch.h). Steps are looked at from the oldest to the newest, and the first one that has some bytes keeps them. A
 * shard, which may be in several steps already,
 *   - goes if all that is used of it lies in other files, too;
 *   - is written anew, with what only it has, if that saves enough;
 *   - else stays as it is.
 * Size and checksum in the indexes tell what may be the same; then the bytes are compared. Whatever is read is verified by its checksum:
 * a shard in which something is damaged stays, and so do its steps.
 *
 * A shard that has a name elsewhere, as in another folder or a draft, stays, for to leave it would save nothing. */
#pragma once
#include "base/buf.h"
#include "base/error.h"
#include <stdatomic.h>

enum dedup_what {
	DEDUP_SAME, /* nothing is to be saved */
	DEDUP_SHARES, /* it has a new index; or would get one */
	DEDUP_LEFT, /* it can't be changed: `why` */
};

struct dedup_result {
	char *name;
	enum dedup_what what;
	struct err why;
	/* Bytes on the disk that its own files took less, and more. A file that several steps have counts for the oldest one. */
	int64_t saved;
};

struct dedup_report {
	struct dedup_result *steps; /* [n], from the oldest to the newest */
	uint32_t n, n_shares;
	int64_t saved;
};

struct dedup_config {
	bool dry_run; /* nothing is changed; the report says what would be */
	int (*go_on)(struct err *e); /* is asked between two pieces of work: an error ends it */
	/* Is told, with ARG, that about TOTAL bytes are to be compared or written from now on, of which SEEN has those that are done;
	 * and with NULL and 0 that this has ended. SEEN is valid until then. */
	void (*work)(void *arg, const _Atomic uint64_t *seen, uint64_t total);
	void *arg;
};

/* TOP: the checkpoint directory, in which nobody else changes steps but a trainer. After an error, which may come between two steps, OUT
 * has what was done. -EOPNOTSUPP: the filesystem can't have it; -ENOSPC and others of the calls. */
int dedup(int top, const struct dedup_config *c, struct dedup_report *out, struct err *e);

void dedup_report_release(struct dedup_report *r);

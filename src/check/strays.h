/* src/check/strays.h: what lies in a checkpoint directory and belongs to no step. */
#pragma once
#include "directory/listing.h"
#include <time.h>

enum stray_kind {
	STRAY_TEMPORARY, /* a file that a save left: *.tempstateNUMBER, *.tmp and 32 hex digits */
	STRAY_FOLDER, /* a folder that a save left, with only part-* files: *_temp, *_temp_ and 32 hex digits */
	STRAY_DATA, /* PREFIX.data-?????-of-?????, and there is no PREFIX.index */
	STRAY_SHARD, /* the same, but there is one, and it has another number of shards */
	STRAY_META, /* PREFIX.meta of no step */
	STRAY_TABLE, /* a V1 checkpoint so damaged that it is none: it ends as a table, or has a meta graph beside it */
	STRAY_DRAFTS, /* .ckptfs */
};

struct stray {
	enum stray_kind kind;
	char *name;
	size_t prefix_n; /* of data and shards: what of the name is PREFIX */
	time_t changed; /* of a folder the latest of itself and what is in it */
};

struct strays {
	struct stray *items; /* sorted by name */
	size_t n;
};

/* L: of the same directory; NUM_SHARDS: of each item of L that is a V2 step, 0 where it is not known. -ENOMEM, or of
 * reading. */
int strays_read(int dirfd, const struct listing *l, const uint32_t *num_shards, struct strays *out,
		struct err *e);
void strays_release(struct strays *s);

/* Why a STRAY_TABLE is no step. 0 if it is one by now, or is gone. */
int stray_why(int dirfd, const struct stray *s, struct err *e);

/* Removes a temporary file, or folder with its parts. -ENOENT if it is gone; of the calls that failed. */
int stray_remove(int dirfd, const struct stray *s, struct err *e);

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
	STRAY_TABLE, /* a damaged V1 checkpoint, which can't be read as one: it ends as a table, or has a meta graph */
	STRAY_DRAFTS, /* .ckptfs, the mount's own folder */
};

struct stray {
	char *name;
	enum stray_kind kind;
	size_t prefix_n; /* DATA, SHARD: the length of PREFIX in the name */
	time_t changed; /* of a folder: when it or a part in it last changed */
};

struct strays {
	struct stray *items; /* sorted by name */
	size_t n;
};

/* L lists the same directory. NUM_SHARDS: [L->n], the number of shards of each V2 step; 0: it is not known.
 * -ENOMEM, or what reading returns. */
int strays_read(int dirfd, const struct listing *l, const uint32_t *num_shards, struct strays *out,
		struct err *e);
void strays_release(struct strays *s);

/* Why a STRAY_TABLE is no step: a negative errno, and E. 0: it is one by now, or is gone. */
int stray_why(int dirfd, const struct stray *s, struct err *e);

/* Removes a STRAY_TEMPORARY, or a STRAY_FOLDER with its parts. -ENOENT: it is gone; or what the calls return. */
int stray_remove(int dirfd, const struct stray *s, struct err *e);

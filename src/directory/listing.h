/* src/directory/listing.h: what a checkpoint directory holds, as its names tell.
 *
 * Steps are the prefixes of *.index files (V2), files that are V1 tables, and sets of those
 * (NAME-00000-of-00002 …); where a prefix is both, V2 counts, as in TensorFlow. Folders are subfolders; the
 * state file is the one that `latest_filename` names. Nothing is opened but files that may be V1 tables, and
 * of these a few blocks. Not listed: .ckptfs, temporary folders of a save that is under way (NAME_temp,
 * NAME_temp_HEX, with nothing but part-* in them), and every other file. */
#pragma once
#include "step/step.h"

/* The name of the state file, unless `latest_filename` is given. */
#define STATE_NAME "checkpoint"

enum listed_kind { LISTED_STEP, LISTED_FOLDER, LISTED_STATE, LISTED_LATEST };

struct listed {
	enum listed_kind kind;
	struct step_place place; /* of a step; of others only name and file, which are equal */
};

struct listing {
	struct listed *items; /* sorted by name, as bytes, then by kind */
	uint32_t n;
};

/* Lists the directory DIRFD (not consumed; its position does not matter). -ENOMEM, or of reading it. */
int listing_read(int dirfd, const char *state_name, struct listing *out, struct err *e);
void listing_release(struct listing *l);

/* Adds the link NAME to the step TARGET, which is its `file`. -ENOMEM. */
int listing_add_link(struct listing *l, const char *name, const char *target);

/* NULL if there is none. */
const struct listed *listing_find(const struct listing *l, enum listed_kind kind, const char *name);

/* Is it the name of a file that is written to be renamed when it is whole: NAME.tempstateNUMBER, or NAME.tmp
 * and 32 hex digits? */
bool name_is_temporary(const char *name);

/* The length of NAME without "-00000-of-00002", which a shard of a V1 set ends in, and OF that set; 0, and all
 * of it, if it does not. */
size_t name_without_shard(const char *name, uint32_t *of);

/* Is it that of a V2 shard, PREFIX.data-NUMBER-of-COUNT, both of five digits or more? PREFIX_N and OF then
 * tell which. */
bool name_is_data(const char *name, size_t *prefix_n, uint32_t *of);

/* Is it the temporary folder of a save? */
bool folder_is_temporary(int dirfd, const char *name);

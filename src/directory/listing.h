/* src/directory/listing.h: what a checkpoint directory holds, as its names tell.
 *
 * Steps are the prefixes of *.index files (V2), files that are V1 tables, and sets of those (NAME-00000-of-00002
 * …). Where a prefix is both, V2 counts, as in TensorFlow. Folders are subfolders. The state file is the one that
 * `latest_filename` names. Links are symbolic links that lead to a step of the directory by its prefix, as `best` ->
 * `my-model-10`; another link is the file that it leads to. No file is opened but those that may be V1 tables, of which a few blocks are read. Not
 * listed are .ckptfs, every other file, and the temporary folder of a save that is under way (NAME_temp,
 * NAME_temp_HEX, with nothing but part-* in it). */
#pragma once
#include "base/buf.h"
#include "message/state.h"
#include "step/step.h"

enum listed_kind { LISTED_STEP, LISTED_FOLDER, LISTED_STATE, LISTED_LINK };

struct listed {
	enum listed_kind kind;
	/* Of a step. Of others only name and file, which are equal, but for a link: file is the step that it leads to. */
	struct step_place place;
};

struct listing {
	struct listed *items; /* sorted by name, as bytes, then by kind */
	uint32_t n;
	int unread; /* why a file that may be a V1 table could not be read; 0: all could */
	/* What is listed may change without a change of its name: a symbolic link does not lead to a step, or a folder may be the temporary
	 * one of a save. */
	bool looks_beyond;
	/* For listing_update: what has to give way to an item, or leads to none; in no order. */
	struct listed *passed;
	uint32_t n_passed;
	struct buf
		data; /* uint32_t: for each V2 shard that is there, or was, a number made of its prefix */
};

/* Lists the directory DIRFD, wherever its position is. -ENOMEM, or what reading it returns. */
int listing_read(int dirfd, const char *state_name, struct listing *out, struct err *e);
void listing_release(struct listing *l);

/* The same from OLD, a listing of that directory. Only NAMES are looked at: all that were made, removed or changed since, each
 * with its NUL, and the links that were added to OLD with listing_add_link. What listing_keep has left out is there again.
 * -EAGAIN: OLD does not tell enough, or something can't be looked at, so the directory has to be read. */
int listing_update(int dirfd, const char *state_name, const struct listing *old,
		   const struct buf *names, struct listing *out, struct err *e);

/* Leaves out the items for which KEEP says no. -ENOMEM. */
int listing_keep(struct listing *l, bool (*keep)(const void *arg, const struct listed *item),
		 const void *arg);

/* False: no V2 shard of the step PREFIX was there when L was made. */
bool listing_may_have_data(const struct listing *l, const char *prefix);

/* What is not in L is not there for certain: 0; or L->unread, and E says it. */
int listing_is_sure(const struct listing *l, struct err *e);

/* Adds the link NAME, which leads to the step TARGET: its `file`; it takes the place of one of that name. -ENOMEM. */
int listing_add_link(struct listing *l, const char *name, const char *target);

/* NULL: there is none. */
const struct listed *listing_find(const struct listing *l, enum listed_kind kind, const char *name);

/* The step NAME, or the one that the link NAME leads to; NULL: there is neither. */
const struct listed *listing_find_step(const struct listing *l, const char *name);

/* --- names of files ---------------------------------------------------------------------------------------- */

/* Is NAME a V2 shard's, PREFIX.data-NUMBER-of-COUNT, with five digits or more in both? Then PREFIX_N is the length
 * of PREFIX, and OF is COUNT. */
bool name_is_data(const char *name, size_t *prefix_n, uint32_t *of);

/* Is NAME a V2 shard's of the step PREFIX? */
bool name_is_data_of(const char *name, const char *prefix);

/* The length of NAME without the "-00000-of-00002" in which a shard of a V1 set ends; OF is then the number of
 * shards. Else all of NAME, and OF is 0. */
size_t name_without_shard(const char *name, uint32_t *of);

/* Is NAME that of a file which is renamed when it is whole: NAME.tempstateNUMBER, or NAME.tmp and 32 hex digits? */
bool name_is_temporary(const char *name);

/* Can a link to a step be called NAME? Not if a file of that name is one of a step, whole or not. */
bool name_can_be_link(const char *name);

/* Is the folder NAME in DIRFD the temporary one of a save? */
bool folder_is_temporary(int dirfd, const char *name);

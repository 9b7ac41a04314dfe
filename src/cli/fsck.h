/* src/cli/fsck.h: what the parts of fsck.ckptfs share.
 *
 * fsck.c reads the command line and walks the folders. In each of them fsck_check.c looks at the steps and the state file, and
 * fsck_strays.c at what belongs to no step. Both ask fsck_repair.c before they change something. */
#pragma once
#include "check/strays.h"
#include "cli/fsck_report.h"

enum repair {
	REPAIR_NOTHING, /* -n */
	REPAIR_ASK,
	REPAIR_SAFE, /* -a, -p: what loses nothing */
	REPAIR_ALL, /* -y */
};

struct fsck {
	enum repair repair;
	bool verbose; /* say on stderr which step is read */
	unsigned threads; /* that read a step; at least 1 */
	_Atomic uint64_t seen; /* bytes that were read so far */
	const atomic_bool *stop; /* true: interrupted, end soon */
	struct report report;
};

/* FOLDER, here and below, is the path of the directory DIRFD as messages show it. */

/* Checks one step and reports what is wrong with it. How many shards it has; 0 if that is not known. */
uint32_t check_one(struct fsck *f, int dirfd, const char *folder, const struct step_place *place);

/* Checks the state file, and repairs it. L is the directory's listing; it may be read anew. */
void check_state(struct fsck *f, int dirfd, const char *folder, struct listing *l);

/* Reports what belongs to no step, and removes what saves have left. NUM_SHARDS has the number of shards of each item of L. */
void check_strays(struct fsck *f, int dirfd, const char *folder, const struct listing *l,
		  const uint32_t *num_shards);

/* Whether PATH may be repaired. QUESTION is asked if the user wants to be asked. SAFE: nothing is lost by it. */
bool may_repair(struct fsck *f, const char *path, const char *question, bool safe);

/* Reports that PATH was "rewritten" or "removed" (HOW), which corrects N problems. */
void repaired(struct fsck *f, const char *path, const char *how, uint64_t n);

/* Reports that PATH is as it was; E says why. */
void repair_failed(struct fsck *f, const char *path, struct err *e);

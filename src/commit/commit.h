/* src/commit/commit.h: a draft becomes a new step.
 *
 * What is written, in this order; CK is the checkpoint directory, DR the draft's folder in it, P the new
 * step's prefix:
 *
 *   1. DR/commit/packed        small tensors, one behind the other; packed-N: one, with C->sharded; synced
 *      DR/tree/…               large ones that become shards as they are; synced
 *      DR/commit/meta, index   synced
 *   2. DR/commit/name -> P     from here on there is a commit that can be found; before it, DR/commit/goes-on, if the draft does
 *   3. CK/P.data-…, CK/P.meta  links to shards of the base, to DR/tree/… and to DR/commit/packed, none of which takes the place
 *                              of another file; CK synced
 *   4. CK/P.index              a link to DR/commit/index: the commit point; CK synced
 *   5. CK/checkpoint           replaced, if it calls the base the latest, or what the draft was published as before
 *   6. DR                      removed; or if it goes on, DR/published is a link to the index, and DR/commit removed
 *
 * A crash before 4 leaves the draft as it was, and at most links that recovery (commit/recover.h) takes away
 * again; from 4 on it leaves the new step, and recovery does 5 and 6. A failure before 5 takes back what was
 * linked; when 5 fails, the draft stays as it is until 5 can be done.
 *
 * With C->write_v1 the step is one file: 1 is DR/commit/table in place of packed and index, 3 is CK/P.meta alone, and 4 is CK/P, a
 * link to the table.
 *
 * Of the step of a SavedModel (commit/in_place.h) P is the base's prefix. Before 2, DR/commit/old has a stamp of each of its
 * shards, and DR/commit/kept leads to the name K that it is kept under; in 3 CK/K.data-… and CK/K.index are made; in 4 the
 * index is renamed over the old one; and before 5 the shards are removed that have a stamp. */
#pragma once
#include "commit/rescue.h"
#include "directory/listing.h"
#include "directory/state_update.h"
#include "draft/draft.h"

/* A step, as far as it is known which there are: what is written and is stored there already is not stored again. */
struct commit_other {
	struct step *step;
	int dirfd; /* where its files are */
};

/* What the user wants of each new step, as Saver.save of TensorFlow takes it. */
struct commit_makes {
	bool no_meta_graph; /* and no debug info then either; as the draft has it */
	bool no_debug_info;
	bool allow_empty; /* without a variable no step is made, and that is no error */
};

/* Who knows what the checkpoint directory holds, without reading it. */
struct commit_lister {
	/* The listing of TOP, as it is now; it stays until the next call, or the commit's end. NULL: TOP has to be read. */
	const struct listing *(*list)(void *arg, int top);
	void *arg;
};

struct commit_config {
	const char *state_name;
	bool write_state; /* false: commits leave the state file alone */
	enum state_paths paths; /* those that commits write in it */
	bool pad_step_number;
	struct commit_makes makes;
	bool write_v1; /* steps are V1 files: see above */
	bool sharded; /* each variable that was written gets a shard of its own */
	const struct commit_other *others; /* [n_others] */
	size_t n_others;
	const struct draft_watch *watch; /* for the caller; or NULL */
	const struct step *
		over; /* the step of a SavedModel, which D takes the place of as it is, whatever its base; or NULL */
	const struct commit_lister *lister; /* or NULL */
	bool goes_on; /* a draft over a base goes on as a whole, whatever becomes of the commit */
	double compact; /* dead bytes among those that a step keeps alive, above which they are left behind */
};

enum commit_result {
	COMMIT_NOTHING, /* the draft is as its base */
	COMMIT_SAME, /* it is as it was published last, and that step is there */
	COMMIT_LATE, /* somebody else has ended it meanwhile, with all that it had */
	COMMIT_SHARED, /* somebody else has committed it meanwhile, with all that it had, and it goes on */
	COMMIT_WAITS, /* it has no variables yet */
	COMMIT_EMPTY, /* it has lost them all: no step, but a meta graph alone, as Saver.save writes it */
	COMMIT_DONE,
};

/* What has become of a commit. The caller releases NAME, KEPT and RESCUE. */
struct commit_done {
	enum commit_result result;
	bool left_meta; /* another meta graph than the base's was written, and none was to be committed */
	bool ended; /* the draft, by this commit: whoever else finds it so has to wait for the caller */
	struct buf name; /* prefix of the new step, or of the meta graph alone, with a NUL */
	struct buf
		kept; /* the same of what had that name before (commit/in_place.h); empty: nothing had */
	struct rescue rescue; /* what recognises it, if it has a base */
	struct err shared; /* a sentence, if it lacks what several objects had; else empty */
};

/* Commits D, which has then ended, unless files of it are open for writing: these stay, and it goes on. With C->goes_on
 * all of it stays, over the same base, and DR/published notes what it was published as (commit/noted.h). What is left on
 * disk of one that has ended (DONE->ended) draft_sweep removes, when others have gone on to the step.
 * -EINVAL: something in it was refused; or of the calls that failed: then the draft is as it was, and why is
 * noted in it. */
int commit(struct draft *d, const struct commit_config *c, struct commit_done *done, struct err *e);

/* Which step the next commit of D by C would make, as far as that can be told before: 1, and OUT is its name, with a NUL; 0: what D has is
 * in the step OUT already. -ENOMEM, or of looking. */
int commit_foresee(struct draft *d, const struct commit_config *c, struct buf *out, struct err *e);

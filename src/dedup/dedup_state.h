/* src/dedup/dedup_state.h: what is known of a directory while it is looked at. For src/dedup alone. */
#pragma once
#include "dedup/dedup.h"
#include "step/step.h"

#define DEDUP_NONE UINT32_MAX

enum { DEDUP_BLOCK = 4096 }; /* a file takes whole ones */

/* Bytes of a file that a variable, or a slice, of some step is. */
struct dedup_range {
	uint64_t off, size;
	uint64_t elements; /* strings and variants */
	uint64_t new_off; /* in a file that is written anew */
	uint32_t file, crc;
	uint32_t home; /* the range that has its bytes from now on; itself: this one */
	uint32_t group; /* where its like begin in dedup_state.alike */
	uint8_t dtype;
	bool big_endian;
};

enum dedup_fate { FILE_STAYS, FILE_GOES, FILE_ANEW };

/* A file that is a shard of one or more steps. */
struct dedup_file {
	struct file_id id;
	uint64_t blocks; /* bytes that it takes on the disk */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	uint32_t step, shard; /* the first that has it */
	uint32_t users,
		names; /* the steps that have it, and may change: in dedup_state.users; one for each name */
	uint32_t links; /* names elsewhere included */
	uint32_t first, n; /* its ranges */
	enum dedup_fate fate;
	uint64_t new_size;
	bool needed; /* it has a name in dedup_state.folder */
	struct file_id new_id; /* needed: of the file there */
	uint64_t new_blocks; /* ANEW, needed */
};

struct dedup_step {
	struct step *step; /* NULL: it could not be read */
	uint32_t *ranges; /* [step->n_vars]: DEDUP_NONE of what has no bytes */
	uint32_t *files; /* [step->n_shards] */
	uint32_t shards; /* how many it may have at most, so far */
	bool changed; /* it has its new index, or would get it */
	struct dedup_result *result;
};

struct dedup_state {
	int top;
	int folder; /* of step_switch_begin; -1 with dry_run */
	const struct dedup_config *c;
	struct dedup_step *steps; /* [n_steps], from the oldest to the newest */
	uint32_t n_steps;
	/* [n_files]: what must stay, as it has a name elsewhere, comes first; then in the order of the steps that have them first. */
	struct dedup_file *files;
	uint32_t n_files;
	uint32_t *users;
	struct dedup_range *ranges; /* [n_ranges], by file and place */
	uint32_t n_ranges;
	uint32_t *alike; /* [n_ranges]: by size and checksum, then in their order */
	struct dedup_report *report;
	_Atomic uint64_t seen; /* bytes that were compared, or written */
};

/* Reads what is in the directory: steps, files, ranges, alike. Of each step that can't be changed its result says why. */
int dedup_gather(struct dedup_state *d, struct err *e);

/* All bytes of file F stay where they are. */
void dedup_stay(struct dedup_state *d, uint32_t f);

/* Step I is left as it is, and so are its files. */
void dedup_leave(struct dedup_state *d, uint32_t i, const struct err *why);

/* Opens file F by the name that it has in its first step, or in the folder: a descriptor. -ESTALE, or of opening it. */
int dedup_open(const struct dedup_state *d, uint32_t f, struct err *e);

/* Decides on the fate of each file: compares, verifies. */
int dedup_choose(struct dedup_state *d, struct err *e);

/* Does step I get a new index? */
bool dedup_changes(const struct dedup_state *d, uint32_t i);

/* Changes the steps; with dry_run it only finds out how large their indexes would be. */
int dedup_apply(struct dedup_state *d, struct err *e);

/* The name of file F in the folder. */
enum { DEDUP_NAME = 24 };
void dedup_file_name(uint32_t f, char out[DEDUP_NAME]);

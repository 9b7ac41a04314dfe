/* src/step/step.h: one saved step, V1 or V2, parsed and immutable.
 *
 * A step is opened from its directory and place. That reads and checks the whole index, and looks at each shard's
 * size and times. It reads no tensor. An error in one variable's entry is kept with that variable; an error in the
 * index fails the step. Variables are sorted by key, as bytes.
 *
 * A step is shared by reference count. Only `strings` changes, under a lock of its own, and what `verify` knows. */
#pragma once
#include "base/kept.h"
#include "step/verify.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

/* Tells whether a file is still the one that was looked at. */
struct file_id {
	uint64_t dev, ino, size; /* ino: 0 where files do not keep theirs (base/lacks.h) */
	struct timespec mtime;
};

struct file_id file_id_of(const struct stat *st);
bool file_id_eq(const struct file_id *a, const struct file_id *b);

struct full_names;
struct memberships;

/* Which variables are shown: those of which both is true. */
struct seen {
	char *var_list; /* the stem matches one of these globs (base/glob.h); NULL: any does */
	char *collection; /* the key is in this one of the step's meta graph; NULL: any is */
};

int seen_copy(const struct seen *from, struct seen *to); /* -ENOMEM */
void seen_release(struct seen *s);

enum step_format { STEP_V2, STEP_V1 };

/* Where a step is in its directory. */
struct step_place {
	char *name; /* prefix, without the directory; may be empty */
	char *file; /* V2: NAME.index; V1: NAME, or the first shard that is there */
	enum step_format format;
	uint32_t shards; /* V1, a set NAME-00000-of-N: N; else 0 */
};

int step_place_copy(const struct step_place *from, struct step_place *to); /* -ENOMEM */
void step_place_release(struct step_place *p);

/* Puts the name of a V2 step's index, "PREFIX.index" with its NUL, into OUT. -ENOMEM. */
int step_index_name(const char *prefix, struct buf *out);

/* The same of the file that makes PREFIX a step of that format: of V1 a single file. */
int step_file_name(enum step_format format, const char *prefix, struct buf *out);

/* Puts the name of shard NUMBER, with its NUL, into OUT. OF is the number of shards in a V2 header. -ENOMEM. */
int step_shard_name(const struct step_place *p, uint32_t number, uint32_t of, struct buf *out);

struct shard {
	uint32_t number; /* in its name */
	int status; /* 0, or a negative errno: why it can't be used */
	struct file_id id;
	mode_t mode; /* of 0666 */
	uid_t uid;
	gid_t gid;
	uint32_t entries; /* how many variables, or slices, lie in it */
	uint64_t used; /* their bytes; those that two share count twice */
};

enum var_kind {
	VAR_WHOLE, /* its bytes lie at off in its shard */
	VAR_SLICED, /* partitioned: its parts have the bytes */
	VAR_PART, /* a slice of a partitioned one; it has no file of its own */
	VAR_BAD, /* its entry is wrong: step_check tells why */
};

struct var {
	uint32_t key, key_n; /* in step->names */
	uint32_t dims; /* in step->dims */
	uint32_t shard; /* an index of step->shards; sliced: the first part's */
	uint32_t crc; /* crc32c of the stored bytes, unmasked */
	uint32_t aux; /* in step->parts (sliced), texts (bad) or strings (string) */
	uint32_t n_parts; /* sliced */
	uint8_t dtype; /* enum dtype */
	uint8_t rank;
	uint8_t kind; /* enum var_kind */
	bool hidden; /* by step->seen */
	uint64_t off; /* in the shard; sliced, V1: 0 */
	uint64_t size; /* stored bytes; sliced: of all parts; V1: decoded bytes, strings 0 */
};

struct part {
	uint32_t var; /* in step->vars: the VAR_PART that has its bytes */
	uint32_t extents; /* in step->dims: rank pairs (start, length); no length is "all" */
};

/* What the array of a string variable looks like. Known once its strings were read. */
struct string_info {
	bool known;
	bool ends_in_nul;
	uint64_t longest;
};

struct step {
	atomic_uint refs;
	struct step_place place;
	struct file_id id;
	struct stat index; /* of place.file; the step's folder has its owner, mode and times */
	bool big_endian;
	bool object_based; /* has _CHECKPOINTABLE_OBJECT_GRAPH */
	bool sound; /* step_check finds nothing in any variable */
	uint32_t num_shards, n_vars, n_parts, n_shards;
	struct var *vars;
	struct part *parts;
	struct shard *shards;
	int64_t *dims;
	uint8_t *names;
	char *texts;
	size_t memory; /* bytes that all this takes */
	enum verify_mode mode;
	struct verify *verify; /* ranges are numbered as vars */
	struct kept
		*kept; /* its shards may stay open there, as those of KEPT_AS; NULL: they may not */
	uint64_t kept_as;
	struct full_names
		*full; /* what its tree shows by them; NULL: all by key (sidecar_full_names) */
	struct seen seen; /* what its tree shows (sidecar_limit) */
	struct memberships *
		members; /* of its meta graph, if seen.collection is given and it has a good one; or NULL */

	pthread_mutex_t lock;
	struct string_info *strings; /* under lock */
};

/* Opens the step at WHERE in the directory DIRFD, which is not needed afterwards (step_open.c). -ENOENT, -EUCLEAN,
 * -EBADMSG, -ENOTSUP, -ENOMEM, or of reading; E names the file. */
int step_open(int dirfd, const struct step_place *where, enum verify_mode mode, struct step **out,
	      struct err *e);
struct step *step_ref(struct step *s);
void step_unref(struct step *s);

/* Appends a sentence for each shard, in DIRFD, that is missing, unreadable or too short: what is wrong, and how many
 * variables can't be read for it. -ENOMEM. */
int step_add_lacking(const struct step *s, int dirfd, struct buf *out);

/* Could all shards be looked at? If not, another opening may find other ones. */
bool step_is_known(const struct step *s);

static inline struct bytes var_key(const struct step *s, const struct var *v)
{
	return bytes_of(s->names + v->key, v->key_n);
}

static inline const int64_t *var_dims(const struct step *s, const struct var *v)
{
	return s->dims + v->dims;
}

uint64_t var_count(const struct step *s, const struct var *v); /* elements */

struct var_owner {
	uid_t uid;
	gid_t gid;
	mode_t mode; /* of 0666 */
};

/* The owner of V's file. Owner and group are those of the shard with V's first byte. The mode lets nobody read V who
 * may not read all of its shards. MAKER is NULL, or who makes a new step in which V is not committed yet. Then V is
 * the maker's, who may write to it whatever the shards allow. */
struct var_owner var_owner(const struct step *s, const struct var *v, const struct stat *maker);

/* The owner of a file of all variables: that of the index. The mode lets nobody read it who may not read all shards. */
struct var_owner step_owner(const struct step *s);

/* Finds KEY among N variables, which are sorted by key; their keys are in NAMES. NULL if it is not there. */
struct var *var_find(struct var *vars, uint32_t n, const uint8_t *names, struct bytes key);
const struct var *step_find(const struct step *s, struct bytes key);

/* 0 if V can be read, as far as that is known without reading it. -EUCLEAN: its entry is wrong, or its shard is too
 * short. -EIO: its shard can't be opened. -ESTALE instead of these two if the shard in DIRFD is another file by now. */
int step_check(const struct step *s, const struct var *v, int dirfd, struct err *e);

/* Opens shard NUMBER, an index of step->shards. -ESTALE if it is another file than when the step was opened. */
int step_open_shard(const struct step *s, int dirfd, uint32_t number, struct err *e);

/* The same, and it may be one that is open already: then DIRFD is not looked at. OUT gets a reference to it. */
int step_use_shard(const struct step *s, int dirfd, uint32_t number, struct kept_file **out,
		   struct err *e);

/* The shards of a step, open together for long, whatever becomes of their names. {0} has none. */
struct held_shards {
	uint32_t n;
	struct kept_file *
		*files; /* as step->shards; NULL: it was known already that it can't be opened */
};

/* Opens all. Errors of step_use_shard. */
int step_hold_shards(const struct step *s, int dirfd, struct held_shards *out, struct err *e);
void held_shards_release(struct held_shards *h);

/* The file name of shard NUMBER, an index of step->shards, for messages and attributes. Without a NUL; empty if there
 * is no memory. */
void step_shard_file(const struct step *s, uint32_t number, struct buf *out);

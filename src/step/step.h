/* src/step/step.h: one saved step, V1 or V2, parsed and immutable.
 *
 * A step is opened from its directory and place; that reads and checks the whole index, and looks at each
 * shard's size and times, but reads no tensor. What is wrong with one variable stays with that variable, what
 * is wrong with the index fails the step. Variables are sorted by key, as bytes.
 *
 * A step is shared by reference count. It never changes but for `strings`, which has a lock of its own. */
#pragma once
#include "base/buf.h"
#include "base/error.h"
#include "step/verify.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

/* What tells whether a file is still the one that was looked at. */
struct file_id {
	uint64_t dev, ino, size;
	struct timespec mtime;
};

struct file_id file_id_of(const struct stat *st);
bool file_id_eq(const struct file_id *a, const struct file_id *b);

/* The key that makes a checkpoint an object-based one. */
#define OBJECT_GRAPH_KEY "_CHECKPOINTABLE_OBJECT_GRAPH"

enum step_format { STEP_V2, STEP_V1 };

/* Where a step is in its directory. */
struct step_place {
	char *name; /* prefix, without the directory; may be empty */
	char *file; /* the file that stands for it: V2: NAME.index; V1: NAME, or the first shard that is there */
	enum step_format format;
	uint32_t shards; /* V1, if it is a set NAME-00000-of-N: N; else 0 */
};

int step_place_copy(const struct step_place *from, struct step_place *to); /* -ENOMEM */
void step_place_release(struct step_place *p);

/* Puts the name of a V2 step's index, "PREFIX.index" with its NUL, into OUT. -ENOMEM. */
int step_index_name(const char *prefix, struct buf *out);

/* Puts the name of a shard, with its NUL, into OUT. OF: the number of shards that a V2 header tells. */
int step_shard_name(const struct step_place *p, uint32_t number, uint32_t of, struct buf *out);

struct shard {
	uint32_t number; /* in its name */
	int status; /* 0, or the negative errno for which it can't be used */
	struct file_id id;
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

enum var_kind {
	VAR_WHOLE, /* its bytes lie at off in its shard */
	VAR_SLICED, /* put together from parts */
	VAR_PART, /* is such a part, and not shown by itself */
	VAR_BAD, /* its entry makes no sense: step_check tells why */
};

struct var {
	uint32_t key, key_n; /* in step->names */
	uint32_t dims; /* in step->dims */
	uint32_t shard; /* in step->shards, not its number; sliced: the first part's */
	uint32_t crc; /* crc32c of the stored bytes, unmasked */
	uint32_t
		aux; /* sliced: first of step->parts; bad: in step->texts; else, string: in step->strings */
	uint32_t n_parts; /* sliced */
	uint8_t dtype, rank; /* of format/dtype.h */
	uint8_t kind; /* enum var_kind */
	uint64_t off,
		size; /* in the shard; sliced: 0, the sum of the parts; V1: 0, as decoded, strings 0 */
};

struct part {
	uint32_t var; /* the entry that holds its bytes */
	uint32_t extents; /* in step->dims: rank pairs (start, length), spelled out */
};

/* How a string variable is shown; found out when it is first asked for. */
struct string_info {
	bool known;
	bool ends_in_nul;
	uint64_t longest;
};

struct step {
	atomic_uint refs;
	struct step_place place;
	struct file_id id;
	struct stat index; /* of place.file: owner, mode and times of the step's folder */
	bool big_endian;
	bool object_based; /* has _CHECKPOINTABLE_OBJECT_GRAPH */
	uint32_t num_shards, n_vars, n_parts, n_shards, n_strings;
	struct var *vars;
	struct part *parts;
	struct shard *shards;
	int64_t *dims;
	uint8_t *names;
	char *texts;
	size_t memory; /* bytes that all this takes */
	enum verify_mode mode;
	struct verify *verify; /* which variables are known to be good, or not */

	pthread_mutex_t lock;
	struct string_info *strings; /* under lock */
};

/* Opens the step at WHERE in the directory DIRFD. -ENOENT, -EUCLEAN, -EBADMSG, -ENOTSUP, -ENOMEM, or of
 * reading; E names the file. */
int step_open(int dirfd, const struct step_place *where, enum verify_mode mode, struct step **out,
	      struct err *e);
struct step *step_ref(struct step *s);
void step_unref(struct step *s);

/* Whether all of its shards could be looked at: else it may be another one when it is opened again. */
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

/* Whose V is: the owner and group of the shard that holds its first byte, and what all its shards allow.
 * Whoever the mode lets read V may read each of them, by whatever class that one puts them in. With MAKER, of
 * a new step in which V is not committed yet: the maker's, who may write to it whatever the shards allow. */
struct var_owner {
	uid_t uid;
	gid_t gid;
	mode_t mode;
};
struct var_owner var_owner(const struct step *s, const struct var *v, const struct stat *maker);

/* Of N variables sorted by key; their keys are in NAMES. NULL if there is none. */
struct var *var_find(struct var *vars, uint32_t n, const uint8_t *names, struct bytes key);
const struct var *step_find(const struct step *s, struct bytes key);

/* 0 if V's bytes are where the index says, as far as that can be known without reading them; else -EUCLEAN, or
 * -EIO if its shard can't be opened, and why. -ESTALE if that is so no longer, for its shard in DIRFD has changed. */
int step_check(const struct step *s, const struct var *v, int dirfd, struct err *e);

/* Opens the shard NUMBER of step->shards. -ESTALE if it is no longer the file that was there when the step was
 * opened. */
int step_open_shard(const struct step *s, int dirfd, uint32_t number, struct err *e);

/* The file's name, for messages and attributes; empty if there is no memory for it. */
void step_shard_file(const struct step *s, uint32_t number, struct buf *out);

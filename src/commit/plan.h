/* src/commit/plan.h: what a new step is made of. For src/commit alone.
 *
 * A plan is filled in two acts. The first, freeze (commit/freeze.h), needs the draft's lock and only memory: it
 * copies what the draft was changed to. All else needs no lock: what it uses of the draft (top, fd, meta,
 * mode, has_base) does not change while a commit is under way. Files that were written are read beside those who
 * write them (commit/written.h). */
#pragma once
#include "base/append.h"
#include "commit/commit.h"
#include "draft/pin.h"
#include "format/bundle.h"
#include "format/npy.h"
#include "step/full_names.h"
#include "step/name.h"

struct draft_item;

/* A variable of the new step. */
struct want {
	/* Frozen: */
	size_t path; /* in plan->paths, with its NUL */
	struct draft_item *item; /* the written file that it is, with a reference; or NULL: */
	uint32_t of_pin, of_var; /* it is that variable */
	uint32_t expect_pin, expect_var; /* over which variable it lies; or DRAFT_NONE */
	mode_t mode; /* of the written file */
	bool in_use; /* that is open for writing */
	bool committed; /* by an earlier commit, and has not changed since */
	/* Found out: */
	size_t key, key_n; /* in plan->keys */
	bool store; /* its bytes are written; else they are those of variable VAR of pin PIN */
	bool own; /* its file becomes a shard */
	bool alone; /* what is packed of it becomes a shard without any other */
	uint32_t shard; /* own, alone: its number */
	uint32_t pin,
		var; /* what it is, or with STORE of what slices it is made: DRAFT_NONE: whole */
	uint32_t next; /* want with the same pin and var, counted from 1; 0: none */
	/* Of the written file: */
	uint8_t dtype, rank;
	size_t dims; /* in plan->dims: of the variable, which the file may have in another shape */
	bool canonical; /* its bytes are those that are stored, side by side */
	bool has_crc; /* what is stored of it has this checksum, and as many bytes */
	uint32_t crc;
	uint64_t stored;
	uint64_t size; /* of its elements in the file */
	uint64_t
		head; /* so many bytes of them, from the first on, have this checksum; 0: none are known */
	uint32_t head_crc;
};

/* A text of the new step: the file ITEM, which was written, with a reference; or that of pin PIN. */
struct plan_text {
	bool there;
	struct draft_item *item;
	uint32_t pin;
};

/* A shard of a pinned step. */
struct old_shard {
	uint64_t live; /* bytes of it that are wanted */
	bool repack; /* they are copied, and the shard is left behind */
	uint32_t entries; /* how many of the rest lie in it */
	uint32_t number; /* in the new step */
};

/* A pinned step, as the new one uses it. */
struct old_step {
	uint32_t *first; /* of each variable: the wants of it, counted from 1 */
	uint32_t *whole; /* of each slice of these: the variable that it is one of */
	struct old_shard *shards;
};

struct plan {
	struct draft *d;
	const struct commit_config *c;
	bool goes_on; /* the draft, as a whole */
	struct step
		*last; /* what it was published as before, and is there; or NULL. The caller's */
	uint64_t changes; /* of the draft, when it was frozen */
	struct pin
		*pins; /* [n_pins]: copies, each good as long as the draft. The base is the first */
	uint32_t n_pins;
	const struct tree *tree; /* of the base, or NULL; of its files */
	uint64_t *claimed; /* these are something else by now: draft/overlay.h */
	struct buf paths, keys, wants; /* struct want */
	uint32_t n_rest; /* variables of the base that have no want: commit/rest.h */
	uint64_t *
		others; /* a bit for each of all the others, and for their slices; NULL: there is no rest */
	struct buf dims; /* int64_t, of written files */
	struct buf removed; /* of a new step: as in the draft */
	struct plan_text meta, debug;
	struct old_step *old; /* [n_pins] */
	bool big_endian;
	bool object_based;
	struct full_names *graph_names; /* of an object graph that is not the base's; or NULL */
	const struct step *replaces; /* whose name it takes: commit/in_place.h; or NULL */
	bool keeps; /* that is kept, under the name KEPT */
	char *kept;
	struct buf counts; /* uint32_t: numbers of shards that it must not have then */
	uint32_t num_shards;
	uint32_t some_shard; /* the number of one that is there */
	bool has_packed;
	uint32_t packed_shard;
	char packed_name[32];
	mode_t packed_mode; /* what all that is packed allows: no private bytes are opened to others */
	int dir; /* where the files of pin DIR_PIN are; -1: not open */
	uint32_t dir_pin;
	int fd; /* of DR/commit */
	struct append packed; /* the file in DR/commit that becomes shard PACKED_TO */
	uint32_t packed_to;
	struct buf graph; /* the object graph, where it changes */
	bool new_graph;
	struct err shared; /* as in commit_done */
	bool v1; /* the new step is a V1 file */
	int index_fd; /* DR/commit/index, or of V1 DR/commit/table; -1: not made */
	char *name; /* of the new step, as it is tried */
	bool published; /* its index is there */
	bool new_meta; /* the meta graph is another than the base's, which the draft shows */
	bool has_meta_file; /* there is DR/commit/meta; else it is that of a pinned step */
	struct bundle_writer index;
};

void plan_init(struct plan *p, struct draft *d, const struct commit_config *c);

/* The draft's lock is not held. */
void plan_release(struct plan *p);

static inline struct want *plan_wants(const struct plan *p)
{
	return (struct want *)p->wants.p;
}

static inline uint32_t plan_n(const struct plan *p)
{
	return (uint32_t)(p->wants.n / sizeof(struct want));
}

/* No variable is left. */
static inline bool plan_is_empty(const struct plan *p)
{
	return !plan_n(p) && !p->n_rest;
}

static inline struct bytes want_key(const struct plan *p, const struct want *w)
{
	return bytes_of(p->keys.p + w->key, w->key_n);
}

static inline const char *want_path(const struct plan *p, const struct want *w)
{
	return (const char *)p->paths.p + w->path;
}

/* Will the new step have a meta graph? */
static inline bool plan_makes_meta(const struct plan *p)
{
	return p->meta.there && !p->c->makes.no_meta_graph;
}

/* Is W the object graph, and made anew? */
static inline bool plan_stores_graph(const struct plan *p, const struct want *w)
{
	return p->new_graph && bytes_eq(want_key(p, w), bytes_str(OBJECT_GRAPH_KEY));
}

static inline enum step_format plan_format(const struct plan *p)
{
	return p->v1 ? STEP_V1 : STEP_V2;
}

/* The last component of its path. */
const char *want_name(const struct plan *p, const struct want *w);

/* Of its file, or of what the variable is stored in. */
mode_t want_mode(const struct plan *p, const struct want *w);

/* The name in DR/commit of the file that becomes the packed shard, or that of W if that is packed alone; valid until the
 * next call for P. */
const char *plan_packed_name(struct plan *p, const struct want *w);

/* Where the files of pin number PIN are: a descriptor, until this is called for another one. */
int plan_dir(struct plan *p, uint32_t pin, struct err *e);

/* Finds out what becomes of each frozen variable, and refuses what can't be stored. -EINVAL. */
int plan_make(struct plan *p, struct err *e);

/* Whether that is the base, unchanged. */
bool plan_is_base(const struct plan *p);

/* Whether it has variables under the same keys as the base. */
bool plan_has_keys_of_base(const struct plan *p);

/* The variable whose slices W gets, and its step; NULL: it is stored whole. */
const struct var *want_layout(const struct plan *p, const struct want *w, const struct step **of);

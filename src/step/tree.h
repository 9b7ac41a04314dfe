/* src/step/tree.h: the variables of a step as files in folders.
 *
 * Files are sorted by path, so the files below a folder are a range of them. A path is a stem and ".npy". A stem is the
 * bytes of a key in the step, or of a full name that it has (step/full_names.h); only one with something escaped is kept apart (step/name.h). Folders stand in pre-order:
 * folder 0 is the step's own, and a folder's children follow it. The tree borrows from its step, and never changes. */
#pragma once
#include "step/name.h"
#include "step/step.h"

struct tree_file {
	const uint8_t *stem; /* the path without ".npy" */
	uint32_t n; /* bytes of the stem */
	uint32_t var; /* in step->vars */
};

struct tree_dir {
	uint32_t lo, hi; /* files [lo, hi) are below it */
	uint32_t prefix; /* how many bytes of their stems are its path, with its '/' */
	uint32_t parent; /* folder 0: 0 */
};

struct tree {
	enum name_flavour flavour;
	uint32_t n_files, n_dirs;
	uint32_t n_hidden; /* these are behind the files, in no folder and without a number */
	struct tree_file *files;
	struct tree_dir *dirs;
	uint8_t *escaped; /* stems that are not bytes of the step */
	size_t memory; /* bytes that all this takes */
};

/* All that is in a step has a number, its index. 1 is the step itself. From 2 on come its files, then its folders from
 * folder 1 on, then its texts (step/text_kind.h). As a step does not change, its numbers need no memory. */
enum { TREE_ROOT = 1, TREE_FIRST = 2 };

static inline uint32_t tree_file_index(uint32_t file)
{
	return TREE_FIRST + file;
}

static inline uint32_t tree_dir_index(const struct tree *t, uint32_t dir)
{
	return dir ? TREE_FIRST + t->n_files + dir - 1 : TREE_ROOT;
}

static inline uint32_t tree_text_index(const struct tree *t, uint32_t kind)
{
	return TREE_FIRST + t->n_files + t->n_dirs - 1 + kind;
}

/* From now on trees of S, which has none yet, hide what tree_hides says of S->seen and S->members. -ENOMEM. */
int tree_limit(struct step *s, struct err *e);

/* By which option of SEEN is the variable with that stem and key hidden, or would be: "var_list" or "collection"; NULL: by none.
 * MEMBERS of the meta graph may be NULL: any variable is in any collection. The object graph is never hidden: without that the others have no meaning. */
const char *tree_hides(const struct seen *seen, const struct memberships *members,
		       struct bytes stem, struct bytes key);

/* The tree of S, which must outlive it. -ENOMEM, -E2BIG. */
int tree_init(struct tree *t, const struct step *s, struct err *e);
void tree_release(struct tree *t);

/* One name in a folder. */
struct tree_child {
	bool is_dir;
	uint32_t index; /* in files, or in dirs */
	struct bytes name; /* without the ".npy" of a file */
};

/* NAME is a file's with ".npy", or a folder's. False if DIR has no such name. */
bool tree_lookup(const struct tree *t, uint32_t dir, struct bytes name, struct tree_child *out);

/* The next name in DIR. POS starts at 0 and is moved on. False at the end. */
bool tree_next(const struct tree *t, uint32_t dir, uint32_t *pos, struct tree_child *out);

/* The path of DIR, with a '/' at its end; empty for folder 0. */
struct bytes tree_dir_path(const struct tree *t, uint32_t dir);

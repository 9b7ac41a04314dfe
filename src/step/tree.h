/* src/step/tree.h: the variables of a step as files in folders.
 *
 * Files are sorted by their paths, so that what lies below a folder is a range of them. A path is a stem and
 * ".npy"; a stem is mostly the very bytes of the key in the step, and is kept apart only where something in it
 * had to be escaped (step/name.h). Folders stand in pre-order: folder 0 is the step's own, and a folder's
 * children follow it. The tree borrows from its step and never changes. */
#pragma once
#include "step/name.h"
#include "step/step.h"

struct tree_file {
	const uint8_t *stem;
	uint32_t n;
	uint32_t var; /* in step->vars */
};

struct tree_dir {
	uint32_t lo, hi; /* the files below it */
	uint32_t prefix; /* bytes of their stems up to and with its '/' */
	uint32_t parent; /* its own number for folder 0 */
};

struct tree {
	enum name_flavour flavour;
	uint32_t n_files, n_dirs;
	struct tree_file *files;
	struct tree_dir *dirs;
	uint8_t *escaped; /* stems that are not bytes of the step */
	size_t memory;
};

/* What is in a step is numbered: 1 the step itself, from 2 on its files, behind them its folders from folder 1 on, and behind
 * these its texts (step/sidecar.h). A step does not change, so a number needs nothing to be kept. */
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

int tree_init(struct tree *t, const struct step *s, struct err *e);
void tree_release(struct tree *t);

/* One name in a folder. */
struct tree_child {
	bool is_dir;
	uint32_t index; /* of files or dirs */
	struct bytes name; /* without the ".npy" of a file */
};

/* False if DIR has no such name. */
bool tree_lookup(const struct tree *t, uint32_t dir, struct bytes name, struct tree_child *out);

/* The name at *POS, which starts at 0 and is moved on; false at the end. */
bool tree_next(const struct tree *t, uint32_t dir, uint32_t *pos, struct tree_child *out);

/* The stems' part that is DIR's path, with its last '/'. */
struct bytes tree_dir_path(const struct tree *t, uint32_t dir);

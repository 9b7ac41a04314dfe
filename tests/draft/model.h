/* tests/draft/model.h: a draft of a step with scopes, and a model of it that has an entry for all that the base has. For tests: what
 * fails ends the test. */
#pragma once
#include "draft/draft_state.h"
#include "lib/files.h"

void must(int r, const struct err *e);

/* --- a draft ----------------------------------------------------------------------------------------------- */

struct trial {
	struct folder top;
	struct step *base;
	struct tree tree;
	struct draft *d; /* or NULL */
};

/* A draft over a step with N variables of one element, which NAMES are. */
void trial_setup(struct trial *t, char *const *names, size_t n);
void trial_teardown(struct trial *t);
struct draft_config trial_config(const struct trial *t);

/* Lets the draft go, and takes it up again from disk; if that fails there is none. */
int trial_take_up(struct trial *t, struct err *e);

/* --- its files: paths are from the root on, without a '/' at their start ------------------------------------ */

/* NULL: it is not there. Good until the next but one is asked for. */
struct draft_item *trial_find(const struct trial *t, const char *path);
uint32_t trial_index(const struct trial *t, const char *path); /* "": the root */

/* Open for writing, empty; made if need be. */
struct draft_item *trial_open(const struct trial *t, const char *path);

/* B as the whole file. */
void trial_put(const struct trial *t, const char *path, struct bytes b);

enum { NPY_HEADER = 128 };

/* A .npy file with N bytes 1, 2 and so on behind its header. The caller releases it. */
struct buf trial_npy(const char *descr, const char *shape, size_t n);

/* --- the model: each folder is a list of entries ----------------------------------------------------------- */

struct entry {
	uint32_t index;
	enum draft_what what;
	bool under, on_disk, committed;
	uint32_t number; /* VAR: of the base's variables */
	uint32_t expect; /* which of them it lies over; or DRAFT_NONE */
	char name[64];
	struct entry *parent, *first, *next;
};

/* I at the end of the list of PARENT. */
struct entry *model_add(struct entry *parent, const struct draft_item *i);

/* What there is in DIR. */
void model_copy(struct draft *d, struct draft_item *dir, struct entry *to);
void model_free(struct entry *e);
struct entry *model_find(struct entry *dir, const char *name);
bool model_is_below(const struct entry *e, const struct entry *dir);

/* E, which was taken out, to the end of the list of DIR: it is not in its place any more. */
void model_take_out(struct entry *e);
void model_move(struct entry *e, struct entry *dir, const char *name);

/* The draft shows what the model has, in its order, by each way to look; so does, but for numbers, what a later process takes
 * up from disk. */
void model_compare(struct trial *t, const struct entry *root);
void model_take_up(const struct trial *t, const struct entry *root);

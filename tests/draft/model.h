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
	struct draft *d;
};

/* A draft over a step with N variables of one element, which NAMES are. */
void trial_setup(struct trial *t, char *const *names, size_t n);
void trial_teardown(struct trial *t);

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

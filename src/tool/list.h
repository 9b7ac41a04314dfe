/* src/tool/list.h: what is in a folder, a step or a scope, as items. */
#pragma once
#include "tool/json.h"
#include "tool/place.h"

enum item_kind {
	ITEM_STEP,
	ITEM_FOLDER, /* a directory of steps */
	ITEM_LINK, /* to a step */
	ITEM_STATE, /* the state file */
	ITEM_SCOPE,
	ITEM_VAR,
	ITEM_TEXT,
};

struct item {
	enum item_kind kind;
	char *name; /* in its folder; or from the scope down, of what is listed with all below it; as a mount shows it */
	uint32_t at; /* SCOPE: number of the folder in the tree; VAR: of the file */
	uint32_t variables; /* STEP, SCOPE: so many are in it */
	uint64_t bytes; /* VAR: stored; SCOPE: of all in it; STEP: of its index and shards */
	uint64_t own; /* STEP: of those files that no other step of the folder has */
	struct timespec time; /* of its file; STEP: of its index */
	struct err why; /* code < 0: what is wrong with the STEP, of which nothing else is known */
};

/* {0} has none. */
struct list {
	struct item *items;
	size_t n;
	struct buf array;
	struct loaded
		*loaded; /* of a step: where AT leads; it stays as long as P that was listed */
};

void list_release(struct list *l);

/* What is in the folder P, in the order of names. DETAILS: also what has to be parsed for it; a step that can't be has WHY. */
int list_folder(const struct place *p, bool details, struct list *out, struct err *e);

/* What is in the step or scope P, in the order of paths. ALL: not the scopes and texts, but all variables below. */
int list_step(const struct place *p, bool all, struct list *out, struct err *e);

/* The variable, text or state file P alone. */
int list_one(const struct place *p, struct list *out, struct err *e);

enum list_order { ORDER_NAME, ORDER_SIZE, ORDER_TIME };

/* The largest first, the newest first; what is alike stays in the order of names. */
void list_sort(struct list *l, enum list_order order, bool reverse);

/* Puts what is known of the STEP or SCOPE I into O: its variables and bytes, of a STEP its own bytes and when it was saved; or why it
 * can't be read. */
void item_put_sizes(const struct item *i, struct json_object *o);

/* The variable of a VAR. */
static inline const struct var *item_var(const struct list *l, const struct item *i)
{
	return &l->loaded->step->vars[l->loaded->tree.files[i->at].var];
}

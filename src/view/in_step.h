/* src/view/in_step.h: what an index (view/node.h) is in a parsed step without a draft. For view/ alone. */
#pragma once
#include "view/view.h"

bool in_step_is_file(const struct loaded *l, uint32_t index);
bool in_step_is_text(const struct loaded *l, uint32_t index);
enum text_kind in_step_text(const struct loaded *l, uint32_t index);
const struct var *in_step_var(const struct loaded *l, uint32_t index);

/* The number in the tree of the folder INDEX; 0: the step's own. */
uint32_t in_step_dir(const struct loaded *l, uint32_t index);

/* The index of NAME in the folder INDEX; 0 if there is none. */
uint32_t in_step_find(const struct loaded *l, uint32_t index, const char *name);

/* Attributes of what INDEX is in the step of N. */
void in_step_entry(struct view *v, const struct node *n, struct loaded *l, uint32_t index,
		   struct view_entry *out);

/* src/draft/pins.h: the steps that a draft has pinned (draft/pin.h), by number. For src/draft and src/commit alone; the
 * draft's lock is held, but for draft_pin_beside. */
#pragma once
#include "draft/draft_state.h"

/* The number of what was pinned as NAME earlier. As pin_open; in a draft with full names also as sidecar_full_names. */
int draft_pin_by_name(struct draft *d, struct bytes name, struct err *e);

/* Pins S, whose files are in FROM, for a commit that is under way, without the draft's lock: others' changes, which
 * may pin too, wait meanwhile. OUT is a copy of the pin, good as long as the draft. As pin_make. */
int draft_pin_beside(struct draft *d, struct step *s, int from, struct pin *out, struct err *e);

/* Opens the folder that P, one of the pins, has in the draft. */
int draft_pin_dir(const struct draft *d, const struct pin *p, struct err *e);

/* The number of S among the pins, which it becomes if it is none yet; its files are in FROM. As pin_make. */
int draft_pin(struct draft *d, struct step *s, int from, struct err *e);

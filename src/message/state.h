/* src/message/state.h: the `checkpoint` file, in which TensorFlow notes which step is the latest.
 *
 * Text of a CheckpointState: model_checkpoint_path, the latest; all_model_checkpoint_paths, oldest first;
 * and with CheckpointManager a time for each, and last_preserved_timestamp. Source: TensorFlow's
 * training/checkpoint_state.proto, python/checkpoint/checkpoint_management.py. */
#pragma once
#include "base/buf.h"
#include "base/error.h"

struct state {
	void *message; /* owns what the pointers below lead to */
	const char *latest; /* not empty */
	char *const *paths; /* [n_paths] */
	size_t n_paths;
	const double *timestamps; /* [n_timestamps] */
	size_t n_timestamps;
	double last_preserved;
	struct buf unknown; /* fields that TensorFlow does not know, as they are written */
};

/* -EINVAL: TEXT is no CheckpointState, or has no model_checkpoint_path; -E2BIG, -ENOMEM. */
int state_parse(struct bytes text, struct state *out, struct err *e);
void state_release(struct state *s);

/* Appends S as TensorFlow writes it. It looks at the fields, not at `message`. -EINVAL: a path is not UTF-8, so
 * TensorFlow would not read it; -ENOMEM. */
int state_print(const struct state *s, struct buf *out, struct err *e);

/* Has every path a time? */
bool state_is_timed(const struct state *s);

/* Steps that are to be listed, oldest first. */
struct state_list {
	struct buf paths, timestamps; /* char *, which are its own; double */
};

/* Adds PATH, which the list owns from now on, also if this fails. TIME may be NULL. -ENOMEM, also for a PATH of NULL, as
 * it is where there was no memory. */
int state_list_add(struct state_list *l, char *path, const double *time);
void state_list_put(const struct state_list *l,
		    struct state *s); /* makes S list them; L owns them */
void state_list_release(struct state_list *l);

/* The name of the step that PATH leads to, which lies in PATH: its last component, without the "-?????-of-00002" of a V1
 * set. The rest does not count, as the file may come from another machine. WINDOWS: '\' ends a component, too. */
struct bytes state_step(const char *path, bool windows);

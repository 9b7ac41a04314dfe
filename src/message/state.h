/* src/message/state.h: the `checkpoint` file, in which TensorFlow notes which step is the latest.
 *
 * Text of a CheckpointState: model_checkpoint_path, the latest; all_model_checkpoint_paths, oldest first;
 * and with CheckpointManager a time for each, and last_preserved_timestamp. Source: TensorFlow's
 * training/checkpoint_state.proto, python/checkpoint/checkpoint_management.py. */
#pragma once
#include "base/buf.h"
#include "base/error.h"

/* What the file is called where nobody has given it another name. */
#define STATE_NAME "checkpoint"

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

/* The name of the step that PATH leads to, which lies in PATH: its last component, without the "-?????-of-00002" of a V1
 * set. The rest does not count, as the file may come from another machine. WINDOWS: '\' ends a component, too. */
struct bytes state_step(const char *path, bool windows);

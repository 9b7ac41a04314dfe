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
	struct buf unknown; /* fields that no TensorFlow knows, as they are written */
};

/* -EINVAL: not such a text, or one without model_checkpoint_path; -E2BIG, -ENOMEM. */
int state_parse(struct bytes text, struct state *out, struct err *e);
void state_release(struct state *s);

/* Appends the text, as TensorFlow writes it, of what the fields of S say; `message` is not looked at. -EINVAL: a path
 * that is not UTF-8, which no TensorFlow would read; -ENOMEM. */
int state_print(const struct state *s, struct buf *out, struct err *e);

/* Has every path a time? */
bool state_is_timed(const struct state *s);

/* Such files name steps by paths of machines that are gone, of Windows, or with a V1 set's wildcards, so of a path
 * only its last component counts, less "-?????-of-00002". That is what lies in it; WINDOWS: '\' too ends a folder. */
struct bytes state_step(const char *path, bool windows);

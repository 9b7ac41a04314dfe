/* src/draft/pin.h: steps that a draft needs, held against being deleted under it.
 *
 * The draft's base, and each step that something was copied from, has a folder of its own in the draft, with
 * hard links to all its files under their own names:
 *
 *     steps/my-model-9/my-model-9.index  my-model-9.data-00000-of-00001  my-model-9.meta
 *
 * Of the index there is also a copy, index.tempstate0: a trainer may write to it in place.
 * Where one of these is a symbolic link, as DVC and git-annex make them, what it leads to is held.
 * So it can be opened as from its own directory, whatever becomes of it there. Where hard links are not to be
 * had the folder is a symbolic link to the checkpoint directory, and nothing is held: such a pin is loose.
 * What is read through it is compared with what was pinned, and refused if it is another file by then;
 * steps/.ids/NAME is a stamp (directory/file_stamp.h) of the file that stands for the step, by which a later process
 * knows whether it is still the same. */
#pragma once
#include "step/step.h"
#include "step/text_kind.h"

struct pin {
	char *name; /* of the folder; what references begin with */
	struct step *step;
	struct step *incomplete; /* as it was opened before its shards came back; or NULL */
	bool loose; /* its files are not held, and may be others by now */
	struct file_id sidecars[N_TEXTS]; /* loose: those of texts; zeros: there was none */
};

void pin_release(struct pin *p);

/* Opens the folder NAME below STEPS_FD, in which the files of a pinned step are. */
int pin_dir(int steps_fd, const char *name, struct err *e);

/* Pins S, whose files are in FROM, below STEPS_FD, the draft's folder `steps` in the checkpoint directory TOP.
 * META: the suffix of its meta graph. -ESTALE: its files are not those that were parsed; -EXDEV: it can't be
 * held from here; or of the calls that failed. */
int pin_make(int steps_fd, int top, struct step *s, int from, const char *meta, struct pin *out,
	     struct err *e);

/* Shards that were missing when P, whose files are in DIR, was pinned are held too, if all of them are in the
 * checkpoint directory TOP by now, and the step's index there is still the one that P has. Of opening the step
 * again. */
int pin_complete(struct pin *p, int dir, int top, enum verify_mode mode, struct err *e);

/* Opens the index of P, whose files are in DIR, as it was when it was pinned; ID becomes that of the open file. As placed_open. */
int pin_open_index(const struct pin *p, int dir, struct file_id *id, struct err *e);

/* Is P what S is pinned as? */
bool pin_is_of(const struct pin *p, const struct step *s);

/* What was pinned as NAME earlier. META as in pin_make. As step_open; -ENOENT if there is no step in it;
 * -ESTALE if it was not held, and is another one by now. */
int pin_open(int steps_fd, const char *name, const char *meta, enum verify_mode mode,
	     struct pin *out, struct err *e);

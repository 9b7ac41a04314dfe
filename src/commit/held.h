/* src/commit/held.h: a step that has a meta graph is held to the dtypes and shapes of the graph's variables, however it came to
 * be: TensorFlow could not restore it otherwise.
 *
 * Not asked: a variable as it is in the step that the graph is of, or that is held to that one already; and one that was
 * removed in the draft before it was made again. Who does that wants another dtype or shape. With reshape a written file gets
 * the graph's shape. */
#pragma once
#include "commit/plan.h"

/* P was made, and its meta graph written. -EINVAL: each that is refused is noted, the first is told; -ENOMEM, or of reading the
 * graph. One that can't be understood holds nobody. */
int held_check(struct plan *p, struct err *e);

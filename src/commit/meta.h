/* src/commit/meta.h: the meta graph of the new step; and the dtypes and shapes of its variables, to which all of the step is held, however
 * it came to be: TensorFlow could not restore it otherwise.
 *
 * Not asked: a variable as it is in the step that the graph is of, or that is held to that one already; and one that was
 * removed in the draft before it was made again. Who does that wants another dtype or shape. With reshape a written file gets
 * the graph's shape. */
#pragma once
#include "commit/plan.h"

/* DR/commit/meta, if it is to be another than that of a pinned step: from the text that was written in place of the meta graph's,
 * if it does not say the same (P->new_meta), and with strip_default_attrs. */
int meta_pack(struct plan *p, struct err *e);

/* Appends the meta graph that the new step is to have. -ENOENT, or of reading. */
int meta_read(struct plan *p, struct buf *out, struct err *e);

/* P was made, and its meta graph written. -EINVAL: each that is refused is noted, the first is told; -ENOMEM, or of reading the
 * graph. One that can't be understood holds nobody. */
int meta_check(struct plan *p, struct err *e);

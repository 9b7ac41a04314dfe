/* src/view/snapshot.h: what a folder holds, read again when it has changed. For view/ alone. */
#pragma once
#include "view/view.h"

/* What folder N holds now; read again only if its times have changed. The caller unrefs it, and closes DIRFD, the
 * directory; -1 with an error. */
int snapshot_get(struct view *v, struct node *n, int *dirfd, struct snapshot **out, struct err *e);

/* Nothing was heard of N that could have changed since S was read. */
bool snapshot_is_current(struct view *v, const struct node *n, const struct snapshot *s);

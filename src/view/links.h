/* src/view/links.h: links to steps, which are links in the directory, and the link `latest`. For view/ alone. */
#pragma once
#include "view/view.h"

/* Removes the link of N. -EPERM: it is not on disk, as `latest` as a rule, or leads elsewhere by now. */
int link_remove(struct view *v, struct node *n, struct err *e);

/* Gives the link of N, in its folder, the name TO; under the name `latest` the state file says so. FLAGS are those of
 * renameat2. */
int link_rename(struct view *v, struct node *n, const char *to, unsigned flags, struct buf *changes,
		struct err *e);

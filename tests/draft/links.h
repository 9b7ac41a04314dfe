/* tests/draft/links.h: what happens when a hard link is made. The program is linked with --wrap=linkat. */
#pragma once

/* From now on FN is asked, with ARG, before a link to the file FROM is made, which is there: it is made if FN returns 0,
 * else the call fails with that errno. NULL: all are made. */
typedef int (*link_fn)(void *arg, const char *from);
void links_ask(link_fn fn, void *arg);

/* A link_fn: a filesystem without hard links. */
int links_refused(void *arg, const char *from);

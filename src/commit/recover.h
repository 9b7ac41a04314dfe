/* src/commit/recover.h: what an earlier process has left in .ckptfs, found at mount. */
#pragma once
#include "commit/commit.h"

/* Calls FOUND for each draft that there is to go on with, which then owns it. SAY gets a sentence for each thing
 * that was done or can't be: a draft that can't be taken up stays as it is. One that a process without a mount
 * had begun, and not published, is discarded: .ckptfs/lock is held, so that process has ended. Of reading the directory; 0 if there is
 * no .ckptfs. */
struct recovery {
	void (*found)(void *arg, struct draft *d);
	void (*say)(void *arg, const char *text);
	void *arg;
};
int recover(const struct draft_config *c, const struct commit_config *commit,
	    const struct recovery *r, struct err *e);

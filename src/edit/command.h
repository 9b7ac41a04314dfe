/* src/edit/command.h: rm, mv, cp, ln and mkdir on what is in a checkpoint directory, as coreutils would on a mount. */
#pragma once
#include "edit/target.h"

struct command {
	const char *name; /* "rm" */
	bool recursive, force;
	char **paths;
	size_t n;
	struct targets
		whole; /* of rm: what is removed; steps, links and folders when all else is committed */
};

/* Reads the words WORDS (N, and the first is the name), which stay the caller's. -EINVAL: E says what is wrong with them. */
int command_parse(struct command *k, char **words, size_t n, struct err *e);

/* Opens the directory that it changes. As changing_open. */
int command_open(struct changing *c, const char *program, const struct command *k, struct err *e);

/* Makes what the command changes in steps. After an error the caller discards all. */
int command_run(struct changing *c, struct command *k, struct err *e);

/* Makes the rest, when that is committed. */
int command_finish(struct changing *c, struct command *k, struct err *e);

void command_release(struct command *k);

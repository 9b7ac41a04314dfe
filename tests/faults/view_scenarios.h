/* tests/faults/view_scenarios.h: what the kernel asks for while something fails. */
#pragma once
#include "faults/mounted.h"

struct view_scenario {
	const char *name;
	void (*prepare)(struct mounted *m);
	int (*act)(struct mounted *m, struct err *e);
	int (*again)(struct mounted *m, struct err *e); /* after a failure; NULL: ACT */
	void (*finish)(struct mounted *m); /* when ACT is done; or NULL */
	void (*check)(struct mounted *m); /* before what is shown is looked at; or NULL */
	bool late; /* the folder is taken to have been still for long while it is done */
	bool halves; /* what fails may be half done, and goes on when it is done again */
	bool reads; /* nothing is changed by it */
	struct mounted_options options;
	char *before, *after, *steps; /* dumps where nothing fails; steps: at the end */
};

extern struct view_scenario view_reads[], view_writes[], view_commits[];
extern const unsigned n_view_reads, n_view_writes, n_view_commits;

/* --- for all three of them --- */

extern const struct draft_owner owner;

void nothing(struct mounted *m);

/* All of BASE that is asked for was looked up. */
void looked(struct mounted *m);

/* And: a new file of three numbers is in its draft. */
void written(struct mounted *m);

/* And: a variable is open for writing, and not written to yet. */
void opened(struct mounted *m);

/* There is a new step with one variable. */
void made(struct mounted *m);

/* Writes to the open file; to the variable. */
int act_write(struct mounted *m, struct err *e);
int act_put(struct mounted *m, struct err *e);

/* tests/faults/scenarios.h: what is done while something fails. */
#pragma once
#include "faults/faults.h"
#include "faults/trial.h"

typedef void (*prepare_fn)(struct trial *t);
typedef int (*act_fn)(struct trial *t, struct err *e);

struct scenario {
	const char *name;
	prepare_fn prepare;
	act_fn act;
	/* Nothing fails any more; R is what ACT gave. When it returns all is as if nothing had failed. */
	void (*settle)(struct trial *t, const struct scenario *s, int r);
	bool own; /* what is written is large enough to become a shard of its own */
	bool v1, sharded; /* commits write V1 files, or are sharded */
	enum lacks lacks;
	act_fn half; /* what ACT may have done when it fails, and no harm is done by; or NULL */
	char *before, *partly, *after, *steps; /* dumps where nothing fails; steps: at the end */
};

extern struct scenario scenarios[];
extern const unsigned n_scenarios;

/* Of these there is one for each of a number of calls at which a commit is killed. */
extern struct scenario recoveries[];
extern const unsigned n_recoveries;
extern unsigned long killed_at;

/* Has a commit that is killed at call number N been made? */
bool is_killed_at(unsigned long n);

/* Ends the program if they differ. */
void same(const char *what, const char *have, const char *want);

/* src/check/check_job.h: one check_step in progress. For check*.c alone. */
#pragma once
#include "check/check.h"

enum { CHECK_MAX_FAILURES = 10000 }; /* of one step; more are counted, but not told */

/* What a slice is a slice of. */
struct origin {
	uint32_t var; /* the partitioned variable; or itself */
	uint32_t part; /* 1 + its place in step->parts; 0: no slice */
};

struct failure {
	uint32_t var;
	struct err why;
};

struct job {
	const struct check *c;
	struct step *s;
	int dirfd;
	struct checked *out;
	struct origin *origins; /* [s->n_vars] */
	uint32_t problems;
	pthread_mutex_t lock;
	struct buf failures; /* struct failure; under lock */
	uint64_t n_failures; /* under lock; those that were not kept too */
	struct err stopped; /* under lock; code 0, or why the job can't go on */
};

/* All below are safe from many threads. */

/* V can't be read; the sentence is WHY's. */
void job_fail(struct job *j, uint32_t var, const struct err *why);

/* Ends the job with WHY, unless another error has done so. */
void job_stop(struct job *j, const struct err *why);
bool job_stopped(struct job *j);

static inline void job_saw(struct job *j, uint64_t bytes)
{
	atomic_fetch_add(j->c->seen, bytes);
}

/* Calls WORK in up to c->threads threads at once, and waits for all. */
void job_run(struct job *j, void (*work)(struct job *j, void *arg), void *arg);

/* Whether V's bytes are where they should be, so that they can be verified. */
bool job_can_read(const struct job *j, const struct var *v);

/* The readers: they fail what is damaged. */
void check_bundle_data(struct job *j);
void check_v1_data(struct job *j);

/* src/check/check_job.h: one check_step that is under way. For check*.c alone. */
#pragma once
#include "check/check.h"

/* So many findings of one kind are told of a step at most. */
enum { CHECK_MAX_TOLD = 10000 };

#define NO_KEY ((struct bytes){NULL, 0}) /* for what is found of the step, and of no variable */

/* The variable that a slice belongs to. */
struct origin {
	uint32_t var; /* of a variable that is no slice: itself */
	uint32_t part; /* 1 + its place in step->parts; 0: no slice, or of a variable that is bad */
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
	uint32_t problems; /* that were told */
	pthread_mutex_t lock;
	struct buf failures; /* struct failure; under lock */
	uint64_t n_failures; /* under lock; counts those too that were not kept */
	struct err stopped; /* under lock; why the job can't go on; code 0: it can */
};

/* --- from any thread --------------------------------------------------------------------------------------- */

/* Notes that variable VAR can't be read, and WHY. */
void job_fail(struct job *j, uint32_t var, const struct err *why);

/* The same, where WHY is said of VAR's shard, whose name it gets. */
void job_fail_in_shard(struct job *j, uint32_t var, struct err *why);

/* Ends the job with WHY. The first reason counts. */
void job_stop(struct job *j, const struct err *why);

/* Has it been ended, here or by c->stop? */
bool job_stopped(struct job *j);

/* Counts bytes that were read. */
static inline void job_saw(struct job *j, uint64_t bytes)
{
	atomic_fetch_add(j->c->seen, bytes);
}

/* Does V have bytes that can be read: does its shard hold them, and is it no slice of a variable that is bad? */
bool job_can_read(const struct job *j, const struct var *v);

/* --- from the thread that called check_step ---------------------------------------------------------------- */

/* Calls WORK in up to c->threads threads at once, and waits for all. */
void job_run(struct job *j, void (*work)(struct job *j, void *arg), void *arg);

/* Tells a problem of the variable KEY, or with NO_KEY of the step. */
void job_found(struct job *j, struct bytes key, const char *text);

/* Tells a FOUND_NOTE of the step. */
void job_note(struct job *j, const char *text);

/* Tells all that job_fail noted, in the order of the variables. */
void job_tell_failures(struct job *j);

/* --- the parts of a check ---------------------------------------------------------------------------------- */

/* These read all bytes of the variables, and note which are damaged. */
void check_bundle_data(struct job *j);
void check_v1_data(struct job *j);

/* Compares the meta graph and the object graph with what is stored, and tells what differs. -ENOMEM, or of reading. */
int check_graphs(struct job *j);

/* src/cli/fsck_check.c: what fsck.ckptfs says of one step and of the state file. */
#include "base/cleanup.h"
#include "check/state_review.h"
#include "cli/fsck.h"
#include <stdlib.h>

/* --- steps ------------------------------------------------------------------------------------------------- */

uint32_t check_one(struct fsck *f, int dirfd, const char *folder, const struct step_place *place)
{
	CLEANUP(findings_release) struct findings found = {0};
	CLEANUP(freep) char *path = path_in(folder, place->name);
	struct check c = {
		.threads = f->threads,
		.seen = &f->seen,
		.stop = f->stop,
		.found = findings_add,
		.arg = &found,
	};
	struct checked checked = {0};
	struct err e = {0};
	int r = -ESTALE;

	if (!path)
		return 0;
	if (f->verbose)
		fprintf(stderr, "checking %s\n", path);
	for (int tries = 0; r == -ESTALE && tries < 2; tries++) {
		findings_reset(&found);
		r = check_step(dirfd, place, &c, &checked, &e);
	}
	if (r == 0 && f->verbose && checked.lone_shard)
		fprintf(stderr,
			"%s: has one shard, which is named as one of two; there is no second one\n",
			path);
	if (r == 0) {
		report_step(&f->report, path, place, &checked, &found);
	} else if (r == -ESTALE) {
		report_note(&f->report, path, "not checked: it changes as it is read");
	} else if (r != -ENOENT && r != -ECANCELED) {
		report_failure(&f->report, path, &e);
	}
	return checked.num_shards;
}

/* --- the state file ---------------------------------------------------------------------------------------- */

/* A trainer changes the state file and the directory. So both are read again until they agree, a few times at most. */
static int review_state(int dirfd, struct listing *l, struct state_review *out, struct err *e)
{
	for (int tries = 0;; tries++) {
		CLEANUP(state_review_release) struct state_review again = {0};
		struct listing fresh;
		int r = state_review(dirfd, STATE_NAME, l, out, e);

		if (r < 0 || !out->faults.n || tries == 3)
			return r;
		r = listing_read(dirfd, STATE_NAME, &fresh, e);
		if (r < 0)
			return r;
		listing_release(l);
		*l = fresh;
		r = state_review(dirfd, STATE_NAME, l, &again, e);
		if (r < 0 || (bytes_eq(buf_bytes(&again.faults), buf_bytes(&out->faults)) &&
			      bytes_eq(buf_bytes(&again.was.text), buf_bytes(&out->was.text))))
			return r;
		state_review_release(out);
	}
}

/* Calls TELL for each of the sentences; returns how many there are. */
static uint64_t tell_all(struct fsck *f, const char *path, const struct buf *sentences,
			 void (*tell)(struct report *, const char *, const char *))
{
	uint64_t n = 0;

	for (size_t at = 0; at < sentences->n; at += strlen((char *)sentences->p + at) + 1, n++)
		tell(&f->report, path, (char *)sentences->p + at);
	return n;
}

void check_state(struct fsck *f, int dirfd, const char *folder, struct listing *l)
{
	CLEANUP(state_review_release) struct state_review review = {0};
	CLEANUP(freep) char *path = path_in(folder, STATE_NAME);
	struct err e = {0};
	uint64_t n;

	if (!path || review_state(dirfd, l, &review, &e) < 0) {
		report_failure(&f->report, folder, &e);
		return;
	}
	tell_all(f, path, &review.notes, report_note);
	n = tell_all(f, path, &review.faults, report_problem);
	if (!n || !review.mended.n || !may_repair(f, path, "Rewrite it?", review.parsed))
		return;
	if (state_mend(dirfd, STATE_NAME, &review, &e) < 0) {
		repair_failed(f, path, &e);
		return;
	}
	repaired(f, path, "rewritten", n);
}

/* tests/commit/hold.h: stops a commit where it syncs a file, and tells when somebody waits. The program is linked with
 * --wrap=fsync and --wrap=pthread_cond_wait. */
#pragma once

/* The files that a commit syncs, by the end of their paths: in this order. The directory itself is synced twice,
 * before and after the index is linked there. */
#define SYNC_PACKED "/commit/packed"
#define SYNC_INDEX  "/commit/index"

/* What happens when the file whose path ends in END is synced for the N-th time from now on: ACT is called with
 * ARG, in the thread that syncs; what it returns is the error, or 0. */
typedef int (*hold_fn)(void *arg);
void hold_at(const char *end, unsigned n, hold_fn act, void *arg);

/* A hold_fn: waits until hold_release. */
int hold_here(void *arg);
void hold_await(void); /* until somebody waits there */
void hold_release(void);

/* A hold_fn: fails with EIO. */
int hold_fail(void *arg);

/* How often fsync was called by what is tested. */
unsigned syncs_count(void);

/* How often pthread_cond_wait was called by what is tested, and waits until that is N. */
unsigned waits_count(void);
void waits_await(unsigned n);

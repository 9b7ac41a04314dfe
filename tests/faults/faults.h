/* tests/faults/faults.h: the n-th allocation, or the n-th call that opens or changes a file, fails.
 *
 * The program is linked with --wrap for each of these functions, so that the calls of our own code come here;
 * those inside of shared libraries do not. Nothing is synced: what is tested is what is left in the directory,
 * not what a disk has of it. */
#pragma once
#include <pthread.h>
#include <stdbool.h>

enum fault {
	FAULT_MEMORY, /* allocations, with ENOMEM */
	FAULT_CALLS, /* any of the calls, with EIO */
	FAULT_SPACE, /* those that need room on the disk, with ENOSPC */
	FAULT_OPENS, /* those that need a descriptor, with EMFILE */
	N_FAULTS,
};

extern const char *const fault_names[N_FAULTS];

/* The negative errno that it gives. */
int fault_error(enum fault f);

/* Call number N of that kind fails, counted from now on; ON: and all behind it, as if the program had ended there. */
void fault_arm(enum fault f, unsigned long n, bool on);

/* Whether it did. */
bool fault_disarm(void);

/* How many calls of that kind there were from fault_arm to fault_disarm. */
unsigned long fault_calls(void);

/* What the filesystem can't do, from now on: hard links; and renameat2(2) that refuses to replace. */
enum lacks { LACKS_NOTHING, LACKS_LINKS, LACKS_LINKS_AND_FLAGS };
void fault_lack(enum lacks what);

/* A call that is made by a thread which has LOCK ends the program; NULL: no lock is guarded. */
void fault_guard(const pthread_mutex_t *lock);

/* What is allocated and not freed. */
long fault_live(void);

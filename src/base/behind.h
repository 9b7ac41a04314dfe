/* src/base/behind.h: writes that are answered before they are done (write-behind). Whoever writes makes its next bytes while
 * these are written, by the thread that has them. */
#pragma once
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

/* How many more may be under way, of all files together: each keeps one of the threads that serve. */
struct behind_room {
	sem_t left;
};

void behind_room_init(struct behind_room *r);
void behind_room_release(struct behind_room *r);

/* Waits while there is none. */
void behind_room_take(struct behind_room *r);
void behind_room_give(struct behind_room *r);

/* Who waits for a write. */
struct behind_asker {
	struct behind_room *room;
	void (*answer)(void *arg); /* tells them that it is done */
	void *arg;
};

/* The writes to one file whose bytes were taken over, by numbers. They are done in that order. A mutex of the owner guards it,
 * and a condition, COND below, tells when one has ended. Zeros: there are none. */
struct behind {
	uint32_t writing, coming; /* the one that is written now, and the next to come */
};

static inline bool behind_is_busy(const struct behind *b)
{
	return b->writing != b->coming;
}

/* Bytes are taken over: the number of that write. */
uint32_t behind_take(struct behind *b);

/* Waits until those before NUMBER have ended. */
void behind_await_turn(const struct behind *b, uint32_t number, pthread_cond_t *cond,
		       pthread_mutex_t *lock);

/* The one whose turn it was has ended. */
void behind_end(struct behind *b, pthread_cond_t *cond);

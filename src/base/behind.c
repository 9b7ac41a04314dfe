#include "base/behind.h"

enum { MOST = 6 };

void behind_room_init(struct behind_room *r)
{
	sem_init(&r->left, 0, MOST);
}

void behind_room_release(struct behind_room *r)
{
	sem_destroy(&r->left);
}

void behind_room_take(struct behind_room *r)
{
	while (sem_wait(&r->left) < 0) /* a signal */
		;
}

void behind_room_give(struct behind_room *r)
{
	sem_post(&r->left);
}

uint32_t behind_take(struct behind *b)
{
	return b->coming++;
}

void behind_await_turn(const struct behind *b, uint32_t number, pthread_cond_t *cond,
		       pthread_mutex_t *lock)
{
	while (b->writing != number)
		pthread_cond_wait(cond, lock);
}

void behind_end(struct behind *b, pthread_cond_t *cond)
{
	b->writing++;
	pthread_cond_broadcast(cond);
}

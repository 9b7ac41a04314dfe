#include "draft/seal.h"
#include "base/cleanup.h"
#include "draft/items.h"

void draft_await_unsealed(struct draft *d)
{
	while (d->sealed)
		pthread_cond_wait(&d->unsealed, &d->lock);
}

void draft_lock_to_change(struct draft *d)
{
	pthread_mutex_lock(&d->lock);
	draft_await_unsealed(d);
}

void draft_await_behind(struct draft *d, struct draft_item *i)
{
	uint32_t end = i->behind.coming;

	i->refs++;
	while ((int32_t)(end - i->behind.writing) > 0)
		pthread_cond_wait(&d->quiet, &d->lock);
	draft_item_unref(d, i);
}

void draft_settle(struct draft *d, uint32_t index)
{
	struct draft_item *i;

	HOLD(&d->lock);
	i = items_at(d, index);
	if (i)
		draft_await_behind(d, i);
}

void draft_lock_alone(struct draft *d)
{
	pthread_mutex_lock(&d->lock);
	while (d->committing)
		pthread_cond_wait(&d->unsealed, &d->lock);
}

/* A commit that was waited for has every change that was made before this call: no change is made while the draft is
 * sealed, and each earlier one was seen before that. */
enum draft_turn draft_begin_commit(struct draft *d)
{
	uint64_t before = d->commits;
	bool waited = d->committing;

	while (d->committing)
		pthread_cond_wait(&d->unsealed, &d->lock);
	if (d->ended)
		return TURN_LATE;
	if (waited && d->commits != before)
		return TURN_SHARED;
	d->committing = true;
	return TURN_OURS;
}

void draft_end_commit(struct draft *d, bool shared)
{
	d->committing = false;
	d->sealed = 0;
	d->commits += shared;
	pthread_cond_broadcast(&d->unsealed);
}

void draft_seal(struct draft *d)
{
	d->sealed++;
}

void draft_unseal(struct draft *d)
{
	if (--d->sealed == 0)
		pthread_cond_broadcast(&d->unsealed);
}

int draft_check_open(const struct draft *d, struct err *e)
{
	if (d->published)
		return err_set(e, -EBUSY, "%s is committed, but the state file can't be written",
			       d->published);
	return d->ended ? -ESTALE : 0;
}

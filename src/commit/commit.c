#include "commit/commit.h"
#include "base/cleanup.h"
#include "commit/graph.h"
#include "commit/pack.h"
#include "commit/plan.h"
#include "commit/publish.h"
#include "commit/record.h"
#include "commit/shards.h"
#include "draft/draft_state.h"

/* The new step is there. Until the state file says so, the draft stays, and nothing can be changed in it. */
static int end_published(struct draft *d, const struct commit_config *c, struct err *e)
{
	int r = publish_in_state(d->fd, d->top, c->state_name, d->published, e);

	if (r < 0)
		return r;
	if (!d->writers || !d->has_base)
		r = draft_discard(d, e);
	else
		draft_go_on(d);
	if (r == 0 || d->ended) {
		free(d->published);
		d->published = NULL;
	}
	return r;
}

static int make_step(struct plan *p, enum commit_result *result, struct buf *name, struct err *e)
{
	int r = draft_can_go_on(p->d, e);

	if (r == 0)
		r = plan_make(p, e);
	if (r == 0)
		r = graph_edit(p, e);
	if (r == 0)
		r = p->fd = record_begin(p->d->top, p->d->fd, e);
	if (r >= 0)
		r = pack_meta(p, e);
	if (r < 0)
		return r;
	if (plan_is_base(p)) {
		*result = COMMIT_NOTHING;
		return 0;
	}
	if (!plan_n(p)) { /* folders whose only content were marks, and the like */
		*result = COMMIT_WAITS;
		return 0;
	}
	shards_choose(p);
	r = pack_step(p, e);
	if (r == 0)
		r = publish(p, name, e);
	*result = COMMIT_DONE;
	return r;
}

/* Without memory for it that step is just not looked after. */
static void note_rescue(struct plan *p, struct rescue *rescue)
{
	rescue_note(rescue, p->d->top, p->name, p->num_shards, p->d->meta, TAKE(p->index_fd, -1),
		    NULL);
}

/* What is left to be done when it is known what the commit has come to; the lock is held. */
static int settle(struct draft *d, const struct commit_config *c, struct plan *p, int r,
		  struct commit_done *done, struct err *e)
{
	if (p->published) {
		if (d->has_base)
			note_rescue(p, &done->rescue);
		d->published = TAKE(p->name, NULL);
		d->born = !d->has_base;
	}
	if (d->published) {
		int ended = end_published(d, c, r < 0 ? NULL : e);

		return r < 0 ? r : ended;
	}
	if (r == 0 && done->result != COMMIT_WAITS && !d->writers)
		return draft_discard(d, e);
	if (record_take_back(d->top, d->fd, NULL) >= 0)
		record_forget(d->fd, NULL);
	return r;
}

int commit(struct draft *d, const struct commit_config *c, struct commit_done *done, struct err *e)
{
	CLEANUP(plan_release)
	struct plan p = {.d = d, .c = c, .dir = -1, .fd = -1, .packed = -1, .index_fd = -1};
	struct err why = {0};
	int r;

	pthread_mutex_lock(&d->lock);
	draft_await_writes(d);
	if (d->ended) {
		pthread_mutex_unlock(&d->lock);
		done->result = COMMIT_LATE;
		return 0;
	}
	if (c->ending)
		c->ending(c->arg, d);
	if (d->published) {
		r = buf_add(&done->name, d->published, strlen(d->published) + 1);
		done->result = COMMIT_DONE;
	} else {
		r = make_step(&p, &done->result, &done->name, &why);
	}
	r = settle(d, c, &p, r, done, &why);
	done->ended = d->ended;
	if (c->shows_base && (d->ended || (r == 0 && done->result == COMMIT_DONE)))
		c->shows_base(c->arg, d);
	draft_note_result(d, r, &why); /* what failed on the way did no harm */
	pthread_mutex_unlock(&d->lock);
	if (r < 0 && e)
		*e = why;
	return r;
}

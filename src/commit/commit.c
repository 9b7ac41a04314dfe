#include "commit/commit.h"
#include "base/cleanup.h"
#include "base/lacks.h"
#include "commit/freeze.h"
#include "commit/graph.h"
#include "commit/in_place.h"
#include "commit/meta.h"
#include "commit/noted.h"
#include "commit/pack.h"
#include "commit/publish.h"
#include "commit/record.h"
#include "commit/shards.h"
#include "directory/drafts_list.h"
#include "directory/export.h"
#include "draft/file.h"
#include "draft/seal.h"

/* How often a step is built. Before the last time the draft is sealed, so that it can't change any more. */
enum { TRIES = 3 };

struct act {
	struct plan plan;
	struct commit_done *done;
	bool in_state; /* the state file names the step, which is there */
};

/* --- freeze and build ---------------------------------------------------------------------------------------- */

static int freeze_draft(struct plan *p, bool sealed, struct err *e)
{
	struct draft *d = p->d;
	int r;

	pthread_mutex_lock(&d->lock);
	if (sealed)
		draft_seal(d);
	draft_await_writes(d);
	r = freeze(p, e);
	if (r < 0) /* the draft must not change before the failure is noted with it */
		draft_seal(d);
	pthread_mutex_unlock(&d->lock);
	return r;
}

/* What was published of the draft is there: that is what P is compared with. Else it is the base. */
static int find_result(struct plan *p, enum commit_result *result, struct err *e)
{
	int same = p->c->over ? 0 : p->last ? noted_is_plan(p, e) : plan_is_base(p);

	if (same == 0 && plan_is_empty(p) && p->d->has_base) {
		*result = p->goes_on ? COMMIT_NOTHING : COMMIT_EMPTY;
		return p->c->makes.allow_empty && !p->c->over
			       ? 0
			       : err_set(e, -EINVAL,
					 "no variable is left, and a step needs one; to remove the step, "
					 "remove its folder");
	}
	*result = same && p->last    ? COMMIT_SAME
		  : same             ? COMMIT_NOTHING
		  : plan_is_empty(p) ? COMMIT_WAITS
				     : COMMIT_DONE;
	return same < 0 ? same : 0;
}

static int build_v1(struct plan *p, enum commit_result *result, struct err *e)
{
	int r = pack_v1(p, e);

	if (r == 0)
		r = noted_is_v1(p, e);
	if (r == 1)
		*result = COMMIT_SAME;
	return r < 0 ? r : 0;
}

/* Writes in DR/commit what P is to become. */
static int build(struct plan *p, enum commit_result *result, struct err *e)
{
	int r = plan_make(p, e);

	if (r == 0)
		r = graph_edit(p, e);
	if (r == 0)
		r = p->fd = record_begin(p->d->top, p->d->fd, e);
	if (r >= 0)
		r = meta_pack(p, e);
	if (r == 0)
		r = meta_check(p, e);
	if (r == 0)
		r = find_result(p, result, e);
	if (r < 0 || *result != COMMIT_DONE)
		return r;
	r = in_place_decide(p, result, e);
	if (r < 0 || *result != COMMIT_DONE)
		return r;
	p->v1 = p->c->write_v1 && !p->replaces; /* loaders of a SavedModel read V2 only */
	if (p->v1)
		return build_v1(p, result, e);
	shards_choose(p);
	return pack_step(p, e);
}

/* Is the draft still as P was frozen? Then it is sealed, so that it stays as it is until the commit ends: P is published,
 * or its failure is noted. */
static bool seal(struct plan *p)
{
	struct draft *d = p->d;
	bool holds;

	pthread_mutex_lock(&d->lock);
	holds = freeze_holds(p);
	if (holds)
		draft_seal(d);
	pthread_mutex_unlock(&d->lock);
	return holds;
}

/* If the draft has changed since it was frozen, all is done again. That is so after a failure too: the change may have
 * caused it. */
static int freeze_and_build(struct plan *p, enum commit_result *result, struct err *e)
{
	for (unsigned tries = 1;; tries++) {
		struct step *last = p->last;
		int r = freeze_draft(p, tries == TRIES, e);

		if (r < 0)
			return r;
		r = build(p, result, e);
		if (seal(p))
			return r;
		plan_release(p);
		plan_init(p, p->d, p->c);
		p->last = last;
	}
}

/* --- publish ------------------------------------------------------------------------------------------------- */

/* What is not published is taken back: the draft is as it was. */
static void forget(struct draft *d)
{
	if (record_take_back(d->top, d->fd, NULL) >= 0)
		record_forget(d->fd, NULL);
}

static int note_in_state(struct act *a, const char *name, struct err *e)
{
	const struct plan *p = &a->plan;
	int r = publish_in_state(p->d->fd, p->d->top, p->c, p->d->name, name, e);

	a->in_state = r == 0;
	return r;
}

/* The step that was published is looked after, if it is over a base. Without memory for that it is just not. */
static void note_rescue(struct act *a)
{
	struct plan *p = &a->plan;
	CLEANUP(closep) int fd = -1;

	if (!p->d->has_base || p->replaces ||
	    lacks_at(p->d->top) & LACKS_INODES) /* by these it is recognised */
		return;
	fd = publish_open_index(p);
	if (fd >= 0)
		rescue_note(&a->done->rescue, p->d->top, p->d->fd, p->name, plan_format(p),
			    p->num_shards, p->d->meta, fd, NULL);
}

/* A step that has not been there before. */
static int make_step(struct act *a, struct err *e)
{
	struct plan *p = &a->plan;
	int r = noted_open(p->d->fd, p->d->top, p->d->mode, &p->last, e), noted;
	bool empty;

	if (r >= 0)
		r = freeze_and_build(p, &a->done->result, e);
	a->done->left_meta = p->d->has_base && p->new_meta && p->c->makes.no_meta_graph;
	empty = a->done->result == COMMIT_EMPTY;
	if (r == 0 && (empty || a->done->result == COMMIT_DONE))
		r = publish(p, &a->done->name, e);
	if (!p->published) {
		if (r < 0 ||
		    !empty) /* a meta graph alone stays if the draft ends, which is settled next */
			forget(p->d);
		return r;
	}
	a->done->shared = p->shared;
	if (r == 0) /* what can't be removed is left over */
		record_drop_old(p->d->top, p->d->fd, NULL);
	noted = note_in_state(a, p->name, r < 0 ? NULL : e);
	note_rescue(a);
	if (p->kept)
		buf_add(&a->done->kept, p->kept, strlen(p->kept) + 1);
	return r < 0 ? r : noted;
}

/* A step that has, and of which only the state file does not say so yet. */
static int finish_step(struct act *a, const char *name, struct err *e)
{
	a->done->result = COMMIT_DONE;
	if (buf_add(&a->done->name, name, strlen(name) + 1) < 0)
		return err_set(e, -ENOMEM, "no memory");
	return note_in_state(a, name, e);
}

/* --- settle -------------------------------------------------------------------------------------------------- */

/* What becomes of the draft. */
enum fate {
	FATE_STAYS,
	FATE_ENDS,
	FATE_GOES_ON, /* with the files that are open for writing */
	FATE_GOES_ON_WHOLE,
};

/* What becomes of it if the commit is done, or there was nothing to do. */
static enum fate fate_of_done(const struct act *a)
{
	const struct draft *d = a->plan.d;
	bool in_place = d->has_base && d->published && !strcmp(d->published, d->name);

	if (a->plan.goes_on)
		return FATE_GOES_ON_WHOLE;
	switch (a->done->result) {
	case COMMIT_NOTHING:
	case COMMIT_SAME:
	case COMMIT_EMPTY:
		return d->writers ? FATE_STAYS : FATE_ENDS;
	case COMMIT_DONE:
		if (!d->writers || !d->has_base)
			return FATE_ENDS;
		return in_place ? FATE_GOES_ON_WHOLE : FATE_GOES_ON; /* the base has gone */
	case COMMIT_WAITS:
	case COMMIT_LATE:
	case COMMIT_SHARED:
		break;
	}
	return FATE_STAYS;
}

/* R is what has come of the commit. Until the state file names the step, the draft stays, and nothing can be
 * changed in it. No more files are opened for writing meanwhile. */
static enum fate decide(struct act *a, int r)
{
	struct plan *p = &a->plan;
	struct draft *d = p->d;
	enum fate fate = FATE_STAYS;

	pthread_mutex_lock(&d->lock);
	if (p->published) {
		d->published = TAKE(p->name, NULL);
		d->born = !d->has_base;
	}
	if (a->in_state || (r == 0 && !d->published))
		fate = fate_of_done(a);
	if ((fate == FATE_ENDS || fate == FATE_GOES_ON) && p->c->watch)
		p->c->watch->ending(p->c->watch->arg, d);
	pthread_mutex_unlock(&d->lock);
	return fate;
}

/* OLD: what is left on disk of a draft that ends. */
static void settle_locked(struct act *a, enum fate fate, const char *old)
{
	struct draft *d = a->plan.d;

	if (fate == FATE_ENDS) {
		memcpy(d->old, old, sizeof d->old);
		draft_keep_all_bytes(d);
		atomic_store(&d->ended, true);
	} else if (fate == FATE_GOES_ON) {
		draft_go_on(d);
	} else if (fate == FATE_GOES_ON_WHOLE && d->published) {
		draft_note_published(d);
	}
	if (fate != FATE_STAYS) {
		free(d->published);
		d->published = NULL;
	}
	if ((fate == FATE_ENDS || fate == FATE_GOES_ON) && a->plan.c->watch)
		a->plan.c->watch->shows_base(a->plan.c->watch->arg, d);
	a->done->ended = d->ended;
}

/* What has to be on disk for FATE, when the commit is done. OLD as above. */
static int settle_on_disk(struct act *a, enum fate fate, char old[DRAFTS_OLD_SIZE], struct err *e)
{
	struct draft *d = a->plan.d;
	int r = 0;

	if (fate == FATE_ENDS)
		return drafts_retire(d->top, d->folder, old, e);
	if (fate == FATE_GOES_ON_WHOLE && d->published) {
		r = noted_make(d->fd, d->top, d->published, e);
		if (r == 0)
			r = record_forget(d->fd, e);
	}
	return r;
}

/* R is what has come of the commit, WHY of what failed. */
static int settle(struct act *a, int r, struct err *why)
{
	struct draft *d = a->plan.d;
	enum fate fate = decide(a, r);
	char old[DRAFTS_OLD_SIZE] = "";
	int settled = settle_on_disk(a, fate, old, r < 0 ? NULL : why);

	fate = settled < 0 ? FATE_STAYS : fate;
	r = r < 0 ? r : settled;
	pthread_mutex_lock(&d->lock);
	settle_locked(a, fate, old);
	draft_note_result(d, r, why); /* what failed on the way did no harm */
	if (r == 0 && a->plan.c->goes_on)
		d->seen_to = d->changes;
	draft_end_commit(d, r == 0 && !a->plan.goes_on);
	pthread_mutex_unlock(&d->lock);
	return r;
}

int commit(struct draft *d, const struct commit_config *c, struct commit_done *done, struct err *e)
{
	struct act a = {.done = done};
	struct err why = {0};
	enum draft_turn turn;
	int r;

	pthread_mutex_lock(&d->lock);
	turn = draft_begin_commit(d);
	pthread_mutex_unlock(&d->lock);
	if (turn != TURN_OURS) {
		done->result = turn == TURN_LATE ? COMMIT_LATE : COMMIT_SHARED;
		return 0;
	}
	plan_init(&a.plan, d, c);
	r = d->published ? finish_step(&a, d->published, &why) : make_step(&a, &why);
	r = settle(&a, r, &why);
	step_unref(a.plan.last);
	plan_release(&a.plan);
	if (r < 0 && e)
		*e = why;
	return r;
}

int commit_foresee(struct draft *d, const struct commit_config *c, struct buf *out, struct err *e)
{
	CLEANUP(step_place_release) struct step_place last = {0};
	CLEANUP(freep) char *name = NULL;
	CLEANUP(freep) char *done = NULL;
	bool seen_to;
	int r;

	pthread_mutex_lock(&d->lock);
	name = strdup(d->name);
	done = d->published ? strdup(d->published) : NULL;
	seen_to = d->seen_to && d->seen_to == d->changes;
	pthread_mutex_unlock(&d->lock);
	if (!name)
		return err_set(e, -ENOMEM, "no memory");
	if (!done && seen_to && noted_find(d->fd, d->top, &last, NULL) == 1)
		done = strdup(last.name);
	if (!done &&
	    (!d->has_base || strcmp(name, EXPORT_STEP) != 0 || export_is(d->top, NULL) != 1)) {
		r = publish_next_name(d->top, name, !d->has_base, c, out, e);
		return r < 0 ? r : 1;
	}
	r = buf_add_str(out, done ? done : name);
	if (r == 0)
		r = buf_add_byte(out, 0);
	return r < 0 ? err_set(e, r, "no memory") : !done;
}

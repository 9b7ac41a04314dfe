#include "store/commit.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/io.h"
#include "store/commit_plan.h"
#include "store/draft_disk.h"
#include "store/draft_items.h"
#include "store/listing.h"
#include "store/recover.h"
#include "store/staged.h"
#include "store/state_update.h"
#include "store/trace.h"
#include <stdio.h>

enum { MAX_TRIES = 1000 }; /* names that somebody else took meanwhile */

/* --- files beside the tensors ------------------------------------------------------------------------------ */

/* New files belong to whom the step's belong. */
static void give(const struct draft *d, int fd)
{
	const struct stat *st = d->n_pins ? &d->pins[0].step->index : NULL;
	struct stat top;

	if (geteuid() != 0)
		return;
	if (!st && fstat(d->top, &top) == 0)
		st = &top;
	if (st && fchown(fd, st->st_uid, st->st_gid) == 0 && d->n_pins)
		fchmod(fd, st->st_mode & 0666);
}

static int put_whole(const struct plan *p, const char *name, struct bytes b, struct err *e)
{
	CLEANUP(closep) int fd = io_create(p->fd, name, 0644, e);
	int r = fd < 0 ? fd : io_write_at(fd, b, 0, e);

	if (r < 0)
		return r;
	give(p->d, fd);
	return io_sync(fd, name, e);
}

static int write_index(struct plan *p, struct err *e)
{
	CLEANUP(buf_release) struct buf b = {0};
	int r = bundle_writer_finish(&p->index, sink_of_buf(&b), e);

	return r < 0 ? r : put_whole(p, "index", buf_bytes(&b), e);
}

/* The text that was written in place of the meta graph's; one that says the same changes nothing. */
static int write_meta(struct plan *p, struct err *e)
{
	CLEANUP(buf_release) struct buf meta = {0}, old = {0};
	struct draft *d = p->d;
	int r;

	if (!p->meta || p->meta->what != DRAFT_STAGED)
		return 0;
	r = draft_item_open(d, p->meta, e);
	if (r == 0)
		r = staged_meta(p->meta, &meta, e);
	if (r < 0)
		return r;
	p->new_meta = !d->has_base ||
		      companion_read(plan_dir(p, 0, e), &d->pins[0].step->place, d->meta, &old,
				     NULL) < 0 ||
		      !bytes_eq(buf_bytes(&old), buf_bytes(&meta));
	return p->new_meta ? put_whole(p, "meta", buf_bytes(&meta), e) : 0;
}

/* --- links in the checkpoint directory --------------------------------------------------------------------- */

struct placing {
	struct plan *p;
	struct step_place to;
	uint32_t copies;
	struct buf placed; /* names of what was linked, each with its NUL */
};

static void take_back(struct placing *k)
{
	for (const char *name = (char *)k->placed.p;
	     name && name < (char *)k->placed.p + k->placed.n; name += strlen(name) + 1)
		io_remove_file(k->p->d->top, name, NULL);
	k->placed.n = 0;
}

/* Where there are no hard links at all. A trace of what is moved tells whose it is, should this be as far as it gets. */
static int place_moved(const struct plan *p, const char *copy, const char *name, struct err *e)
{
	CLEANUP(closep) int traces = -1;
	int r = io_make_folder(p->fd, "moved", 0777, e);

	if (r == 0 || r == -EEXIST)
		r = traces = dir_fd(p->fd, "moved", e);
	if (r >= 0)
		r = trace_make(p->fd, copy, traces, name, e);
	return r < 0 ? r : io_move_new(p->fd, copy, p->d->top, name, e);
}

/* The copy is made beside the index, and is there to tell whose the link is, should this be as far as it gets. */
static int place_copy(struct placing *k, int from_dir, const char *from, const char *name,
		      struct err *e)
{
	const struct plan *p = k->p;
	char copy[32];
	int r;

	snprintf(copy, sizeof copy, "copy-%u", k->copies++);
	r = io_remove_all(p->fd, copy, e);
	if (r == 0)
		r = io_place(from_dir, from, p->fd, copy, e);
	if (r == 0)
		r = io_link(p->fd, copy, p->d->top, name, e);
	return io_needs_copy(r) ? place_moved(p, copy, name, e) : r;
}

static int place(struct placing *k, int from_dir, const char *from, const struct buf *name,
		 struct err *e)
{
	int r = io_link(from_dir, from, k->p->d->top, (char *)name->p, e);

	if (io_needs_copy(r))
		r = place_copy(k, from_dir, from, (char *)name->p, e);
	if (r == 0 && buf_add(&k->placed, name->p, name->n) < 0) {
		io_remove_file(k->p->d->top, (char *)name->p, NULL);
		r = err_set(e, -ENOMEM, "no memory");
	}
	return r;
}

static int place_shard(struct placing *k, int from_dir, const char *from, uint32_t number,
		       struct err *e)
{
	CLEANUP(buf_release) struct buf name = {0};

	if (step_shard_name(&k->to, number, k->p->num_shards, &name) < 0)
		return err_set(e, -ENOMEM, "no memory");
	return place(k, from_dir, from, &name, e);
}

static int place_old_shards(struct placing *k, uint32_t pin, struct err *e)
{
	const struct pin *from = &k->p->d->pins[pin];
	const struct step *s = from->step;
	int r = 0;

	for (uint32_t i = 0; i < s->n_shards && r == 0; i++) {
		const struct old_shard *o = &k->p->old[pin].shards[i];
		CLEANUP(buf_release) struct buf name = {0};

		if (!o->live || o->repack)
			continue;
		if (step_shard_name(&s->place, s->shards[i].number, s->num_shards, &name) < 0)
			return err_set(e, -ENOMEM, "no memory");
		r = place_shard(k, plan_dir(k->p, pin, e), (char *)name.p, o->number, e);
	}
	return r;
}

static int place_own_shards(struct placing *k, struct err *e)
{
	struct plan *p = k->p;
	int r = 0;

	for (uint32_t i = 0; i < plan_n(p) && r == 0; i++) {
		const struct want *w = &plan_wants(p)[i];
		CLEANUP(closep) int dir = -1;

		if (!w->own)
			continue;
		dir = disk_folder(p->d, w->item->parent, false, e);
		r = dir < 0 ? dir : place_shard(k, dir, w->item->name, w->shard, e);
	}
	return r;
}

/* A companion of the step that TEXT is of. */
static int place_companion(struct placing *k, const struct draft_item *text, const char *suffix,
			   struct err *e)
{
	CLEANUP(buf_release) struct buf from = {0}, to = {0};
	const struct pin *pin = &k->p->d->pins[text->pin];

	if (companion_name(&pin->step->place, suffix, &from) < 0 ||
	    companion_name(&k->to, suffix, &to) < 0)
		return err_set(e, -ENOMEM, "no memory");
	return place(k, plan_dir(k->p, text->pin, e), (char *)from.p, &to, e);
}

static int place_meta(struct placing *k, struct err *e)
{
	struct plan *p = k->p;
	CLEANUP(buf_release) struct buf to = {0};
	const struct draft_item base = {.pin = 0};

	if (!p->meta)
		return 0;
	if (p->meta->what == DRAFT_TEXT)
		return place_companion(k, p->meta, p->d->meta, e);
	if (!p->new_meta)
		return place_companion(k, &base, p->d->meta, e);
	if (companion_name(&k->to, p->d->meta, &to) < 0)
		return err_set(e, -ENOMEM, "no memory");
	return place(k, p->fd, "meta", &to, e);
}

static int place_all(struct placing *k, struct err *e)
{
	struct plan *p = k->p;
	int r = 0;

	for (uint32_t pin = 0; pin < p->d->n_pins && r == 0; pin++)
		r = place_old_shards(k, pin, e);
	if (r == 0)
		r = place_own_shards(k, e);
	if (r == 0 && p->has_packed)
		r = place_shard(k, p->fd, "packed", p->packed_shard, e);
	if (r == 0)
		r = place_meta(k, e);
	if (r == 0 && p->debug)
		r = place_companion(k, p->debug, "debug", e);
	return r == 0 ? io_sync(p->d->top, "the checkpoint directory", e) : r;
}

/* The commit point. */
static int place_index(struct placing *k, struct err *e)
{
	int r = io_link(k->p->fd, "index", k->p->d->top, k->to.file, e);

	if (io_needs_copy(r))
		r = place_moved(k->p, "index", k->to.file, e);
	return r;
}

/* If the disk fails right behind the commit point, it was none: a crash might take the step away again. */
static int sync_or_undo(struct plan *p, const struct step_place *to, struct err *e)
{
	int r = io_sync(p->d->top, "the checkpoint directory", e);

	if (r < 0 && io_remove_file(p->d->top, to->file, NULL) == 0)
		p->published = false;
	return r;
}

/* Publishes the step as NAME, or not at all. -EEXIST: something of that name is there. */
static int publish(struct plan *p, const char *name, struct err *e)
{
	CLEANUP(buf_release) struct buf file = {0};
	struct placing k = {.p = p, .to = {.name = (char *)name, .format = STEP_V2}};
	int r = io_remove_all(p->fd, "name", e);

	if (buf_printf(&file, "%s.index", name) < 0 || buf_add_byte(&file, 0) < 0)
		return err_set(e, -ENOMEM, "no memory");
	k.to.file = (char *)file.p;
	if (r == 0)
		r = io_make_link(*name ? name : ".", p->fd, "name", e);
	if (r == 0)
		r = place_all(&k, e);
	if (r == 0)
		r = place_index(&k, e);
	p->published = r == 0;
	if (r == 0)
		r = sync_or_undo(p, &k.to, e);
	if (p->published && p->d->has_base && p->kept &&
	    kept_note(p->kept, p->fd, "index", p->d->top, name, p->num_shards, NULL) < 0)
		kept_release(p->kept);
	if (!p->published)
		take_back(&k);
	buf_release(&k.placed);
	return r;
}

/* The name that the draft has, for a new step; else, or if that was taken, the next of the family. */
static int next_name(const struct draft *d, unsigned attempt, struct buf *name, struct err *e)
{
	CLEANUP(listing_release) struct listing l = {0};
	int r;

	name->n = 0;
	if (!d->has_base && attempt == 0 && step_name_is_free(d->top, d->name))
		return buf_add(name, d->name, strlen(d->name) + 1) < 0
			       ? err_set(e, -ENOMEM, "no memory")
			       : 0;
	r = listing_read(d->top, "checkpoint", &l, e);
	return r < 0 ? r : step_next_free(d->top, &l, d->name, name, e);
}

static int publish_somewhere(struct plan *p, struct buf *name, struct err *e)
{
	int r = -EEXIST;

	for (unsigned i = 0; r == -EEXIST && i < MAX_TRIES; i++) {
		r = next_name(p->d, i, name, e);
		if (r == 0)
			r = publish(p, (char *)name->p, e);
	}
	return r;
}

/* --- all of it --------------------------------------------------------------------------------------------- */

int commit_finish(struct draft *d, const struct commit_config *c, const char *name, struct err *e)
{
	const struct step_place place = {.name = (char *)name, .format = STEP_V2};
	int r = state_add_from(d->fd, d->top, c->state_name, &place, e);

	if (r < 0)
		return err_wrap(e, r, "%s is committed, but not noted", name);
	if (!d->writers || !d->has_base)
		return draft_discard(d, e);
	draft_restart(d);
	return 0;
}

/* Until the state file says so, the draft stays, and nothing can be changed in it. */
static int finish(struct draft *d, const struct commit_config *c, const char *name, struct err *e)
{
	char *published = d->published ? d->published : strdup(name);
	int r = published ? commit_finish(d, c, name, e) : err_set(e, -ENOMEM, "no memory");

	d->published = published;
	if (r == 0 || d->ended) {
		free(published);
		d->published = NULL;
	}
	return r;
}

/* First what it is found by. */
int commit_forget(int fd, struct err *e)
{
	int r = io_remove_all(fd, "commit/name", e);

	return r < 0 ? r : io_remove_all(fd, "commit", e);
}

static int begin(struct plan *p, struct err *e)
{
	int r = recover_links(p->d->top, p->d->fd, e); /* of one that could not take them back */

	if (r >= 0)
		r = commit_forget(p->d->fd, e);
	if (r == 0)
		r = io_make_folder(p->d->fd, "commit", 0777, e);
	if (r == 0)
		r = p->fd = dir_fd(p->d->fd, "commit", e);
	return r < 0 ? r : 0;
}

/* Folders whose only content were marks, and the like. */
static int is_empty(const struct plan *p)
{
	return !plan_n(p);
}

static int commit_plan(struct plan *p, enum commit_result *result, struct buf *name, struct err *e)
{
	int r = draft_can_restart(p->d, e);

	if (r == 0)
		r = plan_make(p, e);
	if (r == 0)
		r = begin(p, e);
	if (r == 0)
		r = write_meta(p, e);
	if (r < 0)
		return r;
	if (plan_is_base(p)) {
		*result = COMMIT_NOTHING;
		return 0;
	}
	if (is_empty(p)) {
		*result = COMMIT_WAITS;
		return 0;
	}
	plan_shards(p);
	r = plan_store(p, e);
	if (r == 0 && p->packed >= 0)
		give(p->d, p->packed);
	if (r == 0)
		r = write_index(p, e);
	if (r == 0)
		r = publish_somewhere(p, name, e);
	*result = COMMIT_DONE;
	return r;
}

static void close_files(struct draft *d)
{
	for (struct draft_item *i = d->root; i && (i = items_next(d->root, i));)
		if (i->staged && !i->opens)
			closep(&i->staged->fd);
}

int commit(struct draft *d, const struct commit_config *c, enum commit_result *result,
	   struct buf *name, struct kept *kept, struct err *e)
{
	CLEANUP(plan_release)
	struct plan p = {.d = d, .c = c, .dir = -1, .fd = -1, .packed = -1, .kept = kept};
	struct err why = {0};
	int r;

	pthread_mutex_lock(&d->lock);
	draft_settle_writes(d);
	if (d->ended) {
		pthread_mutex_unlock(&d->lock);
		*result = COMMIT_ENDED;
		return 0;
	}
	if (c->ending)
		c->ending(c->arg, d);
	if (d->published) {
		r = buf_add(name, d->published, strlen(d->published) + 1);
		*result = COMMIT_DONE;
		p.published = true;
	} else {
		r = commit_plan(&p, result, name, &why);
	}
	if (p.published) {
		int finished;

		d->born = !d->has_base;
		finished = finish(d, c, (char *)name->p, r < 0 ? NULL : &why);

		r = r < 0 ? r : finished;
	} else if (r < 0 || *result == COMMIT_WAITS || d->writers) {
		if (recover_links(d->top, d->fd, NULL) >= 0)
			commit_forget(d->fd, NULL);
		close_files(d);
	} else {
		r = draft_discard(d, &why);
	}
	draft_note_result(d, r, &why); /* what failed on the way did no harm */
	pthread_mutex_unlock(&d->lock);
	if (r < 0 && e)
		*e = why;
	return r;
}

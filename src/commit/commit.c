#include "commit/commit.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/io.h"
#include "commit/plan.h"
#include "commit/recover.h"
#include "directory/file_stamp.h"
#include "directory/listing.h"
#include "directory/placed.h"
#include "directory/state_update.h"
#include "draft/disk.h"
#include "draft/items.h"
#include "draft/staged.h"
#include "message/state.h"
#include <fcntl.h>
#include <stdio.h>

enum { MAX_TRIES = 1000 }; /* names that somebody else took meanwhile */

/* --- files beside the tensors ------------------------------------------------------------------------------ */

/* New files belong to whom the base's belong; those of a new step, to whoever made it. They allow no more than
 * ALLOWS. */
static int give(const struct draft *d, int fd, mode_t allows, struct err *e)
{
	struct stat now, st;

	if (fstat(fd, &now) < 0)
		return err_sys(e, -errno, "fstat");
	if (geteuid() == 0 && draft_stat_step(d, &st) == 0 && fchown(fd, st.st_uid, st.st_gid) == 0)
		now.st_mode = st.st_mode;
	return fchmod(fd, now.st_mode & 0666 & allows) < 0 ? err_sys(e, -errno, "fchmod") : 0;
}

/* Its descriptor. */
static int put_whole(const struct plan *p, const char *name, struct bytes b, struct err *e)
{
	CLEANUP(closep) int fd = io_create(p->fd, name, 0644, e);
	int r = fd < 0 ? fd : io_write_at(fd, b, 0, e);

	if (r == 0)
		r = give(p->d, fd, 0666, e);
	if (r == 0)
		r = io_sync(fd, name, e);
	return r < 0 ? r : TAKE(fd, -1);
}

static int write_index(struct plan *p, struct err *e)
{
	CLEANUP(buf_release) struct buf b = {0};
	int r = bundle_writer_finish(&p->index, sink_of_buf(&b), e);

	if (r == 0)
		r = p->index_fd = put_whole(p, "index", buf_bytes(&b), e);
	return r < 0 ? r : 0;
}

/* The meta graph of the base. Of one that could not be held another may be there by now. */
static int read_old_meta(struct plan *p, struct buf *out, struct err *e)
{
	const struct pin *base = &p->d->pins[0];
	const char *suffix = p->d->meta;
	CLEANUP(buf_release) struct buf name = {0};
	CLEANUP(closep) int fd = -1;
	struct source src;
	int r = sidecar_name(&base->step->place, suffix, &name);

	if (r < 0)
		return err_set(e, r, "no memory");
	if (!base->loose)
		return sidecar_read(plan_dir(p, 0, e), &base->step->place, suffix, out, e);
	r = fd =
		placed_open(plan_dir(p, 0, e), (char *)name.p, &base->sidecars[TEXT_META_GRAPH], e);
	if (r >= 0)
		r = source_of_fd(fd, &src, e);
	if (r == 0)
		r = source_read(&src, 0, src.size, out, e);
	return r < 0 ? r : placed_check(fd, (char *)name.p, &base->sidecars[TEXT_META_GRAPH], e);
}

/* The text that was written in place of the meta graph's; one that says the same changes nothing. */
static int write_meta(struct plan *p, struct err *e)
{
	CLEANUP(buf_release) struct buf meta = {0}, old = {0};
	CLEANUP(closep) int fd = -1;
	struct draft *d = p->d;
	int r;

	if (!p->meta || p->meta->what != DRAFT_STAGED)
		return 0;
	r = draft_item_open(d, p->meta, e);
	if (r == 0)
		r = staged_meta(p->meta, &meta, e);
	want_close(p->meta);
	if (r < 0)
		return r;
	p->new_meta = !d->has_base || read_old_meta(p, &old, NULL) < 0 ||
		      !bytes_eq(buf_bytes(&old), buf_bytes(&meta));
	if (p->new_meta)
		r = fd = put_whole(p, "meta", buf_bytes(&meta), e);
	return r < 0 ? r : 0;
}

/* --- links in the checkpoint directory --------------------------------------------------------------------- */

struct placing {
	struct plan *p;
	struct step_place to;
	uint32_t copies;
	struct placed placed;
};

/* Where there are no hard links at all. A trace of what is moved tells whose it is, should this be as far as
 * it gets. */
static int place_moved(const struct plan *p, const char *own, const char *name, struct err *e)
{
	CLEANUP(closep) int traces = -1;
	int r = io_make_folder(p->fd, "moved", 0777, e);

	if (r == 0 || r == -EEXIST)
		r = traces = dir_fd(p->fd, "moved", e);
	if (r >= 0)
		r = io_remove_all(traces, name, e); /* of a name that was tried before */
	if (r == 0)
		r = trace_make(p->fd, own, traces, name, e);
	return r < 0 ? r : io_move_new(p->fd, own, p->d->top, name, e);
}

/* Gives NAME to the file FROM of FROM_DIR, where nobody but us writes. COPY: it may be moved, for it is a copy
 * beside the index. */
static int place_as(struct placing *k, int from_dir, const char *from, const char *name, bool copy,
		    struct err *e)
{
	struct file_id id;
	struct stat st;
	int r = 0;

	if (placed_reserve(&k->placed, name) < 0)
		return err_set(e, -ENOMEM, "no memory");
	if (fstatat(from_dir, from, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, -errno, "%s", from);
	id = file_id_of(&st);
	r = io_link(from_dir, from, k->p->d->top, name, e);
	if (copy && io_needs_copy(r))
		r = place_moved(k->p, from, name, e);
	if (r == 0)
		placed_add(&k->placed, name, &id);
	return r;
}

/* The copy is made beside the index, and is there to tell whose the link is, should this be as far as it gets. */
static int name_copy(struct placing *k, char copy[32], struct err *e)
{
	snprintf(copy, 32, "copy-%u", k->copies++);
	return io_remove_all(k->p->fd, copy, e);
}

static int place(struct placing *k, int from_dir, const char *from, const char *name, struct err *e)
{
	char copy[32];
	int r = place_as(k, from_dir, from, name, false, e);

	if (!io_needs_copy(r))
		return r;
	r = name_copy(k, copy, e);
	if (r == 0)
		r = io_place(from_dir, from, k->p->fd, copy, e);
	return r == 0 ? place_as(k, k->p->fd, copy, name, true, e) : r;
}

/* The file FROM with ID of a pinned step. Of one that could not be held another may have that name by now. */
static int place_pinned(struct placing *k, uint32_t pin, const char *from, const struct file_id *id,
			const char *name, struct err *e)
{
	int dir = plan_dir(k->p, pin, e);
	CLEANUP(closep) int fd = -1;
	char copy[32];
	int r;

	if (dir < 0)
		return dir;
	if (!k->p->d->pins[pin].loose)
		return place(k, dir, from, name, e);
	r = fd = placed_open(dir, from, id, e);
	if (r >= 0)
		r = name_copy(k, copy, e);
	if (r == 0)
		r = io_copy(fd, k->p->fd, copy, e);
	if (r == 0)
		r = placed_check(fd, from, id, e);
	return r == 0 ? place_as(k, k->p->fd, copy, name, true, e) : r;
}

/* Puts the name of the new step's shard NUMBER into OUT. */
static int shard_name(const struct placing *k, uint32_t number, struct buf *out, struct err *e)
{
	return step_shard_name(&k->to, number, k->p->num_shards, out) < 0
		       ? err_set(e, -ENOMEM, "no memory")
		       : 0;
}

static int place_shard(struct placing *k, int from_dir, const char *from, uint32_t number,
		       struct err *e)
{
	CLEANUP(buf_release) struct buf name = {0};
	int r = shard_name(k, number, &name, e);

	return r < 0 ? r : place(k, from_dir, from, (char *)name.p, e);
}

static int place_old_shards(struct placing *k, uint32_t pin, struct err *e)
{
	const struct pin *from = &k->p->d->pins[pin];
	const struct step *s = from->step;
	int r = 0;

	for (uint32_t i = 0; i < s->n_shards && r == 0; i++) {
		const struct old_shard *o = &k->p->old[pin].shards[i];
		CLEANUP(buf_release) struct buf name = {0}, to = {0};

		if (!o->live || o->repack)
			continue;
		if (step_shard_name(&s->place, s->shards[i].number, s->num_shards, &name) < 0)
			return err_set(e, -ENOMEM, "no memory");
		r = shard_name(k, o->number, &to, e);
		if (r == 0)
			r = place_pinned(k, pin, (char *)name.p, &s->shards[i].id, (char *)to.p, e);
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

/* A sidecar of the step that TEXT is of. */
static int place_sidecar(struct placing *k, const struct draft_item *text, enum text_kind kind,
			 struct err *e)
{
	CLEANUP(buf_release) struct buf from = {0}, to = {0};
	const struct pin *pin = &k->p->d->pins[text->pin];
	const char *suffix = text_sidecar(kind, k->p->d->meta);

	if (sidecar_name(&pin->step->place, suffix, &from) < 0 ||
	    sidecar_name(&k->to, suffix, &to) < 0)
		return err_set(e, -ENOMEM, "no memory");
	return place_pinned(k, text->pin, (char *)from.p, &pin->sidecars[kind], (char *)to.p, e);
}

static int place_meta(struct placing *k, struct err *e)
{
	struct plan *p = k->p;
	CLEANUP(buf_release) struct buf to = {0};
	const struct draft_item base = {.pin = 0};

	if (!p->meta)
		return 0;
	if (p->meta->what == DRAFT_TEXT)
		return place_sidecar(k, p->meta, TEXT_META_GRAPH, e);
	if (!p->new_meta)
		return place_sidecar(k, &base, TEXT_META_GRAPH, e);
	if (sidecar_name(&k->to, p->d->meta, &to) < 0)
		return err_set(e, -ENOMEM, "no memory");
	return place(k, p->fd, "meta", (char *)to.p, e);
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
		r = place_sidecar(k, p->debug, TEXT_DEBUG_INFO, e);
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
	struct file_id id;
	struct stat st;

	if (r == 0 || fstat(p->index_fd, &st) < 0)
		return r;
	id = file_id_of(&st);
	p->published = placed_remove(p->d->top, to->file, &id, NULL) < 0;
	return r;
}

static int place_step(struct placing *k, const char *name, struct err *e)
{
	struct plan *p = k->p;
	int r = io_make_link(*name ? name : ".", p->fd, "name", e);

	if (r == 0)
		r = place_all(k, e);
	if (r == 0)
		r = place_index(k, e);
	p->published = r == 0;
	return r == 0 ? sync_or_undo(p, &k->to, e) : r;
}

/* Publishes the step as NAME, or not at all. -EEXIST: something of that name is there. */
static int publish(struct plan *p, const char *name, struct err *e)
{
	CLEANUP(buf_release) struct buf file = {0};
	struct placing k = {.p = p, .to = {.name = (char *)name, .format = STEP_V2}};
	int r = io_remove_all(p->fd, "name", e);

	free(p->name);
	p->name = strdup(name);
	if (!p->name || step_index_name(name, &file) < 0)
		return err_set(e, -ENOMEM, "no memory");
	k.to.file = (char *)file.p;
	if (r == 0)
		r = place_step(&k, name, e);
	if (!p->published)
		placed_take_back(&k.placed, p->d->top);
	placed_release(&k.placed);
	return r;
}

/* The name that the draft has, for a new step; else, or if that was taken, the next of the family. */
static int next_name(const struct draft *d, unsigned attempt, struct buf *name, struct err *e)
{
	CLEANUP(listing_release) struct listing l = {0};
	int r;

	name->n = 0;
	if (!d->has_base && attempt == 0) {
		r = step_name_is_free(d->top, d->name, e);
		if (r < 0)
			return r;
		if (r > 0)
			return buf_add(name, d->name, strlen(d->name) + 1) < 0
				       ? err_set(e, -ENOMEM, "no memory")
				       : 0;
	}
	r = listing_read(d->top, STATE_NAME, &l, e);
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
static int finish(struct draft *d, const struct commit_config *c, struct err *e)
{
	char *published = d->published;
	int r = commit_finish(d, c, published, e);

	if (r == 0 || d->ended) {
		d->published = NULL;
		free(published);
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
		r = give(p->d, p->packed, p->packed_mode, e);
	if (r == 0)
		r = write_index(p, e);
	if (r == 0)
		r = publish_somewhere(p, name, e);
	*result = COMMIT_DONE;
	return r;
}

/* Without memory for it that step is just not looked after. */
static void note_kept(struct plan *p, struct kept *kept)
{
	kept_note(kept, p->d->top, p->name, p->num_shards, p->d->meta, TAKE(p->index_fd, -1), NULL);
}

/* What is left to be done when it is known what the commit has come to; the lock is held. */
static int settle(struct draft *d, const struct commit_config *c, struct plan *p, int r,
		  struct commit_done *done, struct err *e)
{
	if (p->published) {
		if (d->has_base)
			note_kept(p, &done->kept);
		d->published = TAKE(p->name, NULL);
		d->born = !d->has_base;
	}
	if (d->published) {
		int finished = finish(d, c, r < 0 ? NULL : e);

		return r < 0 ? r : finished;
	}
	if (r == 0 && done->result != COMMIT_WAITS && !d->writers)
		return draft_discard(d, e);
	if (recover_links(d->top, d->fd, NULL) >= 0)
		commit_forget(d->fd, NULL);
	return r;
}

int commit(struct draft *d, const struct commit_config *c, struct commit_done *done, struct err *e)
{
	CLEANUP(plan_release)
	struct plan p = {.d = d, .c = c, .dir = -1, .fd = -1, .packed = -1, .index_fd = -1};
	struct err why = {0};
	int r;

	pthread_mutex_lock(&d->lock);
	draft_settle_writes(d);
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
		r = commit_plan(&p, &done->result, &done->name, &why);
	}
	r = settle(d, c, &p, r, done, &why);
	done->ended = d->ended;
	draft_note_result(d, r, &why); /* what failed on the way did no harm */
	pthread_mutex_unlock(&d->lock);
	if (r < 0 && e)
		*e = why;
	return r;
}

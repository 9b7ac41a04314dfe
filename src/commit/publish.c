#include "commit/publish.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/io.h"
#include "commit/noted.h"
#include "commit/record.h"
#include "directory/family.h"
#include "directory/listing.h"
#include "directory/placed.h"
#include "directory/state_update.h"
#include "draft/draft_state.h"
#include "step/sidecar.h"
#include <fcntl.h>
#include <stdio.h>

enum { MAX_TRIES = 1000 }; /* names that somebody else took meanwhile */

/* --- links in the checkpoint directory --------------------------------------------------------------------- */

struct linking {
	struct plan *p;
	struct step_place to;
	uint32_t copies;
	struct placed placed;
};

/* Gives NAME to the file FROM of FROM_DIR, where nobody but us writes. COPY: it may be moved, for it is a copy
 * beside the index. */
static int link_as(struct linking *k, int from_dir, const char *from, const char *name, bool copy,
		   struct err *e)
{
	struct file_id id;
	int r = file_id_at(from_dir, from, &id, e);

	if (r < 0)
		return r;
	if (placed_reserve(&k->placed, name) < 0)
		return err_set(e, -ENOMEM, "no memory");
	r = io_link(from_dir, from, k->p->d->top, name, e);
	if (copy && io_needs_copy(r))
		r = record_move(k->p->fd, from, k->p->d->top, name, false, e);
	if (r == 0)
		placed_add(&k->placed, name, &id);
	return r;
}

/* The copy is made beside the index, and is there to tell whose the link is, should this be as far as it gets. */
static int name_copy(struct linking *k, char copy[32], struct err *e)
{
	snprintf(copy, 32, "copy-%u", k->copies++);
	return io_remove_all(k->p->fd, copy, e);
}

static int link_file(struct linking *k, int from_dir, const char *from, const char *name,
		     struct err *e)
{
	char copy[32];
	int r = link_as(k, from_dir, from, name, false, e);

	if (!io_needs_copy(r))
		return r;
	r = name_copy(k, copy, e);
	if (r == 0)
		r = io_place(from_dir, from, k->p->fd, copy, e);
	return r == 0 ? link_as(k, k->p->fd, copy, name, true, e) : r;
}

/* The file FROM with ID of a pinned step. Of one that could not be held another may have that name by now. */
static int link_pinned(struct linking *k, uint32_t pin, const char *from, const struct file_id *id,
		       const char *name, struct err *e)
{
	int dir = plan_dir(k->p, pin, e);
	CLEANUP(closep) int fd = -1;
	char copy[32];
	int r;

	if (dir < 0)
		return dir;
	if (!k->p->pins[pin].loose)
		return link_file(k, dir, from, name, e);
	r = fd = placed_open(dir, from, id, e);
	if (r >= 0)
		r = name_copy(k, copy, e);
	if (r == 0)
		r = io_copy(fd, k->p->fd, copy, e);
	if (r == 0)
		r = placed_check(fd, from, id, e);
	return r == 0 ? link_as(k, k->p->fd, copy, name, true, e) : r;
}

/* Puts the name of the new step's shard NUMBER into OUT. */
static int shard_name(const struct linking *k, uint32_t number, struct buf *out, struct err *e)
{
	return step_shard_name(&k->to, number, k->p->num_shards, out) < 0
		       ? err_set(e, -ENOMEM, "no memory")
		       : 0;
}

static int link_shard(struct linking *k, int from_dir, const char *from, uint32_t number,
		      struct err *e)
{
	CLEANUP(buf_release) struct buf name = {0};
	int r = shard_name(k, number, &name, e);

	return r < 0 ? r : link_file(k, from_dir, from, (char *)name.p, e);
}

static int link_old_shards(struct linking *k, uint32_t pin, struct err *e)
{
	const struct pin *from = &k->p->pins[pin];
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
			r = link_pinned(k, pin, (char *)name.p, &s->shards[i].id, (char *)to.p, e);
	}
	return r;
}

/* The folder of DR/tree in which PATH lies. */
static int tree_folder(const struct plan *p, const char *path, struct err *e)
{
	CLEANUP(closep) int fd = dir_fd(p->d->fd, "tree", e);
	const char *slash;

	for (; fd >= 0 && (slash = strchr(path, '/')); path = slash + 1) {
		CLEANUP(freep) char *name = strndup(path, (size_t)(slash - path));
		int sub = name ? dir_fd(fd, name, e) : err_set(e, -ENOMEM, "no memory");

		closep(&fd);
		fd = sub;
	}
	return TAKE(fd, -1);
}

static int link_own_shards(struct linking *k, struct err *e)
{
	struct plan *p = k->p;
	int r = 0;

	for (uint32_t i = 0; i < plan_n(p) && r == 0; i++) {
		const struct want *w = &plan_wants(p)[i];
		CLEANUP(closep) int dir = -1;

		if (w->alone)
			r = link_shard(k, p->fd, plan_packed_name(p, w), w->shard, e);
		if (!w->own)
			continue;
		dir = tree_folder(p, want_path(p, w), e);
		r = dir < 0 ? dir : link_shard(k, dir, want_name(p, w), w->shard, e);
	}
	return r;
}

/* A sidecar of that pin. */
static int link_sidecar(struct linking *k, uint32_t number, enum text_kind kind, struct err *e)
{
	CLEANUP(buf_release) struct buf from = {0}, to = {0};
	const struct pin *pin = &k->p->pins[number];
	const char *suffix = text_sidecar(kind, k->p->d->meta);

	if (sidecar_name(&pin->step->place, suffix, &from) < 0 ||
	    sidecar_name(&k->to, suffix, &to) < 0)
		return err_set(e, -ENOMEM, "no memory");
	return link_pinned(k, number, (char *)from.p, &pin->sidecars[kind], (char *)to.p, e);
}

static int link_meta(struct linking *k, struct err *e)
{
	struct plan *p = k->p;
	CLEANUP(buf_release) struct buf to = {0};

	if (!plan_makes_meta(p))
		return 0;
	if (!p->has_meta_file)
		return link_sidecar(k, p->meta.item ? 0 : p->meta.pin, TEXT_META_GRAPH, e);
	if (sidecar_name(&k->to, p->d->meta, &to) < 0)
		return err_set(e, -ENOMEM, "no memory");
	return link_file(k, p->fd, "meta", (char *)to.p, e);
}

static bool makes_debug_info(const struct plan *p)
{
	return p->debug.there && !p->debug.item && !p->c->makes.no_meta_graph &&
	       !p->c->makes.no_debug_info;
}

static int link_all(struct linking *k, struct err *e)
{
	struct plan *p = k->p;
	int r = 0;

	for (uint32_t pin = 0; pin < p->n_pins && r == 0; pin++)
		r = link_old_shards(k, pin, e);
	if (r == 0)
		r = link_own_shards(k, e);
	if (r == 0 && p->has_packed)
		r = link_shard(k, p->fd, "packed", p->packed_shard, e);
	if (r == 0)
		r = link_meta(k, e);
	if (r == 0 && makes_debug_info(p))
		r = link_sidecar(k, p->debug.pin, TEXT_DEBUG_INFO, e);
	return r == 0 ? io_sync(p->d->top, "the checkpoint directory", e) : r;
}

/* --- in the place of another step -------------------------------------------------------------------------- */

/* Calls F with the name and the id of each shard that S has. */
static int each_shard(struct linking *k, const struct step *s,
		      int (*f)(struct linking *k, const struct step *s, const char *name,
			       const struct shard *shard, struct err *e),
		      struct err *e)
{
	int r = 0;

	for (uint32_t i = 0; i < s->n_shards && r == 0; i++) {
		CLEANUP(buf_release) struct buf name = {0};

		if (s->shards[i].status < 0)
			continue;
		if (step_shard_name(&s->place, s->shards[i].number, s->num_shards, &name) < 0)
			return err_set(e, -ENOMEM, "no memory");
		r = f(k, s, (char *)name.p, &s->shards[i], e);
	}
	return r;
}

static int note_old(struct linking *k, const struct step *s, const char *name,
		    const struct shard *shard, struct err *e)
{
	(void)s, (void)shard;
	return record_old(k->p->fd, k->p->d->top, name, e);
}

/* What is done in the place of a step is noted before anything is done. */
static int note_replaced(struct linking *k, struct err *e)
{
	int r = io_remove_all(k->p->fd, "old", e);

	if (r == 0)
		r = each_shard(k, k->p->replaces, note_old, e);
	return r == 0 ? record_kept(k->p->fd, k->p->kept, e) : r;
}

static int keep_shard(struct linking *k, const struct step *s, const char *name,
		      const struct shard *shard, struct err *e)
{
	const struct step_place kept = {.name = k->p->kept, .format = STEP_V2};
	CLEANUP(buf_release) struct buf to = {0};

	if (step_shard_name(&kept, shard->number, s->num_shards, &to) < 0)
		return err_set(e, -ENOMEM, "no memory");
	return link_pinned(k, 0, name, &shard->id, (char *)to.p, e);
}

/* The base is there as the step P->kept, too. Its index comes last, as of every step. */
static int keep_base(struct linking *k, struct err *e)
{
	const struct step *base = k->p->pins[0].step;
	CLEANUP(buf_release) struct buf index = {0};
	int r = each_shard(k, base, keep_shard, e);

	if (r == 0 && step_index_name(k->p->kept, &index) < 0)
		r = err_set(e, -ENOMEM, "no memory");
	if (r == 0)
		r = io_sync(k->p->d->top, "the checkpoint directory", e);
	if (r == 0)
		r = link_pinned(k, 0, base->place.file, &base->id, (char *)index.p, e);
	return r == 0 ? io_sync(k->p->d->top, "the checkpoint directory", e) : r;
}

/* The index takes the place of the old one. The one in DR/commit stays, to tell whose it is. */
static int replace_index(struct linking *k, struct err *e)
{
	struct plan *p = k->p;
	int r = io_remove_all(p->fd, "index.new", e);

	if (r == 0)
		r = io_link(p->fd, "index", p->fd, "index.new", e);
	if (io_needs_copy(r))
		return record_move(p->fd, "index", p->d->top, k->to.file, true, e);
	return r == 0 ? io_move(p->fd, "index.new", p->d->top, k->to.file, e) : r;
}

/* --- the commit point -------------------------------------------------------------------------------------- */

static int link_index(struct linking *k, struct err *e)
{
	const char *own = k->p->v1 ? RECORD_V1 : RECORD_INDEX;
	int r = io_link(k->p->fd, own, k->p->d->top, k->to.file, e);

	if (io_needs_copy(r))
		r = record_move(k->p->fd, own, k->p->d->top, k->to.file, false, e);
	return r;
}

/* If the disk fails right behind the commit point, it was none: a crash might take the step away again. In the place of
 * another it stays: either index finds its shards, for the old ones are not removed then. */
static int sync_or_undo(struct plan *p, const struct step_place *to, struct err *e)
{
	int r = io_sync(p->d->top, "the checkpoint directory", e);
	struct file_id id;
	struct stat st;

	if (r == 0 || p->replaces || fstat(p->index_fd, &st) < 0)
		return r;
	id = file_id_of(&st);
	p->published = placed_remove(p->d->top, to->file, &id, NULL) < 0;
	return r;
}

static int link_step(struct linking *k, const char *name, struct err *e)
{
	struct plan *p = k->p;
	int r = p->replaces ? note_replaced(k, e) : 0;

	if (r == 0)
		r = record_name(p->fd, name, p->goes_on, e);
	if (r == 0)
		r = link_all(k, e);
	if (r < 0 || plan_is_empty(p))
		return r;
	if (p->kept)
		r = keep_base(k, e);
	if (r == 0)
		r = p->replaces ? replace_index(k, e) : link_index(k, e);
	p->published = r == 0;
	return r == 0 ? sync_or_undo(p, &k->to, e) : r;
}

int publish_open_index(struct plan *p)
{
	CLEANUP(buf_release) struct buf file = {0};
	CLEANUP(closep) int fd = -1;
	struct file_id id;
	struct stat st;

	if (step_file_name(plan_format(p), p->name, &file) < 0 || fstat(p->index_fd, &st) < 0)
		return -1;
	id = file_id_of(&st);
	fd = placed_open(p->d->top, (char *)file.p, &id, NULL);
	return fd >= 0 ? TAKE(fd, -1) : TAKE(p->index_fd, -1);
}

/* Publishes the step as NAME, or not at all. -EEXIST: something of that name is there. */
static int publish_as(struct plan *p, const char *name, struct err *e)
{
	CLEANUP(buf_release) struct buf file = {0};
	struct linking k = {.p = p, .to = {.name = (char *)name, .format = plan_format(p)}};
	int r;

	free(p->name);
	p->name = strdup(name);
	if (!p->name || step_file_name(plan_format(p), name, &file) < 0)
		return err_set(e, -ENOMEM, "no memory");
	k.to.file = (char *)file.p;
	r = link_step(&k, name, e);
	if (r < 0 && !p->published)
		placed_take_back(&k.placed, p->d->top);
	placed_release(&k.placed);
	return r;
}

/* --- under which name -------------------------------------------------------------------------------------- */

/* What TOP holds now: as C's lister knows, or as is read into OWN, to which OUT leads then. */
static int list(int top, const struct commit_config *c, struct listing *own,
		const struct listing **out, struct err *e)
{
	*out = c->lister ? c->lister->list(c->lister->arg, top) : NULL;
	if (*out)
		return 0;
	*out = own;
	return listing_read(top, STATE_NAME, own, e);
}

/* Who saves there after the listing was made, and takes the name, is found by link(2). */
int publish_next_name(int top, const char *own, bool may_have_own, const struct commit_config *c,
		      struct buf *name, struct err *e)
{
	CLEANUP(listing_release) struct listing read = {0};
	const struct listing *l;
	int r = list(top, c, &read, &l, e);

	name->n = 0;
	if (r == 0 && may_have_own)
		r = step_name_is_free(top, l, own, e);
	if (r < 0)
		return r;
	if (r > 0)
		return buf_add(name, own, strlen(own) + 1) < 0 ? err_set(e, -ENOMEM, "no memory")
							       : 0;
	return step_next_free(top, l, own, c->pad_step_number, name, e);
}

/* NAME, as it was found, is what the base is kept as, if it is; P takes the name of what it replaces. */
static int take_base_name(struct plan *p, struct buf *name, struct err *e)
{
	const char *base = p->replaces->place.name;

	free(p->kept);
	p->kept = p->keeps ? strdup((char *)name->p) : NULL;
	name->n = 0;
	return (p->keeps && !p->kept) || buf_add(name, base, strlen(base) + 1) < 0
		       ? err_set(e, -ENOMEM, "no memory")
		       : 0;
}

int publish(struct plan *p, struct buf *name, struct err *e)
{
	int r = -EEXIST;

	for (unsigned i = 0; r == -EEXIST && i < MAX_TRIES; i++) {
		r = publish_next_name(p->d->top, p->d->name, !p->d->has_base && i == 0, p->c, name,
				      e);
		if (r == 0 && p->replaces)
			r = take_base_name(p, name, e);
		if (r == 0)
			r = publish_as(p, (char *)name->p, e);
	}
	return r;
}

/* Has the draft a base? 1, 0, or why that can't be known. */
static int has_base(int draft, struct err *e)
{
	struct stat st;

	if (fstatat(draft, "base", &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 1;
	return errno == ENOENT ? 0 : err_sys(e, -errno, "base");
}

static int add_to_state(int draft, int top, const struct commit_config *c, const char *base,
			const char *name, struct err *e)
{
	CLEANUP(step_place_release) struct step_place last = {0};
	const struct step_place place = {.name = (char *)name, .format = STEP_V2};
	int r = noted_find(draft, top, &last, e);
	const char *const after[] = {base, last.name, NULL};

	return r < 0 ? r : state_add(draft, top, c->state_name, after, &place, c->paths, e);
}

int publish_in_state(int draft, int top, const struct commit_config *c, const char *base,
		     const char *name, struct err *e)
{
	int r = c->write_state ? has_base(draft, e) : 0;

	if (r == 1)
		r = add_to_state(draft, top, c, base, name, e);
	return r < 0 ? err_wrap(e, r, "%s is committed, but not noted", name) : 0;
}

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/io.h"
#include "base/lacks.h"
#include "directory/drafts_list.h"
#include "draft/disk.h"
#include "draft/draft_state.h"
#include "draft/file.h"
#include "draft/items.h"
#include "draft/overlay.h"
#include "draft/pins.h"
#include "draft/seal.h"
#include "draft/take_up.h"
#include "step/name.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>

/* --- opening and closing ----------------------------------------------------------------------------------- */

static void top_unref(struct draft_top *t)
{
	if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	closep(&t->fd);
	free(t);
}

static int share_top(struct draft *d, const struct draft_config *c, struct err *e)
{
	if (c->beside) {
		d->shared = c->beside->shared;
		atomic_fetch_add(&d->shared->refs, 1);
	} else {
		d->shared = calloc(1, sizeof *d->shared);
		if (!d->shared)
			return err_set(e, -ENOMEM, "no memory");
		atomic_init(&d->shared->refs, 1);
		d->shared->fd = fcntl(c->top, F_DUPFD_CLOEXEC, 0);
		if (d->shared->fd < 0)
			return err_sys(e, -errno, "the checkpoint directory");
	}
	d->top = d->shared->fd;
	return 0;
}

static int draft_new(const struct draft_config *c, const char *folder, struct draft **out,
		     struct err *e)
{
	struct draft *d = calloc(1, sizeof *d);
	int r;

	if (!d)
		return err_set(e, -ENOMEM, "no memory");
	*d = (struct draft){.fd = -1,
			    .name = strdup(c->name),
			    .folder = strdup(folder),
			    .meta = strdup(c->meta),
			    .mode = c->mode,
			    .reshape = c->reshape,
			    .strip_default_attrs = c->strip_default_attrs,
			    .no_meta_graph = c->no_meta_graph,
			    .first_dynamic = c->first_dynamic};
	atomic_init(&d->refs, 1);
	atomic_init(&d->ended, false);
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->quiet, NULL);
	pthread_cond_init(&d->unsealed, NULL);
	r = d->name && d->folder && d->meta ? share_top(d, c, e) : err_set(e, -ENOMEM, "no memory");
	if (r < 0)
		draft_unref(d);
	else
		*out = d;
	return r;
}

struct draft *draft_ref(struct draft *d)
{
	atomic_fetch_add(&d->refs, 1);
	return d;
}

void draft_unref(struct draft *d)
{
	if (!d || atomic_fetch_sub(&d->refs, 1) != 1)
		return;
	overlay_release(d);
	tree_release(&d->own_tree);
	for (uint32_t i = 0; i < d->n_pins; i++)
		pin_release(&d->pins[i]);
	free(d->pins);
	free(d->dynamic);
	buf_release(&d->removed);
	free(d->name);
	free(d->folder);
	free(d->published);
	free(d->meta);
	seen_release(&d->seen);
	top_unref(d->shared);
	closep(&d->fd);
	if (d->holder_release)
		d->holder_release(d->holder);
	pthread_cond_destroy(&d->quiet);
	pthread_cond_destroy(&d->unsealed);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

void draft_set_holder(struct draft *d, void *holder, void (*release)(void *holder))
{
	d->holder = holder;
	d->holder_release = release;
}

void *draft_holder(const struct draft *d)
{
	return d->holder;
}

bool draft_has_ended(const struct draft *d)
{
	return d->ended;
}

const char *draft_name(const struct draft *d)
{
	return d->name;
}

uint32_t draft_next_number(const struct draft *d)
{
	return d->first_dynamic + d->n_dynamic;
}

struct step *draft_base_step(const struct draft *d)
{
	return d->has_base ? d->pins[0].step : NULL;
}

/* Opens .ckptfs/drafts. */
static int open_drafts(const struct draft *d, bool make, struct err *e)
{
	CLEANUP(closep) int own = draft_folder(d->top, ".ckptfs", make, e);

	return own < 0 ? own : draft_folder(own, "drafts", make, e);
}

/* Opens FOLDER there, and sees to it that what has to be in it is. */
static int open_folders(struct draft *d, int drafts, const char *folder, bool make, struct err *e)
{
	CLEANUP(closep) int tree = -1, steps = -1;

	d->fd = draft_folder(drafts, folder, make, e);
	if (d->fd < 0)
		return d->fd;
	tree = draft_folder(d->fd, "tree", make, e);
	steps = tree < 0 ? tree : draft_folder(d->fd, "steps", make, e);
	return steps < 0 ? steps : 0;
}

int draft_stat_step(const struct draft *d, struct stat *out)
{
	if (!d->has_base)
		return fstat(d->fd, out) < 0 ? -errno : 0;
	*out = d->pins[0].step->index;
	return 0;
}

/* The base is the first pin, and its tree TREE. */
static int lay_over(struct draft *d, const struct tree *tree, struct err *e)
{
	const struct step *base = d->pins[0].step;
	int r;

	d->has_base = true;
	d->object_based = base->object_based;
	d->base_names = base->full;
	d->base_members = base->members;
	r = overlay_init(d, tree);
	return r < 0 ? err_sys(e, r, "%s", base->place.name) : 0;
}

static int pin_base(struct draft *d, struct step *base, const struct tree *tree, int from,
		    struct err *e)
{
	CLEANUP(buf_release) struct buf target = {0};
	int r = draft_pin(d, base, from, e);

	if (r < 0)
		return r;
	if (buf_printf(&target, "steps/%s", d->pins[0].name) < 0 || buf_add_byte(&target, 0) < 0)
		return err_set(e, -ENOMEM, "no memory");
	r = io_make_link((char *)target.p, d->fd, "base", e);
	return r < 0 ? r : lay_over(d, tree, e);
}

/* A new step's folder belongs to whoever made it; our own way into it stays open. */
static int give_to_maker(const struct draft *d, const struct draft_owner *maker, struct err *e)
{
	if (!maker)
		return 0;
	if ((geteuid() == 0 && fchown(d->fd, maker->uid, maker->gid) < 0) ||
	    fchmod(d->fd, (maker->mode & 0777) | 0700) < 0)
		return err_sys(e, -errno, "%s", d->folder);
	return 0;
}

/* What a commit opens at once, and then some. */
enum { SPARE = 20 };

/* Where descriptors run out this is said before anything is written that could not be committed for want of them. */
static int check_spare(const struct draft *d, struct err *e)
{
	int spare[SPARE], n = 0, r = 0;

	while (n < SPARE && r == 0) {
		spare[n] = fcntl(d->fd, F_DUPFD_CLOEXEC, 0);
		r = spare[n] < 0 ? err_sys(e, -errno, "%s", d->folder) : 0;
		n += r == 0;
	}
	while (n)
		close(spare[--n]);
	return r;
}

static int note_seen(const struct draft *d, struct err *e)
{
	int r = d->seen.var_list ? io_make_link(d->seen.var_list, d->fd, DRAFT_VAR_LIST, e) : 0;

	return r == 0 && d->seen.collection
		       ? io_make_link(d->seen.collection, d->fd, DRAFT_COLLECTION, e)
		       : r;
}

/* Makes it whole, and then gives it its name. */
static int make_whole(struct draft *d, const struct draft_config *c, int drafts, struct step *base,
		      const struct tree *tree, int base_fd, struct err *e)
{
	bool renamed = !(lacks_at(drafts) & LACKS_FOLDERS);
	int r = drafts_remove_new(drafts, e);

	if (r == 0)
		r = drafts_begin_new(drafts, d->folder, e);
	if (r == 0)
		r = open_folders(d, drafts, renamed ? DRAFT_NEW : d->folder, true, e);
	if (r == 0)
		r = check_spare(d, e);
	if (r == 0 && base)
		r = pin_base(d, base, tree, base_fd, e);
	else if (r == 0 && overlay_init(d, NULL) < 0)
		r = err_set(e, -ENOMEM, "no memory");
	else if (r == 0)
		r = give_to_maker(d, c->maker, e);
	if (r == 0 && d->full_names)
		r = io_mark(d->fd, DRAFT_FULL_NAMES, e);
	if (r == 0 && c->tool)
		r = io_mark(d->fd, DRAFT_OF_TOOL, e);
	if (r == 0)
		r = note_seen(d, e);
	if (r == 0)
		r = drafts_end_new(drafts, d->folder, e);
	return r == -EEXIST ? err_set(e, -EBUSY,
				      "there is a draft in .ckptfs/drafts/%s that could not be "
				      "taken up; see to it first",
				      d->folder)
			    : r;
}

int draft_begin(const struct draft_config *c, struct step *base, const struct tree *tree,
		int base_fd, struct draft **out, struct err *e)
{
	CLEANUP(buf_release) struct buf folder = {0};
	CLEANUP(closep) int drafts = -1;
	struct draft *d;
	int r = drafts_folder_name(c->name, &folder);

	if (r < 0)
		return err_sys(e, r, "%s", c->name);
	r = draft_new(c, (char *)folder.p, &d, e);
	if (r < 0)
		return err_wrap(e, r, "a draft of %s", c->name);
	d->full_names = base && base->object_based ? base->full != NULL : c->full_names;
	r = seen_copy(base ? &base->seen : &c->seen, &d->seen);
	if (r < 0)
		err_set(e, r, "no memory");
	else
		r = drafts = open_drafts(d, true, e);
	if (r >= 0)
		r = make_whole(d, c, drafts, base, tree, base_fd, e);
	if (r < 0) {
		if (drafts >= 0) {
			drafts_remove_new(drafts, NULL);
			drafts_tidy(c->top);
		}
		draft_unref(d);
		return err_wrap(e, r, "a draft of %s", c->name);
	}
	items_changed(d);
	*out = d;
	return 0;
}

/* Are the variables of the base named as they were when D was begun? */
static int check_names(const struct draft *d, struct err *e)
{
	const struct step *base = d->pins[0].step;

	return d->full_names && base->object_based && !base->full
		       ? err_set(e, -EUCLEAN,
				 "the object graph of %s, by which its files are called, can't be read",
				 base->place.name)
		       : 0;
}

/* The target of the link NAME, if it is there. */
static int read_seen(const struct draft *d, const char *name, char **out, struct err *e)
{
	char target[PATH_MAX];
	ssize_t n = io_read_link(d->fd, name, target, sizeof target - 1);

	if (n < 0)
		return n == -ENOENT ? 0 : err_sys(e, (int)n, "%s", name);
	*out = strndup(target, (size_t)n);
	return *out ? 0 : err_set(e, -ENOMEM, "no memory");
}

static int take_up_seen(struct draft *d, struct err *e)
{
	int r = read_seen(d, DRAFT_VAR_LIST, &d->seen.var_list, e);

	return r < 0 ? r : read_seen(d, DRAFT_COLLECTION, &d->seen.collection, e);
}

static int limit_base(struct draft *d, struct err *e)
{
	CLEANUP(closep) int dir = draft_pin_dir(d, &d->pins[0], e);

	return dir < 0 ? dir : sidecar_limit(d->pins[0].step, dir, d->meta, &d->seen, e);
}

/* The step that the link `base` names lies under D; without one there is no base. */
static int take_up_base(struct draft *d, struct err *e)
{
	static const char in_steps[] = "steps/";
	char target[512];
	ssize_t n = io_read_link(d->fd, "base", target, sizeof target - 1);
	int r;

	d->full_names = faccessat(d->fd, DRAFT_FULL_NAMES, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	if (!d->full_names && errno != ENOENT)
		return err_sys(e, -errno, DRAFT_FULL_NAMES);
	if (n < 0)
		return n == -ENOENT ? overlay_init(d, NULL) : err_sys(e, (int)n, "base");
	target[n] = 0;
	if (strncmp(target, in_steps, strlen(in_steps)) != 0)
		return err_set(e, -EUCLEAN, "base: leads to %s, expected a folder of steps",
			       target);
	r = draft_pin_by_name(d, bytes_str(target + strlen(in_steps)), e);
	if (r == 0)
		r = check_names(d, e);
	if (r == 0)
		r = limit_base(d, e);
	if (r == 0)
		r = tree_init(&d->own_tree, d->pins[0].step, e);
	return r < 0 ? r : lay_over(d, &d->own_tree, e);
}

int draft_take_up(const struct draft_config *c, const char *folder, struct draft **out,
		  struct err *e)
{
	CLEANUP(closep) int drafts = -1;
	struct draft *d;
	int r = draft_new(c, folder, &d, e);

	if (r < 0)
		return err_wrap(e, r, ".ckptfs/drafts/%s", folder);
	r = drafts = open_drafts(d, false, e);
	if (r >= 0)
		r = open_folders(d, drafts, folder, false, e);
	if (r == 0)
		r = take_up_seen(d, e);
	if (r == 0)
		r = take_up_base(d, e);
	if (r == 0)
		r = take_up_tree(d, e);
	if (r < 0) {
		draft_unref(d);
		return err_wrap(e, r, ".ckptfs/drafts/%s", folder);
	}
	items_changed(d);
	*out = d;
	return 0;
}

/* Takes its name on disk away. It has ended, unless nothing could be done: then it goes on. The lock is held. */
static int retire(struct draft *d, struct err *e)
{
	int r = drafts_retire(d->top, d->folder, d->old, e);

	if (r < 0) /* it is there as it was */
		*d->old = 0;
	else {
		draft_keep_all_bytes(d);
		atomic_store(&d->ended, true);
	}
	return r;
}

int draft_sweep(struct draft *d, struct err *e)
{
	int r = *d->old ? drafts_sweep(d->top, d->old, e) : 0;

	*d->old = 0;
	return r;
}

int draft_discard(struct draft *d, struct err *e)
{
	int r = retire(d, e);

	if (r == 0) {
		r = draft_sweep(d, e);
		drafts_tidy(d->top);
	}
	return r;
}

int draft_end(struct draft *d, const struct draft_watch *w, struct err *e)
{
	int r = 0;

	draft_lock_alone(d);
	if (!d->ended) {
		w->ending(w->arg, d);
		r = retire(d, e);
		r = r < 0 ? r : 1;
		if (r > 0)
			w->shows_base(w->arg, d);
	}
	pthread_mutex_unlock(&d->lock);
	return r;
}

int draft_rename_step(struct draft *d, const char *name, struct err *e)
{
	CLEANUP(closep) int drafts = open_drafts(d, false, e);
	CLEANUP(buf_release) struct buf folder = {0};
	CLEANUP(freep) char *copy = strdup(name);
	int r = drafts < 0 ? drafts : drafts_folder_name(name, &folder);

	if (r < 0 || !copy)
		return err_set(e, r < 0 ? r : -ENOMEM, "%s: can't be a draft", name);
	if (lacks_at(drafts) & LACKS_FOLDERS)
		return -EXDEV;
	draft_lock_alone(d);
	r = io_move_new(drafts, d->folder, drafts, (char *)folder.p, e);
	if (r == 0) {
		free(d->folder);
		d->folder = (char *)TAKE(folder, (struct buf){0}).p;
		free(d->name);
		d->name = TAKE(copy, NULL);
	}
	pthread_mutex_unlock(&d->lock);
	return r;
}

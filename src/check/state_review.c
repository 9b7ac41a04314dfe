#include "check/state_review.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "directory/latest.h"
#include "message/state.h"
#include <fcntl.h>
#include <stdio.h>

/* What becomes of a path. */
enum fate {
	KEPT, /* TensorFlow finds it, in another folder */
	RELATIVE, /* the step is here, and is named by its last component */
	DROPPED,
};

struct review {
	int dirfd;
	const struct listing *l;
	struct state old;
	struct state new;
	struct state_list list; /* what `new` points to */
	struct state_review *out;
};

static void review_release(struct review *r)
{
	state_list_release(&r->list);
	state_release(&r->old);
}

void state_review_release(struct state_review *r)
{
	buf_release(&r->raw);
	buf_release(&r->faults);
	buf_release(&r->notes);
	buf_release(&r->mended);
	*r = (struct state_review){0};
}

static int say(struct buf *to, const char *before, const char *path, const char *behind)
{
	struct err text;

	err_set(&text, 0, "%s%s%s", before, path, behind);
	return buf_add(to, text.text, strlen(text.text) + 1);
}

/* --- where TensorFlow looks -------------------------------------------------------------------------------- */

/* The first file of the V1 set that PATH, which ends in "-?????-of-00002", stands for. */
static bool find_shard(int dirfd, const char *path, struct stat *st)
{
	size_t n = strlen(path), cut = state_step(path, false).n;
	size_t start = (size_t)((const char *)state_step(path, false).p - path) + cut;
	unsigned long of = start < n ? strtoul(path + n - 5, NULL, 10) : 0;
	CLEANUP(freep) char *prefix = strndup(path, start);
	const struct step_place place = {.name = prefix, .format = STEP_V1, .shards = (uint32_t)of};

	for (uint32_t i = 0; prefix && i < of; i++) {
		CLEANUP(buf_release) struct buf name = {0};

		if (step_shard_name(&place, i, place.shards, &name) < 0)
			return false;
		if (fstatat(dirfd, (char *)name.p, st, 0) == 0)
			return true;
	}
	return false;
}

static bool finds(int dirfd, const char *path, struct stat *st)
{
	CLEANUP(buf_release) struct buf index = {0};

	if (step_index_name(path, &index) < 0)
		return false;
	return fstatat(dirfd, (char *)index.p, st, 0) == 0 || fstatat(dirfd, path, st, 0) == 0 ||
	       find_shard(dirfd, path, st);
}

static enum fate fate_of(const struct review *r, const char *path, const struct listed **item)
{
	struct stat st, here;
	bool found = finds(r->dirfd, path, &st);

	*item = latest_resolve(r->l, path);
	if (!*item)
		return found ? KEPT : DROPPED;
	if (!found)
		return RELATIVE;
	return fstatat(r->dirfd, (*item)->place.file, &here, 0) == 0 && here.st_dev == st.st_dev &&
			       here.st_ino == st.st_ino
		       ? RELATIVE
		       : KEPT;
}

/* The caller frees it; NULL: no memory. */
static char *relative_path(const struct step_place *p)
{
	return state_path((struct bytes){0}, p);
}

/* --- the new text ------------------------------------------------------------------------------------------ */

static int add_path(struct review *r, char *path, const double *time)
{
	int err = state_list_add(&r->list, path, time);

	state_list_put(&r->list, &r->new);
	return err;
}

static double mtime_of(const struct review *r, const struct step_place *p)
{
	struct stat st;

	if (fstatat(r->dirfd, p->file, &st, 0) < 0)
		return 0;
	return (double)st.st_mtim.tv_sec + (double)st.st_mtim.tv_nsec / 1e9;
}

/* The step whose file is newest; of several that with the last name. */
static const struct listed *newest(const struct review *r)
{
	const struct listed *best = NULL;
	double at = 0, t;

	for (uint32_t i = 0; i < r->l->n; i++) {
		if (r->l->items[i].kind != LISTED_STEP)
			continue;
		t = mtime_of(r, &r->l->items[i].place);
		if (!best || t >= at) {
			best = &r->l->items[i];
			at = t;
		}
	}
	return best;
}

/* What TensorFlow finds, and is no step of this folder. */
static const char *whereabouts(const char *path)
{
	return strchr(path, '/') ? ", which is in another folder" : ", which is no checkpoint";
}

static int carry_path(struct review *r, const char *path, size_t i)
{
	const struct listed *item;
	enum fate fate = fate_of(r, path, &item);
	const double *time = state_is_timed(&r->old) ? &r->old.timestamps[i] : NULL;
	struct stat st;
	int err = 0;

	if (fate == DROPPED)
		return say(&r->out->faults, "lists ", path, ", which is gone");
	if (fate == RELATIVE && !finds(r->dirfd, path, &st))
		err = say(&r->out->faults, "lists ", path,
			  ", where TensorFlow does not find it; it is in this folder");
	else if (fate == KEPT)
		err = say(&r->out->notes, "lists ", path, whereabouts(path));
	if (err == 0)
		err = add_path(r, fate == KEPT ? strdup(path) : relative_path(&item->place), time);
	return err;
}

/* Lists the newest step when none is left. */
static int list_newest(struct review *r)
{
	const struct listed *item = newest(r);
	double time;

	if (!item)
		return 0;
	time = mtime_of(r, &item->place);
	return add_path(r, relative_path(&item->place), state_is_timed(&r->old) ? &time : NULL);
}

static int choose_latest(struct review *r, char **kept)
{
	const char *path = r->old.latest;
	const struct listed *item;
	enum fate fate = fate_of(r, path, &item);
	struct stat st;
	int err = 0;

	if (fate == RELATIVE && !finds(r->dirfd, path, &st))
		err = say(&r->out->faults, "calls ", path,
			  " the latest, where TensorFlow does not find it; it is in this folder");
	else if (fate == KEPT)
		err = say(&r->out->notes, "calls the latest ", path, whereabouts(path));
	else if (fate == DROPPED)
		err = say(&r->out->faults, "calls ", path, " the latest, which is gone");
	if (err == 0 && fate != DROPPED) {
		*kept = fate == KEPT ? strdup(path) : relative_path(&item->place);
		r->new.latest = *kept;
		return *kept ? 0 : -ENOMEM;
	}
	if (err == 0 && !r->new.n_paths)
		err = list_newest(r);
	r->new.latest = r->new.n_paths ? r->new.paths[r->new.n_paths - 1] : NULL;
	return err;
}

/* --- all of it --------------------------------------------------------------------------------------------- */

static int review_parsed(struct review *r, struct err *e)
{
	CLEANUP(freep) char *latest = NULL;
	int err = 0;

	r->new = (struct state){.last_preserved = r->old.last_preserved, .unknown = r->old.unknown};
	for (size_t i = 0; i < r->old.n_paths && err == 0; i++)
		err = carry_path(r, r->old.paths[i], i);
	if (err == 0)
		err = choose_latest(r, &latest);
	if (err == 0 && r->old.unknown.n)
		err = say(&r->out->notes, "has fields that TensorFlow may refuse", "", "");
	if (err < 0 || !r->new.latest || !r->out->faults.n)
		return err;
	err = state_print(&r->new, &r->out->mended, e);
	return err == -ENOMEM ? err : 0; /* what can't be printed is not mended */
}

struct aged {
	double mtime;
	const struct step_place *place;
};

static int compare_ages(const void *a, const void *b)
{
	const struct aged *x = a, *y = b;

	if (x->mtime != y->mtime)
		return x->mtime < y->mtime ? -1 : 1;
	return strcmp(x->place->name, y->place->name);
}

/* All steps, oldest first, when it can't be known what was listed. */
static int list_all(struct review *r, struct err *e)
{
	CLEANUP(freep) struct aged *steps = calloc(r->l->n + (size_t)1, sizeof *steps);
	uint32_t n = 0;
	int err = steps ? 0 : -ENOMEM;

	for (uint32_t i = 0; steps && i < r->l->n; i++)
		if (r->l->items[i].kind == LISTED_STEP) {
			const struct step_place *p = &r->l->items[i].place;

			steps[n++] = (struct aged){mtime_of(r, p), p};
		}
	if (n)
		qsort(steps, n, sizeof *steps, compare_ages);
	for (uint32_t i = 0; i < n && err == 0; i++)
		err = add_path(r, relative_path(steps[i].place), NULL);
	if (err < 0 || !n)
		return err;
	r->new.latest = r->new.paths[n - 1];
	return state_print(&r->new, &r->out->mended, e) == -ENOMEM ? -ENOMEM : 0;
}

static int review_text(struct review *r, struct err *e)
{
	struct err why;
	int err = state_parse(buf_bytes(&r->out->raw), &r->old, &why);

	if (err == 0) {
		r->out->parsed = true;
		return review_parsed(r, e);
	}
	if (err == -ENOMEM)
		return err;
	err = say(&r->out->faults, "is no state file: ", why.text, "");
	return err < 0 ? err : list_all(r, e);
}

int state_review(int dirfd, const char *name, const struct listing *l, struct state_review *out,
		 struct err *e)
{
	CLEANUP(state_review_release) struct state_review new = {.exists = true};
	CLEANUP(review_release) struct review r = {.dirfd = dirfd, .l = l, .out = &new};
	struct err why = {0};
	struct stat st;
	int err;

	*out = (struct state_review){0};
	if (!listing_find(l, LISTED_STATE, name) || fstatat(dirfd, name, &st, 0) < 0)
		return 0;
	new.mode = st.st_mode;
	err = state_file_read(dirfd, name, &new.raw, &why);
	if (err == -ENOENT)
		return 0;
	if (err == -EINVAL) /* neither a file nor of its size: to be looked at by a person */
		err = say(&new.faults, "is no state file: ", why.text, "");
	else if (err < 0)
		return err_set(e, err, "%s: %s", name, why.text);
	else
		err = review_text(&r, &why);
	if (err < 0)
		return err_set(e, -ENOMEM, "no memory");
	*out = TAKE(new, (struct state_review){0});
	return 0;
}

int state_mend(int dirfd, const char *name, const struct state_review *r, struct err *e)
{
	CLEANUP(buf_release) struct buf now = {0};
	int err = state_file_read(dirfd, name, &now, e);

	if (err < 0)
		return err;
	if (!bytes_eq(buf_bytes(&now), buf_bytes(&r->raw)))
		return err_set(e, -ESTALE, "was written meanwhile");
	return io_replace_file(dirfd, name, buf_bytes(&r->mended), r->mode, e);
}

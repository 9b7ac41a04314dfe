#include "check/state_review.h"
#include "base/cleanup.h"
#include "directory/latest.h"
#include <fcntl.h>
#include <stdio.h>

/* What becomes of a path. */
enum fate {
	KEPT, /* TensorFlow finds something there that is no step of this folder */
	FOUND, /* TensorFlow finds its step, which is in this folder: it gets a relative path */
	MOVED, /* the same, but TensorFlow does not find it */
	DROPPED, /* its step is gone */
};

struct review {
	int dirfd;
	const struct listing *l;
	struct state_edit edit;
	struct state_review *out;
};

void state_review_release(struct state_review *r)
{
	state_text_release(&r->was);
	buf_release(&r->faults);
	buf_release(&r->notes);
	buf_release(&r->mended);
	*r = (struct state_review){0};
}

/* Adds the sentence BEFORE PATH BEHIND WHAT, with its NUL. */
static int add_sentence(struct buf *to, const char *before, const char *path, const char *behind,
			const char *what)
{
	struct err text;

	err_set(&text, 0, "%s%s%s%s", before, path, behind, what);
	return buf_add(to, text.text, strlen(text.text) + 1);
}

/* --- where TensorFlow looks -------------------------------------------------------------------------------- */

/* Finds a file of the V1 set for which PATH stands, if it ends in "-?????-of-00002". */
static bool find_shard(int dirfd, const char *path, struct stat *st)
{
	struct bytes step = state_step(path, false);
	const char *end = (const char *)step.p + step.n; /* of the prefix */
	char *rest = NULL;
	unsigned long of = *end == '-' ? strtoul(end + strlen("-00000-of-"), &rest, 10) : 0;
	CLEANUP(freep) char *prefix = of && !*rest ? strndup(path, (size_t)(end - path)) : NULL;
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

/* Would TensorFlow find PATH? ST is the file that it finds. */
static bool finds(int dirfd, const char *path, struct stat *st)
{
	CLEANUP(buf_release) struct buf index = {0};

	if (step_index_name(path, &index) < 0)
		return false;
	return fstatat(dirfd, (char *)index.p, st, 0) == 0 || fstatat(dirfd, path, st, 0) == 0 ||
	       find_shard(dirfd, path, st);
}

/* ITEM: the step of this folder that PATH names; or NULL. */
static enum fate fate_of(const struct review *r, const char *path, const struct listed **item)
{
	struct stat st, here;
	bool found = finds(r->dirfd, path, &st);

	*item = latest_resolve(r->l, path);
	if (!*item)
		return found ? KEPT : DROPPED;
	if (!found)
		return MOVED;
	return fstatat(r->dirfd, (*item)->place.file, &here, 0) == 0 && here.st_dev == st.st_dev &&
			       here.st_ino == st.st_ino
		       ? FOUND
		       : KEPT;
}

/* The caller frees it; NULL: no memory. */
static char *relative_path(const struct step_place *p)
{
	return state_path((struct bytes){0}, p);
}

/* --- the new text ------------------------------------------------------------------------------------------ */

/* Says what is to be said of PATH, which is LATEST or listed. OUT: the path that takes its place, for the caller to
 * free; NULL: none does. */
static int review_path(struct review *r, const char *path, bool latest, char **out)
{
	const char *before = latest ? "calls " : "lists ", *behind = latest ? " the latest" : "";
	const struct listed *item;
	enum fate fate = fate_of(r, path, &item);
	int err = 0;

	*out = NULL;
	if (fate == DROPPED)
		return add_sentence(&r->out->faults, before, path, behind, ", which is gone");
	if (fate == MOVED)
		err = add_sentence(&r->out->faults, before, path, behind,
				   ", where TensorFlow does not find it; it is in this folder");
	else if (fate == KEPT)
		err = add_sentence(&r->out->notes, latest ? "calls the latest " : before, path, "",
				   strchr(path, '/') ? ", which is in another folder"
						     : ", which is no checkpoint");
	if (err < 0)
		return err;
	*out = fate == KEPT ? strdup(path) : relative_path(&item->place);
	return *out ? 0 : -ENOMEM;
}

static int carry_path(struct review *r, size_t i)
{
	char *path;
	int err = review_path(r, r->edit.old.paths[i], false, &path);

	return path ? state_edit_add(&r->edit, path, state_edit_time(&r->edit, i)) : err;
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

/* All steps into OUT, by the time and then by the name. How many; OUT is NULL if there was no memory. */
static uint32_t sort_by_age(const struct review *r, struct aged **out)
{
	struct aged *steps = calloc(r->l->n + (size_t)1, sizeof *steps);
	uint32_t n = 0;

	for (uint32_t i = 0; steps && i < r->l->n; i++) {
		const struct step_place *p = &r->l->items[i].place;
		struct stat st;

		if (r->l->items[i].kind != LISTED_STEP)
			continue;
		steps[n].place = p;
		if (fstatat(r->dirfd, p->file, &st, 0) == 0)
			steps[n].mtime =
				(double)st.st_mtim.tv_sec + (double)st.st_mtim.tv_nsec / 1e9;
		n++;
	}
	if (n)
		qsort(steps, n, sizeof *steps, compare_ages);
	*out = steps;
	return n;
}

/* Lists all steps, oldest first, or only the newest. */
static int list_steps(struct review *r, bool only_newest)
{
	CLEANUP(freep) struct aged *steps = NULL;
	uint32_t n = sort_by_age(r, &steps);
	int err = steps ? 0 : -ENOMEM;

	for (uint32_t i = only_newest && n ? n - 1 : 0; i < n && err == 0; i++)
		err = state_edit_add(&r->edit, relative_path(steps[i].place),
				     state_is_timed(&r->edit.old) ? &steps[i].mtime : NULL);
	return err;
}

static const char *last_listed(const struct state *s)
{
	return s->n_paths ? s->paths[s->n_paths - 1] : NULL;
}

static int choose_latest(struct review *r, char **kept)
{
	int err = review_path(r, r->edit.old.latest, true, kept);

	if (err == 0 && !*kept && !r->edit.new.n_paths)
		err = list_steps(r, true);
	r->edit.new.latest = *kept ? *kept : last_listed(&r->edit.new);
	return err;
}

/* --- all of it --------------------------------------------------------------------------------------------- */

/* LATEST: for the caller to free when the new text is made. */
static int review_parsed(struct review *r, char **latest)
{
	int err = 0;

	for (size_t i = 0; i < r->edit.old.n_paths && err == 0; i++)
		err = carry_path(r, i);
	if (err == 0)
		err = choose_latest(r, latest);
	if (err == 0 && r->edit.old.unknown.n)
		err = add_sentence(&r->out->notes, "has fields that TensorFlow may refuse", "", "",
				   "");
	return err;
}

/* WHY: the text can't be parsed. Nobody knows which steps it listed: all are. */
static int review_unparsed(struct review *r, const struct err *why)
{
	int err = add_sentence(&r->out->faults, "is no state file: ", why->text, "", "");

	if (err == 0)
		err = list_steps(r, false);
	r->edit.new.latest = last_listed(&r->edit.new);
	return err;
}

static int review_text(struct review *r)
{
	CLEANUP(freep) char *latest = NULL;
	struct err why;
	int err = state_edit_begin(&r->edit, buf_bytes(&r->out->was.text), &why);

	if (err == -ENOMEM)
		return err;
	r->out->parsed = err == 0;
	err = err == 0 ? review_parsed(r, &latest) : review_unparsed(r, &why);
	if (err == 0 && r->edit.new.latest && r->out->faults.n)
		err = state_print(&r->edit.new, &r->out->mended, NULL);
	return err == -ENOMEM ? err : 0; /* what can't be printed is not mended */
}

int state_review(int dirfd, const char *name, const struct listing *l, struct state_review *out,
		 struct err *e)
{
	CLEANUP(state_review_release) struct state_review new = {0};
	struct review r = {.dirfd = dirfd, .l = l, .out = &new};
	struct err why = {0};
	struct stat st;
	int err;

	*out = (struct state_review){0};
	if (!listing_find(l, LISTED_STATE, name) || fstatat(dirfd, name, &st, 0) < 0)
		return 0;
	err = state_text_read(dirfd, name, &new.was, &why);
	if (err == 0 && !new.was.exists)
		return 0;
	if (err == -EINVAL) /* it is no file, or too large: a person has to look at it */
		err = add_sentence(&new.faults, "is no state file: ", why.text, "", "");
	else if (err < 0)
		return err_set(e, err, "%s: %s", name, why.text);
	else
		err = review_text(&r);
	state_edit_release(&r.edit);
	if (err < 0)
		return err_set(e, -ENOMEM, "no memory");
	*out = TAKE(new, (struct state_review){0});
	return 0;
}

int state_mend(int dirfd, const char *name, const struct state_review *r, struct err *e)
{
	int changed = state_text_replace(&r->was, dirfd, dirfd, name, buf_bytes(&r->mended), e);

	return changed > 0 ? err_set(e, -ESTALE, "was written meanwhile") : changed;
}

#include "commit/in_place.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "directory/export.h"
#include "directory/family.h"
#include "draft/draft_state.h"
#include "step/name.h"
#include "step/sidecar.h"
#include <sys/stat.h>

/* Is the index of S, of that name, in the checkpoint directory? */
static int is_there(const struct plan *p, const struct step *s, struct err *e)
{
	struct file_id id;
	struct stat st;

	if (fstatat(p->d->top, s->place.file, &st, 0) < 0)
		return errno == ENOENT || errno == ELOOP ? 0
							 : err_sys(e, -errno, "%s", s->place.file);
	id = file_id_of(&st);
	return file_id_eq(&id, &s->id);
}

/* Notes how many shards the steps of the family have, or had, as their files say. */
static int list_counts(struct plan *p, struct err *e)
{
	CLEANUP(dir_closep) DIR *s = dir_open(p->d->top, ".");
	const struct dirent *de;
	int r = s ? 0 : -errno;

	p->counts.n = 0;
	while (r == 0 && (de = dir_read(s, &r))) {
		size_t n;
		uint32_t of;
		CLEANUP(freep) char *prefix = NULL;

		if (!name_is_data(de->d_name, &n, &of))
			continue;
		prefix = strndup(de->d_name, n);
		if (!prefix ||
		    (same_family(prefix, p->d->name) && buf_add(&p->counts, &of, sizeof of) < 0))
			r = -ENOMEM;
	}
	return r < 0 ? err_sys(e, r, "the checkpoint directory") : 0;
}

/* The step that P takes the place of; NULL: none. The graph of a SavedModel is not beside its step. */
static int find_replaced(struct plan *p, struct err *e)
{
	struct step *base = p->pins[0].step;
	int r = export_is(p->d->top, e);

	if (r <= 0 || base->place.format != STEP_V2 || p->meta.there || p->debug.there)
		return r < 0 ? r : 0;
	r = is_there(p, base, e);
	p->keeps = r == 1;
	p->replaces = p->keeps ? base : NULL;
	if (r == 0 && p->last && !strcmp(p->last->place.name, EXPORT_STEP))
		p->replaces = p->last;
	return r < 0 ? r : 0;
}

/* P takes the place of a step that it is not over, as when what was kept is brought back. */
static int replace_other(struct plan *p, struct err *e)
{
	const struct step *over = p->c->over;
	int r = is_there(p, over, e);

	if (r == 1 && (p->meta.there || p->debug.there))
		return err_set(e, -EINVAL, "%s: has a graph beside it, as no step of a SavedModel",
			       p->d->name);
	if (r == 0)
		return err_set(e, -ESTALE, "%s: was replaced meanwhile", over->place.name);
	p->replaces = over;
	return r < 0 ? r : list_counts(p, e);
}

/* Without hard links the base goes with its name, and no draft can go on over it. */
static int check_ends(const struct plan *p, enum commit_result *result, struct err *e)
{
	bool in_use;

	if (!p->pins[0].loose)
		return 0;
	pthread_mutex_lock(&p->d->lock);
	in_use = p->d->writers;
	pthread_mutex_unlock(&p->d->lock);
	if (p->goes_on)
		*result = COMMIT_NOTHING;
	else if (in_use)
		return err_set(e, -EBUSY, "a file is open for writing");
	return 0;
}

int in_place_decide(struct plan *p, enum commit_result *result, struct err *e)
{
	int r;

	if (p->c->over)
		return replace_other(p, e);
	if (!p->d->has_base || strcmp(p->d->name, EXPORT_STEP) != 0)
		return 0;
	r = find_replaced(p, e);
	if (r == 0 && p->replaces)
		r = check_ends(p, result, e);
	return r == 0 && p->replaces ? list_counts(p, e) : r;
}

static bool is_taken(const struct plan *p, uint32_t n)
{
	const uint32_t *counts = (const uint32_t *)p->counts.p;

	for (size_t i = 0; i < p->counts.n / sizeof *counts; i++)
		if (counts[i] == n)
			return true;
	return false;
}

uint32_t in_place_count(const struct plan *p, uint32_t n)
{
	while (is_taken(p, n))
		n++;
	return n;
}

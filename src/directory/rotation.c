#include "directory/rotation.h"
#include "base/cleanup.h"
#include "directory/latest.h"
#include <fcntl.h>

/* The place of the step that PATH stands for. One that L does not have is taken for V2. */
static int place_of(const struct listing *l, const char *path, struct step_place *out)
{
	CLEANUP(buf_release) struct buf file = {0};
	const struct listed *item = latest_resolve(l, path);
	struct bytes step = state_step(path, false);
	CLEANUP(freep) char *name = item ? NULL : strndup((const char *)step.p, step.n);
	struct step_place place = {.name = name, .format = STEP_V2};

	if (item)
		return step_place_copy(&item->place, out);
	if (!name || step_index_name(name, &file) < 0)
		return -ENOMEM;
	place.file = (char *)file.p;
	return step_place_copy(&place, out);
}

/* As CheckpointManager, which takes 0 hours for none, and Saver do. I: of the path that stands for the step at PLACE. */
static bool is_to_be_kept(int dirfd, const struct rotation *r, const struct state *s, size_t i,
			  const struct step_place *place)
{
	struct stat st;

	if (state_is_timed(s))
		return r->keep_seconds > 0 &&
		       s->timestamps[i] - r->keep_seconds >= s->last_preserved;
	return fstatat(dirfd, place->file, &st, 0) == 0 &&
	       (double)st.st_mtim.tv_sec + (double)st.st_mtim.tv_nsec / 1e9 > r->next_kept;
}

static int choose(int dirfd, const struct rotation *r, const struct state *s,
		  const struct listing *l, struct step_place *out, struct err *e)
{
	for (size_t i = 0; i < s->n_paths; i++) {
		int sure = latest_resolve(l, s->paths[i]) ? 0 : listing_is_sure(l, e);

		if (sure < 0)
			return sure;
		if (place_of(l, s->paths[i], out) < 0)
			return err_set(e, -ENOMEM, "no memory");
		if (strcmp(out->name, r->latest) != 0 && !r->in_use(r->arg, out->name))
			return is_to_be_kept(dirfd, r, s, i, out) ? ROTATION_KEEP : ROTATION_REMOVE;
		step_place_release(out);
	}
	return -EBUSY;
}

int rotation_next(int dirfd, const struct rotation *r, struct step_place *out, struct err *e)
{
	CLEANUP(listing_release) struct listing l = {0};
	struct state s = {0};
	int got = r->max_to_keep ? latest_read(dirfd, r->state_name, &s, e) : -ENOENT;

	if (got == 0 && s.n_paths > r->max_to_keep &&
	    bytes_eq(state_step(s.latest, false), bytes_str(r->latest))) {
		got = listing_read(dirfd, r->state_name, &l, e);
		if (got == 0)
			got = choose(dirfd, r, &s, &l, out, e);
	}
	state_release(&s);
	return got == -ENOENT ? 0 : got;
}

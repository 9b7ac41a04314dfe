#include "view/rescued_steps.h"
#include "base/cleanup.h"
#include "view/folder.h"
#include <sys/resource.h>

/* Each has a descriptor, and they may only have a part of all. */
enum { MAX_RESCUED = 64, PART_OF_DESCRIPTORS = 8 };

static size_t max_rescued(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur / PART_OF_DESCRIPTORS >= MAX_RESCUED)
		return MAX_RESCUED;
	return l.rlim_cur / PART_OF_DESCRIPTORS;
}

static size_t count(const struct view *v)
{
	return v->rescued.n / sizeof(struct rescued_step);
}

static void forget(struct view *v, size_t at)
{
	struct rescued_step *k = (struct rescued_step *)v->rescued.p + at;

	rescue_release(&k->rescue);
	view_forget(v, node_id(k->folder, NODE_ROOT_ID), 1);
	v->rescued.n -= sizeof *k;
	memmove(k, k + 1, v->rescued.n - at * sizeof *k);
}

void rescued_steps_add(struct view *v, struct node *n, struct rescue *rescue)
{
	struct rescued_step k = {.rescue = *rescue, .folder = n->parent};

	while (count(v) && count(v) >= max_rescued())
		forget(v, 0);
	if (max_rescued() && buf_add(&v->rescued, &k, sizeof k) == 0)
		view_hold(v, k.folder);
	else
		rescue_release(&k.rescue);
}

/* Is it known, without looking, that nothing has changed in its folder? */
static bool is_current(struct view *v, struct rescued_step *k)
{
	bool current;

	HOLD(&v->lock);
	current = k->looked && k->folder->watch && k->folder->changes == k->at;
	k->at = k->folder->changes;
	k->looked = true;
	return current;
}

/* As rescue_restore. */
static int restore(struct view *v, struct rescued_step *k, bool all)
{
	CLEANUP(freep) char *old = NULL;
	CLEANUP(closep) int top = -1;
	struct err e = {0};
	int r;

	if (is_current(v, k) && !all)
		return 0;
	old = strdup(k->rescue.name);
	r = top = folder_open(v, k->folder, &e);
	if (r >= 0) {
		view_take_turn(v, &k->folder->drafting); /* .ckptfs goes when it is empty */
		r = rescue_restore(&k->rescue, top, v->meta_suffix, &e);
		view_end_turn(v, &k->folder->drafting);
	}
	if (r > 0 && old)
		view_tell(v,
			  "%s: another step was saved under its name; what was committed is now %s",
			  old, k->rescue.name);
	if (r < 0 && r != -ENOENT)
		view_warn(v, &e);
	k->looked = k->looked && r >= 0;
	return r;
}

/* The step was removed, or nothing is left of it. After any other error it is tried again. */
static bool is_lost(int r)
{
	return r == -ENOENT || r == -ESTALE;
}

void rescued_steps_restore(struct view *v, bool all)
{
	HOLD(&v->committing);
	for (size_t i = 0; i < count(v);)
		if (is_lost(restore(v, (struct rescued_step *)v->rescued.p + i, all)))
			forget(v, i);
		else
			i++;
}

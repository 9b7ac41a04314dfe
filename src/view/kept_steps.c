#include "view/kept_steps.h"
#include "base/cleanup.h"
#include "view/draft_view.h"
#include "view/folder.h"
#include <stdio.h>
#include <sys/resource.h>

/* Each has a descriptor: not more than a part of those that there are. */
enum { MAX_KEPT = 64, PART_OF_DESCRIPTORS = 8 };

struct kept_step {
	struct rescue kept;
	struct node *folder; /* with a reference that keeps it */
	bool looked; /* when the folder was as AT says, nothing had happened to the step */
	uint32_t at;
};

static size_t max_kept(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur / PART_OF_DESCRIPTORS >= MAX_KEPT)
		return MAX_KEPT;
	return l.rlim_cur / PART_OF_DESCRIPTORS;
}

static size_t count(const struct view *v)
{
	return v->kept.n / sizeof(struct kept_step);
}

static void forget(struct view *v, size_t at)
{
	struct kept_step *k = (struct kept_step *)v->kept.p + at;

	rescue_release(&k->kept);
	view_forget(v, node_id(k->folder, NODE_ROOT_ID), 1);
	v->kept.n -= sizeof *k;
	memmove(k, k + 1, v->kept.n - at * sizeof *k);
}

void kept_steps_add(struct view *v, struct node *n, struct rescue *kept)
{
	struct kept_step k = {.kept = *kept, .folder = n->parent};

	pthread_mutex_lock(&v->loading);
	while (count(v) && count(v) >= max_kept())
		forget(v, 0);
	if (max_kept() && buf_add(&v->kept, &k, sizeof k) == 0)
		view_hold(v, k.folder);
	else
		rescue_release(&k.kept);
	pthread_mutex_unlock(&v->loading);
}

/* Nothing was heard of its folder since it was looked at. */
static bool is_current(struct view *v, struct kept_step *k)
{
	bool current;

	pthread_mutex_lock(&v->lock);
	current = k->looked && k->folder->watch && k->folder->changes == k->at;
	k->at = k->folder->changes;
	pthread_mutex_unlock(&v->lock);
	k->looked = true;
	return current;
}

static void tell(struct view *v, const char *old, const char *now)
{
	struct err text;

	err_set(&text, 0, "%s: another step was saved under its name; what was committed is now %s",
		old, now);
	if (v->tell)
		v->tell(v->warn_arg, text.text);
}

/* As rescue_restore. */
static int restore(struct view *v, struct kept_step *k, bool all)
{
	CLEANUP(freep) char *old = NULL;
	CLEANUP(closep) int top = -1;
	struct err e = {0};
	int r;

	if (is_current(v, k) && !all)
		return 0;
	old = strdup(k->kept.name);
	r = top = folder_open(v, k->folder, &e);
	if (r >= 0)
		r = rescue_restore(&k->kept, top, v->meta_suffix, &e);
	if (r > 0 && old)
		tell(v, old, k->kept.name);
	if (r < 0 && r != -ENOENT && v->warn)
		v->warn(v->warn_arg, &e);
	k->looked = k->looked && r >= 0;
	return r;
}

/* It was removed, or nothing is left of it; after any other error it is tried again. */
static bool is_lost(int r)
{
	return r == -ENOENT || r == -ESTALE;
}

void kept_steps_restore(struct view *v, bool all)
{
	pthread_mutex_lock(&v->committing);
	pthread_mutex_lock(&v->loading);
	for (size_t i = 0; i < count(v);)
		if (is_lost(restore(v, (struct kept_step *)v->kept.p + i, all)))
			forget(v, i);
		else
			i++;
	pthread_mutex_unlock(&v->loading);
	pthread_mutex_unlock(&v->committing);
}

void kept_steps_release(struct view *v)
{
	while (count(v))
		forget(v, count(v) - 1);
	buf_release(&v->kept);
}

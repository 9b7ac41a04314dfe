#include "view/born.h"
#include "base/cleanup.h"
#include "draft/draft_state.h"
#include "view/draft_view.h"
#include "view/folder.h"
#include "view/in_step.h"
#include "view/steps.h"

/* N stands for the step that is on disk now; not if that had to get another name. */
static bool is_born(struct view *v, struct node *n, const char *name)
{
	CLEANUP(closep) int fd = folder_open_parent(v, n, NULL);
	struct file_id meta = {0};
	struct stat st;
	bool born = name && !strcmp(name, n->place->name) && fd >= 0 &&
		    fstatat(fd, n->place->file, &st, 0) == 0;

	if (born)
		meta = folder_meta_id(v, fd, n->place);
	pthread_mutex_lock(&v->lock);
	if (born) {
		n->id = file_id_of(&st);
		n->meta = meta;
		n->unborn = false;
	} else {
		node_detach(&v->nodes, n);
	}
	pthread_mutex_unlock(&v->lock);
	return born;
}

/* What is in the draft, by the numbers that it has in the step. */
struct mapping {
	struct node *node;
	const struct loaded *step;
	struct buf numbers; /* struct number */
	struct buf changes;
	int failed;
};

/* What the step does not have is gone. */
static void map_item(struct mapping *m, const struct draft_item *i, uint32_t dir)
{
	struct number is = {i->index, in_step_find(m->step, dir, i->name)};

	if (!is.index)
		m->failed =
			view_add_change(&m->changes, node_id(m->node, i->parent->index), i->name);
	else if ((m->failed = buf_add(&m->numbers, &is, sizeof is)) == 0)
		m->failed = view_add_change(&m->changes, node_id(m->node, i->index), NULL);
	for (const struct draft_item *k = i->first; is.index && k && !m->failed; k = k->after)
		map_item(m, k, is.index);
}

static void map_all(struct mapping *m, struct draft *d)
{
	pthread_mutex_lock(&d->lock);
	for (const struct draft_item *i = d->root ? d->root->first : NULL; i && !m->failed;
	     i = i->after)
		map_item(m, i, TREE_ROOT);
	pthread_mutex_unlock(&d->lock);
}

void born_settle(struct view *v, struct node *n, struct draft *d, const char *name,
		 struct buf *changes)
{
	struct mapping m = {.node = n};
	struct loaded *l;

	if (!n->unborn || !is_born(v, n, name) || steps_get(v, n, &l, NULL) < 0)
		return;
	m.step = l;
	map_all(&m, d);
	pthread_mutex_lock(&v->lock);
	if (!m.failed)
		m.failed = node_add_numbers(n, (struct number *)m.numbers.p,
					    m.numbers.n / sizeof(struct number));
	pthread_mutex_unlock(&v->lock);
	if (!m.failed) /* else the names are forgotten, and found again */
		buf_swap(changes, &m.changes);
	buf_release(&m.numbers);
	buf_release(&m.changes);
	loaded_unref(l);
}

#include "commit/freeze.h"
#include "base/cleanup.h"
#include "draft/items.h"
#include "draft/overlay.h"
#include "draft/staged.h"
#include "draft/walk.h"
#include "message/object_graph.h"
#include "step/sidecar.h"

static int freeze_pins(struct plan *p)
{
	const struct draft *d = p->d;

	p->pins = malloc((d->n_pins + (size_t)1) * sizeof *p->pins);
	if (!p->pins)
		return -ENOMEM;
	p->n_pins = d->n_pins;
	if (d->n_pins)
		memcpy(p->pins, d->pins, d->n_pins * sizeof *p->pins);
	return 0;
}

static struct plan_text freeze_text(struct plan *p, enum text_kind kind)
{
	struct draft_item *i = items_find(p->d, p->d->root, text_name(kind));
	bool written = i && i->what == DRAFT_STAGED;

	if (written)
		i->refs++;
	return (struct plan_text){i != NULL, written ? i : NULL, i ? i->pin : DRAFT_NONE};
}

/* Whether a commit has copied it already, when it was open. */
static bool is_committed(const struct draft_item *i)
{
	return i->what == DRAFT_STAGED ? i->staged->committed == i->staged->version : i->committed;
}

static int freeze_variable(struct plan *p, struct draft_item *i, struct buf *path)
{
	bool written = i->what == DRAFT_STAGED;
	struct want w = {.path = p->paths.n,
			 .item = written ? i : NULL,
			 .of_pin = i->pin,
			 .of_var = i->number,
			 .expect_pin = i->expect_pin,
			 .expect_var = i->expect_var,
			 .mode = written ? i->staged->mode : 0,
			 .in_use = i->writers,
			 .committed = is_committed(i)};
	int r;

	path->n = 0;
	r = draft_path(i, path);
	if (r == 0)
		r = buf_add_byte(path, 0);
	if (r == 0)
		r = buf_add(&p->paths, path->p, path->n);
	if (r == 0)
		r = buf_add(&p->wants, &w, sizeof w);
	i->refs += r == 0 && written;
	return r;
}

/* What has an item, and what shows in a folder that was moved. */
static int freeze_changed(struct plan *p)
{
	CLEANUP(buf_release) struct buf path = {0};
	struct draft *d = p->d;
	struct draft_walk w = {.below = d->root, .changed_only = true};
	struct draft_item *i;
	int r = 0, walked;

	while (r == 0 && (i = draft_walk(d, &w))) {
		if (draft_is_variable(i))
			r = freeze_variable(p, i, &path);
		if (!i->refs) /* it is made up */
			overlay_note_claimed(p->claimed, i->index);
	}
	walked = draft_walk_end(&w);
	return r < 0 ? r : walked;
}

/* A file that is no variable and no known leftover of a program: who made it may want it in the step. */
static int check_scratch(const struct draft *d, struct err *e)
{
	for (struct draft_item *i = d->root; (i = items_next(d->root, i));)
		if (draft_is_in_the_way(i))
			return staged_refusal(i, e);
	return 0;
}

int freeze(struct plan *p, struct err *e)
{
	struct draft *d = p->d;
	struct draft_glance g;
	int r = p->goes_on ? 0 : draft_can_go_on(d, e);

	if (r == 0)
		r = check_scratch(d, e);
	if (r < 0)
		return r;
	p->changes = d->changes;
	p->object_based =
		d->object_based || draft_find(d, d->root, OBJECT_GRAPH_KEY ".npy", &g) != NULL;
	p->meta = freeze_text(p, TEXT_META_GRAPH);
	p->debug = freeze_text(p, TEXT_DEBUG_INFO);
	p->tree = d->tree;
	if (buf_add(&p->removed, d->removed.p, d->removed.n) < 0)
		return err_set(e, -ENOMEM, "no memory");
	if (p->tree)
		p->claimed = overlay_copy_claimed(d);
	r = !p->tree || p->claimed ? freeze_pins(p) : -ENOMEM;
	if (r == 0)
		r = freeze_changed(p);
	return r < 0 ? err_set(e, r, "no memory") : 0;
}

/* A file that is to become a shard as it is must not be written to any more. */
static bool is_own_in_use(const struct plan *p)
{
	for (uint32_t i = 0; i < plan_n(p); i++)
		if (plan_wants(p)[i].own && plan_wants(p)[i].item->writers)
			return true;
	return false;
}

bool freeze_holds(const struct plan *p)
{
	const struct draft *d = p->d;

	return d->changes == p->changes &&
	       (!d->writers ||
		(!is_own_in_use(p) && (p->goes_on || draft_can_go_on(d, NULL) == 0)));
}

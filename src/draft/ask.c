#include "draft/ask.h"
#include "base/cleanup.h"
#include "draft/items.h"
#include "draft/overlay.h"
#include "draft/seal.h"
#include "draft/walk.h"

static bool is_changed(const struct draft *d, const struct draft_item *i)
{
	if (i->what == DRAFT_VAR && !i->on_disk)
		return false;
	return draft_is_variable(i) ||
	       (i->on_disk && i->what != DRAFT_DIR && i->parent == d->root &&
		text_kind_of(i->name) == TEXT_META_GRAPH);
}

uint32_t draft_count(struct draft *d)
{
	struct draft_walk w = {.changed_only = true};
	struct draft_item *i;
	uint32_t changed = 0;
	int64_t kept;

	pthread_mutex_lock(&d->lock);
	w.below = d->root;
	while ((i = draft_walk(d, &w)))
		changed += is_changed(d, i);
	draft_walk_end(&w);
	kept = d->has_base ? overlay_count_kept(d) : -1;
	if (kept >= 0)
		changed += d->tree->n_files - (uint32_t)kept;
	pthread_mutex_unlock(&d->lock);
	return changed;
}

enum { RETRY_MS = 1000, LONGEST_RETRY_MS = 60000 };

void draft_note_result(struct draft *d, int r, const struct err *why)
{
	int64_t wait = RETRY_MS;

	d->failure = r < 0 ? *why : (struct err){0};
	d->failed_at = d->changes;
	d->failures = r < 0 ? d->failures + 1 : 0;
	for (unsigned i = 1; i < d->failures && wait < LONGEST_RETRY_MS; i++)
		wait *= 2;
	d->retry_at = draft_now_ms() + (wait < LONGEST_RETRY_MS ? wait : LONGEST_RETRY_MS);
	if (r == 0)
		d->told = (struct err){0};
}

bool draft_is_news(struct draft *d, const struct err *why)
{
	bool news;

	pthread_mutex_lock(&d->lock);
	news = strcmp(d->told.text, why->text) != 0;
	d->told = *why;
	pthread_mutex_unlock(&d->lock);
	return news;
}

/* What was refused stays so until something is changed. */
static bool is_hopeless(const struct draft *d)
{
	return d->failure.code == -EINVAL && d->failed_at == d->changes;
}

bool draft_is_due(struct draft *d, int64_t ms, int64_t *wait)
{
	bool due = false;

	pthread_mutex_lock(&d->lock);
	*wait = -1;
	if (!d->ended && !d->writers && !is_hopeless(d)) {
		int64_t at = d->changed_at + ms;

		if (d->failure.code && d->retry_at > at)
			at = d->retry_at;
		*wait = at - draft_now_ms();
		due = *wait <= 0;
		*wait = due ? 0 : *wait;
	}
	pthread_mutex_unlock(&d->lock);
	return due;
}

int draft_why(struct draft *d, struct buf *out)
{
	int r = 0;

	pthread_mutex_lock(&d->lock);
	for (struct draft_item *i = d->root; r == 0 && i && (i = items_next(d->root, i));)
		if (i->staged && i->staged->refusal.code)
			r = buf_printf(out, "%s%s", out->n ? "\n" : "", i->staged->refusal.text);
	if (r == 0 && d->failure.code && !out->n)
		r = buf_add_str(out, d->failure.text);
	pthread_mutex_unlock(&d->lock);
	return r;
}

/* What may be changed: not what is a step already. */
int draft_check_open(const struct draft *d, struct err *e)
{
	if (d->published)
		return err_set(e, -EBUSY, "%s is committed, but the state file can't be written",
			       d->published);
	return d->ended ? -ESTALE : 0;
}

/* --- what a number stands for -------------------------------------------------------------------------------- */

/* Is what has that index, or a folder that it is in, not where the base has it? */
static bool is_moved(const struct draft *d, uint32_t index)
{
	struct draft_glance g;
	const struct draft_item *i = draft_item(d, index, &g);

	while (i && (!i->parent || i->in_place || i->index >= d->n_fixed))
		i = i->parent;
	return i != NULL;
}

int draft_lock_to_change_in(struct draft *d, uint32_t a, uint32_t b)
{
	uint64_t before;
	bool moved;

	pthread_mutex_lock(&d->lock);
	if (!d->sealed && !d->ended)
		return 0;
	moved = is_moved(d, a) || is_moved(d, b);
	before = d->times_gone_on;
	draft_await_unsealed(d);
	return moved && (d->ended || d->times_gone_on != before) ? DRAFT_LOOK_AGAIN : 0;
}

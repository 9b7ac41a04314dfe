/* src/draft/ask.c: what is asked of a draft. */
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

/* src/draft/ask.c: what is asked of a draft. */
#include "base/cleanup.h"
#include "base/io.h"
#include "base/scratch.h"
#include "base/source.h"
#include "draft/file.h"
#include "draft/items.h"
#include "draft/overlay.h"
#include "draft/seal.h"
#include "draft/staged.h"
#include "draft/walk.h"
#include <fcntl.h>
#include <sys/stat.h>

static bool is_changed(const struct draft *d, const struct draft_item *i)
{
	if (i->what == DRAFT_VAR && !i->on_disk)
		return false;
	return draft_is_variable(i) ||
	       (!d->no_meta_graph && i->on_disk && i->what != DRAFT_DIR && i->parent == d->root &&
		text_kind_of(i->name) == TEXT_META_GRAPH &&
		!(i->staged && i->staged->says_the_same));
}

/* The base has a meta graph, and D has none. */
static bool lost_meta(struct draft *d)
{
	struct draft_glance g;

	return d->base_meta && !d->no_meta_graph &&
	       !draft_find(d, d->root, text_name(TEXT_META_GRAPH), &g);
}

/* I is a variable that the base has at FROM. Was it moved, so that nothing is at FROM now? A draft that was taken up does not know
 * it otherwise. */
static bool is_moved(const struct draft *d, const struct draft_item *i, struct bytes from)
{
	struct tree_child child;

	return i->index < d->n_fixed || (overlay_find_file(d->tree, from, &child) &&
					 overlay_is_gone(d, tree_file_index(child.index)));
}

/* OUT gets a line for I, which is changed: what was done to it. -ENOMEM. */
static int describe(struct draft *d, const struct draft_item *i, struct buf *out)
{
	CLEANUP(buf_release) struct buf path = {0}, from = {0};
	const struct step *of = i->what == DRAFT_VAR ? d->pins[i->pin].step : NULL;
	bool of_base = d->has_base && i->pin == 0;
	struct tree_child over;
	int r = draft_path(i, &path);

	if (r == 0 && of)
		r = draft_shown_path(d, i->pin, i->number, &from);
	if (r < 0)
		return r;
	if (of && !(of_base && bytes_eq(buf_bytes(&path), buf_bytes(&from))))
		return buf_printf(out, "%s: %s%s%.*s to %.*s\n",
				  of_base && is_moved(d, i, buf_bytes(&from)) ? "moved" : "copied",
				  of_base ? "" : of->place.name, of_base ? "" : "/", (int)from.n,
				  (char *)from.p, (int)path.n, (char *)path.p);
	return buf_printf(
		out, "%s: %.*s\n",
		!draft_is_variable(i) ||
				(d->has_base && overlay_find_file(d->tree, buf_bytes(&path), &over))
			? "written"
			: "new",
		(int)path.n, (char *)path.p);
}

/* How many variables differ, and the meta graph; OUT, which may be NULL, gets a line for each. What there is no memory for is left out. */
static uint32_t list_changes(struct draft *d, struct buf *out)
{
	CLEANUP(buf_release) struct buf replaced = {0};
	struct draft_walk w = {.changed_only = true, .below = d->root};
	struct draft_item *i;
	uint32_t changed = 0;
	int64_t kept = 0;

	while ((i = draft_walk(d, &w))) {
		if (!is_changed(d, i))
			continue;
		changed++;
		if (out)
			describe(d, i, out);
		if (kept == 0 && d->has_base && draft_is_variable(i))
			kept = overlay_add_replaced(d, i, &replaced);
	}
	draft_walk_end(&w);
	kept = d->has_base && kept == 0 ? overlay_count_kept(d, &replaced) : -1;
	if (kept >= 0)
		changed += d->tree->n_files - (uint32_t)kept;
	if (kept >= 0 && out)
		overlay_add_removed(d, &replaced, out);
	if (!lost_meta(d))
		return changed;
	if (out)
		buf_printf(out, "removed: %s\n", text_name(TEXT_META_GRAPH));
	return changed + 1;
}

uint32_t draft_count(struct draft *d)
{
	HOLD(&d->lock);
	return list_changes(d, NULL);
}

bool draft_lost_all(struct draft *d)
{
	struct draft_walk w = {.below = d->root};
	struct draft_item *i;
	bool has = false;

	HOLD(&d->lock);
	if (!d->has_base || !d->tree->n_files || d->tree->n_hidden)
		return false;
	while (!has && (i = draft_walk(d, &w)))
		has = draft_is_variable(i);
	return draft_walk_end(&w) == 0 && !has;
}

uint32_t draft_describe(struct draft *d, struct buf *out)
{
	HOLD(&d->lock);
	return list_changes(d, out);
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

	HOLD(&d->lock);
	news = strcmp(d->told.text, why->text) != 0;
	d->told = *why;
	return news;
}

/* What was refused stays so until something is changed. */
static bool is_hopeless(const struct draft *d)
{
	return d->failure.code == -EINVAL && d->failed_at == d->changes;
}

/* A new step may have what no step can have: empty folders, and files of tools. */
static bool is_whole(struct draft *d)
{
	for (struct draft_item *i = d->root; !d->has_base && (i = items_next(d->root, i));)
		if (i->what == DRAFT_DIR
			    ? !i->first
			    : !draft_is_variable(i) &&
				      (i->parent != d->root || text_kind_of(i->name) == N_TEXTS))
			return false;
	return true;
}

bool draft_is_due(struct draft *d, int64_t ms, int64_t *wait)
{
	bool due = false;

	HOLD(&d->lock);
	*wait = -1;
	if (!d->ended && !d->writers && d->seen_to != d->changes && !is_hopeless(d) &&
	    is_whole(d)) {
		int64_t at = d->changed_at + ms;

		if (d->failure.code && d->retry_at > at)
			at = d->retry_at;
		*wait = at - draft_now_ms();
		due = *wait <= 0;
		*wait = due ? 0 : *wait;
	}
	return due;
}

int draft_why(struct draft *d, struct buf *out)
{
	struct err why;
	bool stale;
	int r = 0;

	HOLD(&d->lock);
	for (struct draft_item *i = d->root; r == 0 && i && (i = items_next(d->root, i));)
		if (staged_refusal(i, &why) < 0)
			r = buf_printf(out, "%s%s", out->n ? "\n" : "", why.text);
	stale = d->failure.code == -EINVAL && d->failed_at != d->changes;
	if (r == 0 && d->failure.code && !stale && !out->n)
		r = buf_add_str(out, d->failure.text);
	return r;
}

#define LEFT_WHY "refused"

void draft_leave_why(struct draft *d, const struct err *why)
{
	HOLD(&d->lock);
	if (!d->ended)
		io_replace_file(d->fd, d->fd, LEFT_WHY, bytes_str(why->text), 0644, NULL);
}

bool draft_take_why(struct draft *d, struct err *why)
{
	CLEANUP(buf_release) struct buf text = {0};
	CLEANUP(closep) int fd = -1;
	struct source src;
	struct stat st;
	uint64_t size;

	HOLD(&d->lock);
	if (fstatat(d->fd, LEFT_WHY, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return false;
	fd = source_open(d->fd, LEFT_WHY, &src, NULL);
	if (fd < 0 || !src.size)
		return false;
	size = src.size < sizeof why->text ? src.size : sizeof why->text;
	if (source_read(&src, 0, size, &text, NULL) < 0 || buf_add_byte(&text, 0) < 0)
		return false;
	err_set(why, -EINVAL, "%s", (char *)text.p);
	io_remove_file(d->fd, LEFT_WHY, NULL);
	d->failure = *why;
	d->failed_at = d->changes;
	for (struct draft_item *i = d->root; (i = items_next(d->root, i));)
		staged_look(d, i);
	return true;
}

/* A new step with nothing in it, or what a program has left: TensorFlow when it could not save, an editor. */
static bool is_bare(const struct draft *d)
{
	for (const struct draft_item *i = d->root->first; i; i = i->after)
		if (i->what == DRAFT_DIR || !scratch_is_leftover(i->name))
			return false;
	return !d->has_base;
}

bool draft_is_rest(struct draft *d)
{
	HOLD(&d->lock);
	return !d->ended && !d->failure.code && (d->writers || is_bare(d));
}

/* --- what is in it ------------------------------------------------------------------------------------------- */

/* Is I the root, or what the base has in the same place? */
static bool is_of_base(const struct draft *d, const struct draft_item *i)
{
	return i == d->root || (i->index < d->n_fixed && i->under && i->what != DRAFT_STAGED &&
				!(i->on_disk && i->what != DRAFT_DIR));
}

static int see(struct draft *d, struct draft_item *i, struct draft_seen *out, struct err *e)
{
	bool of_pin = i->what == DRAFT_VAR || i->what == DRAFT_TEXT;
	int r;

	*out = (struct draft_seen){.index = i->index,
				   .what = i->what,
				   .of_base = is_of_base(d, i),
				   .gone = i->gone,
				   .opened = i->opened,
				   .pin = i->pin,
				   .number = i->number,
				   .step = of_pin ? d->pins[i->pin].step : NULL,
				   .entered = i->entered};
	r = i->what == DRAFT_STAGED ? draft_stat(d, i, &out->st, NULL)
				    : draft_stat_step(d, &out->st);
	if (r < 0)
		return err_sys(e, r, "%s", i->parent ? i->name : d->name);
	if (i->what != DRAFT_DIR || !i->parent || d->has_base)
		return 0;
	r = draft_path(i, &out->path);
	if (r == 0)
		r = buf_add_byte(&out->path, '/');
	return r < 0 ? err_set(e, r, "no memory") : 0;
}

/* The folder that has INDEX; G has room for it. */
static int folder_at(const struct draft *d, uint32_t index, struct draft_glance *g,
		     struct draft_item **out)
{
	*out = draft_item(d, index, g);
	if (!*out || (*out)->gone)
		return -ESTALE;
	return (*out)->what == DRAFT_DIR ? 0 : -ENOTDIR;
}

/* What INDEX is, or NAME in it; the two of G have room for these. */
static int find_seen(const struct draft *d, uint32_t index, const char *name,
		     struct draft_glance g[2], struct draft_item **out)
{
	struct draft_item *dir;
	int r = name ? folder_at(d, index, &g[0], &dir) : 0;

	if (r < 0)
		return r;
	*out = name ? draft_find(d, dir, name, &g[1]) : draft_item(d, index, &g[1]);
	return *out ? 0 : name ? -ENOENT : -ESTALE;
}

int draft_see(struct draft *d, uint32_t index, const char *name, struct draft_seen *out,
	      struct err *e)
{
	struct draft_glance g[2];
	struct draft_item *i;
	int r;

	*out = (struct draft_seen){0};
	HOLD(&d->lock);
	r = find_seen(d, index, name, g, &i);
	if (r == 0 && behind_is_busy(&i->behind)) {
		draft_await_behind(d, i);
		r = find_seen(d, index, name, g, &i);
	}
	return r == 0 ? see(d, i, out, e) : r;
}

int draft_see_item(struct draft *d, struct draft_item *i, struct draft_seen *out, struct err *e)
{
	HOLD(&d->lock);
	draft_await_behind(d, i);
	return see(d, i, out, e);
}

int draft_list(struct draft *d, uint32_t dir, struct buf *entries, struct buf *names)
{
	struct draft_children c = {0};
	struct draft_glance g;
	struct draft_item *parent, *i;
	int r;

	HOLD(&d->lock);
	r = folder_at(d, dir, &g, &parent);
	while (r == 0 && (i = draft_child(d, parent, &c))) {
		struct draft_entry entry = {i->index, i->what == DRAFT_DIR ? S_IFDIR : S_IFREG,
					    names->n};

		r = buf_add(names, i->name, strlen(i->name) + 1);
		if (r == 0)
			r = buf_add(entries, &entry, sizeof entry);
	}
	return r;
}

bool draft_is_emptied(struct draft *d)
{
	HOLD(&d->lock);
	return draft_is_empty(d, d->root);
}

/* --- what differs from the base ------------------------------------------------------------------------------ */

void draft_list_differences(struct draft *d, draft_listed *tell, void *arg)
{
	struct draft_walk w = {.below = d->root, .changed_only = true};
	struct draft_item *i;

	while ((i = draft_walk(d, &w))) {
		if (is_of_base(d, i))
			continue;
		tell(arg, i->parent->index, i->name, false);
		if (i->index < d->n_fixed)
			tell(arg, i->index, NULL, i->what == DRAFT_DIR);
	}
	draft_walk_end(&w);
	/* What was removed may have had other bytes before. */
	for (uint32_t k = TREE_FIRST;
	     (k = overlay_next_claimed(d->claimed, k, d->n_fixed)) < d->n_fixed; k++)
		if (overlay_is_gone(d, k))
			tell(arg, k, NULL, false);
	/* The times of folders, and their lists. */
	for (i = d->root; i; i = items_next(d->root, i))
		if (i->what == DRAFT_DIR && i->index < d->n_fixed)
			tell(arg, i->index, NULL, false);
}

static void map_below(const struct draft_item *dir, uint32_t within, draft_mapper *map, void *arg)
{
	for (const struct draft_item *i = dir->first; i; i = i->after) {
		uint32_t is = map(arg, within, dir->index, i->index, i->name);

		if (is)
			map_below(i, is, map, arg);
	}
}

void draft_map(struct draft *d, uint32_t root, draft_mapper *map, void *arg)
{
	HOLD(&d->lock);
	if (d->root)
		map_below(d->root, root, map, arg);
}

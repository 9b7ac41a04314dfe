/* src/draft/open.c: open files of a draft, as long as they are open (the states are drawn in
 * docs/ARCHITECTURE.md). */
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/io.h"
#include "draft/copy.h"
#include "draft/disk.h"
#include "draft/file.h"
#include "draft/items.h"
#include "draft/overlay.h"
#include "draft/pins.h"
#include "draft/seal.h"
#include "draft/staged.h"
#include "draft/write.h"
#include "step/full_names.h"
#include <fcntl.h>

/* --- opening and closing ----------------------------------------------------------------------------------- */

int draft_open(struct draft *d, uint32_t index, bool writing, bool truncate,
	       struct draft_item **out, struct err *e)
{
	struct draft_item *i;
	int r = 0;

	if (truncate)
		draft_settle(d, index);
	if (writing) /* a file that is open for writing can't become a shard as it is */
		r = draft_lock_to_change_in(d, index, index);
	else
		pthread_mutex_lock(&d->lock);
	if (r == 0)
		r = overlay_need(d, index, &i);
	if (r == -ENOMEM)
		err_set(e, r, "no memory");
	else if (r != DRAFT_LOOK_AGAIN && (r < 0 || draft_where(d, i) != WHERE_DRAFT))
		r = -ESTALE;
	else if (r == 0 && i->what == DRAFT_DIR)
		r = -EISDIR;
	else if (r == 0 && writing)
		r = draft_check_open(d, e);
	if (r == 0 && truncate)
		r = draft_cut(d, i, NULL, 0, e);
	if (r == 0 && i->what == DRAFT_STAGED && i->on_disk)
		r = draft_need_file(d, i, e);
	if (r == 0) {
		draft_count_open(d, i, writing);
		*out = i;
	} else {
		overlay_let_go(d, index);
	}
	pthread_mutex_unlock(&d->lock);
	return r;
}

bool draft_item_is_text(struct draft *d, const struct draft_item *i)
{
	HOLD(&d->lock);
	return i->what == DRAFT_TEXT;
}

bool draft_is_orphan(const struct draft_item *i)
{
	return i->gone && i->index < DRAFT_DYNAMIC;
}

/* What has no bytes when it is closed is an empty file after all. If that can't be made it is tried again at
 * the commit. */
static void end_file(struct draft *d, struct draft_item *i)
{
	if (draft_where(d, i) == WHERE_DRAFT && !d->published)
		draft_item_open(d, i, NULL);
	if (!i->opens)
		closep(&i->staged->fd);
}

void draft_release_item(struct draft *d, struct draft_item *i)
{
	HOLD(&d->lock);
	draft_item_unref(d, i);
}

void draft_close(struct draft *d, struct draft_item *i, bool writing)
{
	uint32_t index;

	HOLD(&d->lock);
	index = i->index;
	i->opens--;
	i->opened = true;
	i->writers -= writing;
	d->writers -= writing;
	if (!d->writers)
		pthread_cond_broadcast(&d->quiet);
	if (writing)
		d->changed_at = draft_now_ms();
	if (i->staged && !i->opens)
		end_file(d, i);
	draft_item_unref(d, i);
	overlay_let_go(d, index);
}

/* --- reading ----------------------------------------------------------------------------------------------- */

/* A variable that I became just now, while it was open as a file of the draft's own. */
static int64_t read_referred(struct draft *d, struct draft_item *i, uint64_t off, size_t len,
			     uint8_t *dst, struct err *e)
{
	const struct pin *p = &d->pins[i->pin];
	CLEANUP(closep) int dir = draft_pin_dir(d, p, e);
	struct npy_file *f;
	int r = dir < 0 ? dir : npy_file_open(p->step, draft_var(d, i), dir, &f, e);
	int64_t n;

	if (r < 0)
		return r;
	n = npy_file_read(f, off, len, dst, e);
	npy_file_close(f);
	return n;
}

/* Whether the number of I shows something else now than I has. */
static bool is_over(const struct draft *d, const struct draft_item *i)
{
	bool is_base = i->what == DRAFT_VAR && i->pin == 0;

	return draft_where(d, i) == WHERE_OVER && !is_base;
}

int64_t draft_read(struct draft *d, struct draft_item *i, const struct draft_base *base,
		   uint64_t off, size_t len, uint8_t *dst, struct err *e)
{
	bool staged, fits = false;
	int fd = -1;
	int64_t n = 0;
	int r;

	pthread_mutex_lock(&d->lock);
	draft_await_behind(d, i);
	staged = i->what == DRAFT_STAGED;
	r = is_over(d, i) ? -ESTALE : 0;
	if (r == 0 && staged) {
		r = draft_copy_referred(d, i, e);
		if (r == 0 && i->on_disk)
			r = draft_need_file(d, i, e);
		fd = i->staged->fd; /* stays open as long as somebody has the item open */
	} else if (r == 0 && !(fits = draft_base_fits(base, i))) {
		n = read_referred(d, i, off, len, dst, e);
	}
	pthread_mutex_unlock(&d->lock);
	if (r < 0)
		return r;
	if (!staged)
		return fits ? npy_file_read(base->file, off, len, dst, e) : n;
	n = fd < 0 ? 0 : pread(fd, dst, len, (off_t)off);
	return n < 0 ? err_sys(e, -errno, "pread") : n;
}

/* --- at its end -------------------------------------------------------------------------------------------------- */

int draft_check(struct draft *d, struct draft_item *i, bool not_yet, struct err *e)
{
	int r;

	HOLD(&d->lock);
	draft_await_behind(d, i);
	r = staged_loss(i, e);
	if (r == 0 && i->what == DRAFT_STAGED && draft_where(d, i) == WHERE_DRAFT &&
	    (draft_is_variable(i) || staged_is_meta(i))) {
		r = draft_item_open(d, i, e);
		if (r == 0)
			r = staged_check(d, i, not_yet, e);
	}
	return r;
}

int draft_sync_folder(struct draft *d, uint32_t index, struct err *e)
{
	CLEANUP(closep) int dir = -1;
	CLEANUP(closep) int gone = -1;
	struct draft_item *i;
	int r = 0;

	pthread_mutex_lock(&d->lock);
	i = d->ended ? NULL : items_at(d, index);
	if (i && i->what == DRAFT_DIR && !i->gone)
		r = dir = disk_folder(d, i, false, e);
	if (dir >= 0)
		gone = dir_fd(dir, GONE, NULL);
	pthread_mutex_unlock(&d->lock);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = dir < 0 ? 0 : io_sync(dir, ".", e);
	return r == 0 && gone >= 0 ? io_sync(gone, GONE, e) : r;
}

int draft_sync(struct draft *d, struct draft_item *i, struct err *e)
{
	CLEANUP(closep) int dir = -1;
	int fd = -1, r = 0;

	pthread_mutex_lock(&d->lock);
	draft_await_behind(d, i);
	r = staged_loss(i, e);
	if (r == 0 && i->what == DRAFT_STAGED && draft_where(d, i) == WHERE_DRAFT) {
		r = draft_item_open(d, i, e);
		if (r == 0)
			r = dir = disk_folder(d, i->parent, false, e);
		fd = i->staged->fd; /* stays open as long as somebody has the item open */
	}
	pthread_mutex_unlock(&d->lock);
	if (r < 0 || fd < 0)
		return r;
	r = io_sync(fd, i->name, e);
	return r == 0 ? io_sync(dir, ".", e) : r; /* and its name */
}

/* --- looked at beside those who write -------------------------------------------------------------------------- */

int draft_open_pin(struct draft *d, uint32_t pin, struct err *e)
{
	HOLD(&d->lock);
	return draft_pin_dir(d, &d->pins[pin], e);
}

static int open_written(struct draft *d, struct draft_item *i, struct draft_written *out,
			struct err *e)
{
	CLEANUP(buf_release) struct buf path = {0};
	int r;

	if (!i->gone)
		staged_refusal(i, &out->refusal);
	if (!draft_is_variable(i) || i->gone)
		return 0;
	r = draft_path(i, &path);
	if (r == 0)
		r = full_names_key(d->base_names, d->object_based ? NAME_OBJECT : NAME_PLAIN,
				   bytes_of(path.p, path.n - strlen(".npy")), &out->key, e);
	if (r == 0)
		r = draft_item_open(d, i, e);
	if (r < 0)
		return r;
	out->fd = fcntl(i->staged->fd, F_DUPFD_CLOEXEC, 0);
	r = out->fd < 0 ? err_sys(e, -errno, "%s", i->name) : 0;
	if (!i->opens)
		closep(&i->staged->fd);
	return r;
}

int draft_open_written(struct draft *d, uint32_t index, struct draft_written *out, struct err *e)
{
	struct draft_item *i;
	int r = -ENODATA;

	*out = (struct draft_written){.fd = -1};
	draft_settle(d, index);
	HOLD(&d->lock);
	i = items_at(d, index);
	if (i && i->what == DRAFT_STAGED)
		r = open_written(d, i, out, e);
	return r;
}

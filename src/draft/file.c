#include "draft/file.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/lacks.h"
#include "draft/disk.h"
#include "draft/items.h"
#include "draft/seal.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

/* --- files of the draft's own ------------------------------------------------------------------------------ */

enum draft_where draft_where(const struct draft *d, const struct draft_item *i)
{
	if (i->lost)
		return WHERE_LOST;
	if (i->gone)
		return WHERE_NAMELESS;
	if (!d->ended && !i->left)
		return WHERE_DRAFT;
	if (d->born)
		return WHERE_OVER;
	return d->has_base && i->index < DRAFT_DYNAMIC ? WHERE_OVER : WHERE_NAMELESS;
}

int draft_check_place(const struct draft *d, const struct draft_item *i, struct err *e)
{
	switch (draft_where(d, i)) {
	case WHERE_DRAFT:
		return draft_check_open(d, e);
	case WHERE_NAMELESS:
		return 0;
	case WHERE_OVER:
		return -ESTALE;
	default:
		return err_set(
			e, -EIO,
			"%s: what is written to it now is lost, as the draft could not go on "
			"after its commit; open it again",
			i->name);
	}
}

int draft_need_file(struct draft *d, struct draft_item *i, struct err *e)
{
	struct staged *s = i->staged;
	CLEANUP(closep) int fd = -1;
	int r;

	if (s->fd >= 0)
		return 0;
	if (draft_where(d, i) != WHERE_DRAFT) { /* nobody finds it by a name */
		r = fd = io_nameless(d->top, e);
		s->ref_pin = r < 0 ? s->ref_pin : DRAFT_NONE;
	} else if (i->on_disk) {
		r = fd = disk_open(d, i, e);
	} else {
		r = fd = disk_new_file(d, s, e);
		if (r >= 0)
			r = disk_place_file(d, i, e);
	}
	if (r < 0)
		return r;
	s->fd = TAKE(fd, -1);
	i->on_disk = true;
	return 0;
}

void draft_note_published(struct draft *d)
{
	for (struct draft_item *i = d->root; i && (i = items_next(d->root, i));)
		if (i->staged && i->on_disk)
			i->staged->shared = true;
}

/* All of FROM into TO, its time too. */
static int copy_whole(int from, int to, const char *name, struct err *e)
{
	struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, {0}};
	struct stat st;
	int r = 0;

	if (fstat(from, &st) < 0)
		return err_sys(e, -errno, "%s", name);
	if (!io_clone(from, to))
		r = io_copy_range(from, 0, to, 0, (uint64_t)st.st_size, e);
	times[1] = st.st_mtim;
	if (r == 0 && futimens(to, times) < 0)
		r = err_sys(e, -errno, "%s", name);
	return r == 0 ? io_sync(to, name, e) : r; /* it may have been synced before */
}

int draft_make_private(struct draft *d, struct draft_item *i, bool empty, struct err *e)
{
	struct staged *s = i->staged;
	bool named = draft_where(d, i) == WHERE_DRAFT;
	CLEANUP(closep) int fd = -1;
	int r;

	if (!s->shared)
		return 0;
	r = fd = named ? disk_new_file(d, s, e) : io_nameless(d->top, e);
	if (r >= 0)
		r = empty ? 0 : copy_whole(s->fd, fd, i->name, e);
	if (r == 0 && named)
		r = disk_place_file(d, i, e);
	if (r == 0 && dup3(fd, s->fd, O_CLOEXEC) < 0) /* others may be reading from it */
		r = err_sys(e, -errno, "%s", i->name);
	s->shared = r < 0;
	return r;
}

int draft_keep_bytes(const struct draft *d, const struct draft_item *i, struct err *e)
{
	CLEANUP(closep) int fd = -1;
	struct stat st;
	int r;

	if (i->what != DRAFT_STAGED || i->staged->fd < 0 || !i->opens ||
	    !(lacks_at(d->top) & LACKS_NAMELESS))
		return 0;
	r = fd = io_nameless(d->top, e);
	if (r >= 0 && fstat(i->staged->fd, &st) < 0)
		r = err_sys(e, -errno, "%s", i->name);
	if (r >= 0)
		r = io_copy_range(i->staged->fd, 0, fd, 0, (uint64_t)st.st_size, e);
	if (r == 0 && dup3(fd, i->staged->fd, O_CLOEXEC) < 0)
		r = err_sys(e, -errno, "%s", i->name);
	return r;
}

void draft_keep_all_bytes(const struct draft *d)
{
	for (struct draft_item *i = d->root; i && (i = items_next(d->root, i));)
		draft_keep_bytes(d, i, NULL);
}

void draft_count_open(struct draft *d, struct draft_item *i, bool writing)
{
	i->refs++;
	i->opens++;
	i->writers += writing;
	d->writers += writing;
}

/* What has no name is no change of the draft. */
void draft_touched(struct draft *d, struct draft_item *i)
{
	i->staged->version++;
	i->staged->refusal.code = 0;
	i->staged->says_the_same = false;
	if (draft_where(d, i) == WHERE_DRAFT)
		items_changed(d);
}

/* --- stat -------------------------------------------------------------------------------------------------- */

static int stat_on_disk(struct draft *d, struct draft_item *i, struct stat *out, struct err *e)
{
	CLEANUP(closep) int dir = -1;

	if (i->staged->fd >= 0)
		return fstat(i->staged->fd, out) < 0 ? err_sys(e, -errno, "fstat") : 0;
	if (draft_where(d, i) != WHERE_DRAFT)
		return -ESTALE;
	dir = disk_folder(d, i->parent, false, e);
	if (dir < 0)
		return dir;
	return fstatat(dir, i->name, out, AT_SYMLINK_NOFOLLOW) < 0
		       ? err_sys(e, -errno, "%s", i->name)
		       : 0;
}

int draft_stat(struct draft *d, struct draft_item *i, struct stat *out, struct err *e)
{
	const struct staged *s = i->staged;
	int r = 0;

	if (i->on_disk) {
		r = stat_on_disk(d, i, out, e);
	} else {
		*out = (struct stat){.st_ino = (uintptr_t)s,
				     .st_size = s->ref_pin == DRAFT_NONE ? 0 : (off_t)s->ref_bytes};
		out->st_mtim = out->st_atim = out->st_ctim = s->mtime;
	}
	if (r < 0)
		return r;
	out->st_mode = S_IFREG | s->mode;
	out->st_uid = s->uid;
	out->st_gid = s->gid;
	out->st_nlink = !i->gone;
	return 0;
}

/* --- attributes -------------------------------------------------------------------------------------------- */

static int apply_attr(int fd, const struct staged *s, unsigned valid, struct err *e)
{
	const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, s->mtime};

	if (valid & (DRAFT_UID | DRAFT_GID) && fchown(fd, s->uid, s->gid) < 0)
		return err_sys(e, -errno, "fchown");
	if (valid & (DRAFT_MODE | DRAFT_UID | DRAFT_GID) && fchmod(fd, s->mode | 0600) < 0)
		return err_sys(e, -errno, "fchmod");
	if (valid & (DRAFT_MTIME | DRAFT_MTIME_NOW) && futimens(fd, times) < 0)
		return err_sys(e, -errno, "futimens");
	return 0;
}

/* What is set, in S. */
static void note_attr(struct staged *s, unsigned valid, const struct stat *st)
{
	if (valid & DRAFT_MODE)
		s->mode = st->st_mode & 0666;
	if (valid & DRAFT_UID)
		s->uid = st->st_uid;
	if (valid & DRAFT_GID)
		s->gid = st->st_gid;
	if (valid & DRAFT_MTIME)
		s->mtime = st->st_mtim;
	if (valid & DRAFT_MTIME_NOW)
		clock_gettime(CLOCK_REALTIME, &s->mtime);
}

int draft_set_attr(struct draft *d, uint32_t index, unsigned valid, const struct stat *st,
		   struct err *e)
{
	struct staged *s, old;
	struct draft_item *i;
	int r = 0;

	draft_settle(d, index);
	draft_lock_to_change(d);
	i = items_at(d, index);
	if (i && i->what == DRAFT_STAGED && draft_where(d, i) == WHERE_DRAFT) {
		s = i->staged;
		old = *s;
		note_attr(s, valid, st);
		if (i->on_disk) {
			r = draft_need_file(d, i, e);
			if (r == 0)
				r = draft_make_private(d, i, false, e);
			if (r == 0)
				r = apply_attr(s->fd, s, valid, e);
			if (r < 0) { /* all or nothing */
				s->mode = old.mode;
				s->uid = old.uid;
				s->gid = old.gid;
				s->mtime = old.mtime;
			}
			if (r < 0 && s->fd >= 0 && !s->shared)
				apply_attr(s->fd, s, valid, NULL);
			if (!i->opens)
				closep(&i->staged->fd);
		}
		items_changed(d);
	}
	pthread_mutex_unlock(&d->lock);
	return r;
}

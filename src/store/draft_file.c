/* src/store/draft_file.c: the bytes and attributes of items. */
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "base/io.h"
#include "format/dtype.h"
#include "store/draft.h"
#include "store/draft_disk.h"
#include "store/draft_items.h"
#include "store/draft_own.h"
#include "store/name.h"
#include "store/staged.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

/* --- files of the draft's own ------------------------------------------------------------------------------ */

/* Has I's file open. One that is not on disk yet is made. */
static int need_file(struct draft *d, struct draft_item *i, struct err *e)
{
	struct staged *s = i->staged;

	if (s->fd >= 0)
		return 0;
	if (!i->on_disk) {
		int fd = disk_new_file(d, s, e);
		int r = fd;

		if (fd >= 0 && !i->gone)
			r = disk_put_file(d, i, e);
		if (r < 0) {
			if (fd >= 0)
				close(fd);
			return r;
		}
		s->fd = fd;
		i->on_disk = true;
		return 0;
	}
	s->fd = disk_open(d, i, e);
	return s->fd < 0 ? s->fd : 0;
}

int draft_item_open(struct draft *d, struct draft_item *i, struct err *e)
{
	int r = draft_settle(d, i, e);

	return r == 0 ? need_file(d, i, e) : r;
}

static struct draft_owner owner_of(const struct step *s, const struct var *v)
{
	struct draft_owner o = {s->index.st_uid, s->index.st_gid, s->index.st_mode};

	if (v && v->kind != VAR_BAD && s->n_shards) {
		const struct shard *shard = &s->shards[v->shard];

		o = (struct draft_owner){shard->uid, shard->gid, shard->mode};
	}
	return o;
}

/* Makes I, a VAR or TEXT, an empty file of the draft's own. What it was on disk stays until there are bytes. */
static int empty_item(struct draft *d, struct draft_item *i, struct err *e)
{
	bool is_var = i->what == DRAFT_VAR;
	struct draft_owner owner = owner_of(d->pins[i->pin].step, is_var ? draft_var(d, i) : NULL);
	enum draft_what what = i->what;

	if (items_stage(i, &owner) < 0)
		return err_set(e, -ENOMEM, "no memory");
	if (is_var) {
		i->expect_pin = i->pin;
		i->expect_var = i->number;
	}
	/* A link in the tree goes when the file takes its place. */
	(void)what;
	i->on_disk = false;
	return 0;
}

enum { COPY_PIECE = 1 << 20 };

/* A variable whose bytes lie in one piece, into FD behind the header of its file F, which has N bytes: without reading them if
 * the filesystem can do that. They are verified before, so their checksum is known. */
static int copy_piece(struct pin *p, const struct var *v, struct file *f, size_t n, int fd,
		      struct staged *seq, struct err *e)
{
	CLEANUP(closep) int shard = step_open_shard(p->step, p->dirfd, v->shard, e);
	CLEANUP(freep) uint8_t *header = malloc(n);
	struct source src;
	int r = shard < 0 ? shard : source_of_fd(shard, &src, e);

	if (r == 0 && (!header || file_read(f, 0, n, header, e) < 0))
		r = err_set(e, -ENOMEM, "no memory");
	if (r == 0 && p->step->mode != VERIFY_OFF)
		r = verify_all(p->step, v, &src, e);
	/* A shard that is such a file itself, as commits make them, can be shared as a whole. */
	if (r == 0 && (v->off != n || src.size != v->off + v->size || !io_clone(shard, fd)))
		r = io_copy_range(shard, v->off, fd, n, v->size, e);
	if (r == 0)
		r = io_write_at(fd, bytes_of(header, n), 0, e);
	if (r < 0)
		return r;
	seq->seq_crc = crc32c_combine(crc32c(header, n), v->crc, v->size);
	seq->seq_end = n + v->size;
	return 0;
}

/* Any other; what is read is verified. */
static int copy_by_reading(struct file *f, int fd, struct staged *seq, struct err *e)
{
	CLEANUP(freep) uint8_t *piece = malloc(COPY_PIECE);
	uint64_t off = 0;
	int64_t n = 1;
	int r = piece ? 0 : err_set(e, -ENOMEM, "no memory");

	while (r == 0 && (n = file_read(f, off, COPY_PIECE, piece, e)) > 0) {
		r = io_write_at(fd, bytes_of(piece, (size_t)n), off, e);
		staged_saw(seq, piece, (size_t)n, off);
		off += (uint64_t)n;
	}
	return n < 0 ? (int)n : r;
}

/* The whole file of variable V into FD. SEQ gets its checksum. */
static int copy_file(struct pin *p, const struct var *v, int fd, struct staged *seq, struct err *e)
{
	bool one_piece = v->kind == VAR_WHOLE && p->step->place.format == STEP_V2 &&
			 dtype_info(v->dtype)->item && v->size;
	struct file *f;
	int r = file_open(p->step, v, p->dirfd, &f, e);

	if (r < 0)
		return r;
	r = one_piece ? copy_piece(p, v, f, file_size(p->step, v, p->dirfd) - v->size, fd, seq, e)
		      : copy_by_reading(f, fd, seq, e);
	file_close(f);
	return r;
}

/* Makes I, a VAR, a file of the draft's own with the same bytes. */
static int copy_up(struct draft *d, struct draft_item *i, struct err *e)
{
	const struct var *v = draft_var(d, i);
	struct draft_item trial = *i;
	struct draft_owner owner = owner_of(d->pins[i->pin].step, v);
	CLEANUP(closep) int fd = -1;
	int r;

	if (items_stage(&trial, &owner) < 0)
		return err_set(e, -ENOMEM, "no memory");
	r = fd = disk_new_file(d, trial.staged, e);
	if (r >= 0)
		r = copy_file(&d->pins[i->pin], v, fd, trial.staged, e);
	if (r == 0)
		r = disk_put_file(d, i, e);
	if (r < 0) {
		items_unstage(&trial);
		return err_wrap(e, r, "%s", i->name);
	}
	i->staged = trial.staged;
	i->staged->fd = TAKE(fd, -1);
	i->what = DRAFT_STAGED;
	i->on_disk = true;
	i->expect_pin = i->pin;
	i->expect_var = i->number;
	return 0;
}

/* What was being referred to in pieces becomes bytes: something else is wanted of it. */
int draft_settle(struct draft *d, struct draft_item *i, struct err *e)
{
	struct staged *s = i->staged;
	struct file *f;
	CLEANUP(freep) uint8_t *piece = NULL;
	struct pin *p;
	int64_t n = 0;
	int r;

	if (s->ref_pin == DRAFT_NONE)
		return 0;
	p = &d->pins[s->ref_pin];
	r = need_file(d, i, e);
	piece = malloc(COPY_PIECE);
	if (r == 0 && !piece)
		r = err_set(e, -ENOMEM, "no memory");
	if (r == 0)
		r = file_open(p->step, &p->step->vars[s->ref_number], p->dirfd, &f, e);
	if (r < 0)
		return r;
	for (uint64_t off = 0; r == 0 && off < s->ref_bytes; off += (uint64_t)n) {
		uint64_t left = s->ref_bytes - off;

		n = file_read(f, off, left < COPY_PIECE ? left : COPY_PIECE, piece, e);
		r = n <= 0 ? (int)(n ? n : -EIO)
			   : io_write_at(s->fd, bytes_of(piece, (size_t)n), off, e);
		if (r == 0)
			staged_saw(s, piece, (size_t)n, off);
	}
	file_close(f);
	if (r == 0)
		s->ref_pin = DRAFT_NONE;
	return r;
}

/* Has I as an open file of the draft's own, with what bytes it has. */
static int need_bytes(struct draft *d, struct draft_item *i, struct err *e)
{
	int r = 0;

	if (i->what == DRAFT_TEXT)
		return err_set(e, -EINVAL, "%s: can't be written in place; write it as a whole",
			       i->name);
	if (i->what == DRAFT_VAR)
		r = copy_up(d, i, e);
	if (r == 0)
		r = draft_settle(d, i, e);
	if (r == 0)
		r = need_file(d, i, e);
	return r;
}

static void touched(struct draft *d, struct draft_item *i)
{
	i->staged->version++;
	i->staged->refusal.code = 0;
	items_changed(d);
}

/* --- stat -------------------------------------------------------------------------------------------------- */

static int stat_on_disk(struct draft *d, struct draft_item *i, struct stat *out, struct err *e)
{
	CLEANUP(closep) int dir = -1;

	if (i->staged->fd >= 0)
		return fstat(i->staged->fd, out) < 0 ? err_sys(e, -errno, "fstat") : 0;
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

static int truncate_locked(struct draft *d, struct draft_item *i, uint64_t size, struct err *e)
{
	struct staged *s;
	int r = 0;

	if (i->what == DRAFT_DIR)
		return -EISDIR;
	if (i->what != DRAFT_STAGED && size == 0)
		r = empty_item(d, i, e);
	else if (i->what != DRAFT_STAGED || size)
		r = need_bytes(d, i, e);
	if (r < 0)
		return r;
	s = i->staged;
	s->ref_pin = DRAFT_NONE;
	if (i->on_disk) {
		r = need_file(d, i, e);
		if (r == 0)
			r = io_truncate(s->fd, size, e);
	}
	if (r < 0)
		return r;
	staged_cut(s, size);
	touched(d, i);
	return 0;
}

int draft_truncate(struct draft *d, struct draft_item *i, uint64_t size, struct err *e)
{
	int r;

	pthread_mutex_lock(&d->lock);
	r = draft_check_open(d, e);
	if (r == 0)
		r = truncate_locked(d, i, size, e);
	if (i->staged && !i->opens)
		closep(&i->staged->fd);
	pthread_mutex_unlock(&d->lock);
	return r;
}

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

int draft_set_attr(struct draft *d, struct draft_item *i, unsigned valid, const struct stat *st,
		   struct err *e)
{
	struct staged *s = i->staged;
	int r = 0;

	pthread_mutex_lock(&d->lock);
	if (i->what == DRAFT_STAGED) {
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
		if (i->on_disk) {
			r = need_file(d, i, e);
			if (r == 0)
				r = apply_attr(s->fd, s, valid, e);
			if (!i->opens)
				closep(&s->fd);
		}
		items_changed(d);
	}
	pthread_mutex_unlock(&d->lock);
	return r;
}

/* --- open files -------------------------------------------------------------------------------------------- */

int draft_open(struct draft *d, struct draft_item *i, bool writing, bool truncate, struct err *e)
{
	int r = 0;

	pthread_mutex_lock(&d->lock);
	if (i->what == DRAFT_DIR)
		r = -EISDIR;
	else if (writing || d->ended)
		r = draft_check_open(d, e);
	if (r == 0 && truncate)
		r = truncate_locked(d, i, 0, e);
	if (r == 0 && i->what == DRAFT_STAGED && i->on_disk)
		r = need_file(d, i, e);
	if (r == 0) {
		i->refs++;
		i->opens++;
		i->writers += writing;
		d->writers += writing;
	}
	pthread_mutex_unlock(&d->lock);
	return r;
}

/* What has no bytes when it is closed is an empty file after all. */
static void end_file(struct draft *d, struct draft_item *i)
{
	if (!i->gone && !d->ended && (draft_settle(d, i, NULL) < 0 || need_file(d, i, NULL) < 0))
		return;
	if (!i->opens)
		closep(&i->staged->fd);
}

void draft_close(struct draft *d, struct draft_item *i, bool writing)
{
	pthread_mutex_lock(&d->lock);
	i->opens--;
	i->writers -= writing;
	d->writers -= writing;
	if (!d->writers)
		pthread_cond_broadcast(&d->settled);
	if (writing) {
		struct timespec now;

		clock_gettime(CLOCK_MONOTONIC, &now);
		d->changed_at = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	}
	if (i->staged && !i->opens)
		end_file(d, i);
	draft_item_put(d, i);
	pthread_mutex_unlock(&d->lock);
}

int64_t draft_read(struct draft *d, struct draft_item *i, const struct file *base, uint64_t off,
		   size_t len, uint8_t *dst, struct err *e)
{
	int fd = -1, r = 0;
	bool own;
	ssize_t n;

	pthread_mutex_lock(&d->lock);
	own = i->what == DRAFT_STAGED || !base;
	if (i->what == DRAFT_STAGED) {
		r = draft_settle(d, i, e);
		if (r == 0 && i->on_disk)
			r = need_file(d, i, e);
		fd = i->staged->fd; /* stays open as long as somebody has the item open */
	}
	pthread_mutex_unlock(&d->lock);
	if (r < 0)
		return r;
	if (!own)
		return file_read(base, off, len, dst, e);
	if (fd < 0)
		return 0;
	n = pread(fd, dst, len, (off_t)off);
	return n < 0 ? err_sys(e, -errno, "pread") : n;
}

/* Before bytes of I change; its descriptor. */
static int begin_change(struct draft *d, struct draft_item *i, struct err *e)
{
	int r;

	pthread_mutex_lock(&d->lock);
	r = i->what == DRAFT_DIR ? -EISDIR
	    : d->published       ? draft_check_open(d, e)
				 : need_bytes(d, i, e);
	if (r == 0) {
		touched(d, i);
		d->in_flight++;
		r = i->staged->fd;
	}
	pthread_mutex_unlock(&d->lock);
	return r;
}

/* They have changed: what was read before that is not what is there now. */
static void end_change(struct draft *d, struct draft_item *i)
{
	pthread_mutex_lock(&d->lock);
	touched(d, i);
	if (--d->in_flight == 0)
		pthread_cond_broadcast(&d->settled);
	pthread_mutex_unlock(&d->lock);
}

/* close(2) does not wait for the kernel to say that a file is closed; a moment later it has. */
enum { PATIENCE_MS = 20 };

static void await_closing(struct draft *d)
{
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += PATIENCE_MS * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	while (d->writers && r == 0)
		r = pthread_cond_timedwait(&d->settled, &d->lock, &until);
}

void draft_settle_writes(struct draft *d)
{
	await_closing(d);
	while (d->in_flight)
		pthread_cond_wait(&d->settled, &d->lock);
}

int draft_write(struct draft *d, struct draft_item *i, struct bytes b, uint64_t off, struct err *e)
{
	int fd = begin_change(d, i, e), r;

	if (fd < 0)
		return fd;
	r = io_write_at(fd, b, off, e);
	if (r == 0)
		staged_saw(i->staged, b.p, b.n, off);
	else
		staged_cut(i->staged, 1);
	end_change(d, i);
	return r;
}

int draft_allocate(struct draft *d, struct draft_item *i, int mode, uint64_t off, uint64_t len,
		   struct err *e)
{
	int fd = begin_change(d, i, e), r;

	if (fd < 0)
		return fd;
	staged_cut(i->staged, 1);
	r = fallocate(fd, mode, (off_t)off, (off_t)len) < 0 ? err_sys(e, -errno, "fallocate") : 0;
	end_change(d, i);
	return r;
}

int draft_check(struct draft *d, struct draft_item *i, bool not_yet, struct err *e)
{
	int r = 0;

	pthread_mutex_lock(&d->lock);
	if (i->what == DRAFT_STAGED && !i->gone && !d->ended &&
	    (draft_is_variable(i) || staged_is_meta(i))) {
		r = draft_settle(d, i, e);
		if (r == 0)
			r = need_file(d, i, e);
		if (r == 0)
			r = staged_check(d, i, not_yet, e);
	}
	pthread_mutex_unlock(&d->lock);
	return r;
}

int draft_sync(struct draft *d, struct draft_item *i, struct err *e)
{
	int fd = -1, r = 0;

	pthread_mutex_lock(&d->lock);
	if (i->what == DRAFT_STAGED) {
		r = draft_settle(d, i, e);
		if (r == 0)
			r = need_file(d, i, e);
		fd = i->staged->fd;
	}
	pthread_mutex_unlock(&d->lock);
	if (r < 0 || fd < 0)
		return r;
	r = io_sync(fd, i->name, e);
	if (r == 0) { /* and its name */
		CLEANUP(closep) int dir = -1;

		pthread_mutex_lock(&d->lock);
		dir = i->parent ? disk_folder(d, i->parent, false, e) : -1;
		pthread_mutex_unlock(&d->lock);
		r = dir < 0 ? 0 : io_sync(dir, ".", e);
	}
	return r;
}

/* --- references -------------------------------------------------------------------------------------------- */

/* All of FROM was copied: I becomes what it is. */
static int end_reference(struct draft *d, struct draft_item *i, struct err *e)
{
	struct staged *s = i->staged;
	struct draft_item link = *i;
	CLEANUP(closep) int dir = -1;
	struct stat st;
	int r;

	link.what = s->ref_what;
	link.pin = s->ref_pin;
	link.number = s->ref_number;
	if (s->ref_what == DRAFT_VAR) {
		r = staged_fits(d, draft_var(d, &link), d->pins[link.pin].step, i, e);
		if (r < 0)
			return r;
	}
	dir = disk_folder(d, i->parent, true, e);
	if (dir < 0)
		return dir;
	link.on_disk = fstatat(dir, i->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	r = disk_put_link(d, &link, e);
	if (r < 0)
		return r;
	items_unstage(i);
	i->what = link.what;
	i->pin = link.pin;
	i->number = link.number;
	i->on_disk = true;
	if (i->what == DRAFT_VAR)
		i->own_name = draft_has_own_name(d, i);
	return 0;
}

static bool is_fresh(const struct draft_item *i)
{
	return i->what == DRAFT_STAGED && !i->on_disk && !i->gone && i->staged->fd < 0;
}

/* Only a name that a variable, or that text, may have. */
static bool is_for(const struct draft_item *i, const struct draft_source *from)
{
	if (from->what == DRAFT_TEXT)
		return !i->parent->parent && text_kind_of(i->name) == from->number;
	return bytes_ends(bytes_str(i->name), bytes_str(".npy"));
}

static int64_t refer_locked(struct draft *d, struct draft_item *i, const struct draft_source *from,
			    uint64_t off, uint64_t len, struct err *e)
{
	struct staged *s = i->staged;
	int pin, r;

	if (!is_fresh(i) || !is_for(i, from) || off >= from->size)
		return 0;
	if (off != s->ref_bytes && (off || s->ref_pin != DRAFT_NONE))
		return 0;
	pin = draft_pin(d, from->step, from->dirfd, e);
	if (pin < 0) /* to be copied by bytes, then */
		return pin == -EXDEV || pin == -EMLINK ? 0 : pin;
	if (off && (s->ref_pin != (uint32_t)pin || s->ref_number != from->number))
		return 0;
	len = len < from->size - off ? len : from->size - off;
	s->ref_pin = (uint32_t)pin;
	s->ref_number = from->number;
	s->ref_what = from->what;
	s->ref_bytes = off + len;
	if (from->what == DRAFT_TEXT && s->ref_bytes != from->size) {
		s->ref_pin = DRAFT_NONE; /* a part of a text is no reference */
		s->ref_bytes = 0;
		return 0;
	}
	touched(d, i);
	r = s->ref_bytes == from->size ? end_reference(d, i, e) : 0;
	if (r < 0) {
		s->ref_pin = DRAFT_NONE;
		return r;
	}
	return (int64_t)len;
}

int64_t draft_refer(struct draft *d, struct draft_item *i, const struct draft_source *from,
		    uint64_t off, uint64_t len, struct err *e)
{
	int64_t r;

	pthread_mutex_lock(&d->lock);
	r = draft_check_open(d, e);
	if (r == 0)
		r = refer_locked(d, i, from, off, len, e);
	pthread_mutex_unlock(&d->lock);
	return r;
}

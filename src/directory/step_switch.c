#include "directory/step_switch.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/io.h"
#include "directory/file_stamp.h"
#include "directory/listing.h"
#include "directory/placed.h"
#include "directory/step_files.h"
#include <fcntl.h>
#include <stdlib.h>

#define RECORD ".ckptfs/switching"

/* The record while it is made, and while it is removed. */
#define UNMADE ".ckptfs/switching.new"

#define FOLDER ".ckptfs/new-shards"

/* In the record. */
#define INDEX   "index"
#define SWAPPED "swapped"
#define OLD     "old"
#define NEW     "new"

int step_switch_end(int top, struct err *e)
{
	return io_remove_all(top, FOLDER, e);
}

/* Makes the folder NAME in FD, and opens it. */
static int make_folder(int fd, const char *name, struct err *e)
{
	int r = io_make_folder(fd, name, 0777, e);

	return r < 0 ? r : dir_fd(fd, name, e);
}

int step_switch_begin(int top, struct err *e)
{
	int r = step_switch_end(top, e);

	return r < 0 ? r : make_folder(top, FOLDER, e);
}

/* --- the number of shards ------------------------------------------------------------------------------------ */

static bool is_among(const struct buf *counts, uint32_t n)
{
	const uint32_t *all = (const uint32_t *)counts->p;

	for (size_t i = 0; i < counts->n / sizeof *all; i++)
		if (all[i] == n)
			return true;
	return false;
}

int64_t step_switch_count(int top, const char *prefix, uint32_t n, struct err *e)
{
	CLEANUP(buf_release) struct buf counts = {0};
	CLEANUP(dir_closep) DIR *s = dir_open(top, ".");
	const struct dirent *de;
	int r = s ? 0 : -errno;

	while (r == 0 && (de = dir_read(s, &r))) {
		size_t length;
		uint32_t of;

		if (name_is_data_of(de->d_name, prefix) && name_is_data(de->d_name, &length, &of) &&
		    !is_among(&counts, of))
			r = buf_add(&counts, &of, sizeof of);
	}
	while (is_among(&counts, n))
		n++;
	return r < 0 ? err_sys(e, r, "the checkpoint directory") : (int64_t)n;
}

/* --- the record ---------------------------------------------------------------------------------------------- */

/* Makes a stamp of FILE in DIRFD, which is to be the one with ID, as STAMP in STAMPS. */
static int stamp(int dirfd, const char *file, const struct file_id *id, int stamps,
		 const char *name, struct err *e)
{
	struct file_id now;
	int r = file_stamp_make(dirfd, file, stamps, name, e);

	if (r == 0)
		r = file_id_at(dirfd, file, &now, e);
	if (r == -ENOENT || (r == 0 && !file_id_eq(&now, id)))
		r = err_set(e, -ESTALE, "%s: was replaced meanwhile", file);
	return r;
}

static int shard_name(const struct step *s, uint32_t number, uint32_t of, struct buf *out,
		      struct err *e)
{
	out->n = 0;
	return step_shard_name(&s->place, number, of, out) < 0 ? err_set(e, -ENOMEM, "no memory")
							       : 0;
}

static int stamp_old(const struct step_switch *w, int fd, struct err *e)
{
	CLEANUP(closep) int old = make_folder(fd, OLD, e);
	CLEANUP(buf_release) struct buf name = {0};
	const struct step *s = w->step;
	int r = old < 0 ? old : stamp(w->top, s->place.file, &s->id, old, s->place.file, e);

	for (uint32_t i = 0; i < s->n_shards && r == 0; i++) {
		r = shard_name(s, s->shards[i].number, s->num_shards, &name, e);
		if (r == 0)
			r = stamp(w->top, (char *)name.p, &s->shards[i].id, old, (char *)name.p, e);
	}
	return r < 0 ? r : io_sync(old, OLD, e);
}

static int stamp_new(const struct step_switch *w, int fd, struct err *e)
{
	CLEANUP(closep) int new = make_folder(fd, NEW, e);
	CLEANUP(buf_release) struct buf name = {0};
	int r = new < 0 ? new : 0;

	for (uint32_t i = 0; i < w->n && r == 0; i++) {
		r = shard_name(w->step, i, w->num_shards, &name, e);
		if (r == 0)
			r = stamp(w->from, w->shards[i].name, &w->shards[i].id, new, (char *)name.p,
				  e);
	}
	return r < 0 ? r : io_sync(new, NEW, e);
}

static int sync_own(int top, struct err *e)
{
	CLEANUP(closep) int own = dir_fd(top, ".ckptfs", e);

	return own < 0 ? own : io_sync(own, ".ckptfs", e);
}

/* The record, whole; its descriptor. */
static int make_record(const struct step_switch *w, struct err *e)
{
	CLEANUP(closep) int fd = -1;
	int r = io_remove_all(w->top, UNMADE, e);

	if (r == 0)
		r = fd = make_folder(w->top, UNMADE, e);
	if (r >= 0)
		r = stamp_old(w, fd, e);
	if (r == 0)
		r = stamp_new(w, fd, e);
	if (r == 0)
		r = step_link_make(w->step->place.name, fd, "step", e);
	if (r == 0)
		r = io_link(w->from, w->index, fd, INDEX, e);
	if (r == 0)
		r = io_link(w->from, w->index, fd, SWAPPED, e);
	if (r == 0)
		r = io_sync(fd, UNMADE, e);
	if (r == 0)
		r = io_move_new(w->top, UNMADE, w->top, RECORD, e);
	if (r == 0)
		r = sync_own(w->top, e);
	return r < 0 ? r : TAKE(fd, -1);
}

/* Renames it first: half of one must not be found. */
static int remove_record(int top, struct err *e)
{
	int r = io_move(top, RECORD, top, UNMADE, e);

	return r < 0 ? r : io_remove_all(top, UNMADE, e);
}

/* --- the end of it ------------------------------------------------------------------------------------------- */

/* Removes from TOP what the stamps in the folder STAMPS of the record FD fit, but for KEEP. */
static int remove_stamped(int top, int fd, const char *stamps, const char *keep, struct err *e)
{
	CLEANUP(dir_closep) DIR *s = dir_open(fd, stamps);
	const struct dirent *de;
	int r = s ? 0 : err_sys(e, -errno, "%s", stamps);

	while (s && r >= 0 && (de = dir_read(s, &r)))
		if (strcmp(de->d_name, keep) != 0)
			r = placed_remove_stamped(top, de->d_name, dirfd(s), de->d_name, false, e);
	return r < 0 ? r : io_sync(top, "the checkpoint directory", e);
}

/* Is the new index in the place of the old one, which FILE is? 1, 0, or why that can't be known. */
static int is_exchanged(int top, int fd, const char *file, struct err *e)
{
	struct stat ours, there;

	if (fstatat(fd, INDEX, &ours, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, -errno, INDEX);
	if (fstatat(top, file, &there, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, -errno, "%s", file);
	return ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

/* Has a trainer saved there before the exchange, so that its index is in the record now? */
static int is_others(int fd, const char *file, struct err *e)
{
	CLEANUP(closep) int old = dir_fd(fd, OLD, e);
	int r = old < 0 ? old : file_stamp_fits(old, file, fd, SWAPPED, e);

	if (r == 0 && faccessat(fd, SWAPPED, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(e, -errno, SWAPPED); /* it was replaced */
	return r < 0 ? r : !r;
}

/* The new index is there: the old files go, or the exchange is undone. 1: the step has the new files; 0: the old ones. */
static int end_exchanged(int top, int fd, const char *file, struct err *e)
{
	int r = is_others(fd, file, e);

	if (r == 1) {
		r = io_exchange(fd, SWAPPED, top, file, e);
		if (r == 0)
			r = remove_stamped(top, fd, NEW, "", e);
		return r;
	}
	if (r == 0)
		r = io_sync(top, "the checkpoint directory", e);
	if (r == 0)
		r = remove_stamped(top, fd, OLD, file, e);
	return r < 0 ? r : 1;
}

/* As end_exchanged, whatever was done. The record goes. */
static int end(int top, int fd, const char *file, struct err *e)
{
	int r = is_exchanged(top, fd, file, e), removed;

	if (r == 1)
		r = end_exchanged(top, fd, file, e);
	else if (r == 0)
		r = remove_stamped(top, fd, NEW, "", e);
	if (r < 0)
		return r;
	removed = remove_record(top, e);
	return removed < 0 ? removed : r;
}

int step_switch_resume(int top, struct buf *done, struct err *e)
{
	CLEANUP(closep) int fd = dir_fd(top, RECORD, NULL);
	CLEANUP(buf_release) struct buf file = {0};
	char prefix[NAME_MAX + 1];
	int r = io_remove_all(top, UNMADE, e);

	if (r == 0)
		r = step_switch_end(top, e);
	if (r < 0 || fd == -ENOENT)
		return r;
	if (fd < 0)
		return err_sys(e, fd, RECORD);
	r = step_link_read(fd, "step", prefix);
	if (r < 0)
		return err_sys(e, r, RECORD "/step");
	if (step_index_name(prefix, &file) < 0)
		return err_set(e, -ENOMEM, "no memory");
	r = end(top, fd, (char *)file.p, e);
	if (r < 0)
		return err_wrap(e, r, "%s", prefix);
	if (buf_printf(done, "%s: that it shares its shards with other steps is %s", prefix,
		       r ? "finished" : "taken back") < 0 ||
	    buf_add_byte(done, 0) < 0)
		return err_set(e, -ENOMEM, "no memory");
	return 0;
}

/* --- all of it ----------------------------------------------------------------------------------------------- */

static int link_new(const struct step_switch *w, struct err *e)
{
	CLEANUP(buf_release) struct buf name = {0};
	struct file_id now;
	int r = 0;

	for (uint32_t i = 0; i < w->n && r == 0; i++) {
		r = shard_name(w->step, i, w->num_shards, &name, e);
		if (r == 0)
			r = io_link(w->from, w->shards[i].name, w->top, (char *)name.p, e);
		if (r == 0)
			r = file_id_at(w->top, (char *)name.p, &now, e);
		if (r == 0 && !file_id_eq(&now, &w->shards[i].id))
			r = err_set(e, -ESTALE, "%s: was replaced meanwhile", (char *)name.p);
	}
	return r < 0 ? r : io_sync(w->top, "the checkpoint directory", e);
}

/* Where files can't be exchanged the old index is looked at before, and replaced. */
static int exchange(const struct step_switch *w, int fd, struct err *e)
{
	const char *file = w->step->place.file;
	struct file_id now;
	int r = io_exchange(fd, SWAPPED, w->top, file, e);

	if (r != -EINVAL && r != -ENOSYS)
		return r;
	r = file_id_at(w->top, file, &now, e);
	if (r == 0 && !file_id_eq(&now, &w->step->id))
		r = err_set(e, -ESTALE, "%s: was replaced meanwhile", file);
	return r < 0 ? r : io_move(fd, SWAPPED, w->top, file, e);
}

int step_switch(const struct step_switch *w, struct err *e)
{
	CLEANUP(closep) int fd = make_record(w, e);
	int r = fd < 0 ? fd : link_new(w, e), ended;

	if (fd < 0) {
		io_remove_all(w->top, UNMADE, NULL);
		return r;
	}
	if (r == 0)
		r = exchange(w, fd, e);
	ended = end(w->top, fd, w->step->place.file, r < 0 ? NULL : e);
	if (r < 0 || ended < 0)
		return r < 0 ? r : ended;
	return ended ? 0
		     : err_set(e, -ESTALE, "%s: was saved again meanwhile", w->step->place.file);
}

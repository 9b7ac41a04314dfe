#include "draft/pin.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "directory/file_stamp.h"
#include "directory/listing.h"
#include "directory/placed.h"
#include "message/state.h"
#include "step/name.h"
#include "step/sidecar.h"
#include <fcntl.h>
#include <stdio.h>

/* From `steps` in .ckptfs/drafts/NAME. */
#define TO_DIRECTORY "../../../.."

/* The folder as it is filled. */
#define UNFINISHED ".unfinished"

/* A copy of the index. By its name no listing takes it for a step. */
#define COPY "index.tempstate0"

/* Traces of the steps that are not held. */
#define IDS ".ids"

void pin_release(struct pin *p)
{
	free(p->name);
	step_unref(p->step);
	step_unref(p->incomplete);
	*p = (struct pin){0};
}

/* The one place that the link of a loose pin leads to is opened without following it: nobody can change it meanwhile. */
int pin_dir(int steps_fd, const char *name, struct err *e)
{
	char target[sizeof TO_DIRECTORY];
	bool loose;
	ssize_t n;
	int fd;

	if (strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return err_set(e, -EUCLEAN, "%s: is no name of a pinned step", name);
	n = io_read_link(steps_fd, name, target, sizeof target);
	loose = n == (ssize_t)strlen(TO_DIRECTORY) && !memcmp(target, TO_DIRECTORY, (size_t)n);
	if (n < 0 && n != -EINVAL) /* EINVAL: it is no link */
		return err_sys(e, (int)n, "%s", name);
	if (n >= 0 && !loose)
		return err_set(e, -EUCLEAN, "%s: leads elsewhere than to " TO_DIRECTORY, name);
	fd = openat(steps_fd, loose ? TO_DIRECTORY : name,
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? err_sys(e, -errno, "%s", name) : fd;
}

/* --- making ------------------------------------------------------------------------------------------------ */

/* The id of FILE in DIRFD, or of what it leads to. */
static int look_at(int dirfd, const char *file, struct file_id *out, struct err *e)
{
	struct stat st;

	if (fstatat(dirfd, file, &st, 0) < 0)
		return err_sys(e, -errno, "%s", file);
	*out = file_id_of(&st);
	return 0;
}

/* -ESTALE: FILE of DIRFD is not the one with ID. */
static int check_file(int dirfd, const char *file, const struct file_id *id, struct err *e)
{
	struct file_id now;
	int r = look_at(dirfd, file, &now, e);

	if (r < 0)
		return r == -ENOENT ? err_set(e, -ESTALE, "%s: is gone", file) : r;
	return file_id_eq(&now, id) ? 0
				    : err_set(e, -ESTALE, "%s: is not the file that it was", file);
}

/* One more name for FILE of FROM, which must be the one with ID. */
static int hold_file(int from, const char *file, const struct file_id *id, int to, struct err *e)
{
	int r = io_link_target(from, file, to, file, e);

	if (r == -ENOENT)
		return err_set(e, -ESTALE, "%s: is gone", file);
	return r < 0 ? r : check_file(to, file, id, e);
}

/* What is not there is not held, nor a link that leads nowhere. */
static int hold_sidecars(const struct step *s, int from, const char *meta, int to, struct err *e)
{
	int r = 0;

	for (enum text_kind kind = 0; kind < N_TEXTS && r == 0; kind++) {
		CLEANUP(buf_release) struct buf name = {0};

		if (!text_sidecar(kind, meta))
			continue;
		if (sidecar_name(&s->place, text_sidecar(kind, meta), &name) < 0)
			return err_set(e, -ENOMEM, "no memory");
		r = io_link_target(from, (char *)name.p, to, (char *)name.p, e);
		r = r == -ENOENT || r == -ELOOP || r == -ENOTDIR ? 0 : r;
	}
	return r;
}

static int hold_shards(const struct step *s, int from, int to, struct err *e)
{
	int r = 0;

	for (uint32_t i = 0; i < s->n_shards && r == 0; i++) {
		CLEANUP(buf_release) struct buf file = {0};

		if (s->shards[i].status < 0)
			continue;
		if (step_shard_name(&s->place, s->shards[i].number, s->num_shards, &file) < 0)
			return err_set(e, -ENOMEM, "no memory");
		r = hold_file(from, (char *)file.p, &s->shards[i].id, to, e);
	}
	return r;
}

/* Sidecars have no id in the step: they belong to it if it is still there when they were held, for they are
 * written after it. */
static int check_same(const struct step *s, int from, struct err *e)
{
	return check_file(from, s->place.file, &s->id, e);
}

/* tf.train.Checkpoint writes the index in place, so a link to it holds nothing. */
static int copy_index(int dir, const char *file, const struct file_id *id, struct err *e)
{
	CLEANUP(closep) int fd = placed_open(dir, file, id, e);

	return fd < 0 ? fd : io_copy(fd, dir, COPY, e);
}

static int hold_all(const struct step *s, int from, const char *meta, int to, struct err *e)
{
	int r = s->place.format == STEP_V2 ? hold_file(from, s->place.file, &s->id, to, e) : 0;

	if (r == 0 && s->place.format == STEP_V2)
		r = copy_index(to, s->place.file, &s->id, e);
	if (r == 0)
		r = hold_shards(s, from, to, e);
	if (r == 0)
		r = hold_sidecars(s, from, meta, to, e);
	return r == 0 ? check_same(s, from, e) : r;
}

/* Fills the folder NAME; it is there when it is whole. */
static int hold(int steps_fd, const char *name, const struct step *s, int from, const char *meta,
		struct err *e)
{
	CLEANUP(closep) int fd = -1;
	int r = io_remove_all(steps_fd, UNFINISHED, e);

	if (r == 0)
		r = io_make_folder(steps_fd, UNFINISHED, 0777, e);
	if (r == 0)
		r = fd = pin_dir(steps_fd, UNFINISHED, e);
	if (r >= 0)
		r = hold_all(s, from, meta, fd, e);
	if (r == 0)
		r = io_move(steps_fd, UNFINISHED, steps_fd, name, e);
	if (r < 0)
		io_remove_all(steps_fd, UNFINISHED, NULL);
	return r;
}

/* 1, 0, or why that can't be known. */
static int is_same_folder(int a, int b, struct err *e)
{
	struct stat x, y;

	if (fstat(a, &x) < 0 || fstat(b, &y) < 0)
		return err_sys(e, -errno, "the checkpoint directory");
	return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* A name that no other pin has: that of the step, or with "~2" and so on behind it. */
static int choose_name(int steps_fd, const struct step *s, struct buf *name, struct err *e)
{
	struct stat st;
	int r = 0;

	for (unsigned i = 1; r == 0; i++) {
		name->n = 0;
		r = name_from_entry(bytes_str(s->place.name), false, name);
		if (r == 0 && i > 1)
			r = buf_printf(name, "~%u", i);
		if (r == 0)
			r = buf_add_byte(name, 0);
		if (r == 0 && fstatat(steps_fd, (char *)name->p, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return 0;
	}
	return err_sys(e, r, "%s", s->place.name);
}

static struct file_id sidecar_id(const struct step *s, int dirfd, const char *suffix)
{
	CLEANUP(buf_release) struct buf name = {0};
	struct file_id id = {0};

	if (sidecar_name(&s->place, suffix, &name) == 0)
		look_at(dirfd, (char *)name.p, &id, NULL);
	return id;
}

bool pin_is_of(const struct pin *p, const struct step *s)
{
	return p->step == s || (file_id_eq(&p->step->id, &s->id) && p->step->n_vars == s->n_vars &&
				!strcmp(p->step->place.name, s->place.name));
}

static void note_sidecars(struct pin *p, int dir, const char *meta)
{
	p->loose = true;
	for (enum text_kind kind = 0; kind < N_TEXTS; kind++)
		if (text_sidecar(kind, meta))
			p->sidecars[kind] = sidecar_id(p->step, dir, text_sidecar(kind, meta));
}

/* The stamp first: a loose pin without one is of an earlier version. */
static int make_loose(int steps_fd, int top, const struct step *s, const char *name, struct err *e)
{
	CLEANUP(closep) int ids = -1;
	int r = io_make_folder(steps_fd, IDS, 0777, e);

	if (r == 0 || r == -EEXIST)
		r = ids = pin_dir(steps_fd, IDS, e);
	if (r >= 0)
		r = io_remove_all(ids, name, e);
	if (r == 0)
		r = file_stamp_make_target(top, s->place.file, ids, name, e);
	return r < 0 ? r : io_make_link(TO_DIRECTORY, steps_fd, name, e);
}

int pin_make(int steps_fd, int top, struct step *s, int from, const char *meta, struct pin *out,
	     struct err *e)
{
	CLEANUP(buf_release) struct buf name = {0};
	CLEANUP(closep) int fd = -1;
	bool loose = false;
	int r = choose_name(steps_fd, s, &name, e);

	if (r == 0)
		r = hold(steps_fd, (char *)name.p, s, from, meta, e);
	if (io_needs_copy(r)) {
		int here = is_same_folder(from, top, e);

		loose = here == 1;
		if (here != 0)
			r = loose ? make_loose(steps_fd, top, s, (char *)name.p, e) : here;
	}
	if (io_needs_copy(r))
		return err_set(e, -EXDEV, "%s: no hard links to its files", s->place.name);
	if (r < 0)
		return r;
	r = fd = pin_dir(steps_fd, (char *)name.p, e);
	*out = (struct pin){.step = s};
	if (r >= 0 && loose) {
		note_sidecars(out, fd, meta);
		r = check_same(s, fd, e);
	}
	if (r < 0) {
		*out = (struct pin){0};
		io_remove_all(steps_fd, (char *)name.p, NULL);
		return r;
	}
	step_ref(s);
	out->name = (char *)TAKE(name, (struct buf){0}).p;
	return 0;
}

static bool is_same_file(int a, int b, const char *name)
{
	struct stat x, y;

	return fstatat(a, name, &x, 0) == 0 && fstatat(b, name, &y, 0) == 0 &&
	       x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* 1: some were missing, and all of them are there now. */
static int hold_missing(const struct pin *p, int dir, int top, struct err *e)
{
	const struct step *s = p->step;
	int r = 0, missing = 0;

	for (uint32_t i = 0; i < s->n_shards && r == 0; i++) {
		CLEANUP(buf_release) struct buf file = {0};

		if (s->shards[i].status == 0)
			continue;
		missing = 1;
		if (step_shard_name(&s->place, s->shards[i].number, s->num_shards, &file) < 0)
			return err_set(e, -ENOMEM, "no memory");
		r = io_link_target(top, (char *)file.p, dir, (char *)file.p, NULL);
		r = r == -EEXIST ? 0 : r;
	}
	return r == 0 ? missing : 0;
}

int pin_complete(struct pin *p, int dir, int top, enum verify_mode mode, struct err *e)
{
	struct step *s;
	int r;

	if (p->incomplete || p->step->place.format != STEP_V2 ||
	    !is_same_file(top, dir, p->step->place.file))
		return 0;
	r = hold_missing(p, dir, top, e);
	if (r != 1)
		return r;
	r = step_open(dir, &p->step->place, mode, &s, e);
	if (r < 0)
		return r;
	if (!file_id_eq(&s->id, &p->step->id)) {
		step_unref(s);
		return err_set(e, -ESTALE, "%s: was replaced", p->step->place.file);
	}
	p->incomplete = p->step; /* somebody may be reading from it */
	p->step = s;
	return 0;
}

/* --- opening ----------------------------------------------------------------------------------------------- */

/* The step that was pinned under the first N bytes of NAME. */
static const struct listed *find_named(const struct listing *l, const char *name, size_t n)
{
	CLEANUP(buf_release) struct buf entry = {0};
	bool clash;

	if (name_to_entry(bytes_of(name, n), &entry, &clash) < 0 || buf_add_byte(&entry, 0) < 0)
		return NULL;
	return listing_find(l, LISTED_STEP, (char *)entry.p);
}

/* The step in the folder of a pin. A loose one has the whole checkpoint directory: there it is the step of its name, or of
 * what choose_name has put "~2" behind. */
static const struct listed *find_step(const struct listing *l, const char *name, bool loose)
{
	const struct listed *step = find_named(l, name, strlen(name));
	const char *tilde = strrchr(name, '~');

	if (!step && loose && tilde)
		step = find_named(l, name, (size_t)(tilde - name));
	for (uint32_t i = 0; i < l->n && !step && !loose; i++)
		if (l->items[i].kind == LISTED_STEP)
			step = &l->items[i];
	return step;
}

/* -ESTALE if the loose pin NAME does not lead to the step any more that it is of. */
static int check_stamp(int steps_fd, const char *name, int dirfd, const char *file, struct err *e)
{
	CLEANUP(closep) int ids = pin_dir(steps_fd, IDS, NULL);
	struct stat st;
	int r;

	if (ids < 0 || fstatat(ids, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 1 : err_sys(e, -errno, IDS);
	r = file_stamp_fits_target(ids, name, dirfd, file, e);
	return r == 0 ? err_set(e, -ESTALE, "%s: was replaced, and could not be held by hard links",
				file)
		      : r;
}

static bool is_link(int dirfd, const char *name)
{
	char target[1];

	return io_read_link(dirfd, name, target, sizeof target) > 0;
}

/* What was written to the index since, is not: the copy takes its place. */
static int mend_index(int dir, const char *file, struct err *e)
{
	CLEANUP(closep) int copy = -1, fd = -1;
	struct source want, have;
	int r = copy = source_open(dir, COPY, &want, NULL);

	if (r < 0)
		return r == -ENOENT ? 0 : err_sys(e, r, COPY);
	r = fd = source_open(dir, file, &have, e);
	if (r >= 0)
		r = source_same(&want, &have, e);
	if (r != 0)
		return r < 0 ? r : 0;
	return io_move(dir, COPY, dir, file, e);
}

int pin_open_index(const struct pin *p, int dir, struct file_id *id, struct err *e)
{
	int fd = p->loose ? -1 : openat(dir, COPY, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	*id = p->step->id;
	if (fd < 0)
		return placed_open(dir, p->step->place.file, id, e);
	if (fstat(fd, &st) < 0)
		return closep(&fd), err_sys(e, -errno, COPY);
	*id = file_id_of(&st);
	return fd;
}

int pin_open(int steps_fd, const char *name, const char *meta, enum verify_mode mode,
	     struct pin *out, struct err *e)
{
	CLEANUP(listing_release) struct listing l = {0};
	CLEANUP(closep) int fd = pin_dir(steps_fd, name, e);
	CLEANUP(freep) char *copy = strdup(name);
	bool loose = is_link(steps_fd, name);
	const struct listed *item;
	struct step *step;
	int r = fd < 0 ? fd : listing_read(fd, STATE_NAME, &l, e);

	if (r < 0)
		return r;
	item = find_step(&l, name, loose);
	if (!copy)
		return err_set(e, -ENOMEM, "no memory");
	if (!item && (r = listing_is_sure(&l, e)) < 0)
		return err_wrap(e, r, "%s", name);
	if (!item)
		return err_set(e, -ENOENT, "%s: %s", name,
			       loose ? "is gone, and could not be held by hard links"
				     : "no step in it");
	r = loose ? 0 : mend_index(fd, item->place.file, e);
	if (r == 0)
		r = step_open(fd, &item->place, mode, &step, e);
	if (r < 0)
		return r;
	if (!step_is_known(step)) {
		step_unref(step);
		return err_set(e, -EIO, "%s: what it is made of can't be found out", name);
	}
	*out = (struct pin){.step = step};
	if (loose) {
		note_sidecars(out, fd, meta);
		r = check_stamp(steps_fd, name, fd, item->place.file, e);
	}
	if (r < 0) {
		pin_release(out);
		return r;
	}
	out->name = TAKE(copy, NULL);
	return 0;
}

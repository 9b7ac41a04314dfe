/* src/dedup/dedup_apply.c: files are written anew, and steps get their new indexes. */
#include "base/append.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "dedup/dedup_state.h"
#include "directory/placed.h"
#include "directory/step_switch.h"
#include "format/bundle.h"
#include <fcntl.h>
#include <stdlib.h>

#define INDEX "index"

/* The new form of a step. */
struct applying {
	struct dedup_state *d;
	struct dedup_step *step;
	uint32_t *
		numbers; /* [d->n_files]: of the shard that a file becomes; DEDUP_NONE: it does not */
	uint32_t *targets; /* [n]: the files, by these numbers */
	uint32_t n, num_shards;
};

bool dedup_changes(const struct dedup_state *d, uint32_t i)
{
	const struct dedup_step *s = &d->steps[i];
	bool changes = false;

	for (uint32_t k = 0; s->result->what != DEDUP_LEFT && k < s->step->n_shards; k++)
		changes |= d->files[s->files[k]].fate != FILE_STAYS;
	return changes;
}

/* --- files --------------------------------------------------------------------------------------------------- */

static int give_to_owner(int fd, const struct stat *st, struct err *e)
{
	if (geteuid() == 0 && fchown(fd, st->st_uid, st->st_gid) < 0)
		return err_sys(e, -errno, "fchown");
	return fchmod(fd, st->st_mode & 0666) < 0 ? err_sys(e, -errno, "fchmod") : 0;
}

static void note(struct dedup_file *f, const struct stat *st)
{
	f->needed = true;
	f->new_id = file_id_of(st);
	f->new_blocks = (uint64_t)st->st_blocks * 512;
}

/* File F gets one more name, so that it can be shared when its step has other shards. */
static int hold(struct dedup_state *d, struct dedup_file *f, const char *name, struct err *e)
{
	const struct step *s = d->steps[f->step].step;
	CLEANUP(buf_release) struct buf old = {0};
	const struct shard *shard = &s->shards[f->shard];
	struct stat st;
	int r;

	if (step_shard_name(&s->place, shard->number, s->num_shards, &old) < 0)
		return err_set(e, -ENOMEM, "no memory");
	r = io_link(d->top, (char *)old.p, d->folder, name, e);
	if (r < 0)
		return r;
	if (fstatat(d->folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, -errno, "%s", name);
	note(f, &st);
	return file_id_eq(&f->new_id, &f->id)
		       ? 0
		       : err_set(e, -ESTALE, "%s: was replaced meanwhile", (char *)old.p);
}

static int copy_ranges(struct dedup_state *d, const struct dedup_file *f, int from,
		       struct append *to, struct err *e)
{
	int r = 0;

	for (uint32_t i = f->first; i < f->first + f->n && r == 0; i++) {
		const struct dedup_range *range = &d->ranges[i];

		if (range->home != i)
			continue;
		r = append_copy(to, from, range->off, range->size, e);
		d->seen += range->size;
		if (r == 0)
			r = d->c->go_on(e);
	}
	return r == 0 ? append_flush(to, e) : r;
}

/* What only file F has is written anew. */
static int write_anew(struct dedup_state *d, struct dedup_file *f, const char *name, struct err *e)
{
	const struct stat owner = {.st_uid = f->uid, .st_gid = f->gid, .st_mode = f->mode};
	CLEANUP(closep) int from = dedup_open(d, (uint32_t)(f - d->files), e);
	CLEANUP(append_release)
	struct append to = append_of(from < 0 ? -1 : io_create(d->folder, name, 0600, e), 0);
	struct stat st;
	int r = from < 0 ? from : to.fd < 0 ? to.fd : copy_ranges(d, f, from, &to, e);

	if (r == 0)
		r = placed_check(from, name, &f->id, e);
	if (r == 0)
		r = give_to_owner(to.fd, &owner, e);
	if (r == 0)
		r = io_sync(to.fd, name, e);
	if (r == 0 && fstat(to.fd, &st) < 0)
		r = err_sys(e, -errno, "fstat");
	if (r == 0)
		note(f, &st);
	else if (to.fd >= 0)
		io_remove_file(d->folder, name, NULL);
	return r;
}

/* File F is in the folder, as it is to be. */
static int need(struct dedup_state *d, uint32_t f, struct err *e)
{
	struct dedup_file *file = &d->files[f];
	char name[DEDUP_NAME];

	if (file->needed)
		return 0;
	if (d->c->dry_run) {
		file->needed = true;
		file->new_blocks = (file->new_size + DEDUP_BLOCK - 1) / DEDUP_BLOCK * DEDUP_BLOCK;
		return 0;
	}
	dedup_file_name(f, name);
	return file->fate == FILE_ANEW ? write_anew(d, file, name, e) : hold(d, file, name, e);
}

/* --- the index ----------------------------------------------------------------------------------------------- */

/* The range that has the bytes of variable V; NULL: V has none. */
static const struct dedup_range *home_of(const struct applying *a, uint32_t v)
{
	const struct dedup_range *all = a->d->ranges;
	uint32_t range = a->step->ranges[v];

	return range == DEDUP_NONE ? NULL : &all[all[range].home];
}

static void find_targets(struct applying *a)
{
	for (uint32_t i = 0; i < a->d->n_files; i++)
		a->numbers[i] = DEDUP_NONE;
	a->n = 0;
	for (uint32_t i = 0; i < a->step->step->n_vars; i++) {
		const struct dedup_range *home = home_of(a, i);

		if (!home || a->numbers[home->file] != DEDUP_NONE)
			continue;
		a->numbers[home->file] = a->n;
		a->targets[a->n++] = home->file;
	}
}

/* ENTRY, as the old index has it, gets its new place. */
static int add_entry(const struct applying *a, struct bundle_writer *w, struct bundle_entry *entry,
		     struct err *e)
{
	const struct step *s = a->step->step;
	const struct var *v = step_find(s, entry->key);
	const struct dedup_range *home = v ? home_of(a, (uint32_t)(v - s->vars)) : NULL;

	if (entry->why.code || !v)
		return err_set(e, -EUCLEAN, "%s: has changed", s->place.file);
	entry->shard = home ? a->numbers[home->file] : 0;
	if (home)
		entry->off = a->d->files[home->file].fate == FILE_ANEW ? home->new_off : home->off;
	else if (v->kind != VAR_SLICED)
		entry->off = 0;
	return bundle_writer_copy(w, entry, e);
}

/* Puts the new index into OUT. */
static int make_index(const struct applying *a, struct buf *out, struct err *e)
{
	const struct step *s = a->step->step;
	CLEANUP(closep) int fd = placed_open(a->d->top, s->place.file, &s->id, e);
	CLEANUP(bundle_writer_release) struct bundle_writer w;
	struct bundle_entry entry;
	struct bundle old;
	struct source src;
	int r = fd < 0 ? fd : source_of_fd(fd, &src, e);

	bundle_writer_init(&w, a->num_shards, s->big_endian);
	if (r < 0 || (r = bundle_open(&old, src, e)) < 0)
		return r;
	while ((r = bundle_next(&old, &entry, e)) == 1)
		if ((r = add_entry(a, &w, &entry, e)) < 0)
			break;
	bundle_close(&old);
	if (r == 0)
		r = placed_check(fd, s->place.file, &s->id, e);
	return r < 0 ? r : bundle_writer_finish(&w, sink_of_buf(out), e);
}

/* It is a second younger than the old one: its steps keep their order, and who compares sizes and times, as rsync(1), sees that it is
 * another. */
static int set_time(int fd, const struct step *s, struct err *e)
{
	const struct timespec times[2] = {
		{.tv_nsec = UTIME_OMIT},
		{.tv_sec = s->id.mtime.tv_sec + 1, .tv_nsec = s->id.mtime.tv_nsec}};

	return futimens(fd, times) < 0 ? err_sys(e, -errno, "futimens") : 0;
}

/* BLOCKS: bytes that it takes on the disk. */
static int write_index(const struct applying *a, struct bytes index, uint64_t *blocks,
		       struct err *e)
{
	CLEANUP(closep) int fd = -1;
	struct stat st;
	int r = io_remove_all(a->d->folder, INDEX, e);

	if (r == 0)
		r = fd = io_create(a->d->folder, INDEX, 0600, e);
	if (r >= 0)
		r = io_write_at(fd, index, 0, e);
	if (r == 0)
		r = give_to_owner(fd, &a->step->step->index, e);
	if (r == 0)
		r = set_time(fd, a->step->step, e);
	if (r == 0)
		r = io_sync(fd, INDEX, e);
	if (r == 0 && fstat(fd, &st) < 0)
		r = err_sys(e, -errno, "fstat");
	if (r == 0)
		*blocks = (uint64_t)st.st_blocks * 512;
	return r;
}

/* --- a step -------------------------------------------------------------------------------------------------- */

static int exchange(const struct applying *a, struct err *e)
{
	const struct dedup_state *d = a->d;
	CLEANUP(freep) struct switch_shard *shards = calloc(a->n + (size_t)1, sizeof *shards);
	CLEANUP(freep) char(*names)[DEDUP_NAME] = calloc(a->n + (size_t)1, sizeof *names);
	const struct step_switch w = {.top = d->top,
				      .step = a->step->step,
				      .from = d->folder,
				      .index = INDEX,
				      .shards = shards,
				      .n = a->n,
				      .num_shards = a->num_shards};

	if (!shards || !names)
		return err_set(e, -ENOMEM, "no memory");
	for (uint32_t i = 0; i < a->n; i++) {
		dedup_file_name(a->targets[i], names[i]);
		shards[i] = (struct switch_shard){names[i], d->files[a->targets[i]].new_id};
	}
	return step_switch(&w, e);
}

static int apply(struct applying *a, struct err *e)
{
	struct dedup_state *d = a->d;
	CLEANUP(buf_release) struct buf index = {0};
	const struct step *s = a->step->step;
	uint64_t blocks;
	int64_t count;
	int r = 0;

	find_targets(a);
	for (uint32_t i = 0; i < a->n && r == 0; i++)
		r = need(d, a->targets[i], e);
	if (r < 0)
		return r;
	count = step_switch_count(d->top, s->place.name, a->n, e);
	if (count < 0)
		return (int)count;
	a->num_shards = (uint32_t)count;
	r = make_index(a, &index, e);
	blocks = (index.n + DEDUP_BLOCK - 1) / DEDUP_BLOCK * DEDUP_BLOCK;
	if (r == 0 && !d->c->dry_run)
		r = write_index(a, buf_bytes(&index), &blocks, e);
	if (r == 0 && !d->c->dry_run)
		r = exchange(a, e);
	if (r < 0)
		return r;
	a->step->changed = true;
	a->step->result->what = DEDUP_SHARES;
	a->step->result->saved += s->index.st_blocks * 512 - (int64_t)blocks;
	return 0;
}

/* Is the error R one of that step alone? Its files stay as they are then. */
static bool is_of_one_step(int r)
{
	return r == -ESTALE || r == -ENOENT || r == -EEXIST || r == -EMLINK || r == -EUCLEAN;
}

/* What is written: the files that are written anew. */
static void begin_work(struct dedup_state *d)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < d->n_files && !d->c->dry_run; i++)
		total += d->files[i].fate == FILE_ANEW ? d->files[i].new_size : 0;
	d->seen = 0;
	d->c->work(d->c->arg, &d->seen, total);
}

int dedup_apply(struct dedup_state *d, struct err *e)
{
	CLEANUP(freep) uint32_t *numbers = calloc(d->n_files + (size_t)1, sizeof *numbers);
	CLEANUP(freep) uint32_t *targets = calloc(d->n_files + (size_t)1, sizeof *targets);
	int r = numbers && targets ? 0 : err_set(e, -ENOMEM, "no memory");

	begin_work(d);
	for (uint32_t i = 0; i < d->n_steps && r == 0; i++) {
		struct dedup_step *s = &d->steps[i];
		struct applying a = {d, s, numbers, targets, 0, 0};
		struct err why = {0};

		if (!dedup_changes(d, i) || (r = d->c->go_on(e)) < 0)
			continue;
		r = apply(&a, &why);
		if (is_of_one_step(r)) {
			s->result->what = DEDUP_LEFT;
			s->result->why = why;
			r = 0;
		} else if (r < 0) {
			*e = why;
			err_wrap(e, r, "%s", s->result->name);
		}
	}
	d->c->work(d->c->arg, NULL, 0);
	return r;
}

#include "base/cleanup.h"
#include "base/io.h"
#include "dedup/dedup_state.h"
#include "directory/drafts_list.h"
#include "directory/listing.h"
#include "directory/placed.h"
#include "format/dtype.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* A step that is younger may still be read by whoever has saved it, or be saved again. */
enum { YOUNG = 60 };

void dedup_stay(struct dedup_state *d, uint32_t f)
{
	struct dedup_file *file = &d->files[f];

	file->fate = FILE_STAYS;
	for (uint32_t i = file->first; i < file->first + file->n; i++)
		d->ranges[i].home = i;
}

void dedup_leave(struct dedup_state *d, uint32_t i, const struct err *why)
{
	struct dedup_step *s = &d->steps[i];

	s->result->what = DEDUP_LEFT;
	s->result->why = *why;
	for (uint32_t k = 0; s->files && k < s->step->n_shards; k++)
		dedup_stay(d, s->files[k]);
}

void dedup_file_name(uint32_t f, char out[DEDUP_NAME])
{
	snprintf(out, DEDUP_NAME, "shard-%u", f);
}

int dedup_open(const struct dedup_state *d, uint32_t f, struct err *e)
{
	const struct dedup_file *file = &d->files[f];
	char name[DEDUP_NAME];

	dedup_file_name(f, name);
	return file->needed ? placed_open(d->folder, name, &file->new_id, e)
			    : step_open_shard(d->steps[file->step].step, d->top, file->shard, e);
}

/* --- steps --------------------------------------------------------------------------------------------------- */

/* Is FILE itself, not what it leads to, the file with ID? */
static int is_itself(int top, const char *file, const struct file_id *id, struct err *e)
{
	struct file_id now;
	int r = file_id_at(top, file, &now, e);

	if (r < 0 || file_id_eq(&now, id))
		return r;
	return err_set(e, -EMLINK, "%s: is a symbolic link", file);
}

static int check_files(const struct dedup_state *d, const struct step *s, struct err *e)
{
	CLEANUP(buf_release) struct buf name = {0};
	int r = is_itself(d->top, s->place.file, &s->id, e);

	for (uint32_t i = 0; i < s->n_shards && r == 0; i++) {
		name.n = 0;
		r = step_shard_name(&s->place, s->shards[i].number, s->num_shards, &name) < 0
			    ? err_set(e, -ENOMEM, "no memory")
			    : is_itself(d->top, (char *)name.p, &s->shards[i].id, e);
	}
	return r;
}

/* -EAGAIN and others, with a sentence: step S can't be changed. */
static int check_step(const struct dedup_state *d, const struct step *s, struct err *e)
{
	CLEANUP(buf_release) struct buf draft = {0};
	CLEANUP(closep) int drafts = drafts_open(d->top);
	struct stat st;

	if (!s->sound)
		return err_set(e, -EUCLEAN, "is damaged or not all there: see fsck.ckptfs");
	if (time(NULL) - s->index.st_mtime < YOUNG)
		return err_set(e, -EAGAIN, "was saved less than a minute ago");
	if (drafts_folder_name(s->place.name, &draft) < 0)
		return err_set(e, -ENOMEM, "no memory");
	if (drafts >= 0 && fstatat(drafts, (char *)draft.p, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(e, -EBUSY, "has changes that are not committed");
	return check_files(d, s, e);
}

static int open_step(struct dedup_state *d, const struct step_place *place, struct dedup_step *s,
		     struct err *e)
{
	if (place->format == STEP_V1)
		return err_set(e, -EINVAL, "is V1, whose tensors can't be shared");
	return step_open(d->top, place, VERIFY_OFF, &s->step, e);
}

static int compare_ages(const void *a, const void *b)
{
	const struct dedup_step *x = a, *y = b;
	const struct timespec none = {0};
	struct timespec s = x->step ? x->step->id.mtime : none;
	struct timespec t = y->step ? y->step->id.mtime : none;

	if (s.tv_sec != t.tv_sec)
		return s.tv_sec < t.tv_sec ? -1 : 1;
	if (s.tv_nsec != t.tv_nsec)
		return s.tv_nsec < t.tv_nsec ? -1 : 1;
	return strcmp(x->result->name, y->result->name);
}

/* The results in the order of the steps. */
static int order_steps(struct dedup_state *d)
{
	struct dedup_result *ordered = calloc(d->n_steps + (size_t)1, sizeof *ordered);

	if (!ordered)
		return -ENOMEM;
	if (d->n_steps)
		qsort(d->steps, d->n_steps, sizeof *d->steps, compare_ages);
	for (uint32_t i = 0; i < d->n_steps; i++) {
		ordered[i] = *d->steps[i].result;
		d->steps[i].result = &ordered[i];
	}
	free(d->report->steps);
	d->report->steps = ordered;
	return 0;
}

/* Reads the steps that L lists, and says of each that can't be changed why. */
static int read_steps(struct dedup_state *d, const struct listing *l, struct err *e)
{
	struct dedup_report *report = d->report;

	d->steps = calloc(l->n + (size_t)1, sizeof *d->steps);
	report->steps = calloc(l->n + (size_t)1, sizeof *report->steps);
	if (!d->steps || !report->steps)
		return err_set(e, -ENOMEM, "no memory");
	for (uint32_t i = 0; i < l->n; i++) {
		struct dedup_step *s = &d->steps[d->n_steps];
		struct err why = {0};
		int r;

		if (l->items[i].kind != LISTED_STEP)
			continue;
		s->result = &report->steps[report->n];
		s->result->name = strdup(l->items[i].place.name);
		if (!s->result->name)
			return err_set(e, -ENOMEM, "no memory");
		report->n++;
		d->n_steps++;
		r = open_step(d, &l->items[i].place, s, &why);
		if (r == 0)
			r = check_step(d, s->step, &why);
		if (r == -ENOMEM || (r == 0 && (r = d->c->go_on(e)) < 0))
			return r == -ENOMEM ? err_set(e, r, "no memory") : r;
		if (r < 0)
			dedup_leave(d, d->n_steps - 1, &why);
	}
	return order_steps(d) < 0 ? err_set(e, -ENOMEM, "no memory") : 0;
}

/* --- files --------------------------------------------------------------------------------------------------- */

/* Shard `shard` of step `step`. */
struct shard_ref {
	uint64_t dev, ino;
	uint32_t step, shard, number;
	uint32_t first; /* the number of the first one that is the same file */
	uint32_t file;
};

static int compare_refs(const void *a, const void *b)
{
	const struct shard_ref *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

static int compare_numbers(const void *a, const void *b)
{
	const struct shard_ref *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

static bool is_left(const struct dedup_state *d, uint32_t i)
{
	return d->steps[i].result->what == DEDUP_LEFT;
}

/* The shards of all steps that may change, in their order. */
static int list_refs(struct dedup_state *d, struct buf *out)
{
	int r = 0;

	for (uint32_t i = 0; i < d->n_steps; i++) {
		const struct step *s = d->steps[i].step;

		for (uint32_t k = 0; !is_left(d, i) && k < s->n_shards && r == 0; k++) {
			struct shard_ref ref = {s->shards[k].id.dev,
						s->shards[k].id.ino,
						i,
						k,
						(uint32_t)(out->n / sizeof ref),
						0,
						0};

			r = buf_add(out, &ref, sizeof ref);
		}
	}
	return r;
}

static void find_first(struct shard_ref *refs, size_t n)
{
	if (n)
		qsort(refs, n, sizeof *refs, compare_refs);
	for (size_t i = 0; i < n; i++) {
		bool same = i && refs[i].dev == refs[i - 1].dev && refs[i].ino == refs[i - 1].ino;

		refs[i].first = same ? refs[i - 1].first : refs[i].number;
	}
	if (n)
		qsort(refs, n, sizeof *refs, compare_numbers);
}

/* Looks at the file of REF, which becomes F. */
static int look_at(const struct dedup_state *d, const struct shard_ref *ref, struct dedup_file *f,
		   struct err *e)
{
	const struct step *s = d->steps[ref->step].step;
	CLEANUP(closep) int fd = step_open_shard(s, d->top, ref->shard, e);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys(e, -errno, "fstat");
	*f = (struct dedup_file){.id = s->shards[ref->shard].id,
				 .blocks = (uint64_t)st.st_blocks * 512,
				 .mode = st.st_mode,
				 .uid = st.st_uid,
				 .gid = st.st_gid,
				 .step = ref->step,
				 .shard = ref->shard,
				 .links = (uint32_t)st.st_nlink};
	return 0;
}

/* FOUND gets the files of REFS in their order, each of which gets its number there. */
static int look_at_all(const struct dedup_state *d, struct shard_ref *refs, size_t n,
		       struct buf *found, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		struct dedup_file f;

		refs[i].file = refs[refs[i].first].file;
		if (refs[i].first == refs[i].number) {
			refs[i].file = (uint32_t)(found->n / sizeof f);
			r = look_at(d, &refs[i], &f, e);
			if (r == 0 && buf_add(found, &f, sizeof f) < 0)
				r = err_set(e, -ENOMEM, "no memory");
		}
		if (r == 0)
			((struct dedup_file *)found->p)[refs[i].file].names++;
	}
	return r;
}

/* The files FOUND become d->files, those first that must stay. NUMBERS: their new ones. */
static void number_files(struct dedup_state *d, const struct dedup_file *found, uint32_t n,
			 uint32_t *numbers)
{
	uint32_t users = 0;

	for (int may_go = 0; may_go <= 1; may_go++)
		for (uint32_t i = 0; i < n; i++) {
			if ((found[i].names == found[i].links) != may_go)
				continue;
			numbers[i] = d->n_files;
			d->files[d->n_files] = found[i];
			d->files[d->n_files].users = users;
			d->files[d->n_files++].names = 0;
			users += found[i].names;
		}
}

/* The files of the N shards REFS. */
static int make_files(struct dedup_state *d, struct shard_ref *refs, size_t n, struct err *e)
{
	CLEANUP(buf_release) struct buf found = {0};
	CLEANUP(freep) uint32_t *numbers = calloc(n + 1, sizeof *numbers);
	int r;

	d->files = calloc(n + 1, sizeof *d->files);
	d->users = calloc(n + 1, sizeof *d->users);
	if (!numbers || !d->files || !d->users)
		return err_set(e, -ENOMEM, "no memory");
	find_first(refs, n);
	r = look_at_all(d, refs, n, &found, e);
	if (r < 0)
		return r;
	number_files(d, (struct dedup_file *)found.p, (uint32_t)(found.n / sizeof *d->files),
		     numbers);
	for (size_t i = 0; i < n; i++) {
		uint32_t number = numbers[refs[i].file];
		struct dedup_file *f = &d->files[number];

		d->steps[refs[i].step].files[refs[i].shard] = number;
		d->users[f->users + f->names++] = refs[i].step;
	}
	return 0;
}

static int find_files(struct dedup_state *d, struct err *e)
{
	CLEANUP(buf_release) struct buf refs = {0};
	int r = list_refs(d, &refs);

	for (uint32_t i = 0; i < d->n_steps && r == 0; i++) {
		struct dedup_step *s = &d->steps[i];

		if (is_left(d, i))
			continue;
		s->files = calloc(s->step->n_shards + (size_t)1, sizeof *s->files);
		r = s->files ? 0 : -ENOMEM;
	}
	return r < 0 ? err_set(e, -ENOMEM, "no memory")
		     : make_files(d, (struct shard_ref *)refs.p, refs.n / sizeof(struct shard_ref),
				  e);
}

/* --- ranges -------------------------------------------------------------------------------------------------- */

struct entry_ref {
	struct dedup_range range;
	uint32_t step, var;
};

static int compare_entries(const void *a, const void *b)
{
	const struct entry_ref *p = a, *q = b;
	const struct dedup_range *x = &p->range, *y = &q->range;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	if (x->off != y->off)
		return x->off < y->off ? -1 : 1;
	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	if (x->crc != y->crc)
		return x->crc < y->crc ? -1 : 1;
	return (x->dtype > y->dtype) - (x->dtype < y->dtype);
}

/* What counts is how bytes are verified: all types but two are alike in that. */
static uint8_t verified_as(uint8_t dtype)
{
	return dtype == DTYPE_STRING || dtype == DTYPE_VARIANT ? dtype : DTYPE_UINT8;
}

static int add_entries(struct dedup_state *d, uint32_t i, struct buf *out)
{
	struct dedup_step *s = &d->steps[i];
	int r = 0;

	s->shards = s->step->n_shards;
	s->ranges = malloc((s->step->n_vars + (size_t)1) * sizeof *s->ranges);
	if (!s->ranges)
		return -ENOMEM;
	for (uint32_t k = 0; k < s->step->n_vars && r == 0; k++) {
		const struct var *v = &s->step->vars[k];
		struct entry_ref ref = {.step = i, .var = k};

		s->ranges[k] = DEDUP_NONE;
		if ((v->kind != VAR_WHOLE && v->kind != VAR_PART) || !v->size)
			continue;
		ref.range = (struct dedup_range){.off = v->off,
						 .size = v->size,
						 .elements = var_count(s->step, v),
						 .file = s->files[v->shard],
						 .crc = v->crc,
						 .dtype = verified_as(v->dtype),
						 .big_endian = s->step->big_endian};
		r = out->n / sizeof ref < DEDUP_NONE ? buf_add(out, &ref, sizeof ref) : -E2BIG;
	}
	return r;
}

static int find_ranges(struct dedup_state *d, struct err *e)
{
	CLEANUP(buf_release) struct buf buf = {0};
	struct entry_ref *refs;
	size_t n;
	int r = 0;

	for (uint32_t i = 0; i < d->n_steps && r == 0; i++)
		r = is_left(d, i) ? 0 : add_entries(d, i, &buf);
	refs = (struct entry_ref *)buf.p;
	n = buf.n / sizeof *refs;
	d->ranges = calloc(n + 1, sizeof *d->ranges);
	d->alike = calloc(n + 1, sizeof *d->alike);
	if (r < 0 || !d->ranges || !d->alike)
		return err_set(e, r < 0 ? r : -ENOMEM, "no memory");
	if (n)
		qsort(refs, n, sizeof *refs, compare_entries);
	for (size_t i = 0; i < n; i++) {
		struct dedup_range *range = &d->ranges[d->n_ranges];
		struct dedup_file *f = &d->files[refs[i].range.file];

		if (!i || compare_entries(&refs[i - 1], &refs[i]) != 0) {
			*range = refs[i].range;
			range->home = d->n_ranges;
			f->first = f->n ? f->first : d->n_ranges;
			f->n++;
			d->n_ranges++;
		}
		d->steps[refs[i].step].ranges[refs[i].var] = d->n_ranges - 1;
	}
	return 0;
}

static int compare_alike(const void *a, const void *b, void *ranges)
{
	uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
	const struct dedup_range *x = (struct dedup_range *)ranges + i;
	const struct dedup_range *y = (struct dedup_range *)ranges + k;

	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	if (x->crc != y->crc)
		return x->crc < y->crc ? -1 : 1;
	return (i > k) - (i < k);
}

static void find_alike(struct dedup_state *d)
{
	uint32_t group = 0;

	for (uint32_t i = 0; i < d->n_ranges; i++)
		d->alike[i] = i;
	if (d->n_ranges)
		qsort_r(d->alike, d->n_ranges, sizeof *d->alike, compare_alike, d->ranges);
	for (uint32_t i = 0; i < d->n_ranges; i++) {
		const struct dedup_range *now = &d->ranges[d->alike[i]];
		const struct dedup_range *start = &d->ranges[d->alike[group]];

		if (now->size != start->size || now->crc != start->crc)
			group = i;
		d->ranges[d->alike[i]].group = group;
	}
}

/* --- all of it ----------------------------------------------------------------------------------------------- */

int dedup_gather(struct dedup_state *d, struct err *e)
{
	CLEANUP(listing_release) struct listing l = {0};
	int r = listing_read(d->top, STATE_NAME, &l, e);

	if (r == 0)
		r = read_steps(d, &l, e);
	if (r == 0)
		r = find_files(d, e);
	if (r == 0)
		r = find_ranges(d, e);
	if (r == 0)
		find_alike(d);
	return r;
}

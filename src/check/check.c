#include "check/check.h"
#include "base/cleanup.h"
#include "check/check_job.h"
#include "format/sstable.h"
#include <fcntl.h>
#include <inttypes.h>

/* --- the index --------------------------------------------------------------------------------------------- */

static void check_table(struct job *j, const char *file)
{
	struct source src;
	struct err e = {0};
	CLEANUP(closep) int fd = source_open(j->dirfd, file, &src, &e);
	CLEANUP(sstable_close) struct sstable t = {0};
	uint64_t unused = 0;
	int r = fd;

	if (r >= 0)
		r = sstable_open(&t, src, &e);
	if (r == 0)
		r = sstable_check(&t, &unused, &e);
	if (r == 0 && unused)
		err_set(&e, 0,
			"%" PRIu64 " bytes belong to no block, so nothing tells if they change",
			unused);
	if (r < 0 || unused) {
		err_wrap(&e, r, "%s", file);
		if (r < 0)
			job_found(j, NO_KEY, e.text);
		else
			job_note(j, e.text);
	}
	if (fd >= 0 && r == 0 && j->s->place.format == STEP_V2)
		j->out->bytes += src.size;
}

static void check_tables(struct job *j)
{
	const struct step *s = j->s;

	if (s->place.format == STEP_V2) {
		check_table(j, s->place.file);
		return;
	}
	for (uint32_t i = 0; i < s->n_shards; i++) {
		CLEANUP(buf_release) struct buf file = {0};

		if (s->shards[i].status == 0 &&
		    step_shard_name(&s->place, s->shards[i].number, s->num_shards, &file) == 0)
			check_table(j, (char *)file.p);
	}
}

/* --- entries ----------------------------------------------------------------------------------------------- */

static void find_origins(struct job *j)
{
	const struct step *s = j->s;

	for (uint32_t i = 0; i < s->n_vars; i++)
		j->origins[i] = (struct origin){i, 0};
	for (uint32_t i = 0; i < s->n_vars; i++)
		for (uint32_t k = 0; s->vars[i].kind == VAR_SLICED && k < s->vars[i].n_parts; k++)
			j->origins[s->parts[s->vars[i].aux + k].var] =
				(struct origin){i, 1 + s->vars[i].aux + k};
}

/* How many variables have bytes in a shard. LAST: 1 + the last that was counted, as each counts once. */
struct shard_use {
	uint32_t n, last;
};

static void count_use(const struct job *j, struct shard_use *uses)
{
	const struct step *s = j->s;

	for (uint32_t i = 0; i < s->n_vars; i++) {
		const struct var *v = &s->vars[i];
		uint32_t n = v->kind == VAR_SLICED ? v->n_parts : v->kind == VAR_WHOLE;

		for (uint32_t k = 0; k < n; k++) {
			struct shard_use *use =
				&uses[v->kind == VAR_WHOLE
					      ? v->shard
					      : s->vars[s->parts[v->aux + k].var].shard];

			use->n += use->last != i + 1;
			use->last = i + 1;
		}
	}
}

static void tell_shard(struct job *j, const struct err *why, uint32_t n)
{
	struct err e;

	err_set(&e, 0, "%s; %" PRIu32 " variable%s", why->text, n,
		n == 1 ? " has bytes in it" : "s have bytes in it");
	job_found(j, NO_KEY, e.text);
}

static int check_shards(struct job *j)
{
	const struct step *s = j->s;
	CLEANUP(freep) struct shard_use *uses = calloc(s->n_shards + (size_t)1, sizeof *uses);
	uint32_t told = 0;

	if (!uses)
		return -ENOMEM;
	count_use(j, uses);
	for (uint32_t i = 0; i < s->n_shards; i++) {
		CLEANUP(buf_release) struct buf file = {0};
		struct err e;

		if (s->shards[i].status == 0)
			continue;
		if (told++ == CHECK_MAX_TOLD) {
			job_found(j, NO_KEY, "more shards can't be read");
			break;
		}
		step_shard_file(s, i, &file);
		err_sys(&e, s->shards[i].status, "%.*s", (int)file.n, (char *)file.p);
		if (s->place.format ==
		    STEP_V2) /* of V1 the shard itself would tell which variables it has */
			tell_shard(j, &e, uses[i].n);
		else
			job_found(j, NO_KEY, e.text);
	}
	return 0;
}

static void check_entries(struct job *j)
{
	const struct step *s = j->s;

	for (uint32_t i = 0; i < s->n_vars; i++) {
		const struct var *v = &s->vars[i];
		struct err e = {0};

		j->out->variables += v->kind != VAR_PART;
		if (v->kind == VAR_SLICED)
			continue; /* its slices have entries of their own */
		if (v->kind != VAR_BAD && s->shards[v->shard].status < 0)
			continue; /* check_shards tells that of the shard */
		if (v->kind == VAR_PART && !j->origins[i].part)
			continue; /* its variable is bad, and failed itself */
		if (step_check(s, v, j->dirfd, &e) == -ESTALE)
			job_stop(j, &e);
		else if (e.code)
			job_fail(j, i, &e);
	}
}

/* --- all of it --------------------------------------------------------------------------------------------- */

static bool is_file(int dirfd, const char *name, const struct file_id *id)
{
	struct file_id now;
	struct stat st;

	if (fstatat(dirfd, name, &st, 0) < 0)
		return false;
	now = file_id_of(&st);
	return file_id_eq(&now, id);
}

/* Are the files still those that the step was read from? */
static bool is_unchanged(const struct step *s, int dirfd)
{
	if (!is_file(dirfd, s->place.file, &s->id))
		return false;
	for (uint32_t i = 0; i < s->n_shards; i++) {
		CLEANUP(buf_release) struct buf file = {0};

		if (step_shard_name(&s->place, s->shards[i].number, s->num_shards, &file) < 0)
			return false;
		if (s->shards[i].status == -ENOENT
			    ? faccessat(dirfd, (char *)file.p, F_OK, 0) == 0
			    : !is_file(dirfd, (char *)file.p, &s->shards[i].id))
			return false;
	}
	return true;
}

static int check_opened(struct job *j)
{
	struct err e;
	int r;

	find_origins(j);
	check_tables(j);
	check_entries(j);
	r = check_shards(j);
	if (r == 0)
		(j->s->place.format == STEP_V2 ? check_bundle_data : check_v1_data)(j);
	job_tell_failures(j);
	if (r == 0 && !job_stopped(j))
		r = check_graphs(j);
	if (r < 0) {
		err_sys(&e, r, "%s", j->s->place.name);
		job_stop(j, &e);
	}
	return j->stopped.code;
}

static bool is_there(int dirfd, const char *file)
{
	struct stat st;

	return fstatat(dirfd, file, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

/* Does R say that this process can't read, and nothing of the file? */
static bool is_of_process(int r)
{
	return r == -EACCES || r == -ENOMEM || r == -EMFILE || r == -ENFILE;
}

/* What it means that step_open returned R, and E. BEFORE: the file as it was then; all zeros: it was not there. */
static int check_unopened(int dirfd, const struct step_place *where, const struct stat *before,
			  const struct check *c, int r, const struct err *e)
{
	struct file_id old = file_id_of(before), new;
	struct stat after;

	if (is_of_process(r))
		return r;
	if (!is_there(dirfd, where->file))
		return -ENOENT;
	if (before->st_ino && fstatat(dirfd, where->file, &after, 0) == 0) {
		new = file_id_of(&after);
		if (!file_id_eq(&old, &new))
			return -ESTALE;
	}
	c->found(c->arg, FOUND_PROBLEM, NO_KEY, e->text);
	return 0;
}

int check_step(int dirfd, const struct step_place *where, const struct check *c,
	       struct checked *out, struct err *e)
{
	struct job j = {.c = c, .dirfd = dirfd, .out = out, .lock = PTHREAD_MUTEX_INITIALIZER};
	struct stat before = {0};
	int r;

	*out = (struct checked){0};
	if (fstatat(dirfd, where->file, &before, 0) < 0)
		before = (struct stat){0};
	r = step_open(dirfd, where, VERIFY_READ, &j.s, e);
	if (r < 0)
		return check_unopened(dirfd, where, &before, c, r, e);
	out->num_shards = where->format == STEP_V2 ? j.s->num_shards : 0;
	out->lone_shard = out->num_shards == 2 && j.s->n_shards == 1;
	j.origins = calloc(j.s->n_vars + (size_t)1, sizeof *j.origins);
	r = j.origins ? check_opened(&j) : err_set(e, -ENOMEM, "%s: no memory", where->name);
	if (j.stopped.code && e)
		*e = j.stopped;
	if (!is_there(dirfd, where->file))
		r = -ENOENT;
	else if (r == 0 && j.problems && !is_unchanged(j.s, dirfd))
		r = err_set(e, -ESTALE, "%s: was replaced while it was read", where->file);
	free(j.origins);
	buf_release(&j.failures);
	step_unref(j.s);
	return r;
}

#include "check/check.h"
#include "base/cleanup.h"
#include "check/check_job.h"
#include "format/sstable.h"
#include "message/object_graph.h"
#include "step/sidecar.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

enum { MAX_NAMES = 5, MAX_THREADS = 64 };

static const struct bytes no_key = {NULL, 0};

/* --- the job ----------------------------------------------------------------------------------------------- */

void job_fail(struct job *j, uint32_t var, const struct err *why)
{
	struct failure f = {var, *why};

	pthread_mutex_lock(&j->lock);
	if (j->n_failures++ < CHECK_MAX_FAILURES)
		buf_add(&j->failures, &f, sizeof f); /* one that is not told is counted */
	pthread_mutex_unlock(&j->lock);
}

void job_stop(struct job *j, const struct err *why)
{
	pthread_mutex_lock(&j->lock);
	if (!j->stopped.code)
		j->stopped = *why;
	pthread_mutex_unlock(&j->lock);
}

bool job_stopped(struct job *j)
{
	bool stopped;

	pthread_mutex_lock(&j->lock);
	if (!j->stopped.code && *j->c->stop)
		err_set(&j->stopped, -ECANCELED, "interrupted");
	stopped = j->stopped.code;
	pthread_mutex_unlock(&j->lock);
	return stopped;
}

struct thread {
	struct job *j;
	void (*work)(struct job *j, void *arg);
	void *arg;
};

static void *run_thread(void *arg)
{
	struct thread *t = arg;

	t->work(t->j, t->arg);
	return NULL;
}

void job_run(struct job *j, void (*work)(struct job *j, void *arg), void *arg)
{
	struct thread t = {j, work, arg};
	pthread_t threads[MAX_THREADS];
	unsigned n = 0;

	/* Where there are no more threads to be had, those that are do all. */
	while (n + 1 < j->c->threads && n < MAX_THREADS &&
	       pthread_create(&threads[n], NULL, run_thread, &t) == 0)
		n++;
	work(j, arg);
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

bool job_can_read(const struct job *j, const struct var *v)
{
	const struct shard *shard = &j->s->shards[v->shard];

	/* A slice of a variable that is bad already is nobody's. */
	return (v->kind == VAR_WHOLE || (v->kind == VAR_PART && j->origins[v - j->s->vars].part)) &&
	       shard->status == 0 && v->off <= shard->id.size && v->size <= shard->id.size - v->off;
}

/* --- findings ---------------------------------------------------------------------------------------------- */

static void found(struct job *j, struct bytes key, const char *text)
{
	j->problems++;
	j->c->found(j->c->arg, FOUND_PROBLEM, key, text);
}

/* "its slice START,LENGTH:START,LENGTH: ", as TensorFlow spells one. */
static void print_slice(const struct step *s, uint32_t var, uint32_t part, struct buf *out)
{
	const int64_t *extents = s->dims + s->parts[part].extents;
	unsigned rank = s->vars[var].rank;

	buf_add_str(out, "its slice ");
	for (unsigned i = 0; i < rank; i++)
		buf_printf(out, "%s%" PRId64 ",%" PRId64, i ? ":" : "", extents[2 * i],
			   extents[2 * i + 1]);
	buf_add_str(out, ": ");
}

/* Tells what is wrong with V, under the name of the variable that it is a slice of. */
static void found_in(struct job *j, uint32_t var, const char *why)
{
	CLEANUP(buf_release) struct buf text = {0};
	struct origin origin = j->origins[var];
	const struct step *s = j->s;

	if (origin.part)
		print_slice(s, origin.var, origin.part - 1, &text);
	if (buf_printf(&text, "%s", why) == 0 && buf_add_byte(&text, 0) == 0)
		why = (char *)text.p;
	found(j, var_key(s, &s->vars[origin.var]), why);
}

static int compare_failures(const void *a, const void *b)
{
	const struct failure *x = a, *y = b;

	return (x->var > y->var) - (x->var < y->var);
}

static void tell_failures(struct job *j)
{
	struct failure *f = (struct failure *)j->failures.p;
	size_t n = j->failures.n / sizeof *f;
	char more[80];

	if (n)
		qsort(f, n, sizeof *f, compare_failures);
	for (size_t i = 0; i < n; i++)
		found_in(j, f[i].var, f[i].why.text);
	if (j->n_failures <= n)
		return;
	snprintf(more, sizeof more, "%" PRIu64 " more variables are damaged", j->n_failures - n);
	found(j, no_key, more);
}

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
			found(j, no_key, e.text);
		else
			j->c->found(j->c->arg, FOUND_NOTE, no_key, e.text);
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

/* How many variables a shard has: [n_shards], LAST tells which was counted last. */
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
		if (told++ == CHECK_MAX_FAILURES) {
			found(j, no_key, "more shards can't be read");
			break;
		}
		step_shard_file(s, i, &file);
		err_set(&e, 0, "%.*s: %s; %" PRIu32 " variable%s", (int)file.n, (char *)file.p,
			strerror(-s->shards[i].status), uses[i].n,
			uses[i].n == 1 ? " has bytes in it" : "s have bytes in it");
		if (s->place.format == STEP_V1) /* which these are it alone would tell */
			err_sys(&e, s->shards[i].status, "%.*s", (int)file.n, (char *)file.p);
		found(j, no_key, e.text);
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
			continue; /* said of the shard */
		if (v->kind == VAR_PART && !j->origins[i].part)
			continue; /* of a variable that is bad already */
		if (step_check(s, v, j->dirfd, &e) == -ESTALE)
			job_stop(j, &e);
		else if (e.code)
			job_fail(j, i, &e);
	}
}

/* --- sidecars ---------------------------------------------------------------------------------------------- */

/* "3 variables that …: a, b, c" */
struct names {
	struct buf text;
	uint32_t n;
};

static void add_name(struct names *names, struct bytes key)
{
	if (names->n++ < MAX_NAMES)
		buf_printf(&names->text, "%s%.*s", names->n > 1 ? ", " : "", (int)key.n,
			   (const char *)key.p);
}

static void tell_names(struct job *j, struct names *names, const char *one, const char *several)
{
	struct err e;

	if (!names->n)
		return;
	if (names->n > MAX_NAMES)
		buf_printf(&names->text, " and %" PRIu32 " more", names->n - MAX_NAMES);
	err_set(&e, 0, "%" PRIu32 " %s: %.*s", names->n, names->n == 1 ? one : several,
		(int)names->text.n, (char *)names->text.p);
	j->c->found(j->c->arg, FOUND_NOTE, no_key, e.text);
	buf_release(&names->text);
}

static bool in_variables(const struct memberships *m, struct bytes key)
{
	size_t from, n = memberships_find(m, key, &from);

	for (size_t i = from; i < from + n; i++)
		if (!strcmp(m->items[i].collection, "variables"))
			return true;
	return false;
}

static void compare_graph(struct job *j, const struct memberships *m)
{
	const struct step *s = j->s;
	struct names lacking = {0}, unknown = {0};
	bool any = false;

	for (size_t i = 0; i < m->n; i++) {
		if (strcmp(m->items[i].collection, "variables") != 0)
			continue;
		any = true;
		if (!step_find(s, m->items[i].key))
			add_name(&lacking, m->items[i].key);
	}
	for (uint32_t i = 0; any && i < s->n_vars; i++)
		if (s->vars[i].kind != VAR_PART && !in_variables(m, var_key(s, &s->vars[i])))
			add_name(&unknown, var_key(s, &s->vars[i]));
	tell_names(j, &lacking, "variable of its graph is not stored",
		   "variables of its graph are not stored");
	tell_names(j, &unknown, "variable is stored that its graph does not list",
		   "variables are stored that its graph does not list");
}

static int check_meta(struct job *j)
{
	CLEANUP(meta_graph_release) struct meta_graph graph = {0};
	CLEANUP(memberships_release) struct memberships m = {0};
	struct err e = {0};
	int r = sidecar_meta(j->dirfd, &j->s->place, META_SUFFIX, &graph, &e);

	if (r == -ENOENT)
		return 0;
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		found(j, no_key, e.text);
		return 0;
	}
	r = meta_graph_memberships(&graph, &m);
	if (r == 0)
		compare_graph(j, &m);
	return r;
}

/* Whether some key is KEY, or begins with it. */
static bool has_key(const struct step *s, const struct object_key *key)
{
	uint32_t lo = 0, hi = s->n_vars;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (bytes_cmp(var_key(s, &s->vars[mid]), key->key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->n_vars && (key->whole ? bytes_eq(var_key(s, &s->vars[lo]), key->key)
					     : bytes_starts(var_key(s, &s->vars[lo]), key->key));
}

static void compare_objects(struct job *j, const struct object_keys *keys)
{
	const struct step *s = j->s;
	struct names unknown = {0};
	uint32_t told = 0;

	for (size_t i = 0; i < keys->n; i++)
		if (!has_key(s, &keys->items[i]) && told++ < CHECK_MAX_FAILURES)
			found(j, keys->items[i].key,
			      "the object graph names it, and it is not stored");
	for (uint32_t i = 0; i < s->n_vars; i++) {
		struct bytes key = var_key(s, &s->vars[i]);

		if (s->vars[i].kind != VAR_PART && !bytes_eq(key, bytes_str(OBJECT_GRAPH_KEY)) &&
		    !object_keys_cover(keys, key))
			add_name(&unknown, key);
	}
	tell_names(j, &unknown, "variable is stored that the object graph does not name",
		   "variables are stored that the object graph does not name");
}

static int check_objects(struct job *j)
{
	CLEANUP(buf_release) struct buf raw = {0};
	CLEANUP(object_keys_release) struct object_keys keys = {0};
	struct err e = {0};

	/* What can't be read has been told already. */
	if (!j->s->object_based || sidecar_object_graph(j->s, j->dirfd, &raw, &e) < 0)
		return 0;
	if (object_keys_read(buf_bytes(&raw), &keys, &e) < 0) {
		found(j, bytes_str(OBJECT_GRAPH_KEY), e.text);
		return 0;
	}
	compare_objects(j, &keys);
	return 0;
}

/* --- all of it --------------------------------------------------------------------------------------------- */

/* Whether the files are still those that the step was made from. */
static bool is_unchanged(const struct step *s, int dirfd)
{
	struct file_id now;
	struct stat st;

	if (fstatat(dirfd, s->place.file, &st, 0) < 0)
		return false;
	now = file_id_of(&st);
	if (!file_id_eq(&now, &s->id))
		return false;
	for (uint32_t i = 0; i < s->n_shards; i++) {
		CLEANUP(buf_release) struct buf file = {0};
		bool there;

		if (step_shard_name(&s->place, s->shards[i].number, s->num_shards, &file) < 0)
			return false;
		there = fstatat(dirfd, (char *)file.p, &st, 0) == 0;
		now = file_id_of(&st);
		if (s->shards[i].status == -ENOENT ? there
						   : !there || !file_id_eq(&now, &s->shards[i].id))
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
	tell_failures(j);
	if (r == 0 && !job_stopped(j))
		r = check_meta(j);
	if (r == 0 && !job_stopped(j))
		r = check_objects(j);
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

/* Is it we that can't read, and not the file that can't be read? */
static bool is_ours(int r)
{
	return r == -EACCES || r == -ENOMEM || r == -EMFILE || r == -ENFILE;
}

static int check_unopened(int dirfd, const struct step_place *where, const struct stat *before,
			  const struct check *c, int r, const struct err *e)
{
	struct file_id old = file_id_of(before), new;
	struct stat after;

	if (is_ours(r))
		return r;
	if (!is_there(dirfd, where->file))
		return -ENOENT;
	if (before->st_ino && fstatat(dirfd, where->file, &after, 0) == 0) {
		new = file_id_of(&after);
		if (!file_id_eq(&old, &new))
			return -ESTALE;
	}
	c->found(c->arg, FOUND_PROBLEM, no_key, e->text);
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

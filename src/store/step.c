#include "store/step.h"
#include "base/cleanup.h"
#include "format/bundle.h"
#include "format/dtype.h"
#include "format/ordered_code.h"
#include "format/slice.h"
#include "store/verify.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

enum {
	MAX_TEXTS = 1 << 20, /* of explanations; a hostile index could ask for one an entry */
	MAX_OVERLAP_CHECKS = 50000000, /* pairs of slices that are compared, for one variable */
};

static const char object_graph_key[] = "_CHECKPOINTABLE_OBJECT_GRAPH";

struct file_id file_id_of(const struct stat *st)
{
	return (struct file_id){st->st_dev, st->st_ino, (uint64_t)st->st_size, st->st_mtim};
}

bool file_id_eq(const struct file_id *a, const struct file_id *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec;
}

/* --- building ------------------------------------------------------------------------------------------ */

struct builder {
	struct bundle bundle;
	struct buf vars, parts, shards, dims, names, texts;
	uint32_t n_strings;
};

static void builder_release(struct builder *b)
{
	bundle_close(&b->bundle);
	buf_release(&b->vars);
	buf_release(&b->parts);
	buf_release(&b->shards);
	buf_release(&b->dims);
	buf_release(&b->names);
	buf_release(&b->texts);
}

static struct var *vars_of(const struct builder *b)
{
	return (struct var *)b->vars.p;
}

static uint32_t n_vars(const struct builder *b)
{
	return (uint32_t)(b->vars.n / sizeof(struct var));
}

/* Adds N int64 and says where they are. */
static int add_dims(struct builder *b, const int64_t *dims, size_t n, uint32_t *at)
{
	size_t where = b->dims.n / sizeof *dims;

	if (where + n > UINT32_MAX)
		return -E2BIG;
	*at = (uint32_t)where;
	return buf_add(&b->dims, dims, n * sizeof *dims);
}

static int make_bad(struct builder *b, struct var *v, const char *why)
{
	size_t n = strlen(why) + 1;

	v->kind = VAR_BAD;
	v->aux = 0; /* there stands "malformed", for those that no longer fit */
	if (b->texts.n + n > MAX_TEXTS)
		return 0;
	v->aux = (uint32_t)b->texts.n;
	return buf_add(&b->texts, why, n);
}

static int add_parts(struct builder *b, const struct bundle_entry *entry, struct var *v)
{
	size_t pairs = 2 * (size_t)entry->rank;
	int r = 0;

	v->kind = VAR_SLICED;
	v->aux = (uint32_t)(b->parts.n / sizeof(struct part));
	v->n_parts = entry->n_slices;
	for (size_t i = 0; i < entry->n_slices && r == 0; i++) {
		struct part part = {0};

		r = add_dims(b, entry->slices + i * pairs, pairs, &part.extents);
		if (r == 0)
			r = buf_add(&b->parts, &part, sizeof part);
	}
	return r;
}

static int add_var(struct builder *b, const struct bundle_entry *entry)
{
	struct var v = {
		.key = (uint32_t)b->names.n,
		.key_n = (uint32_t)entry->key.n,
		.shard = entry->shard, /* its number; see find_shards */
		.crc = entry->crc,
		.dtype = entry->dtype,
		.rank = entry->rank,
		.off = entry->off,
		.size = entry->size,
	};
	int r;

	if (b->names.n + entry->key.n > UINT32_MAX || n_vars(b) == UINT32_MAX / 2)
		return -E2BIG;
	r = buf_add(&b->names, entry->key.p, entry->key.n);
	if (r == 0)
		r = add_dims(b, entry->dims, entry->rank, &v.dims);
	if (r == 0 && entry->why.code)
		r = make_bad(b, &v, entry->why.text);
	else if (r == 0 && entry->n_slices && !entry->size)
		r = add_parts(b, entry, &v);
	else if (v.dtype == DTYPE_STRING)
		v.aux = b->n_strings++;
	return r == 0 ? buf_add(&b->vars, &v, sizeof v) : r;
}

static int read_entries(struct builder *b, struct err *e)
{
	struct bundle_entry entry;
	int r;

	r = buf_add(&b->texts, "malformed", sizeof "malformed");
	while (r == 0 && (r = bundle_next(&b->bundle, &entry, e)) > 0) {
		r = add_var(b, &entry);
		if (r < 0)
			return err_sys(e, r, "entry %" PRIu32, n_vars(b));
	}
	return r;
}

/* --- partitioned variables ----------------------------------------------------------------------------- */

static int compare_keys(const void *key, const void *var, void *names)
{
	const struct var *v = var;

	return bytes_cmp(*(const struct bytes *)key, bytes_of((uint8_t *)names + v->key, v->key_n));
}

static struct var *find(struct var *vars, uint32_t n, uint8_t *names, struct bytes key)
{
	uint32_t lo = 0, hi = n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int c = compare_keys(&key, &vars[mid], names);

		if (c == 0)
			return &vars[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

/* Finds the entry of a slice, and checks it against its parent. EXTENTS are spelled out on return. */
static int find_part(struct builder *b, const struct var *v, struct part *part, uint64_t *count,
		     struct err *e)
{
	CLEANUP(buf_release)
	struct buf key = {0};
	int64_t *extents = (int64_t *)b->dims.p + part->extents;
	struct bytes name = bytes_of(b->names.p + v->key, v->key_n);
	struct var *p;
	int r;

	if (slice_key_encode(&key, name, v->rank, extents) < 0)
		return err_set(e, -ENOMEM, "no memory for a slice's key");
	r = slice_resolve(v->rank, (int64_t *)b->dims.p + v->dims, extents, count, e);
	if (r < 0)
		return r;
	p = find(vars_of(b), n_vars(b), b->names.p, buf_bytes(&key));
	if (!p)
		return err_set(e, -EUCLEAN, "a slice that it lists is missing");
	p->kind = p->kind == VAR_WHOLE ? VAR_PART : p->kind;
	if (p->kind != VAR_PART || p->dtype != v->dtype || p->rank != v->rank)
		return err_set(e, -EUCLEAN, "a slice is malformed, or of another type");
	for (unsigned i = 0; i < v->rank; i++)
		if (((int64_t *)b->dims.p)[p->dims + i] != extents[2 * i + 1])
			return err_set(e, -EUCLEAN, "a slice's shape is not that of its extents");
	part->var = (uint32_t)(p - vars_of(b));
	return 0;
}

struct by_start {
	const int64_t *extents;
};

static int compare_starts(const void *a, const void *b)
{
	int64_t x = ((const struct by_start *)a)->extents[0],
		y = ((const struct by_start *)b)->extents[0];

	return (x > y) - (x < y);
}

/* Sorted by where they start along the first axis, a slice need only be compared with those that start before
 * it ends. */
static int check_overlap(const struct builder *b, const struct var *v, struct err *e)
{
	const struct part *parts = (const struct part *)b->parts.p + v->aux;
	CLEANUP(freep)
	struct by_start *sorted = malloc(v->n_parts * sizeof *sorted);
	uint64_t checks = 0;

	if (!sorted)
		return err_set(e, -ENOMEM, "no memory for %" PRIu32 " slices", v->n_parts);
	for (uint32_t i = 0; i < v->n_parts; i++)
		sorted[i].extents = (int64_t *)b->dims.p + parts[i].extents;
	if (v->rank)
		qsort(sorted, v->n_parts, sizeof *sorted, compare_starts);
	for (uint32_t i = 0; i < v->n_parts; i++) {
		const int64_t *x = sorted[i].extents;

		for (uint32_t k = i + 1; k < v->n_parts; k++) {
			const int64_t *y = sorted[k].extents;

			if (v->rank && y[0] >= x[0] + x[1])
				break;
			if (slices_overlap(v->rank, x, y))
				return err_set(e, -EUCLEAN, "two of its slices overlap");
			if (++checks > MAX_OVERLAP_CHECKS)
				return err_set(e, -EUCLEAN, "%" PRIu32 " slices are too many",
					       v->n_parts);
		}
	}
	return 0;
}

/* Slices that lie within the shape, do not overlap and have as many elements as it have it whole. */
static int join_parts(struct builder *b, struct var *v, struct err *e)
{
	struct part *parts = (struct part *)b->parts.p + v->aux;
	uint64_t count, sum = 0, whole;
	int r;

	v->size = 0;
	for (uint32_t i = 0; i < v->n_parts; i++) {
		r = find_part(b, v, &parts[i], &count, e);
		if (r < 0)
			return r;
		if (i == 0)
			v->shard = vars_of(b)[parts[i].var].shard;
		sum += count; /* each at most the whole, which fits 63 bits; the sum is compared at each step */
		v->size += vars_of(b)[parts[i].var].size;
		shape_count(v->rank, (int64_t *)b->dims.p + v->dims, &whole);
		if (sum > whole)
			return err_set(e, -EUCLEAN, "its slices hold more than its shape");
	}
	if (sum != whole)
		return err_set(e, -EUCLEAN,
			       "its slices leave %" PRIu64 " of %" PRIu64 " elements out",
			       whole - sum, whole);
	return check_overlap(b, v, e);
}

static int join_all_parts(struct builder *b, struct err *e)
{
	for (uint32_t i = 0; i < n_vars(b); i++) {
		struct var *v = &vars_of(b)[i];
		struct err why = {0};
		int r = v->kind == VAR_SLICED ? join_parts(b, v, &why) : 0;

		if (r < 0)
			r = make_bad(b, v, why.text);
		if (r < 0)
			return err_sys(e, r, "entry %" PRIu32, i);
	}
	return 0;
}

/* --- shards -------------------------------------------------------------------------------------------- */

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static bool has_bytes(const struct var *v)
{
	return v->kind == VAR_WHOLE || v->kind == VAR_PART;
}

/* The numbers of the shards that entries name, ascending, each once. */
static int collect_numbers(const struct builder *b, uint32_t **numbers, uint32_t *n)
{
	const struct var *vars = vars_of(b);
	uint32_t last = 0;

	*n = 0;
	*numbers = malloc((n_vars(b) + 1) * sizeof **numbers);
	if (!*numbers)
		return -ENOMEM;
	for (uint32_t i = 0; i < n_vars(b); i++)
		if (has_bytes(&vars[i]) && (!*n || vars[i].shard != last))
			(*numbers)[(*n)++] = last = vars[i].shard;
	qsort(*numbers, *n, sizeof **numbers, compare_u32);

	uint32_t kept = 0;

	for (uint32_t i = 0; i < *n; i++)
		if (!kept || (*numbers)[i] != (*numbers)[kept - 1])
			(*numbers)[kept++] = (*numbers)[i];
	*n = kept;
	return 0;
}

static int shard_file(const char *prefix, uint32_t number, uint32_t num_shards, struct buf *out)
{
	int r = bundle_shard_name(out, bytes_str(prefix), number, num_shards);

	return r < 0 ? r : buf_add_byte(out, 0);
}

static void look_at_shard(int dirfd, const char *file, const struct stat *index, struct shard *out)
{
	struct stat st;

	if (fstatat(dirfd, file, &st, 0) < 0) {
		out->status = -errno;
		st = *index; /* a variable has to show some owner and time */
	} else if (!S_ISREG(st.st_mode)) {
		out->status = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	}
	out->id = file_id_of(&st);
	out->mode = st.st_mode & 0666;
	out->uid = st.st_uid;
	out->gid = st.st_gid;
}

/* Makes var->shard an index of b->shards in place of a number. */
static int find_shards(struct builder *b, int dirfd, const char *name, const struct stat *index)
{
	CLEANUP(freep)
	uint32_t *numbers = NULL;
	uint32_t n;
	int r = collect_numbers(b, &numbers, &n);

	for (uint32_t i = 0; i < n && r == 0; i++) {
		CLEANUP(buf_release)
		struct buf file = {0};
		struct shard shard = {.number = numbers[i]};

		r = shard_file(name, numbers[i], (uint32_t)b->bundle.num_shards, &file);
		if (r < 0)
			return r;
		look_at_shard(dirfd, (char *)file.p, index, &shard);
		r = buf_add(&b->shards, &shard, sizeof shard);
	}
	for (uint32_t i = 0; i < n_vars(b) && r == 0; i++) {
		struct var *v = &vars_of(b)[i];
		uint32_t *at = bsearch(&v->shard, numbers, n, sizeof *numbers, compare_u32);

		v->shard = at ? (uint32_t)(at - numbers) : 0;
	}
	return r;
}

/* --- the step ------------------------------------------------------------------------------------------ */

/* Hands over a buffer's memory, cut to what is used. */
static void *take(struct buf *b, size_t *memory)
{
	void *p = realloc(b->p, b->n ? b->n : 1);

	*memory += b->n;
	p = p ? p : b->p;
	*b = (struct buf){0};
	return p;
}

static int finish(struct builder *b, const char *name, const struct stat *index, struct step **out)
{
	struct step *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	s->name = strdup(name);
	s->strings = calloc(b->n_strings ? b->n_strings : 1, sizeof *s->strings);
	s->verify = verify_new(n_vars(b));
	if (!s->name || !s->strings || !s->verify) {
		verify_free(s->verify);
		free(s->name);
		free(s->strings);
		free(s);
		return -ENOMEM;
	}
	pthread_mutex_init(&s->lock, NULL);
	atomic_init(&s->refs, 1);
	s->id = file_id_of(index);
	s->index = *index;
	s->big_endian = b->bundle.big_endian;
	s->num_shards = (uint32_t)b->bundle.num_shards;
	s->n_vars = n_vars(b);
	s->n_parts = (uint32_t)(b->parts.n / sizeof(struct part));
	s->n_shards = (uint32_t)(b->shards.n / sizeof(struct shard));
	s->n_strings = b->n_strings;
	s->memory = sizeof *s + b->n_strings * sizeof *s->strings;
	s->vars = take(&b->vars, &s->memory);
	s->parts = take(&b->parts, &s->memory);
	s->shards = take(&b->shards, &s->memory);
	s->dims = take(&b->dims, &s->memory);
	s->names = take(&b->names, &s->memory);
	s->texts = take(&b->texts, &s->memory);
	s->object_based = step_find(s, bytes_str(object_graph_key)) != NULL;
	*out = s;
	return 0;
}

static int open_index(int dirfd, const char *file, struct stat *st, struct source *src,
		      struct err *e)
{
	int fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int r;

	if (fd < 0)
		return err_sys(e, -errno, "open");
	r = source_of_fd(fd, src, e);
	if (r == 0 && fstat(fd, st) < 0)
		r = err_sys(e, -errno, "fstat");
	if (r < 0)
		close(fd);
	return r < 0 ? r : fd;
}

static int build(struct builder *b, struct source src, int dirfd, const char *name,
		 const struct stat *st, struct step **out, struct err *e)
{
	int r = bundle_open(&b->bundle, src, e);

	if (r == 0)
		r = read_entries(b, e);
	if (r == 0)
		r = join_all_parts(b, e);
	if (r < 0)
		return r;
	r = find_shards(b, dirfd, name, st);
	if (r == 0)
		r = finish(b, name, st, out);
	return r < 0 ? err_sys(e, r, "%" PRIu32 " entries", n_vars(b)) : 0;
}

int step_open(int dirfd, const char *name, enum verify_mode mode, struct step **out, struct err *e)
{
	CLEANUP(builder_release)
	struct builder b = {0};
	CLEANUP(buf_release)
	struct buf file = {0};
	CLEANUP(closep)
	int fd = -1;
	struct source src;
	struct stat st;
	int r;

	if (buf_printf(&file, "%s.index", name) < 0)
		return err_set(e, -ENOMEM, "no memory");
	fd = open_index(dirfd, (char *)file.p, &st, &src, e);
	r = fd < 0 ? fd : build(&b, src, dirfd, name, &st, out, e);
	if (r < 0)
		return err_wrap(e, r, "%s.index", name);
	(*out)->mode = mode;
	return 0;
}

struct step *step_ref(struct step *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

void step_unref(struct step *s)
{
	if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s->name);
	free(s->vars);
	free(s->parts);
	free(s->shards);
	free(s->dims);
	free(s->names);
	free(s->texts);
	free(s->strings);
	verify_free(s->verify);
	free(s);
}

uint64_t var_count(const struct step *s, const struct var *v)
{
	uint64_t n = 0;

	shape_count(v->rank, var_dims(s, v), &n);
	return n;
}

const struct var *step_find(const struct step *s, struct bytes key)
{
	return find(s->vars, s->n_vars, s->names, key);
}

static int check_place(const struct step *s, const struct var *v, struct err *e)
{
	const struct shard *shard = &s->shards[v->shard];

	if (shard->status < 0) {
		err_sys(e, shard->status, "%s.data-%05" PRIu32 "-of-%05" PRIu32, s->name,
			shard->number, s->num_shards);
		return -EIO; /* a program that asks for the variable would take ENOENT for an answer */
	}
	if (v->off <= shard->id.size && v->size <= shard->id.size - v->off)
		return 0;
	return err_set(e, -EUCLEAN,
		       "%s.data-%05" PRIu32 "-of-%05" PRIu32 ": has %" PRIu64
		       " bytes, expected %" PRIu64 " at %" PRIu64,
		       s->name, shard->number, s->num_shards, shard->id.size, v->size, v->off);
}

int step_check(const struct step *s, const struct var *v, struct err *e)
{
	int r = 0;

	if (v->kind == VAR_BAD)
		return err_set(e, -EUCLEAN, "%s.index: %s", s->name, s->texts + v->aux);
	if (v->kind != VAR_SLICED)
		return check_place(s, v, e);
	for (uint32_t i = 0; i < v->n_parts && r == 0; i++)
		r = check_place(s, &s->vars[s->parts[v->aux + i].var], e);
	return r;
}

int step_open_shard(const struct step *s, int dirfd, uint32_t number, struct err *e)
{
	CLEANUP(buf_release)
	struct buf file = {0};
	CLEANUP(closep)
	int fd = -1;
	const struct shard *shard = &s->shards[number];
	struct file_id now;
	struct stat st;

	if (shard_file(s->name, shard->number, s->num_shards, &file) < 0)
		return err_set(e, -ENOMEM, "no memory");
	fd = openat(dirfd, (char *)file.p, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, errno == ENOENT ? -ESTALE : -errno, "%s", (char *)file.p);
	now = file_id_of(&st);
	if (!file_id_eq(&now, &shard->id))
		return err_set(e, -ESTALE, "%s: is not the file that it was", (char *)file.p);
	return TAKE(fd, -1);
}

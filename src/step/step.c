#include "step/step.h"
#include "base/cleanup.h"
#include "base/lacks.h"
#include "format/bundle.h"
#include "format/slice.h"
#include "message/meta_graph.h"
#include "step/full_names.h"
#include <fcntl.h>
#include <inttypes.h>

struct file_id file_id_of(const struct stat *st)
{
	bool keeps = !(lacks_of(st->st_dev) & LACKS_INODES);

	return (struct file_id){st->st_dev, keeps ? st->st_ino : 0, (uint64_t)st->st_size,
				st->st_mtim};
}

/* Where the times of new files can't be relied on, two that differ by less. */
enum { ABOUT_SECONDS = 60 };

static bool is_same_time(const struct file_id *a, const struct file_id *b)
{
	time_t apart = a->mtime.tv_sec - b->mtime.tv_sec;

	if (!apart && a->mtime.tv_nsec == b->mtime.tv_nsec)
		return true;
	return lacks_of(a->dev) & LACKS_TIMES && apart < ABOUT_SECONDS && -apart < ABOUT_SECONDS;
}

bool file_id_eq(const struct file_id *a, const struct file_id *b)
{
	bool same =
		a->ino == b->ino || !a->ino || !b->ino; /* one may be from before that was known */

	return a->dev == b->dev && same && a->size == b->size && is_same_time(a, b);
}

/* --- places ------------------------------------------------------------------------------------------------ */

int step_place_copy(const struct step_place *from, struct step_place *to)
{
	struct step_place p = *from;

	p.name = strdup(from->name);
	p.file = strdup(from->file);
	if (!p.name || !p.file) {
		step_place_release(&p);
		return -ENOMEM;
	}
	*to = p;
	return 0;
}

void step_place_release(struct step_place *p)
{
	free(p->name);
	free(p->file);
	*p = (struct step_place){0};
}

int step_index_name(const char *prefix, struct buf *out)
{
	int r;

	out->n = 0;
	r = buf_printf(out, "%s.index", prefix);
	return r < 0 ? r : buf_add_byte(out, 0);
}

int step_file_name(enum step_format format, const char *prefix, struct buf *out)
{
	const struct step_place single = {.name = (char *)prefix, .format = STEP_V1};

	return format == STEP_V2 ? step_index_name(prefix, out)
				 : step_shard_name(&single, 0, 1, out);
}

int step_shard_name(const struct step_place *p, uint32_t number, uint32_t of, struct buf *out)
{
	int r;

	out->n = 0;
	if (p->format == STEP_V2)
		r = bundle_shard_name(out, bytes_str(p->name), number, of);
	else if (p->shards)
		r = buf_printf(out, "%s-%05" PRIu32 "-of-%05" PRIu32, p->name, number, p->shards);
	else
		r = buf_add_str(out, p->name);
	return r < 0 ? r : buf_add_byte(out, 0);
}

void step_shard_file(const struct step *s, uint32_t number, struct buf *out)
{
	uint32_t shard = number < s->n_shards ? s->shards[number].number : 0;

	if (step_shard_name(&s->place, shard, s->num_shards, out) < 0)
		out->n = 0;
	else
		out->n--;
}

/* --- references -------------------------------------------------------------------------------------------- */

int seen_copy(const struct seen *from, struct seen *to)
{
	*to = (struct seen){from->var_list ? strdup(from->var_list) : NULL,
			    from->collection ? strdup(from->collection) : NULL};
	if (!to->var_list == !from->var_list && !to->collection == !from->collection)
		return 0;
	seen_release(to);
	return -ENOMEM;
}

void seen_release(struct seen *s)
{
	free(s->var_list);
	free(s->collection);
	*s = (struct seen){0};
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
	verify_free(s->verify);
	full_names_free(s->full);
	if (s->members)
		memberships_release(s->members);
	free(s->members);
	seen_release(&s->seen);
	step_place_release(&s->place);
	free(s->vars);
	free(s->parts);
	free(s->shards);
	free(s->dims);
	free(s->names);
	free(s->texts);
	free(s->strings);
	free(s);
}

/* --- variables --------------------------------------------------------------------------------------------- */

uint64_t var_count(const struct step *s, const struct var *v)
{
	uint64_t n = 0;

	shape_count(v->rank, var_dims(s, v), &n);
	return n;
}

/* The mode that OWNER's file may have for SHARD's sake. Where the shard has another owner or group, it may put users
 * of one class of OWNER's into several classes of its own: then only what all of those may do is allowed. A missing
 * shard has the index's owner and mode (build_shard). */
static mode_t allowed(const struct var_owner *owner, const struct shard *shard)
{
	mode_t u = shard->mode >> 6 & 7, g = shard->mode >> 3 & 7, o = shard->mode & 7;
	bool same_uid = shard->uid == owner->uid, same_gid = shard->gid == owner->gid;
	mode_t as_owner = same_uid ? u : g & o;
	mode_t as_group = (same_gid ? g : g & o) & (same_uid ? 7 : u);
	mode_t as_other = o & (same_gid ? 7 : g) & (same_uid ? 7 : u);

	return as_owner << 6 | as_group << 3 | as_other;
}

/* The mode that all shards of V allow. */
static mode_t allowed_by_all(const struct step *s, const struct var *v,
			     const struct var_owner *owner)
{
	mode_t mode = allowed(owner, &s->shards[v->shard]);

	for (uint32_t i = 0; i < v->n_parts && v->kind == VAR_SLICED; i++)
		mode &= allowed(owner, &s->shards[s->vars[s->parts[v->aux + i].var].shard]);
	return mode;
}

struct var_owner var_owner(const struct step *s, const struct var *v, const struct stat *maker)
{
	const struct stat *of = maker ? maker : &s->index;
	struct var_owner owner = {of->st_uid, of->st_gid, of->st_mode & 0666};

	if (v->kind == VAR_BAD || !s->n_shards)
		return owner;
	if (maker) { /* writing to V does not change a shard */
		owner.mode &= allowed_by_all(s, v, &owner) | 0222;
		return owner;
	}
	owner.uid = s->shards[v->shard].uid;
	owner.gid = s->shards[v->shard].gid;
	owner.mode = allowed_by_all(s, v, &owner);
	return owner;
}

struct var_owner step_owner(const struct step *s)
{
	struct var_owner owner = {s->index.st_uid, s->index.st_gid, s->index.st_mode & 0666};

	for (uint32_t i = 0; i < s->n_shards; i++)
		owner.mode &= allowed(&owner, &s->shards[i]);
	return owner;
}

struct var *var_find(struct var *vars, uint32_t n, const uint8_t *names, struct bytes key)
{
	uint32_t lo = 0, hi = n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int c = bytes_cmp(key, bytes_of(names + vars[mid].key, vars[mid].key_n));

		if (c == 0)
			return &vars[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

const struct var *step_find(const struct step *s, struct bytes key)
{
	return var_find(s->vars, s->n_vars, s->names, key);
}

bool step_is_known(const struct step *s)
{
	for (uint32_t i = 0; i < s->n_shards; i++)
		if (s->shards[i].status == -EIO || s->shards[i].status == -ENOMEM)
			return false;
	return true;
}

/* Something was wrong with SHARD. Is it another file by now, or one that can be opened? */
static bool shard_changed(const struct step *s, int dirfd, const struct shard *shard)
{
	CLEANUP(buf_release) struct buf file = {0};
	struct file_id now;
	struct stat st;

	if (step_shard_name(&s->place, shard->number, s->num_shards, &file) < 0 ||
	    fstatat(dirfd, (char *)file.p, &st, 0) < 0)
		return false;
	now = file_id_of(&st);
	return shard->status < 0 ? S_ISREG(st.st_mode) : !file_id_eq(&now, &shard->id);
}

/* It was removed while it was parsed: the index first, so its shards were not found. */
static bool is_gone(const struct step *s, int dirfd)
{
	struct stat st;

	return fstatat(dirfd, s->place.file, &st, 0) < 0 && errno == ENOENT;
}

static int check_place(const struct step *s, const struct var *v, int dirfd, struct err *e)
{
	CLEANUP(buf_release) struct buf file = {0};
	const struct shard *shard = &s->shards[v->shard];

	if (shard->status == 0 && v->off <= shard->id.size && v->size <= shard->id.size - v->off)
		return 0;
	if (shard->status == 0 && s->place.format == STEP_V1)
		return 0; /* its values are found by key, not by offset */
	step_shard_file(s, v->shard, &file);
	if (shard_changed(s, dirfd, shard))
		return err_set(e, -ESTALE, "%.*s: is not the file that it was", (int)file.n,
			       (char *)file.p);
	if (shard->status < 0 && is_gone(s, dirfd))
		return err_set(e, -ESTALE, "%s: was removed", s->place.file);
	if (shard->status < 0) {
		err_sys(e, shard->status, "%.*s", (int)file.n, (char *)file.p);
		return -EIO; /* ENOENT would tell a program that there is no such variable */
	}
	return err_set(e, -EUCLEAN, "%.*s: has %" PRIu64 " bytes, expected %" PRIu64 " at %" PRIu64,
		       (int)file.n, (char *)file.p, shard->id.size, v->size, v->off);
}

int step_check(const struct step *s, const struct var *v, int dirfd, struct err *e)
{
	int r = 0;

	if (v->kind == VAR_BAD)
		return err_set(e, -EUCLEAN, "%s: %s", s->place.file, s->texts + v->aux);
	if (v->kind != VAR_SLICED)
		return check_place(s, v, dirfd, e);
	for (uint32_t i = 0; i < v->n_parts && r == 0; i++)
		r = check_place(s, &s->vars[s->parts[v->aux + i].var], dirfd, e);
	return r;
}

/* Why V can't be read, as far as it needs shard SHARD. */
static int check_in_shard(const struct step *s, const struct var *v, uint32_t shard, int dirfd,
			  struct err *e)
{
	int r = 0;

	if (v->kind == VAR_WHOLE && v->shard == shard)
		return check_place(s, v, dirfd, e);
	for (uint32_t i = 0; v->kind == VAR_SLICED && i < v->n_parts && r == 0; i++) {
		const struct var *part = &s->vars[s->parts[v->aux + i].var];

		r = part->shard == shard ? check_place(s, part, dirfd, e) : 0;
	}
	return r;
}

/* Variables that have a file. */
static uint32_t count_files(const struct step *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_vars; i++)
		n += s->vars[i].kind != VAR_PART;
	return n;
}

int step_add_lacking(const struct step *s, int dirfd, struct buf *out)
{
	int r = 0;

	for (uint32_t k = 0; k < s->n_shards && r == 0; k++) {
		CLEANUP(buf_release) struct buf file = {0};
		struct err why = {0};
		uint32_t lost = 0;

		for (uint32_t i = 0; i < s->n_vars; i++) {
			int bad = check_in_shard(s, &s->vars[i], k, dirfd, &why);

			if (bad ==
			    -ESTALE) /* it is back, or another one: the step is to be parsed anew */
				break;
			lost += bad < 0;
		}
		if (lost)
			r = buf_printf(out,
				       "%s%s; %" PRIu32 " of %" PRIu32 " variables can't be read",
				       out->n ? "\n" : "", why.text, lost, count_files(s));
		/* What a missing shard of V1 has is not known. */
		if (s->place.format != STEP_V1 || s->shards[k].status == 0 ||
		    shard_changed(s, dirfd, &s->shards[k]))
			continue;
		step_shard_file(s, k, &file);
		err_sys(&why, s->shards[k].status, "%.*s", (int)file.n, (char *)file.p);
		r = buf_printf(out, "%s%s", out->n ? "\n" : "", why.text);
	}
	return r;
}

/* FILE is the shard's name, ST what is said of it. */
static int open_shard(const struct step *s, int dirfd, uint32_t number, struct buf *file,
		      struct stat *st, struct err *e)
{
	CLEANUP(closep) int fd = -1;
	struct file_id now;

	if (step_shard_name(&s->place, s->shards[number].number, s->num_shards, file) < 0)
		return err_set(e, -ENOMEM, "no memory");
	fd = openat(dirfd, (char *)file->p, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, st) < 0)
		return err_sys(e, errno == ENOENT ? -ESTALE : -errno, "%s", (char *)file->p);
	now = file_id_of(st);
	if (!file_id_eq(&now, &s->shards[number].id))
		return err_set(e, -ESTALE, "%s: is not the file that it was", (char *)file->p);
	return TAKE(fd, -1);
}

int step_open_shard(const struct step *s, int dirfd, uint32_t number, struct err *e)
{
	CLEANUP(buf_release) struct buf file = {0};
	struct stat st;

	return open_shard(s, dirfd, number, &file, &st, e);
}

/* Nobody tells when a file goes to which a link leads from another folder. */
static bool is_link(int dirfd, const char *file)
{
	struct stat st;

	return fstatat(dirfd, file, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISLNK(st.st_mode);
}

int step_use_shard(const struct step *s, int dirfd, uint32_t number, struct kept_file **out,
		   struct err *e)
{
	CLEANUP(buf_release) struct buf file = {0};
	uint64_t closings = s->kept ? kept_closings(s->kept) : 0;
	struct stat st;
	int fd;

	*out = s->kept ? kept_find(s->kept, s->kept_as, number) : NULL;
	if (*out)
		return 0;
	fd = open_shard(s, dirfd, number, &file, &st, e);
	if (fd < 0)
		return fd;
	*out = kept_new(fd, &st);
	if (!*out)
		return err_set(e, -ENOMEM, "no memory");
	if (s->kept && !is_link(dirfd, (char *)file.p))
		kept_add(s->kept, *out, s->kept_as, number, closings);
	return 0;
}

int step_hold_shards(const struct step *s, int dirfd, struct held_shards *out, struct err *e)
{
	struct held_shards h = {.files = calloc(s->n_shards + (size_t)1, sizeof *h.files)};
	int r = h.files ? 0 : err_set(e, -ENOMEM, "no memory");

	for (; h.n < s->n_shards && r == 0; h.n++)
		if (s->shards[h.n].status == 0)
			r = step_use_shard(s, dirfd, h.n, &h.files[h.n], e);
	if (r < 0)
		held_shards_release(&h);
	else
		*out = h;
	return r;
}

void held_shards_release(struct held_shards *h)
{
	for (uint32_t i = 0; i < h->n; i++)
		kept_unref(h->files[i]);
	free(h->files);
	*h = (struct held_shards){0};
}

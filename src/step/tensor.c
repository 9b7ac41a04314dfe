#include "step/tensor.h"
#include "base/cleanup.h"
#include "format/dtype.h"
#include "format/slice.h"
#include "format/string_tensor.h"
#include "format/v1.h"
#include "format/variant_tensor.h"
#include <fcntl.h>
#include <inttypes.h>

/* How many bytes ahead of a sequential reader the kernel is asked to read. */
enum { READ_AHEAD = 8 << 20 };

/* How many bytes a V1 variable may take in memory while it is open. */
static const size_t MAX_DECODED = (size_t)4 << 30;

/* One stored range: that of a whole variable, or of a slice. */
struct piece {
	const struct var *var;
	const int64_t *extents; /* of the slice; NULL: it is the whole variable */
	struct source src; /* the shard; V1: `decoded` */
	struct buf decoded;
	_Atomic uint64_t ahead; /* the kernel was asked to read up to there */
};

struct string_ref {
	uint64_t off, len;
	uint32_t piece;
};

struct tensor {
	struct step *step;
	const struct var *var;
	const struct held_shards *held; /* others have these open; or NULL */
	struct tensor_shape shape;
	size_t decoded; /* bytes of V1 values in memory */
	uint32_t n_pieces, n_files;
	struct piece *pieces;
	struct open_shard {
		uint32_t shard;
		struct kept_file *file;
	} * files; /* sorted by shard */
	struct string_ref *strings; /* in the order of the array */
};

/* --- opening ------------------------------------------------------------------------------------------- */

/* A descriptor for SHARD. All its pieces share one. */
static int shard_fd(struct tensor *t, int dirfd, uint32_t shard, struct err *e)
{
	uint32_t lo = 0, hi = t->n_files;
	struct kept_file *file;
	int r;

	if (t->held && t->held->files[shard])
		return t->held->files[shard]->fd;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (t->files[mid].shard < shard)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < t->n_files && t->files[lo].shard == shard)
		return t->files[lo].file->fd;
	r = step_use_shard(t->step, dirfd, shard, &file, e);
	if (r < 0)
		return r;
	memmove(t->files + lo + 1, t->files + lo, (t->n_files - lo) * sizeof *t->files);
	t->files[lo] = (struct open_shard){shard, file};
	t->n_files++;
	return file->fd;
}

/* Decodes the values of a V1 slice into memory, as a bundle would store them. */
static int decode_v1(struct tensor *t, struct piece *p, struct err *e)
{
	CLEANUP(sstable_close) struct sstable table = {0};
	int r = sstable_open(&table, p->src, e);

	p->decoded.max = MAX_DECODED - t->decoded;
	if (r == 0)
		r = v1_read(&table, var_key(t->step, p->var), p->var->dtype,
			    var_count(t->step, p->var), &p->decoded, e);
	if (r < 0)
		return r;
	t->decoded += p->decoded.n;
	p->src = source_of_memory(buf_bytes(&p->decoded));
	return 0;
}

static int add_piece(struct tensor *t, int dirfd, const struct var *v, const int64_t *extents,
		     struct err *e)
{
	struct piece *p = &t->pieces[t->n_pieces];
	int fd = shard_fd(t, dirfd, v->shard, e);

	if (fd < 0)
		return fd;
	*p = (struct piece){
		.var = v,
		.extents = extents,
		.src = {.fd = fd, .size = t->step->shards[v->shard].id.size},
	};
	t->n_pieces++;
	return t->step->place.format == STEP_V1 ? decode_v1(t, p, e) : 0;
}

static int open_pieces(struct tensor *t, int dirfd, struct err *e)
{
	const struct step *s = t->step;
	const struct var *v = t->var;
	uint32_t n = v->kind == VAR_SLICED ? v->n_parts : 1;
	int r = step_check(s, v, dirfd, e);

	if (r < 0)
		return r;
	t->pieces = calloc(n ? n : 1, sizeof *t->pieces);
	t->files = calloc(n < s->n_shards ? n + 1 : s->n_shards + 1, sizeof *t->files);
	if (!t->pieces || !t->files)
		return err_set(e, -ENOMEM, "no memory for %" PRIu32 " slices", n);
	if (v->kind == VAR_WHOLE)
		return add_piece(t, dirfd, v, NULL, e);
	for (uint32_t i = 0; i < n && r == 0; i++) {
		const struct part *part = &s->parts[v->aux + i];

		r = add_piece(t, dirfd, &s->vars[part->var], s->dims + part->extents, e);
	}
	return r;
}

void tensor_close(struct tensor *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < t->n_files; i++)
		kept_unref(t->files[i].file);
	for (uint32_t i = 0; i < t->n_pieces; i++)
		buf_release(&t->pieces[i].decoded);
	free(t->files);
	free(t->pieces);
	free(t->strings);
	step_unref(t->step);
	free(t);
}

/* --- strings ------------------------------------------------------------------------------------------- */

static struct string_info *string_info(const struct step *s, const struct var *v)
{
	if (v->kind == VAR_SLICED)
		v = &s->vars[s->parts[v->aux].var];
	return &s->strings[v->aux];
}

/* Puts references to one piece's strings in their places in the array. */
static int place_strings(struct tensor *t, uint32_t number, const struct strings *strings)
{
	const struct piece *p = &t->pieces[number];
	struct string_ref *refs = p->extents ? calloc(strings->n + 1, sizeof *refs) : t->strings;

	if (!refs)
		return -ENOMEM;
	for (uint64_t i = 0; i < strings->n; i++)
		refs[i] = (struct string_ref){strings_start(strings, i), strings_len(strings, i),
					      number};
	if (p->extents) {
		slice_scatter(t->var->rank, var_dims(t->step, t->var), p->extents, sizeof *refs, 0,
			      strings->n, (uint8_t *)refs, (uint8_t *)t->strings, 0);
		free(refs);
	}
	return 0;
}

/* V1 has no checksums of values: its blocks are verified when they are read. */
static bool has_checksum(const struct tensor *t)
{
	return t->step->mode != VERIFY_OFF && t->step->place.format == STEP_V2;
}

static struct values_place place_of(const struct tensor *t, const struct piece *p)
{
	return (struct values_place){
		.off = p->var->off,
		.size = p->decoded.n ? p->decoded.n : p->var->size,
		.n = var_count(t->step, p->var),
		.big_endian = t->step->big_endian,
		.check = has_checksum(t),
		.crc = p->var->crc,
	};
}

static int read_piece_strings(struct tensor *t, uint32_t number, struct string_info *info,
			      struct err *e)
{
	CLEANUP(strings_release) struct strings strings = {0};
	const struct piece *p = &t->pieces[number];
	struct values_place at = place_of(t, p);
	int r = strings_read(&p->src, &at, &strings, e);

	if (r < 0)
		return r;
	info->ends_in_nul |= strings.ends_in_nul;
	if (strings.longest > info->longest)
		info->longest = strings.longest;
	return place_strings(t, number, &strings) < 0 ? err_set(e, -ENOMEM, "no memory") : 0;
}

/* Fills t->strings and INFO. Each string takes a byte or more of a shard, which bounds their number. */
static int read_strings(struct tensor *t, struct string_info *info, struct err *e)
{
	uint64_t count = var_count(t->step, t->var);
	int r = 0;

	*info = (struct string_info){.known = true, .longest = 1};
	t->strings = calloc(count + 1, sizeof *t->strings);
	if (!t->strings)
		return err_set(e, -ENOMEM, "no memory for %" PRIu64 " strings", count);
	for (uint32_t i = 0; i < t->n_pieces && r == 0; i++)
		r = read_piece_strings(t, i, info, e);
	return r;
}

static int shape_strings(const struct step *s, const struct var *v, const struct string_info *info,
			 struct tensor_shape *out, struct err *e)
{
	out->longest = info->longest;
	out->lengths = info->ends_in_nul;
	out->item = info->longest + (info->ends_in_nul ? 8 : 0);
	if (__builtin_mul_overflow(out->item, var_count(s, v), &out->size) ||
	    out->size > INT64_MAX / 2)
		return err_set(e, -EFBIG,
			       "as an array of strings of %" PRIu64 " bytes it is too large",
			       info->longest);
	return 0;
}

/* --- shapes -------------------------------------------------------------------------------------------- */

static void shape_of(const struct step *s, const struct var *v, struct tensor_shape *out)
{
	const struct dtype_info *type = dtype_info(v->dtype);

	*out = (struct tensor_shape){.item = type->item, .size = v->size};
	if (!type->item) {
		out->item = 1;
		out->record = true;
	} else if (v->kind == VAR_SLICED) {
		out->size = var_count(s, v) * type->item; /* fits: bundle_next has checked it */
	}
}

int tensor_shape(struct step *s, const struct var *v, int dirfd, struct tensor_shape *out,
		 struct err *e)
{
	struct string_info info;
	struct tensor *t;
	int r;

	if (v->kind == VAR_BAD)
		return step_check(s, v, dirfd, e);
	*out = (struct tensor_shape){0};
	if (v->dtype != DTYPE_STRING) {
		shape_of(s, v, out);
		return 0;
	}
	pthread_mutex_lock(&s->lock);
	info = *string_info(s, v);
	pthread_mutex_unlock(&s->lock);
	if (info.known)
		return shape_strings(s, v, &info, out, e);
	r = tensor_open(s, v, dirfd, &t, e);
	if (r < 0)
		return r;
	*out = t->shape;
	tensor_close(t);
	return 0;
}

static int open_strings(struct tensor *t, struct err *e)
{
	struct step *s = t->step;
	struct string_info info;
	int r = read_strings(t, &info, e);

	if (r == 0)
		r = shape_strings(s, t->var, &info, &t->shape, e);
	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	*string_info(s, t->var) = info;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

/* --- verifying ----------------------------------------------------------------------------------------- */

static struct stored stored_of(const struct step *s, const struct var *v)
{
	return (struct stored){
		.number = (uint32_t)(v - s->vars), .crc = v->crc, .off = v->off, .size = v->size};
}

/* R is what verify.h says of V. Damage is told with the names of the shard and of V. */
static int with_names(const struct step *s, const struct var *v, int r, struct err *e)
{
	CLEANUP(buf_release) struct buf file = {0};
	struct bytes key = var_key(s, v);

	if (r != -EBADMSG)
		return r;
	step_shard_file(s, v->shard, &file);
	return err_wrap(e, r, "%.*s: %.*s", (int)file.n, (char *)file.p, (int)key.n,
			(const char *)key.p);
}

int tensor_verify(const struct step *s, const struct var *v, const struct source *src,
		  struct err *e)
{
	struct stored stored = stored_of(s, v);

	return with_names(s, v, verify_all(s->verify, &stored, src, e), e);
}

/* The checksum of variants is not that of their stored bytes, so verify.h can't follow it as they are read. */
static int verify_variants(const struct tensor *t, const struct piece *p, struct err *e)
{
	const struct values_place at = place_of(t, p);
	int r = variants_check(&p->src, &at, e);

	return r < 0 ? err_wrap(e, r, "%.*s", (int)t->var->key_n,
				(const char *)var_key(t->step, t->var).p)
		     : 0;
}

/* Strings are verified when they are read (open_strings). */
static int verify_pieces(const struct tensor *t, struct err *e)
{
	const struct step *s = t->step;
	int r = 0;

	if (!has_checksum(t) || t->var->dtype == DTYPE_STRING)
		return 0;
	for (uint32_t i = 0; i < t->n_pieces && r == 0; i++) {
		const struct piece *p = &t->pieces[i];

		/* The checksum of an empty one can be wrong too, but nothing of it will be read later. */
		if (t->var->dtype == DTYPE_VARIANT)
			r = verify_variants(t, p, e);
		else if (s->mode == VERIFY_OPEN || !p->var->size)
			r = tensor_verify(s, p->var, &p->src, e);
		else
			r = with_names(s, p->var,
				       verify_check(s->verify, stored_of(s, p->var).number, e), e);
	}
	return r;
}

static int open_with(struct step *s, const struct var *v, int dirfd, const struct held_shards *held,
		     struct tensor **out, struct err *e)
{
	struct tensor *t = calloc(1, sizeof *t);
	int r;

	if (!t)
		return err_set(e, -ENOMEM, "no memory");
	t->step = step_ref(s);
	t->var = v;
	t->held = held;
	r = open_pieces(t, dirfd, e);
	if (r == 0)
		r = verify_pieces(t, e);
	if (r == 0 && v->dtype == DTYPE_STRING)
		r = open_strings(t, e);
	else if (r == 0)
		shape_of(s, v, &t->shape);
	if (r < 0)
		tensor_close(t);
	else
		*out = t;
	return r;
}

int tensor_open(struct step *s, const struct var *v, int dirfd, struct tensor **out, struct err *e)
{
	return open_with(s, v, dirfd, NULL, out, e);
}

int tensor_open_held(struct step *s, const struct var *v, const struct held_shards *held,
		     struct tensor **out, struct err *e)
{
	return open_with(s, v, -1, held, out, e);
}

/* --- reading ------------------------------------------------------------------------------------------- */

/* Asks the kernel to read on behind [off, off + n). Its own guess does not reach far: the requests of one sequential
 * reader come from several threads, out of order. A read that jumps ahead is not followed. */
static void read_ahead(struct piece *p, uint64_t off, uint64_t n)
{
	uint64_t ahead = p->ahead, end = off + n;
	uint64_t to = end + READ_AHEAD < p->var->size ? end + READ_AHEAD : p->var->size;

	if (p->src.fd < 0 || off > ahead || to < ahead + READ_AHEAD / 2)
		return;
	if (ahead < end)
		ahead = end;
	p->ahead = to;
	posix_fadvise(p->src.fd, (off_t)(p->var->off + ahead), (off_t)(to - ahead),
		      POSIX_FADV_WILLNEED);
}

/* Reads N bytes of a piece, from OFF of it on, and has them verified. */
static int read_stored(const struct tensor *t, struct piece *p, uint64_t off, uint64_t n,
		       uint8_t *dst, struct err *e)
{
	struct stored stored = stored_of(t->step, p->var);
	int r;

	read_ahead(p, off, n);
	r = source_read_into(&p->src, p->var->off + off, dst, n, e);
	if (r < 0 || !has_checksum(t) || t->var->dtype == DTYPE_VARIANT)
		return r;
	r = verify_saw(t->step->verify, &stored, off, dst, n, e);
	return with_names(t->step, p->var, r, e);
}

/* Reads those elements of a slice that are among the COUNT from FIRST on, into their places in DST. */
static int read_slice(const struct tensor *t, struct piece *p, uint64_t first, uint64_t count,
		      uint8_t *dst, struct err *e)
{
	CLEANUP(buf_release) struct buf run = {0};
	const int64_t *dims = var_dims(t->step, t->var);
	unsigned rank = t->var->rank;
	size_t item = t->shape.item;
	uint64_t from = slice_before(rank, dims, p->extents, first);
	uint64_t n = slice_before(rank, dims, p->extents, first + count) - from;
	uint64_t at, side_by_side;
	int r;

	if (!n)
		return 0;
	at = slice_run(rank, dims, p->extents, from, &side_by_side);
	if (side_by_side >= n)
		return read_stored(t, p, from * item, n * item, dst + (at - first) * item, e);
	if (buf_reserve(&run, n * item) < 0)
		return err_set(e, -ENOMEM, "no memory for %" PRIu64 " bytes", n * item);
	r = read_stored(t, p, from * item, n * item, run.p, e);
	if (r == 0)
		slice_scatter(rank, dims, p->extents, item, from, n, run.p, dst, first);
	return r;
}

static int read_elements(const struct tensor *t, uint64_t first, uint64_t count, uint8_t *dst,
			 struct err *e)
{
	int r = 0;

	for (uint32_t i = 0; i < t->n_pieces && r == 0; i++)
		r = read_slice(t, &t->pieces[i], first, count, dst, e);
	return r;
}

static int read_sliced(const struct tensor *t, uint64_t off, size_t len, uint8_t *dst,
		       struct err *e)
{
	CLEANUP(buf_release) struct buf whole = {0};
	size_t item = t->shape.item, skip = off % item;
	uint64_t first = off / item, count = (skip + len + item - 1) / item;
	int r;

	if (!skip && len % item == 0)
		return read_elements(t, first, count, dst, e);
	if (buf_reserve(&whole, count * item) < 0)
		return err_set(e, -ENOMEM, "no memory for %" PRIu64 " elements", count);
	r = read_elements(t, first, count, whole.p, e);
	if (r == 0)
		memcpy(dst, whole.p + skip, len);
	return r;
}

/* The bytes [off, off + n) of the array are put into DST. */
struct window {
	uint64_t off;
	size_t n;
	uint8_t *dst;
};

/* The LEN bytes at OFF of SRC stand at AT in the array. Reads those that are in the window straight into place. */
static int put(const struct window *w, uint64_t at, const struct source *src, uint64_t off,
	       uint64_t len, struct err *e)
{
	uint64_t start = at > w->off ? at : w->off;
	uint64_t end = at + len < w->off + w->n ? at + len : w->off + w->n;

	if (start >= end)
		return 0;
	return source_read_into(src, off + (start - at), w->dst + (start - w->off), end - start, e);
}

static int read_padded(const struct tensor *t, uint64_t off, size_t len, uint8_t *dst,
		       struct err *e)
{
	struct window w = {off, len, dst};
	uint64_t item = t->shape.item;
	int r = 0;

	memset(dst, 0, len);
	for (uint64_t i = off / item; i * item < off + len && r == 0; i++) {
		const struct string_ref *ref = &t->strings[i];
		uint64_t at = i * item;
		uint8_t length[8];
		struct source prefix = source_of_memory(bytes_of(length, sizeof length));

		if (t->shape.lengths) {
			put_le64(length, ref->len);
			r = put(&w, at, &prefix, 0, sizeof length, e);
			at += sizeof length;
		}
		if (r == 0)
			r = put(&w, at, &t->pieces[ref->piece].src, ref->off, ref->len, e);
	}
	return r;
}

int tensor_read(const struct tensor *t, uint64_t off, size_t len, uint8_t *dst, struct err *e)
{
	int r;

	if (off > t->shape.size || len > t->shape.size - off)
		return err_set(e, -EINVAL, "%zu bytes at %" PRIu64 " of %" PRIu64, len, off,
			       t->shape.size);
	if (!len)
		return 0;
	if (t->strings)
		r = read_padded(t, off, len, dst, e);
	else if (t->var->kind == VAR_SLICED)
		r = read_sliced(t, off, len, dst, e);
	else
		r = read_stored(t, t->pieces, off, len, dst, e);
	return r < 0 ? err_wrap(e, r, "%s: %.*s", t->step->place.name, (int)t->var->key_n,
				(const char *)var_key(t->step, t->var).p)
		     : 0;
}

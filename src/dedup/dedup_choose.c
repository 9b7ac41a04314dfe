/* src/dedup/dedup_choose.c: which bytes are the same, and what becomes of each file. */
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "dedup/dedup_state.h"
#include "format/dtype.h"
#include "format/variant_tensor.h"
#include <inttypes.h>
#include <stdlib.h>

enum {
	PIECE = 1 << 20,
	MAX_TRIES = 4, /* files of one size and checksum that are compared: more are no chance */
	MAX_OVERLAP = 4, /* tensors may cover a file so many times: more is made to take long */
	MAX_SHARDS = 64, /* of a step; a reader has them all open */
	LEAST_PART = 16, /* a file is written anew if that saves such a part of what is written */
};

/* A file that is open to be read. */
struct open_file {
	int fd;
	uint32_t file;
	struct source src;
};

struct chooser {
	struct dedup_state *d;
	struct open_file own, other;
	uint8_t *a, *b; /* [PIECE] */
	uint64_t *shared; /* [n_files]: bytes of the file in question that it has, too */
	uint32_t *homes; /* [n_homes]: the files of which that is so */
	uint32_t n_homes;
	uint64_t worked; /* bytes that were read since somebody was asked whether to go on */
};

static int use_file(const struct chooser *c, struct open_file *o, uint32_t f, struct err *e)
{
	int r;

	if (o->fd >= 0 && o->file == f)
		return 0;
	closep(&o->fd);
	r = o->fd = dedup_open(c->d, f, e);
	o->file = f;
	return r < 0 ? r : source_of_fd(o->fd, &o->src, e);
}

static int may_go_on(struct chooser *c, uint64_t more, struct err *e)
{
	enum { OFTEN = 64 << 20 };

	c->d->seen += more;
	c->worked += more;
	if (c->worked < OFTEN)
		return 0;
	c->worked = 0;
	return c->d->c->go_on(e);
}

/* --- reading ------------------------------------------------------------------------------------------------- */

/* Is what is read of range R, with the checksum CRC, what its index tells? -EBADMSG: it is damaged. */
static int check_sum(struct chooser *c, const struct dedup_range *r, uint32_t crc, struct err *e)
{
	const struct values_place at = {.off = r->off,
					.size = r->size,
					.n = r->elements,
					.big_endian = r->big_endian,
					.check = true,
					.crc = r->crc};

	if (r->dtype == DTYPE_STRING)
		return strings_check(&c->own.src, &at, e);
	if (r->dtype == DTYPE_VARIANT)
		return variants_check(&c->own.src, &at, e);
	return crc == r->crc ? 0
			     : err_set(e, -EBADMSG,
				       "crc32c of %" PRIu64 " bytes at %" PRIu64 " is %08" PRIx32
				       ", recorded %08" PRIx32,
				       r->size, r->off, crc, r->crc);
}

/* Reads range R, of the file that is open as its own, and verifies it; with OTHER also that, of the other file. 1: their bytes are the same. */
static int read_range(struct chooser *c, const struct dedup_range *r,
		      const struct dedup_range *other, struct err *e)
{
	bool same = other;
	uint32_t crc = 0;
	int result = 0;

	for (uint64_t at = 0; at < r->size && result == 0; at += PIECE) {
		size_t n = r->size - at < PIECE ? (size_t)(r->size - at) : PIECE;

		result = source_read_into(&c->own.src, r->off + at, c->a, n, e);
		if (result < 0)
			break;
		same = same &&
		       source_read_into(&c->other.src, other->off + at, c->b, n, NULL) == 0 &&
		       !memcmp(c->a, c->b, n);
		crc = crc32c_extend(crc, c->a, n);
		result = may_go_on(c, n, e);
	}
	if (result == 0)
		result = check_sum(c, r, crc, e);
	return result < 0 ? result : same;
}

/* Finds a range of an earlier place that has the bytes of range I. One that can't be read has not. */
static int find_home(struct chooser *c, uint32_t i, struct err *e)
{
	struct dedup_state *d = c->d;
	struct dedup_range *r = &d->ranges[i];
	int same = 0;

	for (uint32_t k = r->group, tries = 0; d->alike[k] != i && tries < MAX_TRIES && !same;
	     k++) {
		const struct dedup_range *other = &d->ranges[d->alike[k]];

		if (other->home != d->alike[k])
			continue;
		tries++;
		if (use_file(c, &c->other, other->file, NULL) == 0)
			same = read_range(c, r, other, e);
		if (same == 1)
			r->home = d->alike[k];
	}
	return same < 0 ? same : 0;
}

/* --- what is shared with which file -------------------------------------------------------------------------- */

static void list_homes(struct chooser *c, const struct dedup_file *f)
{
	struct dedup_range *r = c->d->ranges + f->first;

	c->n_homes = 0;
	for (uint32_t i = 0; i < f->n; i++) {
		uint32_t home = c->d->ranges[r[i].home].file;

		if (home == r[i].file)
			continue;
		if (!c->shared[home])
			c->homes[c->n_homes++] = home;
		c->shared[home] += r[i].size;
	}
}

static int compare_shared(const void *a, const void *b, void *chooser)
{
	const struct chooser *c = chooser;
	uint64_t x = c->shared[*(const uint32_t *)a], y = c->shared[*(const uint32_t *)b];

	return (x > y) - (x < y);
}

/* File F does not share its bytes with HOME. */
static void keep_own(struct chooser *c, const struct dedup_file *f, uint32_t home)
{
	for (uint32_t i = f->first; i < f->first + f->n; i++)
		if (c->d->ranges[c->d->ranges[i].home].file == home)
			c->d->ranges[i].home = i;
}

static uint64_t in_blocks(uint64_t bytes)
{
	return (bytes + DEDUP_BLOCK - 1) / DEDUP_BLOCK * DEDUP_BLOCK;
}

/* How many bytes only F has. */
static uint64_t own_bytes(const struct dedup_state *d, const struct dedup_file *f)
{
	uint64_t sum = 0;

	for (uint32_t i = f->first; i < f->first + f->n; i++)
		sum += d->ranges[i].home == i ? d->ranges[i].size : 0;
	return sum;
}

/* How many shards more each step that has file F may get, in place of that. */
static uint32_t room_for(const struct dedup_state *d, const struct dedup_file *f)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < f->names; i++) {
		uint32_t has = d->steps[d->users[f->users + i]].shards;

		most = has > most ? has : most;
	}
	return most < MAX_SHARDS ? MAX_SHARDS - most + 1 : 1;
}

static void count_shards(struct dedup_state *d, const struct dedup_file *f, uint32_t more)
{
	for (uint32_t i = 0; i < f->names; i++)
		d->steps[d->users[f->users + i]].shards += more;
}

/* A link to a file that saves no block is not worth it, and neither is one for which there is no room: from the least on. */
static void drop_small(struct chooser *c, const struct dedup_file *f)
{
	uint64_t own = own_bytes(c->d, f);
	uint32_t room = room_for(c->d, f), dropped = 0;

	qsort_r(c->homes, c->n_homes, sizeof *c->homes, compare_shared, c);
	for (; dropped < c->n_homes; dropped++) {
		uint32_t home = c->homes[dropped];

		if (in_blocks(own + c->shared[home]) > in_blocks(own) &&
		    c->n_homes - dropped <= room)
			break;
		own += c->shared[home];
		keep_own(c, f, home);
	}
	for (uint32_t i = 0; i < c->n_homes; i++)
		c->shared[c->homes[i]] = 0;
	c->n_homes -= dropped;
}

/* --- the fate of a file -------------------------------------------------------------------------------------- */

/* Is what only F has worth to be written anew, or is there nothing? */
static bool saves_enough(const struct dedup_file *f, uint64_t own)
{
	uint64_t needed = in_blocks(own);

	return f->blocks >= needed + DEDUP_BLOCK && (f->blocks - needed) >= own / LEAST_PART;
}

/* Gives what only F has its places in the new file, and verifies it. */
static int lay_out(struct chooser *c, struct dedup_file *f, struct err *e)
{
	int r = 0;

	for (uint32_t i = f->first; i < f->first + f->n && r == 0; i++) {
		struct dedup_range *range = &c->d->ranges[i];

		if (range->home != i)
			continue;
		range->new_off = f->new_size;
		f->new_size += range->size;
		r = read_range(c, range, NULL, e);
	}
	return r;
}

/* E says in which file it is. */
static int in_file(const struct dedup_state *d, const struct dedup_file *f, int r, struct err *e)
{
	CLEANUP(buf_release) struct buf name = {0};

	step_shard_file(d->steps[f->step].step, f->shard, &name);
	return err_wrap(e, r, "%.*s", (int)name.n, (const char *)name.p);
}

static int check_overlap(const struct dedup_state *d, const struct dedup_file *f, struct err *e)
{
	uint64_t times = 0, rest = 0;

	for (uint32_t i = f->first; i < f->first + f->n; i++) {
		rest += d->ranges[i].size;
		times += rest / f->id.size;
		rest %= f->id.size;
	}
	return times < MAX_OVERLAP ? 0
				   : err_set(e, -EUCLEAN, "too many tensors lie in the same bytes");
}

static int choose(struct chooser *c, uint32_t n, struct err *e)
{
	struct dedup_state *d = c->d;
	struct dedup_file *f = &d->files[n];
	uint64_t own;
	int r = use_file(c, &c->own, n, e);

	if (r == 0)
		r = check_overlap(d, f, e);
	for (uint32_t i = f->first; i < f->first + f->n && r == 0; i++)
		r = find_home(c, i, e);
	if (r < 0)
		return r;
	list_homes(c, f);
	drop_small(c, f);
	own = own_bytes(d, f);
	if (!f->n || !saves_enough(f, own)) {
		dedup_stay(d, n);
		return 0;
	}
	f->fate = own ? FILE_ANEW : FILE_GOES;
	count_shards(d, f, c->n_homes);
	return lay_out(c, f, e);
}

/* The error WHY is of file N alone: it stays, and the steps that have it. */
static void leave(struct dedup_state *d, uint32_t n, const struct err *why)
{
	const struct dedup_file *f = &d->files[n];

	for (uint32_t i = 0; i < f->names; i++)
		dedup_leave(d, d->users[f->users + i], why);
}

static bool is_of_one_file(int r)
{
	return r == -EBADMSG || r == -EUCLEAN || r == -ESTALE || r == -ENOENT || r == -EIO;
}

/* Are all links of F shards of steps that may change? */
static bool may_go(const struct dedup_state *d, const struct dedup_file *f)
{
	bool may = f->names == f->links;

	for (uint32_t i = 0; i < f->names; i++)
		may &= d->steps[d->users[f->users + i]].result->what != DEDUP_LEFT;
	return may;
}

/* About how many bytes of F are read: none, if nothing in it may lie elsewhere, too; or each once, to be compared or verified. */
static uint64_t bytes_to_read(const struct dedup_state *d, const struct dedup_file *f)
{
	bool may_share = false;
	uint64_t sum = 0;

	for (uint32_t i = f->first; i < f->first + f->n; i++) {
		may_share |= d->alike[d->ranges[i].group] != i;
		sum += d->ranges[i].size;
	}
	return may_share && may_go(d, f) ? sum : 0;
}

static void begin_work(struct dedup_state *d)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < d->n_files; i++)
		total += bytes_to_read(d, &d->files[i]);
	d->seen = 0;
	d->c->work(d->c->arg, &d->seen, total);
}

static void release(struct chooser *c)
{
	closep(&c->own.fd);
	closep(&c->other.fd);
	free(c->a);
	free(c->b);
	free(c->shared);
	free(c->homes);
}

int dedup_choose(struct dedup_state *d, struct err *e)
{
	CLEANUP(release)
	struct chooser c = {.d = d,
			    .own = {.fd = -1},
			    .other = {.fd = -1},
			    .a = malloc(PIECE),
			    .b = malloc(PIECE),
			    .shared = calloc(d->n_files + (size_t)1, sizeof *c.shared),
			    .homes = calloc(d->n_files + (size_t)1, sizeof *c.homes)};
	int r = c.a && c.b && c.shared && c.homes ? 0 : err_set(e, -ENOMEM, "no memory");
	uint64_t done = 0;

	begin_work(d);
	for (uint32_t i = 0; i < d->n_files && r == 0; i++) {
		struct err why = {0};

		if (!may_go(d, &d->files[i]))
			continue;
		done += bytes_to_read(d, &d->files[i]);
		r = choose(&c, i, &why);
		if (is_of_one_file(r)) {
			in_file(d, &d->files[i], r, &why);
			leave(d, i, &why);
			r = 0;
		} else if (r < 0) {
			*e = why;
		}
		d->seen = done; /* what was not read, or more than once */
	}
	d->c->work(d->c->arg, NULL, 0);
	return r;
}

#include "safetensors/safetensors_file.h"
#include "base/cleanup.h"
#include "format/dtype.h"
#include "format/elements.h"
#include "step/tensor.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

/* How many variables stay open for the next read. Several threads read at once, each somewhere else. A V1 variable is in memory as long
 * as it is open. */
enum { MAX_OPEN = 8, MAX_OPEN_V1 = 2 };

/* How many bytes ahead of a sequential reader the kernel is asked to read. */
enum { READ_AHEAD = 8 << 20 };

/* A variable that was opened to be read, shared by reference count. */
struct open_item {
	atomic_uint refs;
	const struct safetensors_item *item;
	struct tensor *tensor;
};

/* For the variables of which one may be open here: item number I has slot I modulo their number. */
struct slot {
	struct open_item *open; /* or NULL */
	bool opening; /* a thread is at it, and the others wait */
};

struct safetensors_file {
	struct step *step;
	struct held_shards shards;
	const struct safetensors *layout;
	unsigned n_slots;
	_Atomic uint64_t ahead; /* the kernel was asked to read up to there */
	pthread_mutex_t lock; /* guards the slots; never held over I/O */
	pthread_cond_t opened; /* with `lock`: a thread is done with a slot */
	struct slot slots[MAX_OPEN];
};

int safetensors_open(const struct safetensors *layout, struct step *s, int dirfd,
		     struct safetensors_file **out, struct err *e)
{
	struct safetensors_file *f = calloc(1, sizeof *f);
	int r;

	if (!f)
		return err_set(e, -ENOMEM, "no memory");
	f->step = step_ref(s);
	f->layout = layout;
	f->n_slots = s->place.format == STEP_V1 ? MAX_OPEN_V1 : MAX_OPEN;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->opened, NULL);
	r = step_hold_shards(s, dirfd, &f->shards, e);
	if (r < 0)
		safetensors_close(f);
	else
		*out = f;
	return r;
}

static void open_item_unref(struct open_item *o)
{
	if (!o || atomic_fetch_sub(&o->refs, 1) != 1)
		return;
	tensor_close(o->tensor);
	free(o);
}

void safetensors_close(struct safetensors_file *f)
{
	if (!f)
		return;
	for (unsigned i = 0; i < f->n_slots; i++)
		open_item_unref(f->slots[i].open);
	held_shards_release(&f->shards);
	step_unref(f->step);
	pthread_cond_destroy(&f->opened);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

/* --- a variable --------------------------------------------------------------------------------------------------- */

static int open_item_new(const struct safetensors_file *f, const struct safetensors_item *item,
			 struct open_item **out, struct err *e)
{
	struct open_item *o = calloc(1, sizeof *o);
	int r = o ? tensor_open_held(f->step, item->var, &f->shards, &o->tensor, e)
		  : err_set(e, -ENOMEM, "no memory");

	if (r < 0) {
		struct bytes key = var_key(f->step, item->var);

		free(o);
		return err_wrap(e, r, "%s: %.*s", f->step->place.name, (int)key.n,
				(const char *)key.p);
	}
	atomic_init(&o->refs, 1);
	o->item = item;
	*out = o;
	return 0;
}

/* What is open in SLOT, with a reference, if it is ITEM; else NULL, and the caller has the slot until give_slot. */
static struct open_item *take_slot(struct safetensors_file *f, struct slot *slot,
				   const struct safetensors_item *item, struct open_item **old)
{
	HOLD(&f->lock);
	while (slot->opening)
		pthread_cond_wait(&f->opened, &f->lock);
	if (slot->open && slot->open->item == item) {
		atomic_fetch_add(&slot->open->refs, 1);
		return slot->open;
	}
	slot->opening = true;
	*old = TAKE(slot->open, NULL);
	return NULL;
}

static void give_slot(struct safetensors_file *f, struct slot *slot, struct open_item *open)
{
	if (open)
		atomic_fetch_add(&open->refs, 1);
	HOLD(&f->lock);
	slot->open = open;
	slot->opening = false;
	pthread_cond_broadcast(&f->opened);
}

/* ITEM, opened, with a reference for the caller. */
static int use_item(struct safetensors_file *f, const struct safetensors_item *item,
		    struct open_item **out, struct err *e)
{
	size_t n, number = (size_t)(item - safetensors_items(f->layout, &n));
	struct slot *slot = &f->slots[number % f->n_slots];
	struct open_item *old = NULL;
	int r;

	*out = take_slot(f, slot, item, &old);
	if (*out)
		return 0;
	open_item_unref(old);
	r = open_item_new(f, item, out, e);
	give_slot(f, slot, r < 0 ? NULL : *out);
	return r;
}

/* Of a big-endian step: reads whole words around the LEN bytes at OFF, and reverses them. */
static int read_swapped(const struct tensor *t, uint64_t off, size_t len, size_t word, uint8_t *dst,
			struct err *e)
{
	size_t skip = off % word, n = (skip + len + word - 1) / word * word;
	CLEANUP(freep) uint8_t *words = n == len ? NULL : malloc(n);
	uint8_t *to = n == len ? dst : words;
	int r;

	if (!to)
		return err_set(e, -ENOMEM, "no memory for %zu bytes", n);
	r = tensor_read(t, off - skip, n, to, e);
	if (r < 0)
		return r;
	elements_swap(to, n, word);
	if (to != dst)
		memcpy(dst, to + skip, len);
	return 0;
}

static int read_item(struct safetensors_file *f, const struct safetensors_item *item, uint64_t off,
		     size_t len, uint8_t *dst, struct err *e)
{
	size_t word = f->step->big_endian ? dtype_info(item->var->dtype)->word : 1;
	struct open_item *open;
	int r = use_item(f, item, &open, e);

	if (r < 0)
		return r;
	r = word > 1 ? read_swapped(open->tensor, off, len, word, dst, e)
		     : tensor_read(open->tensor, off, len, dst, e);
	open_item_unref(open);
	return r;
}

/* --- all of them -------------------------------------------------------------------------------------------------- */

/* The item with the byte at OFF, which is behind the header and in the file. */
static const struct safetensors_item *item_at(const struct safetensors_file *f, uint64_t off)
{
	size_t n, lo = 0;
	const struct safetensors_item *items = safetensors_items(f->layout, &n);

	while (lo + 1 < n) {
		size_t step = (n - lo) / 2;

		if (items[lo + step].at <= off)
			lo += step;
		else
			n = lo + step;
	}
	return &items[lo];
}

/* Asks the kernel to read what the file has from FROM to TO of whole variables. Those that lie side by side are asked for together. */
static void ask_for(const struct safetensors_file *f, uint64_t from, uint64_t to)
{
	size_t n;
	const struct safetensors_item *items = safetensors_items(f->layout, &n), *i;
	const struct kept_file *file = NULL;
	uint64_t start = 0, end = 0; /* in FILE */

	for (i = item_at(f, from); i < items + n && i->at < to; i++) {
		const struct kept_file *in = f->shards.files[i->var->shard];

		if (i->var->kind != VAR_WHOLE || !in)
			continue;
		if (file && (in != file || i->var->off != end))
			posix_fadvise(file->fd, (off_t)start, (off_t)(end - start),
				      POSIX_FADV_WILLNEED);
		if (in != file || i->var->off != end)
			start = i->var->off + (from > i->at ? from - i->at : 0);
		file = in;
		end = i->var->off + (to < i->at + i->size ? to - i->at : i->size);
	}
	if (file)
		posix_fadvise(file->fd, (off_t)start, (off_t)(end - start), POSIX_FADV_WILLNEED);
}

/* The LEN bytes at OFF are read. tensor_read reads on to the end of a variable, this into those behind it. A reader that jumps ahead is
 * not followed. */
static void read_ahead(struct safetensors_file *f, uint64_t off, size_t len)
{
	uint64_t ahead = f->ahead, end = off + len, size = f->layout->size;
	uint64_t to = size - end > READ_AHEAD ? end + READ_AHEAD : size;

	if (f->step->place.format == STEP_V1 || off > ahead || to <= ahead ||
	    (to < size && to < ahead + READ_AHEAD / 2) ||
	    !atomic_compare_exchange_strong(&f->ahead, &ahead, to))
		return;
	if (to > end)
		ask_for(f, ahead > end ? ahead : end, to);
}

int64_t safetensors_read(struct safetensors_file *f, uint64_t off, size_t len, uint8_t *dst,
			 struct err *e)
{
	const struct safetensors *s = f->layout;
	size_t done = 0;

	if (off >= s->size)
		return 0;
	if (len > s->size - off)
		len = (size_t)(s->size - off);
	if (off < s->head.n) {
		done = s->head.n - off < len ? (size_t)(s->head.n - off) : len;
		memcpy(dst, s->head.p + off, done);
	}
	read_ahead(f, off, len);
	while (done < len) {
		uint64_t at = off + done;
		const struct safetensors_item *item = item_at(f, at);
		uint64_t left = item->at + item->size - at;
		size_t n = left < len - done ? (size_t)left : len - done;
		int r = read_item(f, item, at - item->at, n, dst + done, e);

		if (r < 0)
			return r;
		done += n;
	}
	return (int64_t)len;
}
